"""Pixels of a given size: where they lie, what they hold, what is cut and padded, and how maps go back."""

import doctest
import json
import pickle
import re

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import ResizeWithPadOrCrop
from scipy import ndimage

from ct_files import body, write_slice, write_volume
from quick_study import no_figures
from test_cases_grid import DIRECTIONS, FIELD, field_volume, world
from test_cases_implants import write_cases
from tomolens.api import Study
from tomolens.cases import CaseEntry, Preprocessing, from_manifest, phantom, sampling
from tomolens.cases.files import FileReader
from tomolens.cases.geometry import Grid as VoxelGrid
from tomolens.cases.grid import Grid
from tomolens.cases.implants import implanted
from tomolens.cases.masks import MaskChoice
from tomolens.cases.preprocessing import resize_mask, resized
from tomolens.cases.sampling import Axis, is_cut, nearest, resampled, to_scan
from tomolens.cases.stored import read_source
from tomolens.classifier.weights import load_weights
from tomolens.errors import CaseError, SettingsError
from tomolens.report import write
from tomolens.study.given_network import trained_classifier
from tomolens.study.settings import StudySettings
from tomolens.study.survey import survey

WIDE = (-1000.0, 1000.0)


def read_case(path, size, spacing, dimensions=2, slice=None, window=WIDE, mask=()):
    reader = FileReader(Preprocessing(size, window, spacing), MaskChoice(), dimensions)
    return reader(CaseEntry("a", 0, "p", source=str(path), slice=slice, mask=tuple(map(str, mask))))


def shown_part(axes):
    return tuple(slice(*axis.shown) for axis in axes)


def test_the_example_runs():
    assert doctest.testmod(sampling) == (0, 2)


@given(st.tuples(st.integers(1, 15), st.integers(1, 15)), st.tuples(st.integers(1, 15), st.integers(1, 15)))
def test_at_the_scans_own_pixels_it_is_monais_crop_and_pad(shape, counts):
    """Odd and even, cut and padded, each along its own axis."""
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    axes = [Axis(length, 1.0, count) for length, count in zip(shape, counts, strict=True)]
    wanted = np.asarray(ResizeWithPadOrCrop(counts, mode="constant", constant_values=-7.0)(values[None]))[0]
    np.testing.assert_array_equal(resampled(values, axes, -7.0), wanted)
    np.testing.assert_array_equal(nearest(values > 0.5, axes), wanted > 0.5)
    back = to_scan(wanted, axes)
    seen = tuple(slice(*axis.seen) for axis in axes)
    np.testing.assert_array_equal(back[seen], values[seen])
    back[seen] = 0
    assert not back.any()
    assert is_cut(np.ones(shape, bool), axes) == (counts[0] < shape[0] or counts[1] < shape[1])


def test_where_pixels_lie_is_solved_by_hand():
    # Ten pixels of 1 mm as pixels of 2 mm: five, at 0.5, 2.5, ... 8.5; one of padding on either side.
    padded = Axis(10, 2.0, 7)
    assert (padded.whole, padded.start, padded.first, padded.shown, padded.seen) == (5, -1, -1.5, (1, 6), (0, 10))
    np.testing.assert_allclose(padded.places, [0.5, 2.5, 4.5, 6.5, 8.5])
    # An odd one of padding comes last.
    assert (Axis(10, 2.0, 8).start, Axis(10, 2.0, 8).shown) == (-1, (1, 6))
    # Cut to two of five: the second and the third, from 1.5 to 5.5, in which lie the centres of 2, 3, 4 and 5.
    cut = Axis(10, 2.0, 2)
    assert (cut.start, cut.first, cut.shown, cut.seen) == (1, 2.5, (0, 2), (2, 6))
    # Three and a half pixels of 3 mm: three (of two as near, the smaller number), about the middle at 4.5.
    assert Axis(10, 10 / 3.5, 3).whole == 3
    np.testing.assert_allclose(Axis(10, 10 / 3.5, 3).places, 4.5 + 10 / 3.5 * np.array([-1, 0, 1]))
    # Finer than the scan: 0.25 mm, and the outer ones beyond the outer centres.
    fine = Axis(2, 0.5, 4)
    np.testing.assert_allclose(fine.places, [-0.25, 0.25, 0.75, 1.25])
    assert Axis(3, 100.0, 1).whole == 1  # a pixel at least
    # So fine and so few that they show no pixel's centre: nothing goes back.
    between = Axis(2, 0.2, 1)
    assert between.seen == (1, 1)
    assert not to_scan(np.ones((1, 3)), [between, Axis(3, 1.0, 3)]).any()
    # What files say of 0.7 mm, in float32 or with few decimals, is no other number of pixels.
    for own in (0.7, float(np.float32(0.7)), 0.699999988):
        assert Axis(512, 0.7 / own, 512).whole == 512
        assert Axis(512, 1.4 / own, 256).whole == 256


