"""Cases kept for the page: a byte a pixel that still orders the pixels as the map does."""

import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import synthetic_results as made
from tomolens.errors import SettingsError
from tomolens.report.viewer import fitted, pack
from tomolens.results.example import Example
from tomolens.results.gallery import (
    STEPS,
    by_rank,
    encode,
    height_to_look_at,
    projected,
    read_gallery_case,
    write_gallery_case,
)
from tomolens.results.rows import Measurement

OUTPUTS = made.description().outputs
CURVES = ("top_first", "bottom_first")


@given(st.integers(0, 2**32 - 1))
def test_ranks_keep_sign_order_and_size(seed):
    random = np.random.default_rng(seed)
    shape = (136, 104)  # many pixels a step: of few, the largest alone may be far from their mean
    importance = random.normal(size=shape) ** 3 * (random.random(shape) < 0.8)
    ranks, values = by_rank(importance)
    np.testing.assert_array_equal(np.sign(ranks), np.sign(importance))
    order = np.argsort(importance, axis=None)
    assert (np.diff(ranks.ravel()[order].astype(int)) >= 0).all()
    magnitude = np.argsort(np.abs(importance), axis=None)
    assert (np.diff(np.abs(ranks.astype(int)).ravel()[magnitude]) >= 0).all()
    again = np.sign(ranks) * values[np.abs(ranks.astype(int))]
    assert np.abs(again - importance).mean() < 0.1 * np.abs(importance).mean()
    assert values.shape == (STEPS + 1,)
    for step in np.unique(np.abs(ranks.astype(int))):
        there = np.abs(ranks.astype(int)) == step
        np.testing.assert_allclose(values[step], np.abs(importance)[there].mean(), rtol=1e-6)


def test_a_map_of_nothing_or_of_one_value():
    ranks, values = by_rank(np.zeros((4, 4)))
    assert not ranks.any()
    assert not values.any()
    ranks, values = by_rank(np.full((4, 4), -2.0))
    assert len(np.unique(ranks)) == 1
    assert values[abs(int(ranks[0, 0]))] == 2


def case(size=24, spatial=2):
    """A case with its maps and what was measured of them."""
    random = np.random.default_rng(0)
    shape = tuple([size] * spatial)
    mask = np.zeros(shape, bool)
    mask[..., 5:9, 5:9] = True
    keys = [(name, form) for name in ("one", "two") for form in ("original", "absolute")]
    measured = [
        measurement
        for key in keys
        for measurement in (
            Measurement(*key, "drop", 0.25),
            Measurement(*key, "purity", 0.5),
            Measurement(*key, "drop", 0.75, choice="fill", option="blur"),
            Measurement(*key, "top_first", None, (1.0, 0.0, 0.0)),
            Measurement(*key, "bottom_first", None, (1.0, 1.0, 0.0)),
            Measurement(*key, "heights", None, (0.0, 0.5, 1.0)),
        )
    ]
    measured.append(Measurement("edges-only", "original", "drop", 0.1))
    maps = {key: random.normal(size=shape) for key in keys}
    maps["one", "absolute"] = np.abs(maps["one", "original"])  # of one channel; of several it is another plane
    maps["two", "absolute"] = np.abs(maps["two", "absolute"])
    regions = {key: random.integers(0, 5, shape) / 7 for key in keys}
    return Example("a/b <c>", 1, 0, random.random((2, *shape)).astype(np.float32), mask, maps, regions), measured


def encoded(size=24, spatial=2):
    return encode(*case(size, spatial), OUTPUTS, (0.25, 0.5))


def test_a_file_that_has_one_slice_of_a_volume_begins_with_it(tmp_path):
    write_gallery_case(tmp_path, 1, encoded())
    file = tmp_path / "00000001.npz"
    with np.load(file) as arrays:
        np.savez(file, **dict(arrays) | {"height": np.array(10)})
    assert read_gallery_case(file).height == 0
    write_gallery_case(tmp_path, 2, encoded(spatial=3))
    assert read_gallery_case(tmp_path / "00000002.npz").height > 0


