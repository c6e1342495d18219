from tomolens.randomness import generator


def test_same_key_same_draws():
    assert generator(1, "case", 2).random() == generator(1, "case", 2).random()


def test_every_part_of_the_key_counts():
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), ("0", "a", 1), (0, "a1"), (0, "a", "1")]
    assert len({generator(*key).random() for key in keys}) == len(keys)