def test_what_pixels_hold_is_solved_by_hand():
    ramp = np.array([0.0, 1, 2, 3], np.float32)
    # A triangle of 2 about 0.5 has 0.75, 0.75 and 0.25 of the pixels 0, 1 and 2, and nothing beyond the scan.
    half = (0.75 * 1 + 0.25 * 2) / 1.75
    np.testing.assert_allclose(resampled(ramp, [Axis(4, 2.0, 2)]), [half, 3 - half], rtol=1e-6)
    np.testing.assert_allclose(resampled(ramp, [Axis(4, 2.0, 4)], 9.0), [9, half, 3 - half, 9], rtol=1e-6)
    np.testing.assert_allclose(
        resampled(ramp, [Axis(4, 0.5, 8)]), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], rtol=1e-6
    )
    # Pixels of 2 and 0.5 along the two axes of a slice, and of a volume that is padded and cut as well.
    plane = ramp[:, None] + 10 * ramp
    wanted = np.array([half, 3 - half])[:, None] + 10 * np.array([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(resampled(plane, [Axis(4, 2.0, 2), Axis(4, 0.5, 8)]), wanted, rtol=1e-6)
    volume = plane[None] + 100 * np.array([0.0, 1, 2])[:, None, None]
    made = resampled(volume, [Axis(3, 1.0, 6), Axis(4, 2.0, 2), Axis(4, 0.5, 4)], -1.0)
    assert made.shape == (6, 2, 4)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[1:4], wanted[None, :, 2:6] + 100 * np.arange(3)[:, None, None], rtol=1e-5)
    assert (made[[0, 4, 5]] == -1).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_filter_is_that_of_the_resized_image(length, count, seed):
    values = np.random.default_rng(seed).random((length, 3), dtype=np.float32)
    axes = [Axis(length, length / count, count), Axis(3, 1.0, 3)]
    assert axes[0].whole == count
    np.testing.assert_allclose(resampled(values, axes), resized(values, (count, 3)), atol=1e-5)
    np.testing.assert_allclose(
        to_scan(values, [Axis(count, count / length, length), axes[1]]), resized(values, (count, 3)), atol=1e-5
    )
    np.testing.assert_array_equal(nearest(values > 0.5, axes), resize_mask(values > 0.5, (count, 3)))


LENGTHS = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30))
STEPS = st.tuples(*[st.floats(0.2, 4.0)] * 3)