@pytest.mark.parametrize("spatial", [2, 3])
def test_what_is_written_is_read(tmp_path, spatial):
    example, measured = case(spatial=spatial)
    write_gallery_case(tmp_path / "gallery", 7, encode(example, measured, OUTPUTS, (0.25, 0.5)))
    viewed = read_gallery_case(tmp_path / "gallery" / "00000007.npz")
    assert (viewed.name, viewed.label, viewed.predicted, viewed.fill) == ("a/b <c>", 1, 0, (0.25, 0.5))
    assert viewed.image.shape == (2, *viewed.mask.shape) == (2, *[24] * spatial)
    assert viewed.height == height_to_look_at(example)
    np.testing.assert_array_equal(viewed.image, np.round(255 * example.image))
    assert set(viewed.maps) == {("one", "original"), ("two", "original"), ("two", "absolute")}
    for key, ranks in viewed.maps.items():
        order = np.argsort(np.abs(example.maps[key]), axis=None)
        assert (np.diff(np.abs(ranks.ravel()[order].astype(int))) >= 0).all()
    assert set(viewed.regions) == set(viewed.correct) == set(viewed.numbers)
    assert viewed.correct["one", "absolute"].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert viewed.numbers["two", "original"] == {"drop": 0.25}
    order = np.argsort(example.region_maps["one", "original"], axis=None)
    assert (np.diff(viewed.regions["one", "original"].ravel()[order].astype(int)) >= 0).all()


def test_a_file_of_before_there_were_channels_to_choose_from_has_one(tmp_path):
    write_gallery_case(tmp_path, 1, encoded())
    file = tmp_path / "00000001.npz"
    with np.load(file) as arrays:
        before = dict(arrays) | {"image": arrays["image"][0], "fill": np.array(0.25)}
    np.savez(file, **before)
    viewed = read_gallery_case(file)
    assert (viewed.fill, viewed.image.shape) == ((0.25,), (1, 24, 24))
    np.savez(file, **before | {"fill": np.array([0.25, 0.5])})
    with pytest.raises(SettingsError, match=r"00000001\.npz: damaged"):
        read_gallery_case(file)


@pytest.mark.parametrize("missing", ["facts", "fill", "values/one/original", "correct/one/absolute/most important"])
def test_a_file_that_lacks_a_part_is_named(tmp_path, missing):
    write_gallery_case(tmp_path, 1, encoded())
    with np.load(tmp_path / "00000001.npz") as arrays:
        rest = {name: arrays[name] for name in arrays.files if name != missing}
    np.savez(tmp_path / "00000001.npz", **rest)
    if missing.startswith("correct"):  # of the two orders neither is shown then
        assert ("one", "absolute") not in read_gallery_case(tmp_path / "00000001.npz").correct
        return
    with pytest.raises(SettingsError, match=r"00000001\.npz: damaged"):
        read_gallery_case(tmp_path / "00000001.npz")


def test_a_damaged_file_is_named(tmp_path):
    write_gallery_case(tmp_path, 1, encoded()[:100])
    with pytest.raises(SettingsError, match=r"00000001\.npz: damaged"):
        read_gallery_case(tmp_path / "00000001.npz")


def test_many_cases_are_shown_smaller_so_that_the_page_stays_within_its_budget(tmp_path):
    write_gallery_case(tmp_path, 1, encoded(size=96))
    viewed = read_gallery_case(tmp_path / "00000001.npz")
    whole = pack(viewed, 1.0)
    assert (whole["rows"], whole["columns"]) == (96, 96)
    assert fitted([viewed], 10**6)[0] == whole
    packed = fitted([viewed] * 20, 5 * len(whole["data"]))
    assert sum(len(one["data"]) for one in packed) <= 5 * len(whole["data"])
    assert 20 < packed[0]["rows"] < 96
    assert packed[0]["fine"] * packed[0]["rows"] <= 96
    assert packed[0]["full"] == [1, 96, 96]
    wordy = replace(viewed, numbers={key: dict.fromkeys(map(str, range(200)), 0.123) for key in viewed.maps})
    assert fitted([wordy], len(whole["data"]) + 500)[0]["rows"] < 96  # what is said of a case takes room too


