"""What is alike: against SciPy and scikit-image, and on maps of which nothing can be told."""

import numpy as np
import pytest
from scipy.stats import entropy, pearsonr, spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity as theirs

from tomolens.metrics.likeness import (
    complexity,
    gradient_similarity,
    histograms_of_gradients,
    rank_correlation,
    structural_similarity,
)

SHAPES = [(24, 30), (9, 10, 12)]


def scikit(values, cell):
    return hog(values, orientations=9, pixels_per_cell=cell, cells_per_block=(3, 3), block_norm="L2-Hys")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_likeness_is_scipys_and_scikit_images(shape, seed):
    random = np.random.default_rng(seed)
    one = random.normal(size=shape)
    other = one.round() + seed * random.normal(size=shape)  # with ties
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic, abs=1e-12)
    scaled = [(values - values.min()) / np.ptp(values) for values in (one, other)]
    assert structural_similarity(one, other) == pytest.approx(theirs(*scaled, data_range=1.0), abs=1e-9)
    shares = np.histogram(scaled[0], 100, (0, 1))[0] / one.size
    assert complexity(one) == pytest.approx(entropy(shares), abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "cell"), [((64, 80), (16, 16)), ((48, 51), (16, 16)), ((24, 31), (8, 10)), ((9, 7), (3, 2))]
)
def test_histograms_of_gradients_are_scikit_images(shape, cell):
    random = np.random.default_rng(0)
    one = random.random(shape)
    one[2:5, 2:5] = 0.5  # without a gradient
    other = one + random.random(shape)
    np.testing.assert_allclose(histograms_of_gradients(one), scikit(one, cell), atol=1e-6)  # which adds up in float32
    scaled = [(values - values.min()) / np.ptp(values) for values in (one, other)]
    expected = pearsonr(*(scikit(values, cell) for values in scaled)).statistic
    assert gradient_similarity(one, other) == pytest.approx(expected, abs=1e-6)


def test_those_of_a_volume_are_those_of_its_slices_along_all_axes():
    volume = np.random.default_rng(0).random((7, 9, 12))
    expected = [
        scikit(np.moveaxis(volume, axis, 0)[at], cell)
        for axis, cell in ((0, (3, 4)), (1, (2, 4)), (2, (2, 3)))
        for at in range(volume.shape[axis])
    ]
    np.testing.assert_allclose(
        histograms_of_gradients(volume), np.concatenate(expected), atol=1e-6
    )  # which adds up in float32
    thin = volume[:2]  # whose slices along two axes have no cells
    assert len(histograms_of_gradients(thin)) == 2 * len(scikit(thin[0], (3, 4)))
    assert gradient_similarity(thin, thin) == pytest.approx(1.0)


def test_even_maps_are_like_nothing():
    even, other = np.ones((12, 12)), np.random.default_rng(0).random((12, 12))
    assert np.isnan(rank_correlation(even, other))
    assert np.isnan(rank_correlation(even, even))
    assert np.isnan(gradient_similarity(even, other))
    assert np.isnan(gradient_similarity(other[:4], other[:4]))  # no cells
    assert np.isnan(structural_similarity(even, even))
    assert np.isnan(structural_similarity(even, other))
    assert structural_similarity(other, other) == pytest.approx(1.0)
    assert complexity(even) == 0.0
    assert rank_correlation(other, -other) == pytest.approx(-1.0)
    assert gradient_similarity(other, -other) == pytest.approx(1.0)  # edges have no sign


@pytest.mark.parametrize("spatial", [(2, 24, 24), (1, 12, 12)])
def test_thin_volumes_have_windows_too(spatial):
    one, other = (np.random.default_rng(seed).random(spatial) for seed in (0, 1))
    assert structural_similarity(one, one) == pytest.approx(1.0)
    assert -1 < structural_similarity(one, other) < 0.5