@given(LENGTHS, STEPS, LENGTHS, st.tuples(*[st.floats(0.3, 5.0)] * 3), st.sampled_from(list(DIRECTIONS)), st.booleans())
def test_the_affine_maps_the_centre_of_every_pixel(shape, pixels, counts, spacing, name, flat):
    """Told from the middle of the scan alone: there lies the middle of its whole pixels, of which the case has some."""
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS[name][:, ::-1] * spacing
    affine[:3, 3] = (3.0, -50.0, 7.0)
    source, dimensions = VoxelGrid(shape, affine), 2 if flat else 3
    turned, index = source.upright(), None
    if flat:
        index = turned.shape[0] // 2
        turned = turned.slab(index)
    pixel, counts = pixels[-dimensions:], counts[-dimensions:]
    axes = Preprocessing(counts, WIDE, pixel).axes(turned.shape[-dimensions:], turned.spacing[-dimensions:])
    grid = Grid.of(counts, source, index, axes)
    np.testing.assert_allclose(grid.spacing, pixel, rtol=1e-9)
    middle = turned.affine @ [*(np.array(turned.shape) - 1) / 2, 1]
    directions = turned.affine[:3, :3] / turned.spacing
    first = np.array([axis.start - (axis.whole - 1) / 2 for axis in axes])
    for corner in np.ndindex(*[2] * dimensions):
        place = np.array(corner) * (np.array(counts) - 1)
        away, full = np.zeros(3), np.zeros(3)
        away[-dimensions:], full[-dimensions:] = np.array(pixel) * (first + place), place
        np.testing.assert_allclose((grid.affine @ [*full, 1])[:3], middle[:3] + directions @ away, atol=1e-6)
    for axis, mm, length, step in zip(
        axes, pixel, turned.shape[-dimensions:], turned.spacing[-dimensions:], strict=True
    ):
        assert axis.whole == 1 or abs(axis.whole * mm - length * step) <= 0.5 * mm + 1e-6
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(grid)).affine, grid.affine)


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_slices_and_volumes_of_every_direction_show_what_lies_there(tmp_path, name, dimensions):
    """HU are a linear field of the patient, which resampling keeps; some axes are cut and some are padded."""
    path = field_volume(tmp_path / "v.nii.gz", DIRECTIONS[name], shape=(12, 20, 24))
    source = read_source(path).grid.upright()
    index = source.shape[0] // 2 if dimensions == 2 else None
    # At larger pixels the triangle's own centre of mass is off by some hundredths of a pixel: 14 HU are a millimetre.
    for size, spacing, tolerance in ((16, 0.6, 0.1), ((11, 30, 9)[-dimensions:], (1.5, 0.6, 0.9)[-dimensions:], 1.2)):
        case = read_case(path, size, spacing, dimensions, index)
        assert case.grid.spacing == pytest.approx(np.broadcast_to(spacing, dimensions))
        axes, image, there = case.grid.axes, case.image[0], world(case) @ FIELD
        inner = tuple(
            slice(axis.shown[0] + 3 if axis.start <= 0 else 0, axis.shown[1] - 3 if axis.start <= 0 else None)
            for axis in axes
        )
        assert image[inner].size
        np.testing.assert_allclose(image[inner] * 2000 - 1000, there[inner], atol=tolerance)
        outside = np.ones(image.shape, bool)
        outside[shown_part(axes)] = False
        assert (image[outside] == 0).all()
        assert (image[~outside] > 0).all()


def test_millimetres_between_landmarks_are_the_same_before_and_after(tmp_path):
    """Two blobs in a scan of voxels that are no cubes, found by their centres of mass."""
    spacing, shape = (0.7, 0.9, 2.5), (20, 44, 60)
    points = np.array([(16.0, 14.0, 13.0), (31.0, 26.0, 35.0)])  # x, y, z in mm
    z, y, x = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing[::-1], strict=True)), indexing="ij")
    blobs = [np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * 2.5**2)) for a, b, c in points]
    hu = (-1000 + 900 * sum(blobs)).astype(np.float32)
    path = write_volume(tmp_path / "v.nii.gz", hu, spacing, (0.0, 0.0, 0.0))
    wanted = np.linalg.norm(points[1] - points[0])
    for size, pixel in ((48, 1.3), ((40, 30, 50), (1.2, 1.5, 0.8)), ((14, 64, 41), (3.0, 0.7, 1.0))):
        case = read_case(path, size, pixel, dimensions=3)
        parts, count = ndimage.label(case.image[0] > 0.02)
        assert count == 2
        places = np.array(ndimage.center_of_mass(case.image[0], parts, (1, 2)))
        found = places @ case.grid.affine[:3, :3].T + case.grid.affine[:3, 3]
        np.testing.assert_allclose(found, points, atol=0.12)
        # Of a viewer that knows the pixel's size and nothing else.
        assert np.linalg.norm((places[1] - places[0]) * case.grid.spacing) == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize(("pixel", "tolerance"), [((0.5, 0.6, 0.4), 1e-4), ((2.5, 1.6, 1.4), 0.012)])
