import numpy as np
import pytest

from tomolens.errors import SettingsError
from tomolens.randomness import generator


def test_same_key_same_draws():
    assert generator(1, "case", 2).random() == generator(1, "case", 2).random()


def test_every_part_of_the_key_counts():
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), ("0", "a", 1), (0, "a1"), (0, "a", "1")]
    assert len({generator(*key).random() for key in keys}) == len(keys)


def test_whole_numbers_are_the_same_whatever_their_type():
    first = generator(0, "a").random(3)
    for zero in (np.int64(0), np.uint8(0), False):
        np.testing.assert_array_equal(generator(zero, "a").random(3), first)
    assert not np.array_equal(generator("0", "a").random(3), first)
    with pytest.raises(SettingsError, match="0.5 in the key of a random draw"):
        generator(0.5)
