import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tomolens.errors import MapError
from tomolens.metrics import rank_map, roc
from tomolens.metrics.roc import curve_areas, roc_of_map


def drawn(seed, levels, pixels=(20, 17)):
    """A map with many ties where ``levels`` is small, and a mask that it tells something about."""
    random = np.random.default_rng(seed)
    mask = random.random(pixels) < random.uniform(0.05, 0.9)
    scores = random.standard_t(2, pixels) + 0.7 * mask
    return (np.round(scores * levels) / levels)[None], mask


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 10, 1000]))
def test_against_scikit_learn_with_ties(seed, levels):
    importance, mask = drawn(seed, levels)
    result = roc_of_map(rank_map(importance), mask)
    assert result.auc == pytest.approx(roc_auc_score(mask.ravel(), importance.ravel()), abs=1e-9)
    assert result.average_precision == pytest.approx(
        average_precision_score(mask.ravel(), importance.ravel()), abs=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_identity_of_the_quantile_grid(seed):
    importance, mask = drawn(seed, 10**6, (101, 97))
    result = roc(importance[None], mask[None], points=1001)
    share = mask.mean()
    assert result.areas["quantile_height"] == pytest.approx((1 - share) * result.mean_auc + share / 2, abs=1e-3)
    assert result.areas["quantile_trapezoid"] == pytest.approx(result.mean_auc, abs=1e-3)


def test_the_linear_grid_is_scores_above_each_threshold():
    importance, mask = drawn(3, 10)
    result = roc_of_map(rank_map(importance), mask)
    normalised = (importance[0] - importance.min()) / np.ptp(importance)
    for point, threshold in enumerate(np.linspace(0, 1, 101)):
        above = normalised > threshold
        assert result.linear[0, point] == pytest.approx(above[mask].mean())
        assert result.linear[1, point] == pytest.approx(above[~mask].mean())


def test_the_quantile_grid_takes_the_top_share():
    importance, mask = drawn(4, 10**6)
    result = roc_of_map(rank_map(importance), mask)
    order = np.argsort(-importance.ravel())
    for point in (0, 1, 37, 100):
        top = np.zeros(mask.size, bool)
        top[order[: int(point / 100 * mask.size + 0.5)]] = True
        assert result.quantile[0, point] == pytest.approx(top[mask.ravel()].mean())


def test_a_heavy_tail_ruins_the_linear_grid_only():
    random = np.random.default_rng(0)
    mask = random.random((100, 100)) < 0.1
    importance = np.exp(3 * random.normal(size=mask.shape) + 3 * mask)
    importance[0, 0] = 1e9
    areas = roc(importance[None, None], mask[None]).areas
    assert areas["linear_height"] < 0.02
    assert areas["quantile_trapezoid"] > 0.7


def test_empty_and_full_masks_are_no_number_and_named():
    importance, mask = drawn(1, 10)
    maps = np.stack([importance] * 3)
    result = roc(maps, np.stack([mask, np.zeros_like(mask), np.ones_like(mask)]))
    assert np.isnan(result.auc[1:]).all()
    assert np.isnan(result.average_precision[1:]).all()
    assert result.undefined == (1, 2)
    assert result.mean_auc == result.auc[0]
    nothing = roc(maps[:1], np.zeros_like(mask)[None])
    assert np.isnan(nothing.mean_auc)


def test_a_constant_map_is_chance():
    mask = drawn(1, 10)[1]
    result = roc_of_map(rank_map(np.zeros((1, *mask.shape))), mask)
    assert result.auc == 0.5
    assert result.average_precision == pytest.approx(mask.mean())


def test_areas_of_a_perfect_curve():
    perfect = np.stack([np.ones(101), np.linspace(0, 1, 101)])
    areas = curve_areas(perfect, perfect[:, ::-1])
    assert areas["quantile_trapezoid"] == areas["linear_trapezoid"] == pytest.approx(1.0)


def test_mistakes_are_named():
    importance, mask = drawn(1, 10)
    with pytest.raises(MapError, match="mask of type uint8, expected bool"):
        roc(importance[None], mask[None].astype(np.uint8))
    with pytest.raises(MapError, match=r"mask of \(20, 16\), importance map of \(20, 17\)"):
        roc(importance[None], mask[None, :, :16])
    with pytest.raises(MapError, match="1 maps and 2 masks"):
        roc(importance[None], np.stack([mask, mask]))