def test_smooth_images_are_as_simpleitk_resamples_them(tmp_path, name, pixel, tolerance):
    """Pixels no larger than the scan's are exactly linear interpolation; larger ones are averaged beside."""
    shape = (14, 40, 44)
    places = np.meshgrid(*(np.linspace(0, 1, length) for length in shape), indexing="ij")
    hu = 400 * (np.sin(5 * places[0]) + np.cos(6 * places[1]) * np.sin(5 * places[2]))
    path = write_volume(tmp_path / "v.nrrd", hu.astype(np.float32), direction=DIRECTIONS[name].ravel())
    case = read_case(path, (20, 30, 26), pixel, dimensions=3)
    affine = case.grid.affine
    reference = sitk.ResampleImageFilter()
    reference.SetInterpolator(sitk.sitkLinear)
    reference.SetSize(case.image.shape[:0:-1])
    steps = affine[:3, 2::-1]  # SimpleITK counts columns first
    reference.SetOutputSpacing(np.linalg.norm(steps, axis=0).tolist())
    reference.SetOutputDirection((steps / np.linalg.norm(steps, axis=0)).ravel().tolist())
    reference.SetOutputOrigin(affine[:3, 3].tolist())
    reference.SetDefaultPixelValue(float("nan"))
    wanted = sitk.GetArrayFromImage(reference.Execute(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat64)))
    inside = ndimage.binary_erosion(np.isfinite(wanted), iterations=2)
    assert inside.sum() > 500
    np.testing.assert_allclose(case.image[0][inside] * 2000 - 1000, wanted[inside], atol=2000 * tolerance)


def by_affines(case, values):
    """`Grid.to_source` from the affines alone: each voxel looks up where it lies in the part that shows the scan."""
    grid = case.grid
    every = np.stack(np.meshgrid(*map(np.arange, grid.source.shape), indexing="ij"), axis=-1)[grid.within]
    relation = np.linalg.inv(grid.affine) @ grid.source.affine
    places = (every @ relation[:3, :3].T + relation[:3, 3])[..., -values.ndim :]
    first = np.array([axis.shown[0] for axis in grid.axes])
    found = ndimage.map_coordinates(
        values[shown_part(grid.axes)], np.moveaxis(places - first, -1, 0), order=1, mode="nearest"
    )
    cut = np.array([axis.start > 0 for axis in grid.axes])
    last = np.array([axis.start + axis.count < axis.whole for axis in grid.axes])
    before = ((places < -0.5 - 1e-9) & cut).any(axis=-1)
    after = ((places > np.array(values.shape) - 0.5 - 1e-9) & last).any(axis=-1)
    return np.where(before | after, 0.0, found)


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_maps_go_back_by_linear_interpolation_and_are_nothing_where_the_case_is_cut(tmp_path, name, dimensions):
    path = field_volume(tmp_path / "v.nii", DIRECTIONS[name], shape=(9, 20, 24))
    middle = read_source(path).grid.upright().shape[0] // 2
    random = np.random.default_rng(0)
    for size, spacing in ((9, 2.6), ((8, 10, 9)[-dimensions:], (2.7, 2.9, 2.5)[-dimensions:]), (30, 3.1)):
        case = read_case(path, size, spacing, dimensions, middle if dimensions == 2 else None)
        values = random.normal(size=case.grid.shape) + 5
        found = case.grid.to_source(values)
        assert found.shape == np.empty(case.grid.source.shape)[case.grid.within].shape
        np.testing.assert_allclose(found, by_affines(case, values), atol=1e-4)
    narrow = read_case(path, 8, 0.9, dimensions, middle if dimensions == 2 else None)
    back = narrow.grid.to_source(np.ones(narrow.grid.shape))
    assert set(np.unique(np.round(back, 5))) == {0, 1}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_smooth_image_comes_back(tmp_path, name):
    places = np.meshgrid(*(np.linspace(0, 1, length) for length in (16, 40, 44)), indexing="ij")
    hu = (400 * (np.sin(4 * places[0]) + np.cos(4 * places[1]) * np.sin(4 * places[2]))).astype(np.float32)
    path = write_volume(tmp_path / "v.nrrd", hu, (1.0, 1.0, 2.0), direction=DIRECTIONS[name].ravel())
    whole = read_case(path, (60, 70, 70), (0.9, 0.8, 0.7), dimensions=3)
    back = whole.grid.to_source(whole.image[0]) * 2000 - 1000
    inner = np.s_[2:-2, 2:-2, 2:-2]
    np.testing.assert_allclose(back[inner], hu[inner], atol=12)
    part = read_case(path, 16, 1.1, dimensions=3)
    cut = part.grid.to_source(part.image[0])
    known = ndimage.binary_erosion(cut != 0, iterations=2)
    assert 50 < known.sum() < hu.size / 4
    np.testing.assert_allclose((cut * 2000 - 1000)[known], hu[known], atol=12)


