"""Segments against scikit-image, region maps against PAIR's XRAI, on simulated and on real slices."""

import csv
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core.xrai import XRAI, _get_segments_felzenszwalb
from skimage.segmentation import felzenszwalb as reference_felzenszwalb

from tomolens.cases import Preprocessing, from_manifest, phantom
from tomolens.errors import MapError
from tomolens.metrics import region_overlap
from tomolens.regions import RegionSettings, segment, xrai
from tomolens.regions.felzenszwalb import felzenszwalb

SCALES = RegionSettings().scales


def assert_same_partition(ours, theirs):
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1).shape[1]
    assert pairs == len(np.unique(ours)) == len(np.unique(theirs))


def simulated(index, size):
    return phantom.cases(index + 1, seed=3, preprocessing=Preprocessing(size=size))[index].image


@pytest.mark.parametrize("size", [96, 224])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_segments_are_scikit_images_at_every_scale(index, size):
    image = 2.0 * simulated(index, size)[0].astype(np.float64) - 1.0
    for scale, ours in zip(SCALES, felzenszwalb(image, SCALES), strict=True):
        assert_same_partition(ours, reference_felzenszwalb(image, scale=scale, sigma=0.8, min_size=150))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 5, 30]))
def test_segments_of_any_image(seed, height, width, min_size):
    image = np.random.default_rng(seed).random((height, width))
    (ours,) = felzenszwalb(image, [80.0], min_size=min_size)
    assert_same_partition(ours, reference_felzenszwalb(image, scale=80, sigma=0.8, min_size=min_size))
    assert ours.min() == 0
    assert ours.max() + 1 == len(np.unique(ours))


@pytest.mark.parametrize("size", [96, 224, 300])
def test_region_maps_are_pairs_for_the_same_segments(size):
    image = simulated(1, size)
    segments = segment(image)
    for seed in range(3):
        scores = np.random.default_rng(seed).standard_t(2, image.shape)
        theirs = XRAI._xrai(scores[0], list(segments.masks()))[0]
        np.testing.assert_allclose(xrai(image, scores, segments=segments), theirs, atol=1e-6, rtol=0)


TIED = {
    "half of it zero": lambda image, random: np.where(image > 0.3, random.standard_t(2, image.shape), 0.0),
    "heavy tails on zero": lambda image, random: np.where(image > 0.2, random.standard_cauchy(image.shape), 0.0),
    "integrated gradients": lambda image, random: image * random.standard_t(1.2, image.shape),
    "tiny": lambda image, random: np.where(image > 0.3, 2.0**-40 * random.integers(-9, 9, image.shape), 0.0),
    "a few values": lambda image, random: np.floor(4 * image) / 4,
    "constant parts": lambda image, random: np.where(image > 0.4, 0.1, 0.3),
}


def exact_regions(scores, masks, least=50):
    """PAIR's growing with means of exact fractions: without any rounding."""
    exact, covered = [Fraction(value) for value in scores.ravel().tolist()], np.zeros(scores.size, bool)
    regions, left = np.full(scores.size, np.nan), [np.flatnonzero(mask) for mask in masks]
    means = {}
    while True:
        left = [members[~covered[members]] for members in left]
        best, chosen = None, None
        for s, members in enumerate(left):
            if len(members) >= least:
                if (s, len(members)) not in means:
                    means[s, len(members)] = sum(exact[i] for i in members) / len(members)
                if best is None or means[s, len(members)] > best:
                    best, chosen = means[s, len(members)], s
        if chosen is None:
            break
        regions[left[chosen]] = float(best)
        covered[left[chosen]] = True
    rest = np.flatnonzero(~covered)
    if len(rest):
        regions[rest] = float(sum(exact[i] for i in rest) / len(rest))
    return regions.reshape(scores.shape)


@pytest.mark.parametrize("kind", TIED)
@pytest.mark.parametrize("index", [0, 1])
def test_what_is_tied_stays_tied(kind, index):
    image = simulated(index, 96)
    segments, mask = segment(image), phantom.cases(index + 1, seed=3, preprocessing=Preprocessing(size=96))[index].mask
    scores = TIED[kind](image, np.random.default_rng(0))
    ours, exact = xrai(image, scores, segments=segments), exact_regions(scores[0], segments.masks())
    assert_same_partition(ours, exact)
    np.testing.assert_allclose(ours, exact, rtol=1e-15, atol=0)
    if kind not in ("constant parts", "a few values"):  # whose means PAIR's own code rounds
        assert_same_partition(ours, XRAI._xrai(scores[0], list(segments.masks()))[0])
    found, expected = region_overlap(ours, mask), region_overlap(exact, mask)
    np.testing.assert_allclose(found.dice, expected.dice, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.kept, expected.kept)


@pytest.mark.parametrize("size", [128, 224, 300])
def test_the_whole_path_is_pairs(size):
    image = simulated(2, size)
    scores = np.random.default_rng(0).normal(size=image.shape)
    theirs = XRAI._xrai(scores[0], _get_segments_felzenszwalb(image[0].astype(np.float64)))[0]
    np.testing.assert_allclose(xrai(image, scores), theirs, atol=1e-6, rtol=0)


def test_real_slices_too(real_ct):
    manifest = real_ct / "tcga-contrast" / "cases.csv"
    with manifest.open() as file:
        assert len(list(csv.DictReader(file))) == 70
    for case in from_manifest(manifest, Preprocessing(size=224))[::12]:
        segments = segment(case.image)
        scores = np.random.default_rng(0).standard_t(2, case.image.shape)
        theirs = XRAI._xrai(scores[0], list(segments.masks()))[0]
        np.testing.assert_allclose(xrai(case.image, scores, segments=segments), theirs, atol=1e-6, rtol=0)
        stretched = 2.0 * case.image[0].astype(np.float64) - 1.0
        for scale, ours in zip(SCALES, felzenszwalb(stretched, SCALES), strict=True):
            assert_same_partition(ours, reference_felzenszwalb(stretched, scale=scale, sigma=0.8, min_size=150))


def test_what_no_region_covers_gets_its_own_mean():
    image = simulated(0, 64)
    scores = np.random.default_rng(0).normal(size=image.shape)
    regions = xrai(image, scores, settings=RegionSettings(min_new_pixels=10**6))
    np.testing.assert_allclose(regions, scores.mean())


def test_a_constant_image_is_one_region():
    image = np.full((1, 64, 64), 0.5, np.float32)
    scores = np.random.default_rng(0).normal(size=image.shape)
    np.testing.assert_allclose(xrai(image, scores), scores.mean())


@pytest.mark.parametrize(
    ("image", "importance", "message"),
    [
        (np.ones((1, 64, 64)), np.ones((1, 32, 32)), r"importance map of \(32, 32\), image of \(64, 64\)"),
        (np.ones((1, 1, 8, 8, 8)), np.ones((1, 1, 8, 8, 8)), "regions are made of slices and volumes"),
        (np.ones((1, 64, 64)), np.full((1, 64, 64), np.nan), "importance map: 4096 values are not finite"),
        (np.full((64, 64), np.inf), np.ones((64, 64)), "image: 4096 values are not finite"),
    ],
)
def test_mistakes_are_named(image, importance, message):
    with pytest.raises(MapError, match=message):
        xrai(image, importance)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_maps_of_fewer_bits_have_regions(kind):
    image = torch.from_numpy(simulated(0, 64)).to(kind)
    importance = torch.from_numpy(np.random.default_rng(0).normal(size=image.shape)).to(kind)
    np.testing.assert_array_equal(xrai(image, importance), xrai(image.double(), importance.double()))
