"""Cases kept for the page: a byte a pixel that still orders the pixels as the map does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tomolens.cases import Case
from tomolens.errors import SettingsError
from tomolens.report.viewer import fitted, pack
from tomolens.study.evaluate import Evaluation
from tomolens.study.plan import Measurement
from tomolens.study.viewed import STEPS, by_rank, encode, read_viewed, write_viewed


@given(st.integers(0, 2**32 - 1))
def test_ranks_keep_sign_order_and_size(seed):
    random = np.random.default_rng(seed)
    importance = random.normal(size=(17, 13)) ** 3 * (random.random((17, 13)) < 0.8)
    ranks, values = by_rank(importance)
    np.testing.assert_array_equal(np.sign(ranks), np.sign(importance))
    order = np.argsort(importance, axis=None)
    assert (np.diff(ranks.ravel()[order].astype(int)) >= 0).all()
    magnitude = np.argsort(np.abs(importance), axis=None)
    assert (np.diff(np.abs(ranks.astype(int)).ravel()[magnitude]) >= 0).all()
    again = np.sign(ranks) * values[np.abs(ranks.astype(int))]
    assert np.abs(again - importance).mean() < 0.1 * np.abs(importance).mean()
    assert values.shape == (STEPS + 1,)


def test_a_map_of_nothing_or_of_one_value():
    ranks, values = by_rank(np.zeros((4, 4)))
    assert not ranks.any()
    assert not values.any()
    ranks, values = by_rank(np.full((4, 4), -2.0))
    assert len(np.unique(ranks)) == 1
    assert values[abs(int(ranks[0, 0]))] == 2


def case_and_evaluation(size=24, spatial=2):
    random = np.random.default_rng(0)
    shape = (1, *[size] * spatial)
    mask = np.zeros(shape[1:], bool)
    mask[..., 5:9, 5:9] = True
    maps = {name: torch.from_numpy(random.normal(size=shape)) for name in ("one", "two")}
    keys = [(name, signs) for name in maps for signs in ("original", "absolute")]
    measured = [
        measurement
        for key in keys
        for measurement in (
            Measurement(*key, "fidelity", 0.25, None),
            Measurement(*key, "most_important_first", None, (1.0, 0.0, 0.0)),
            Measurement(*key, "least_important_first", None, (1.0, 1.0, 0.0)),
        )
    ]
    measured.append(Measurement("centre-prior", "original", "fidelity", 0.1, None))
    regions = {key: random.integers(0, 5, shape[1:]) / 7 for key in keys}
    case = Case("a/b <c>", random.random(shape).astype(np.float32), 1, "p", mask)
    return case, Evaluation(0, tuple(measured), maps, regions)


@pytest.mark.parametrize("spatial", [2, 3])
def test_what_is_written_is_read(tmp_path, spatial):
    case, evaluation = case_and_evaluation(spatial=spatial)
    write_viewed(tmp_path / "viewed", 7, encode(case, evaluation))
    viewed = read_viewed(tmp_path / "viewed" / "00000007.npz")
    assert (viewed.name, viewed.label, viewed.predicted) == ("a/b <c>", 1, 0)
    assert viewed.image.shape == viewed.mask.shape == (24, 24)
    assert set(viewed.maps) == {"one", "two"}
    assert set(viewed.regions) == set(viewed.correct) == set(viewed.numbers)
    assert viewed.correct["one", "absolute"].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert viewed.numbers["two", "original"] == {"fidelity": 0.25}
    plane = evaluation.region_maps["one", "original"]
    plane = plane if spatial == 2 else plane[12]
    order = np.argsort(plane, axis=None)
    assert (np.diff(viewed.regions["one", "original"].ravel()[order].astype(int)) >= 0).all()


def test_a_damaged_file_is_named(tmp_path):
    write_viewed(tmp_path, 1, encode(*case_and_evaluation())[:100])
    with pytest.raises(SettingsError, match=r"00000001\.npz: damaged"):
        read_viewed(tmp_path / "00000001.npz")


def test_many_cases_are_shown_smaller_so_that_the_page_stays_within_its_budget(tmp_path):
    write_viewed(tmp_path, 1, encode(*case_and_evaluation(size=96)))
    viewed = read_viewed(tmp_path / "00000001.npz")
    whole = pack(viewed, 1.0)
    assert (whole["rows"], whole["columns"]) == (96, 96)
    assert fitted([viewed], 10**6)[0] == whole
    packed = fitted([viewed] * 20, 5 * len(whole["data"]))
    assert sum(len(one["data"]) for one in packed) <= 5 * len(whole["data"])
    assert 20 < packed[0]["rows"] < 96
    assert packed[0]["fine"] * packed[0]["rows"] <= 96
    assert packed[0]["full"] == [96, 96]