@given(st.integers(0, 2**32 - 1))
def test_masks_take_the_pixel_in_which_a_centre_lies(seed):
    random = np.random.default_rng(seed)
    shape, counts = random.integers(1, 20, 2), random.integers(1, 20, 2)
    axes = [Axis(int(n), float(random.uniform(0.3, 4)), int(m)) for n, m in zip(shape, counts, strict=True)]
    mask = random.random(shape) < 0.5
    wanted = np.zeros(counts, bool)
    for place in np.ndindex(*counts):
        if all(axis.shown[0] <= index < axis.shown[1] for axis, index in zip(axes, place, strict=True)):
            at = [axis.first + axis.step * index for axis, index in zip(axes, place, strict=True)]
            found = tuple(
                min(max(int(np.floor(one + 0.5)), 0), axis.length - 1) for one, axis in zip(at, axes, strict=True)
            )
            wanted[place] = mask[found]
    np.testing.assert_array_equal(nearest(mask, axes), wanted)


def chest(size=64):
    """A body with two lungs, air around it: HU and where the body is."""
    rows, columns = np.mgrid[:size, :size] - size / 2 + 0.5
    hu = np.full((size, size), -990.0)
    inside = np.hypot(rows / 0.7, columns) < 0.45 * size
    hu[inside] = 20.0
    for side in (-1, 1):
        hu[np.hypot(rows, columns - side * 0.2 * size) < 0.12 * size] = -850.0
    return hu, inside


