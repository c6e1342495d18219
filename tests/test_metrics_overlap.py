import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolens.errors import MapError
from tomolens.metrics import region_overlap
from tomolens.regions import top_regions


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_against_the_definition(seed, regions):
    random = np.random.default_rng(seed)
    values = random.normal(size=regions)[random.integers(0, regions, (19, 23))]
    mask = random.random(values.shape) < 0.3
    result = region_overlap(values, mask)
    for p in (1, 7, 50, 99, 100):
        wanted = max(1, int(p / 100 * values.size + 0.5))
        kept = values >= np.sort(values.ravel())[::-1][wanted - 1]
        np.testing.assert_array_equal(kept, top_regions(values, p))
        assert result.dice[p - 1] == pytest.approx(2 * (kept & mask).sum() / (kept.sum() + mask.sum()))
        assert result.kept[p - 1] == pytest.approx(100 * kept.mean())
        assert result.kept[p - 1] >= 100 * (wanted - 0.5) / values.size
    assert result.kept[-1] == 100
    assert (np.diff(result.kept) >= 0).all()


def test_the_mask_itself_is_perfect_at_its_own_share():
    mask = np.zeros((30, 30), bool)
    mask[5:14, 8:20] = True
    result = region_overlap(mask.astype(float), mask)
    assert result.dice_own_share == 1.0
    assert result.own_share == pytest.approx(12.0)
    assert result.kept_own_share == pytest.approx(12.0)
    assert result.dice[-1] == pytest.approx(2 * 0.12 / 1.12)


@pytest.mark.parametrize("full", [False, True])
def test_empty_and_full_masks_are_no_number(full):
    result = region_overlap(np.random.default_rng(0).random((8, 8)), np.full((8, 8), full))
    assert np.isnan(result.dice).all()
    assert np.isnan(result.kept).all()
    assert np.isnan(result.dice_own_share)


def test_mistakes_are_named():
    with pytest.raises(MapError, match=r"mask of \(8, 7\), region map of \(8, 8\)"):
        region_overlap(np.zeros((8, 8)), np.zeros((8, 7), bool))
    with pytest.raises(MapError, match="64 values are not finite"):
        region_overlap(np.full((8, 8), np.nan), np.zeros((8, 8), bool))
    with pytest.raises(MapError, match="expected bool"):
        region_overlap(np.zeros((8, 8)), np.zeros((8, 8)))
