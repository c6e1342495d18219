"""Pointing, mass, rank, top, parts and Otsu: by hand, and against scikit-image and scikit-learn."""

import numpy as np
import pytest
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score

from test_metrics_contract import evaluand, measured
from tomolens.errors import MapError, SettingsError
from tomolens.lengths import Length
from tomolens.metrics.evaluand import MetricSettings
from tomolens.metrics.localisation import (
    hit_rate,
    otsu_iou,
    otsu_threshold,
    pointing_game,
    relevance_mass,
    relevance_rank,
    share_of_top,
    tolerance_of,
)
from tomolens.metrics.ranked import rank_map

SHAPES = [(20, 30), (8, 9, 10)]


def ranked(values):
    return rank_map(np.asarray(values, float)[None])


def test_by_hand():
    values = np.array([[3.0, 1.0, 0.0], [-2.0, 3.0, 1.0]])
    mask = np.array([[True, True, False], [True, False, False]])
    one = ranked(values)
    assert pointing_game(one, mask) == 0.5  # of two equal peaks one lies in the mask
    assert pointing_game(one, mask, (0, 0)) == 0.5
    assert pointing_game(one, mask, (0, 1)) == pointing_game(one, mask, (1, 0)) == 1.0
    assert relevance_mass(one, mask) == 4 / 8
    assert relevance_rank(one, mask) in (1 / 3, 2 / 3)  # two peaks, and one of two pixels of 1
    assert share_of_top(one, mask, 2) == 0.5
    assert np.isnan(relevance_mass(ranked(-np.abs(values)), mask))
    assert relevance_mass(ranked(np.where(mask, 5.0, -5.0)), mask) == 1.0


def test_ties_fall_as_chance_has_them():
    mask = np.zeros((40, 40), bool)
    mask[:10] = True
    found = [relevance_rank(rank_map(np.ones((1, 40, 40)), name=str(k)), mask) for k in range(50)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.01)
    assert len(set(found)) > 10
    assert pointing_game(ranked(np.ones((40, 40))), mask) == 0.25


@pytest.mark.parametrize("shape", SHAPES)
def test_tolerance_is_a_ball(shape):
    mask, values = np.zeros(shape, bool), np.zeros(shape)
    middle = tuple(length // 2 for length in shape)
    mask[middle] = True
    beside = list(middle)
    beside[-1] += 3
    values[tuple(beside)] = 1.0
    axes = len(shape)
    assert pointing_game(ranked(values), mask, (2,) * axes) == 0.0
    assert pointing_game(ranked(values), mask, (3,) * axes) == 1.0
    beside[0] += 2  # 2 and 3 pixels away: beyond a radius of 3
    moved = np.zeros(shape)
    moved[tuple(beside)] = 1.0
    assert pointing_game(ranked(moved), mask, (3,) * axes) == 0.0
    assert pointing_game(ranked(moved), mask, (6, *(3,) * (axes - 1))) == 0.0
    assert pointing_game(ranked(moved), mask, (9, *(4,) * (axes - 1))) == 1.0


def test_tolerance_in_millimetres_is_of_the_cases_pixels():
    settings = MetricSettings(tolerance="5 mm")
    with pytest.raises(MapError, match="a tolerance of 5 mm, and the size of the case's pixels is not known"):
        tolerance_of(evaluand_with(settings))
    assert tolerance_of(evaluand_with(settings, spacing=(2.5, 0.8))) == (2, 6)
    assert tolerance_of(evaluand_with(MetricSettings(tolerance=3), spacing=(2.5, 0.8))) == (3, 3)
    with pytest.raises(SettingsError, match="expected whole pixels, or millimetres"):
        Length.of("5 cm")


def evaluand_with(settings, **more):
    import dataclasses

    return dataclasses.replace(evaluand(), settings=settings, **more)


@pytest.mark.parametrize("shape", SHAPES)
def test_lesions_are_counted_apart(shape):
    mask, values = np.zeros(shape, bool), np.random.default_rng(0).random(shape)
    corners = [tuple(slice(0, 2) for _ in shape), tuple(slice(length - 2, length) for length in shape)]
    for corner in corners:
        mask[corner] = True
    assert hit_rate(ranked(np.where(mask, 0.0, values)), mask) == 0.0
    one = values.copy()
    one[corners[0]] = 2.0
    one[corners[1]] = 0.0
    assert hit_rate(ranked(one), mask) == 0.5
    assert hit_rate(ranked(np.where(mask, 2.0, values)), mask) in (0.5, 1.0)
    touching = np.zeros(shape, bool)
    touching[(1,) * len(shape)] = touching[(2,) * len(shape)] = True  # by a corner: one lesion
    peak = np.zeros(shape)
    peak[(1,) * len(shape)] = 1.0
    assert hit_rate(ranked(peak + 1e-6 * values), touching) == 1.0


@pytest.mark.parametrize("shape", SHAPES)
def test_otsus_threshold_is_scikit_images(shape):
    random = np.random.default_rng(0)
    mask = random.random(shape) < 0.3
    for values in (random.normal(size=shape), random.normal(size=shape) + 4 * mask, random.integers(0, 3, shape)):
        values = values.astype(float)
        assert otsu_threshold(values.ravel()) == pytest.approx(threshold_otsu(values), rel=1e-12)
        chosen = values > threshold_otsu(values)
        wanted = (chosen & mask).sum() / (chosen | mask).sum()
        assert otsu_iou(ranked(values), mask) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(otsu_iou(ranked(np.ones(shape)), mask))


@pytest.mark.parametrize("spatial", [(24, 24), (10, 12, 14)])
def test_precision_is_scikit_learns(spatial):
    found = measured("localisation", spatial=spatial)
    given = evaluand(spatial=spatial)
    for key, one in given.rankings.items():
        assert found[key, "auprc"] == pytest.approx(average_precision_score(given.mask.ravel(), one.scores))