def test_a_slice_is_padded_with_air_in_every_window(tmp_path):
    hu, inside = chest()
    path = write_slice(tmp_path / "a.dcm", hu, spacing=(2.0, 2.0))
    windows = ((-1000.0, 400.0), (-160.0, 240.0), (-1200.0, 800.0))
    mask = tmp_path / "m.nii.gz"
    write_volume(mask, inside[None].astype(np.uint8), (2.0, 2.0, 1.0), (0.0, 0.0, 0.0))
    case = read_case(path, 80, 2.0, window=windows, mask=[mask])
    assert case.image.shape == (3, 80, 80)
    around = np.ones((80, 80), bool)
    around[8:72, 8:72] = False
    for channel, air in zip(case.image, (0.0, 0.0, 0.1), strict=True):
        np.testing.assert_allclose(channel[around], air, atol=1e-7)
    np.testing.assert_allclose(case.image[0][8:72, 8:72], np.clip((hu + 1000) / 1400, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(case.mask[8:72, 8:72], inside)
    assert not case.mask[around].any()
    assert not case.body[around].any()
    assert (case.body[8:72, 8:72] == inside).mean() > 0.99
    assert case.notes == ()


def test_lungs_that_a_cut_opens_are_the_bodys_all_the_same(tmp_path):
    path = write_slice(tmp_path / "a.dcm", chest()[0], spacing=(2.0, 2.0))
    for size, spacing in ((26, 2.0), (52, 1.0), (18, 3.0)):
        case = read_case(path, size, spacing)
        assert (case.image[0][size // 2, [0, -1]] < 0.2).all()  # the lungs reach the cut
        assert case.body[size // 2].all()
    fine = read_case(path, 256, 0.5).body
    np.testing.assert_array_equal(fine, resize_mask(read_case(path, 64, 2.0).body, (256, 256)))


def test_a_mask_that_is_cut_is_told(tmp_path):
    hu, _ = chest()
    path = write_slice(tmp_path / "a.dcm", hu, spacing=(2.0, 2.0))
    lines = ["case,image,label,patient,mask"]
    for number, (low, high) in enumerate(((20, 44), (4, 30), (2, 9))):
        mask = np.zeros((1, 64, 64), np.uint8)
        mask[0, low:high, 20:40] = 1
        write_volume(tmp_path / f"{number}.nii.gz", mask, (2.0, 2.0, 1.0), (0.0, 0.0, 0.0))
        lines.append(f"c{number},a.dcm,{number % 2},p{number},{number}.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    cases = from_manifest(tmp_path / "cases.csv", Preprocessing((32, 40), spacing=(2.0, 1.5)))
    words = "of its mask lies beyond the 32 x 40 pixels of 2 x 1.5 mm that it is cut to"
    assert [case.notes for case in cases] == [(), (f"a part {words}",), (f"all {words}",)]
    assert [bool(case.mask.any()) for case in cases] == [True, True, False]
    found = survey(cases)
    assert found.notes == {f"a part {words}": 1, f"all {words}": 1}
    assert found.masks == ("usable", "usable", "empty")
    whole = from_manifest(tmp_path / "cases.csv", Preprocessing(64, spacing=2.0))
    assert [case.notes for case in whole] == [(), (), ()]
    assert path.exists()


def without_size(path, ending):
    """A volume whose file does not say how large its voxels are."""
    write_volume(path, body(6, 20, 24), packed=False)
    content = path.read_bytes()
    lines = {
        "mha": rb"ElementSpacing = .*\n",
        "nrrd": rb"space directions: .*\n|space: .*\n|space origin: .*\n",
        "nan.nrrd": rb"space: .*\n|space origin: .*\n",
        "none.nrrd": rb"",
    }
    content = re.sub(lines[ending], b"", content) if lines[ending] else content
    if ending == "nan.nrrd":
        content = re.sub(rb"space directions: .*\n", b"spacings: 0.7 NaN 2.5\n", content)
    if ending == "none.nrrd":
        content = re.sub(rb"space directions: .*\n", b"space directions: none none none\n", content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", ["mha", "nrrd", "nan.nrrd", "none.nrrd"])
def test_a_file_that_does_not_know_its_pixels_is_named(tmp_path, ending):
    path = without_size(tmp_path / f"v.{ending}", ending)
    assert read_case(path, 16, None, slice=2).image.shape == (1, 16, 16)
    words = rf"case a: .*v\.{re.escape(ending)}: its pixel size is not known: cases\.spacing needs it"
    for dimensions, index in ((2, 2), (3, None)):
        with pytest.raises(CaseError, match=words):
            read_case(path, 16, 1.0, dimensions, index)
    with pytest.raises(CaseError, match="its pixel size is not known"):
        Preprocessing(16, spacing=1.0).image(np.zeros((20, 20)))


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nii.gz"])
def test_a_file_that_knows_its_pixels_is_read(tmp_path, ending):
    path = write_volume(tmp_path / f"v.{ending}", body(6, 20, 24))
    assert read_case(path, 16, 1.0, slice=2).grid.spacing == pytest.approx((1.0, 1.0))
    if ending == "mha":  # an older word for it, which ITK knows
        path.write_bytes(path.read_bytes().replace(b"ElementSpacing", b"ElementSize"))
        assert read_case(path, 16, 1.0, slice=2).grid.axes[1].step == pytest.approx(1 / 0.7)


def test_a_slice_alone_has_no_distance_to_the_next(tmp_path):
    path = write_slice(tmp_path / "a.dcm", chest(32)[0])
    assert read_case(path, 16, 1.0).image.shape == (1, 16, 16)
    with pytest.raises(CaseError, match=r"case a: .*a\.dcm: a single slice, whose distance to the next is not known"):
        read_case(path, 16, 1.0, dimensions=3)


@pytest.mark.parametrize("finding", ["contrast", "nodule"])
def test_simulated_cases_have_pixels_of_the_size_that_is_asked_for(finding):
    plain = phantom.cases(4, 5, preprocessing=Preprocessing(256, WIDE), finding=finding)
    for case, whole in zip(
        phantom.cases(4, 5, preprocessing=Preprocessing((150, 200), WIDE, (2.5, 2.0)), finding=finding),
        plain,
        strict=True,
    ):
        assert case.image.shape == (1, 150, 200)
        assert case.grid.spacing == pytest.approx((2.5, 2.0))
        np.testing.assert_allclose(
            case.grid.affine[:3, 3] + case.grid.affine[:3, 1] * 74.5 + case.grid.affine[:3, 2] * 99.5, 0, atol=2.6
        )
        area, own = np.prod(case.grid.spacing), np.prod(whole.grid.spacing)
        assert case.body.sum() * area == pytest.approx(whole.body.sum() * own, rel=0.02)
        if case.mask is not None:
            assert case.mask.sum() * area == pytest.approx(
                whole.mask.sum() * own, rel=0.5 if finding == "nodule" else 0.1
            )
            np.testing.assert_array_equal(case.evidence, np.abs(case.image - case.twin)[0])
        assert case.notes == ()


def test_a_simulated_finding_that_is_cut_away_has_an_empty_mask_and_a_note():
    cases = phantom.cases(12, 5, preprocessing=Preprocessing(24, (-1000.0, 400.0), 2.0), finding="nodule")
    ill = [case for case in cases if case.label == 1]
    words = "of its mask lies beyond the 24 x 24 pixels of 2 mm that it is cut to"
    gone = [case for case in ill if f"all {words}" in case.notes]
    assert gone
    assert all(not case.mask.any() for case in gone)
    assert all(case.notes == () for case in cases if case.label == 0)


def test_implants_are_as_large_as_their_pixels_say_and_must_lie_in_the_image(tmp_path):
    path = write_cases(tmp_path, [0] * 4)
    lung = (-1000.0, 400.0)
    whole = list(implanted(from_manifest(path, Preprocessing(256, lung)), "nodule", share=1.0))
    sized = list(implanted(from_manifest(path, Preprocessing(320, lung, 1.25)), "nodule", share=1.0))
    for one, other in zip(whole, sized, strict=True):
        area = one.mask.sum() * np.prod(one.grid.spacing)
        assert other.mask.sum() * 1.25**2 == pytest.approx(area, rel=0.3)
        np.testing.assert_array_equal(other.evidence, np.abs(other.image - other.twin)[0])
        assert other.twin.shape == other.image.shape == (1, 320, 320)
    small = implanted(from_manifest(path, Preprocessing(32, lung, 1.25)), "nodule", share=1.0)
    reasons = []
    for index in range(4):
        try:
            reasons += small[index].notes
        except CaseError as error:
            reasons.append(str(error))
    words = "of its nodule lies beyond the 32 x 32 pixels of 1.25 mm that it is cut to"
    assert any(re.search(rf"case c\d: .*: all {words}$", reason) for reason in reasons)
    assert not any("its mask" in reason for reason in reasons)


STUDY = {
    "name": "spacing",
    "examples": 1,
    "precision": "fp32",
    "cases": {"source": "phantom", "size": 32, "spacing": 9, "train": 16, "test": 4},
    "classifier": {"recipe": {"architecture": "local", "epochs": 1, "batch_size": 8}},
    "estimators": {"names": ["backpropagation", "random"], "references": 4},
    "metrics": {"steps": 4, "roc_points": 11},
    "statistics": {"resamples": 100},
}


def test_a_study_says_the_size_of_its_pixels_and_its_network_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    settings = StudySettings.model_validate(STUDY)
    assert settings.cases.preprocessing == Preprocessing(32, spacing=9.0)
    Study(settings).run(tmp_path / "r", workers=1)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "scaled to [0, 1], resampled to pixels of 9 mm, and cut or padded to 32 × 32 pixels" in page
    weights = tmp_path / "r" / "weights" / "fold-0.safetensors"
    assert load_weights(weights)[1]["spacing"] == 9.0
    assert trained_classifier(weights, settings)
    for other in (None, 8, [9, 8]):
        changed = StudySettings.model_validate(STUDY | {"cases": STUDY["cases"] | {"spacing": other}})
        with pytest.raises(SettingsError, match=r"trained with cases\.spacing = 9\.0, the study has"):
            trained_classifier(weights, changed)
    again = StudySettings.model_validate(json.loads(changed.model_dump_json()))
    assert again.cases.spacing == (9.0, 8.0)


def test_pixels_of_other_axes_than_the_images_are_refused():
    for dimensions, spacing in ((2, (1.0, 1.0, 2.0)), (3, (1.0, 2.0))):
        with pytest.raises(
            SettingsError, match=rf"spacing .* has {len(spacing)} numbers, images have {dimensions} axes"
        ):
            FileReader(Preprocessing(32, spacing=spacing), dimensions=dimensions)
    with pytest.raises(SettingsError, match="has 3 numbers, images have 2 axes"):
        phantom.cases(2, preprocessing=Preprocessing(32, spacing=(1.0, 1.0, 2.0)))
    for mm in (0.0, -1.0, float("nan"), 1e6, (1.0, 0.0)):
        with pytest.raises(SettingsError, match="expected 0.01 to 100 mm"):
            Preprocessing(32, spacing=mm)