@pytest.mark.parametrize("scale", [0.9, 0.5, 0.31])
@pytest.mark.parametrize("shape", [(96, 96), (3, 96, 96)])
def test_maps_that_are_shown_smaller_keep_their_top(tmp_path, scale, shape):
    """The pixels of the first steps of the masking have the highest levels, at whatever size they are shown."""
    count = int(np.prod(shape))
    falling = np.arange(1.0, count + 1, dtype=np.float32)[::-1].reshape(shape)
    steps = (1 + np.arange(count) * 40 // count).astype(np.uint8).reshape(shape)
    ranks, values = by_rank(falling)
    key = ("falling", "original")
    case = replace(
        read_gallery_case(written(tmp_path)),
        image=np.zeros((1, *shape), np.uint8),
        maps={key: ranks},
        values={key: values},
        steps={key: steps},
        regions={},
        correct={},
        along={},
        mask=None,
        twin=None,
    )
    packed = pack(case, scale)
    content = np.frombuffer(zlib.decompress(base64.b85decode(packed["data"].replace(",", "<"))), np.uint8)
    size = (packed["columns"], packed["rows"])
    planes = [Image.fromarray(one).resize(size, Image.Resampling.NEAREST) for one in steps.reshape(-1, 96, 96)]
    at = np.concatenate([np.asarray(one).ravel() for one in planes])
    levels = content[len(at) * packed["fine"] ** 2 :][: len(at)].view(np.int8)
    for step in range(1, 39):  # but for those that a tie of places moves by one
        assert (np.sort(levels[at == step])[2:] > levels[at > step + 1].max()).all()
    assert levels.max() - 2 <= levels[0] > levels[-1] > 0


def written(folder):
    write_gallery_case(folder, 1, encoded(size=96))
    return folder / "00000001.npz"


def test_of_a_volume_the_slice_with_most_of_the_mask_is_shown():
    image, mask = np.zeros((1, 9, 6, 6), np.float32), np.zeros((9, 6, 6), bool)
    assert height_to_look_at(Example("a", 0, 0, image)) == height_to_look_at(Example("a", 0, 0, image, mask)) == 4
    mask[1, 2:4, 2:4], mask[6, 1:5, 1:5], mask[7, 2, 2] = True, True, True
    assert height_to_look_at(Example("a", 0, 0, image, mask)) == 6
    mask[7] = mask[6]
    mask[8] = mask[6]
    assert height_to_look_at(Example("a", 0, 0, image, mask)) == 7  # the middle of those that are alike
    assert height_to_look_at(Example("a", 0, 0, image[:, 0], mask[0])) == 0


def test_of_a_large_volume_every_so_many_voxels_are_kept(tmp_path):
    image = np.zeros((1, 10, 150, 300), np.float32)
    image[0, 6] = 1.0
    mask = image[0] > 0
    importance = np.arange(image.size, dtype=np.float64).reshape(image.shape[1:])
    keys = [("one", "original"), ("one", "absolute")]
    example = Example("a", 1, 1, image, mask, dict.fromkeys(keys, importance), spacing=(5.0, 1.0, 0.5))
    write_gallery_case(tmp_path, 1, encode(example, case()[1], OUTPUTS, (0.25,)))
    viewed = read_gallery_case(tmp_path / "00000001.npz")
    strides = [whole // kept for whole, kept in zip((10, 150, 300), viewed.mask.shape, strict=True)]
    assert strides == [1, 1, 2]
    assert viewed.spacing == (5.0, 1.0, 1.0)
    assert viewed.height == 6
    np.testing.assert_array_equal(viewed.mask, mask[:, :, 1::2])
    order = np.argsort(importance[:, :, 1::2], axis=None)
    assert (np.diff(viewed.maps["one", "original"].ravel()[order].astype(int)) >= 0).all()
    packed = pack(viewed, 1.0)
    assert (packed["depth"], packed["every"], packed["full"]) == (10, 1, [10, 150, 300])


@pytest.mark.parametrize("spacing", [None, (2.0, 1.0, 1.0)])
def test_of_a_thinned_volume_slices_and_shape_are_its_own(tmp_path, spacing):
    image, mask = np.zeros((1, 90, 80, 80), np.float32), np.zeros((90, 80, 80), bool)
    mask[45, 3, 4] = True
    example = Example("a", 1, 1, image, mask, {("one", "original"): np.ones((90, 80, 80))}, spacing=spacing)
    write_gallery_case(tmp_path, 1, encode(example, case()[1], OUTPUTS, (0.25,)))
    viewed = read_gallery_case(tmp_path / "00000001.npz")
    assert (viewed.strides, viewed.full) == ((2, 2, 1), (90, 80, 80))
    packed = pack(viewed, 1.0)
    assert (packed["depth"], packed["every"], packed["full"]) == (45, 2, [90, 80, 80])
    assert packed["height"] * packed["every"] + packed["every"] // 2 == 45
    assert packed["spacing"] == [2.0 * (spacing or (1.0,))[0], 2.0, 1.0]
    assert packed["millimetres"] == (spacing is not None)
    assert not packed["oriented"]


def test_how_an_image_lies_is_kept_apart_from_its_spacing(tmp_path):
    for upright in (False, True):
        example = replace(case()[0], spacing=(2.0, 0.5), upright=upright)
        write_gallery_case(tmp_path, 1, encode(example, case()[1], OUTPUTS, (0.25, 0.5)))
        viewed = read_gallery_case(tmp_path / "00000001.npz")
        packed = pack(viewed, 1.0)
        assert (viewed.spacing, viewed.upright) == ((2.0, 0.5), upright)
        assert (packed["millimetres"], packed["oriented"]) == (True, upright)


def test_a_map_is_projected_with_its_sign():
    random = np.random.default_rng(0)
    importance = random.normal(size=(5, 7, 6))
    seen = projected(importance)
    for row, column in np.ndindex(7, 6):
        column_of = importance[:, row, column]
        assert seen[row, column] == max(column_of, key=abs)
    assert projected(importance[0]) is not None
    np.testing.assert_array_equal(projected(importance[0]), importance[0])


def test_what_stands_beside_the_maps_is_read_too(tmp_path):
    example, measured = case()
    random = np.random.default_rng(1)
    steps = {key: random.integers(1, 9, (24, 24)).astype(np.uint8) for key in example.maps}
    steps["one", "absolute"] = steps["one", "original"]
    along = {key: random.random((2, 3)).astype(np.float32) for key in example.maps}
    along["two", "original"][0, 1] = np.nan
    beside = {"edges-only": random.random((24, 24))}
    more = replace(
        example, explained=1, twin=1 - example.image, beside=beside, steps=steps, along=along, spacing=(2.0, 0.5)
    )
    write_gallery_case(tmp_path, 1, encode(more, measured, OUTPUTS, (0.25, 0.5)))
    viewed = read_gallery_case(tmp_path / "00000001.npz")
    assert (viewed.explained, viewed.spacing, viewed.beside) == (1, (2.0, 0.5), ("edges-only",))
    np.testing.assert_array_equal(viewed.twin, np.round(255 * (1 - example.image[0])))
    assert viewed.numbers["edges-only", "original"] == {"drop": 0.1}
    assert ("edges-only", "original") in viewed.maps
    assert set(viewed.steps) == set(example.maps) - {("one", "absolute")}
    for key, one in viewed.steps.items():
        np.testing.assert_array_equal(one, steps[key])
    for key, one in viewed.along.items():
        np.testing.assert_allclose(one, along[key], atol=1e-3)
    packed = pack(viewed, 1.0)
    assert packed["spacing"] == [1.0, 2.0, 0.5]
    assert packed["points"] == 3
    assert pack(viewed, 0.5)["spacing"] == [1.0, 4.0, 1.0]


def test_of_several_ways_of_masking_the_first_that_was_measured_is_kept(tmp_path):
    example, measured = case()
    twins = {f"{name}_twin": replace(OUTPUTS[name], name=f"{name}_twin", filled="twin") for name in CURVES}
    for index, (kept, expected, curve) in enumerate(
        (
            (CURVES, "fill", [1, 0, 0]),
            ([*CURVES, *twins], "fill", [1, 0, 0]),
            (twins, "twin", [1, 1, 1]),
        )
    ):
        found = [one for one in measured if one.metric in kept or one.metric == "drop"]
        found += [
            replace(one, metric=f"{one.metric}_twin", curve=(1.0, 1.0, 1.0))
            for one in measured
            if one.metric in CURVES and f"{one.metric}_twin" in kept
        ]
        write_gallery_case(tmp_path, index, encode(example, found, {**OUTPUTS, **twins}, (0.25, 0.5)))
        viewed = read_gallery_case(tmp_path / f"{index:08d}.npz")
        assert (viewed.filled, pack(viewed, 1.0)["filled"]) == (expected, expected)
        assert viewed.correct["one", "absolute"][0].tolist() == curve


def test_a_volume_is_packed_slice_by_slice(tmp_path):
    write_gallery_case(tmp_path, 1, encoded(size=24))
    viewed = read_gallery_case(tmp_path / "00000001.npz")
    stack = {key: np.stack([one, one[::-1]]) for key, one in viewed.maps.items()}
    image = np.stack([viewed.image, viewed.image[:, ::-1]], axis=1)
    volume = replace(viewed, image=image, mask=None, maps=stack, regions={}, spacing=(3.0, 1.0, 1.0))
    for scale in (1.0, 0.5):
        packed = pack(volume, scale)
        assert (packed["depth"], packed["spacing"][0]) == (2, 3.0)
        pixels = packed["rows"] * packed["columns"]
        content = zlib.decompress(base64.b85decode(packed["data"].replace(",", "<")))
        fine = pixels * packed["fine"] ** 2
        assert len(content) == 2 * (2 * fine + 3 * pixels) + 3 * 128 + 4 * 2 * 3
        first = np.frombuffer(content[: 2 * fine], np.uint8).reshape(2, packed["rows"] * packed["fine"], -1)
        np.testing.assert_array_equal(first[1], first[0][::-1])
