"""Segments and regions of volumes: against a plain loop, scikit-image's labels, and the same of a slice."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core.xrai import XRAI
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import label as connected
from skimage.segmentation import felzenszwalb as reference_felzenszwalb

from tomolens.errors import MapError
from tomolens.regions import RegionSettings, parts, segment, xrai
from tomolens.regions.felzenszwalb import felzenszwalb
from tomolens.regions.parts import FEW, MOST
from tomolens.regions.xrai import labels_of


def chest(shape=(20, 24, 28), seed=0):
    """Balls and boxes of several greys with noise."""
    random = np.random.default_rng(seed)
    image = 0.05 * random.standard_normal(shape)
    places = np.indices(shape)
    for _ in range(7):
        centre = [random.uniform(0, length) for length in shape]
        radius = random.uniform(3, 8)
        ball = sum((axis - middle) ** 2 for axis, middle in zip(places, centre, strict=True)) < radius**2
        image[ball] += random.uniform(0.3, 1.0)
    return image


def plain_felzenszwalb(image, scale, sigma, least, neighbours, spacing):
    """The method as its paper says it, with sets of voxels and a loop over edges: nothing is shared with ours."""
    sides = np.asarray(spacing) / np.min(spacing)
    smooth = gaussian_filter(image, sigma / sides, mode="reflect")
    edges = []
    for voxel in np.ndindex(image.shape):
        for step in product((-1, 0, 1), repeat=3):
            other = tuple(a + b for a, b in zip(voxel, step, strict=True))
            length = sum(map(abs, step))
            if length == 0 or (neighbours == 6 and length > 1) or other <= voxel:
                continue
            if all(0 <= at < size for at, size in zip(other, image.shape, strict=True)):
                metres = np.sqrt(sum((one * side) ** 2 for one, side in zip(step, sides, strict=True)))
                edges.append((abs(smooth[voxel] - smooth[other]) * np.sqrt(length) / metres, voxel, other))
    edges.sort(key=lambda edge: edge[0])
    of = {voxel: {voxel} for voxel in np.ndindex(image.shape)}
    inner = {id(members): 0.0 for members in of.values()}
    kept = list(of.values())  # their ids stay theirs

    def join(one, other):
        one |= other
        for voxel in other:
            of[voxel] = one

    for weight, a, b in edges:
        one, other = of[a], of[b]
        if one is not other and weight < min(inner[id(s)] + scale / 255 / len(s) for s in (one, other)):
            join(one, other)
            inner[id(one)] = weight
    for _, a, b in edges:
        one, other = of[a], of[b]
        if one is not other and min(len(one), len(other)) < least:
            join(one, other)
    assert kept
    numbers = {id(members): number for number, members in enumerate({id(s): s for s in of.values()}.values())}
    return np.array([numbers[id(of[voxel])] for voxel in np.ndindex(image.shape)]).reshape(image.shape)


def assert_same_partition(ours, theirs):
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1).shape[1]
    assert pairs == len(np.unique(ours)) == len(np.unique(theirs))


@pytest.mark.parametrize("neighbours", [6, 26])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.7)])
@pytest.mark.parametrize("least", [1, 12])
def test_segments_are_those_of_a_plain_loop(neighbours, spacing, least):
    image = chest((7, 8, 9))
    for scale in (2.0, 40.0):
        (ours,) = felzenszwalb(image, [scale], 0.7, least, neighbours=neighbours, spacing=spacing)
        assert_same_partition(ours, plain_felzenszwalb(image, scale, 0.7, least, neighbours, spacing))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 4, 20]), st.sampled_from([6, 26]))
def test_segments_are_connected_and_not_too_small(seed, least, neighbours):
    image = chest((9, 11, 10), seed)
    (ours,) = felzenszwalb(image, [10.0], min_size=least, neighbours=neighbours)
    # scikit-image's components of equal labels: each segment is one of them.
    found, count = connected(ours + 1, connectivity=1 if neighbours == 6 else 3, return_num=True)
    assert count == ours.max() + 1 == len(np.unique(ours))
    assert_same_partition(ours, found)
    assert np.bincount(ours.ravel()).min() >= least
    firsts = [int(np.flatnonzero(ours.ravel() == number)[0]) for number in range(count)]
    assert firsts == sorted(firsts)


def test_a_volume_of_one_slice_is_cut_as_the_slice():
    image = chest((1, 40, 52))[0]
    for volume in (image[None], image[:, None], image[:, :, None]):
        flat = felzenszwalb(image, [80.0, 300.0], min_size=20)
        deep = felzenszwalb(volume, [80.0, 300.0], min_size=20, neighbours=26)
        for one, other in zip(flat, deep, strict=True):
            np.testing.assert_array_equal(one.ravel(), other.ravel())
    (deep,) = felzenszwalb(image[None], [80.0], min_size=20, neighbours=26)
    assert_same_partition(deep[0], reference_felzenszwalb(image, scale=80, sigma=0.8, min_size=20))


def test_regions_and_parts_of_one_slice_are_the_slices():
    image = chest((1, 40, 52))
    scores = np.random.default_rng(0).standard_t(2, image.shape)
    flat, deep = segment(image), segment(image[:, None], spacing=(3.0, 1.0, 1.0))
    for name in ("starts", "pixels", "owner_starts", "owners"):
        np.testing.assert_array_equal(getattr(flat, name), getattr(deep, name))
    assert deep.shape == (1, 40, 52)
    np.testing.assert_array_equal(xrai(image, scores)[None], xrai(image[:, None], scores[:, None]))
    np.testing.assert_array_equal(parts(image)[None], parts(image[:, None]))


def test_thick_slices_are_not_cut_for_being_thick():
    """A ramp along the scan: as steep in mm as one within the slices, it is cut no more than that."""
    within = np.zeros((8, 8, 8)) + np.arange(8) * 0.1
    along = np.moveaxis(np.zeros((8, 8, 8)) + np.arange(8) * 0.3, -1, 0)
    cubes = felzenszwalb(within, [3000.0], 0.0, 1)[0].max()
    assert felzenszwalb(along, [3000.0], 0.0, 1, spacing=(3.0, 1.0, 1.0))[0].max() == cubes
    assert felzenszwalb(along, [3000.0], 0.0, 1)[0].max() > cubes


@pytest.mark.parametrize("spacing", [None, (2.0, 1.0, 1.0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_segments_are_dilated_by_a_ball_in_mm(spacing, channels):
    image = np.stack([chest()] * channels)
    chosen = RegionSettings(scales=(250,), dilation=30)
    (labels,) = labels_of(image.mean(axis=0), chosen, spacing)
    found = segment(image, chosen, spacing)
    sides = spacing or (1.0, 1.0, 1.0)
    radius = 30 * max(np.multiply(labels.shape, sides)) / 224
    for number, mask in enumerate(found.masks()):
        away = distance_transform_edt(labels != number, sampling=sides)
        np.testing.assert_array_equal(mask, away <= radius + 1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_region_maps_are_pairs_for_the_same_segments(channels):
    image = np.stack([chest(seed=3)] * channels)
    chosen = RegionSettings(scales=(100, 500), min_size=1500)
    segments = segment(image, chosen)
    least = chosen.in_volume(50, image[0].size)
    for seed in range(3):
        scores = np.random.default_rng(seed).standard_t(2, image.shape)
        theirs = XRAI._xrai(scores.sum(axis=0), list(segments.masks()), min_pixel_diff=least)[0]
        ours = xrai(image, scores, segments=segments, settings=chosen)
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)
        summed = xrai(image, scores.sum(axis=0), segments=segments, settings=chosen)
        np.testing.assert_array_equal(ours, summed)


@pytest.mark.parametrize(
    ("image", "most"),
    [(chest(), FEW), (np.zeros((6, 7, 8)), 1), (np.random.default_rng(0).random((12, 12, 12)), MOST)],
)
def test_parts_of_a_volume_are_few_and_without_gaps(image, most):
    found = parts(image[None])
    assert found.shape == image.shape
    np.testing.assert_array_equal(np.unique(found), np.arange(found.max() + 1))
    assert found.max() < most


def test_large_volumes_are_segmented_in_fewer_voxels():
    image = np.zeros((20, 140, 140))
    image[4:16, 30:80, 40:110] = 1.0
    (labels,) = labels_of(image, RegionSettings(scales=(250,)))
    inside, outside = labels[8:12, 45:65, 55:95], labels[:2, :20, :20]
    assert labels.shape == image.shape
    assert len(np.unique(inside)) == len(np.unique(outside)) == 1
    assert inside.flat[0] != outside.flat[0]


def test_mistakes_are_named():
    with pytest.raises(MapError, match="18 neighbours of a voxel, expected 6 or 26"):
        felzenszwalb(chest(), [50.0], neighbours=18)
    with pytest.raises(MapError, match=r"finite \(H, W\) or \(D, H, W\) image"):
        felzenszwalb(np.full((4, 4, 4), np.nan), [50.0])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0, 1.5)])
def test_sizes_in_mm_are_those_of_disks_and_balls(spacing):
    """As many pixels as the disk or ball covers, at the resolution in which segments are made."""
    axes = len(spacing)
    image = chest((1, 40, 52))[0] if axes == 2 else chest()
    told = RegionSettings(scales=(50,), min_size="11 mm", min_new_pixels="7 mm", segmenting_size=64)
    finer = np.prod([side * mm / 64 for side, mm in zip(image.shape, spacing, strict=True)])
    area = np.pi * 5.5**2
    least = round(area / finer) if axes == 2 else round(4 / 3 * np.pi * 5.5**3 / np.prod(spacing))
    if axes == 2:
        same = RegionSettings(scales=(50,), min_size=least, segmenting_size=64)
    else:
        # Of as many pixels in a slice as have the same share of the volume; scales go with the size itself.
        in_slice = 64**2 * (4 / 3 * np.pi * 5.5**3 / np.prod(np.multiply(image.shape, spacing))) ** (2 / 3)
        same = RegionSettings(scales=(50 * least / in_slice,), min_size=1, segmenting_size=64)
    (found,) = labels_of(image, told, spacing)
    if axes == 2:
        (wanted,) = labels_of(image, same, spacing)
    else:
        stretched = (image - image.min()) / np.ptp(image) * 2 - 1
        (wanted,) = felzenszwalb(stretched, same.scales, 0.8, least, spacing=spacing)
    np.testing.assert_array_equal(found, wanted)
    assert 1 < found.max() < 200
    scores = np.random.default_rng(0).standard_t(2, image.shape)
    segments = segment(image[None], told, spacing)
    few = round((np.pi * 3.5**2 if axes == 2 else 4 / 3 * np.pi * 3.5**3) / np.prod(spacing))
    theirs = XRAI._xrai(scores, list(segments.masks()), min_pixel_diff=few)[0]
    ours = xrai(image[None], scores, segments=segments, settings=told, spacing=spacing)
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 0.7), (3.0, 1.0, 1.5)])
def test_dilation_in_mm_is_by_a_disk_or_ball_of_that_radius(spacing):
    image = chest()[0] if len(spacing) == 2 else chest()
    chosen = RegionSettings(scales=(250,), dilation="4 mm")
    (labels,) = labels_of(image, chosen, spacing)
    found = segment(image[None], chosen, spacing)
    numbers = [number for number in range(labels.max() + 1) if (labels == number).any()]
    assert len(found) == len(numbers) > 1
    for number, mask in zip(numbers, found.masks(), strict=True):
        away = distance_transform_edt(labels != number, sampling=spacing)
        np.testing.assert_array_equal(mask, away <= 4.0 + 1e-6)


@pytest.mark.parametrize("name", ["min_size", "dilation", "min_new_pixels"])
def test_millimetres_need_pixels_of_a_known_size(name):
    image = chest()
    with pytest.raises(MapError, match=f"regions: {name} '5 mm' of an image whose pixels have no known size"):
        xrai(image[None], image, settings=RegionSettings(**{name: "5 mm"}))


def test_the_spacing_of_a_slice_changes_nothing_that_is_told_in_pixels():
    image = chest((1, 40, 52))
    for name in ("starts", "pixels"):
        np.testing.assert_array_equal(getattr(segment(image), name), getattr(segment(image, spacing=(2.0, 0.5)), name))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0)])
def test_a_size_in_mm_cuts_as_the_pixels_that_are_as_large(spacing):
    """In a volume that is no cube too: scales go with what both are of the whole."""
    image = chest((12, 40, 40))
    pixels = RegionSettings(min_size=1000)
    voxels = image.size * (1000 / 224**2) ** 1.5
    diameter = 2 * (voxels * np.prod(spacing) * 3 / 4 / np.pi) ** (1 / 3)
    millimetres = RegionSettings(min_size=f"{diameter:.9f} mm")
    assert millimetres.voxels("min_size", image.shape, spacing) == round(voxels)
    assert millimetres.pixels_of_slice("min_size", image.shape, spacing) == pytest.approx(1000, rel=1e-6)
    for one, other in zip(labels_of(image, millimetres, spacing), labels_of(image, pixels, spacing), strict=True):
        assert other.max() > 2
        assert_same_partition(one, other)


def test_a_dilation_of_0_mm_is_none():
    image = chest()
    for name in ("starts", "pixels"):
        found, wanted = (
            getattr(segment(image[None], RegionSettings(dilation=told), (2.0, 1.0, 1.0)), name) for told in ("0 mm", 0)
        )
        np.testing.assert_array_equal(found, wanted)
