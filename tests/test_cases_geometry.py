import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_files import body, write_segmentation, write_series, write_slice, write_structures, write_volume
from tomolens.cases import CaseEntry, MaskChoice, Preprocessing
from tomolens.cases.files import FileReader
from tomolens.cases.geometry import Grid, Volume, grid_of_plane
from tomolens.cases.masks import read_mask
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError

TURNS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


def stored_as(volume, order, signs):
    """The same voxels of an upright volume, stored with axes in another order and direction."""
    hu, affine = volume.hu.transpose(order), np.eye(4)
    affine[:3, :3] = volume.grid.affine[:3, :3][:, order]
    affine[:3, 3] = volume.grid.affine[:3, 3]
    for axis, sign in enumerate(signs):
        if sign < 0:
            hu = np.flip(hu, axis)
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(hu, Grid(hu.shape, affine))


def upright_volume(rotation=0.0):
    """LPS axes, turned a little about the body."""
    hu = body().astype(np.float32)
    turn = np.array([[np.cos(rotation), -np.sin(rotation), 0], [np.sin(rotation), np.cos(rotation), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]])
    affine[:3, 3] = (-10, -20, 100)
    return Volume(hu, Grid(hu.shape, affine))


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_every_storage_comes_out_in_one_display_convention(order, signs):
    volume = upright_volume(rotation=0.2)
    turned = stored_as(volume, order, signs).upright()
    np.testing.assert_array_equal(turned.hu, volume.hu)
    np.testing.assert_allclose(turned.grid.affine, volume.grid.affine, atol=1e-9)
    assert turned.grid.axes == "SPL"


def test_axes_spacing_and_position_are_known():
    grid = upright_volume().grid
    assert grid.axes == "SPL"
    assert grid.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert grid.slab(3).position == pytest.approx(107.5)
    assert str(grid) == "6 x 20 x 24 voxels of 2.5 x 0.8 x 0.7 mm to SPL from (-10.0, -20.0, 100.0)"


@given(st.tuples(st.integers(0, 5), st.integers(0, 19), st.integers(0, 23)), st.sampled_from(TURNS))
def test_a_part_is_found_where_it_was_cut_out(first, turn):
    volume = upright_volume(rotation=0.1)
    moved = np.eye(4)
    moved[:3, 3] = first
    part = Grid(tuple(np.array(volume.grid.shape) - first), volume.grid.affine @ moved)
    whole = stored_as(volume, *turn).grid.upright()
    assert whole.place_of(part) == first
    assert (part.place_of(whole) is None) == (first != (0, 0, 0))


def test_another_grid_is_no_part():
    grid = upright_volume().grid
    shifted = grid.affine.copy()
    shifted[0, 3] += 0.3
    assert grid.place_of(Grid(grid.shape, shifted)) is None
    assert grid.place_of(Grid(grid.shape, grid.affine * np.array([1, 1, 1.01, 1]))) is None
    rounded = grid.affine.copy()
    rounded[:3, 3] += 0.01
    assert grid.place_of(Grid(grid.shape, rounded)) == (0, 0, 0)
    assert grid.place_of(Grid(grid.shape, np.zeros((4, 4)))) is None


def test_a_slice_lies_in_its_volume_whatever_the_next_one_is_said_to_be():
    volume = upright_volume()
    plane = volume.slice(4)
    assert volume.grid.place_of(plane.grid) == (4, 0, 0)
    alone = plane.grid.affine.copy()
    alone[:3, 0] = (0, 0, 1)
    assert volume.grid.place_of(Grid(plane.grid.shape, alone)) == (4, 0, 0)
    with pytest.raises(CaseError, match="slice 6 of a scan with slices 0 to 5"):
        volume.slice(6)


def test_numbers_that_span_no_grid_are_refused():
    for orientation, spacing in [
        ((1, 0, 0, 1, 0, 0), (1, 1)),
        ((1, 0, 0, 0, 1, 0), (0, 1)),
        ((9, 0, 0, 0, 1, 0), (1, 1)),
    ]:
        with pytest.raises(CaseError, match="is no grid"):
            grid_of_plane(4, 4, orientation, (0, 0, 0), spacing)


def test_formats_agree_on_voxels_and_places(tmp_path):
    hu = body()
    for ending in ("nii", "nii.gz", "nrrd", "mha", "mhd"):
        volume = read_source(write_volume(tmp_path / f"v.{ending}", hu, packed=ending != "mhd"))
        np.testing.assert_array_equal(volume.hu, hu)
        np.testing.assert_allclose(volume.grid.affine[:3, :3], [[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]], atol=1e-6)
        np.testing.assert_allclose(volume.grid.affine[:3, 3], (-10, -20, 100), atol=1e-5)


def test_prone_and_decubitus_slices_are_turned(tmp_path):
    hu = body()[0]
    supine = read_source(write_slice(tmp_path / "supine.dcm", hu)).upright()
    far = ((24 - 1) * 0.7, (20 - 1) * 0.8, 0.0)
    prone = write_slice(tmp_path / "prone.dcm", hu[::-1, ::-1], position=far, orientation=(-1, 0, 0, 0, -1, 0))
    side = write_slice(
        tmp_path / "side.dcm", hu.T, orientation=(0, 1, 0, 1, 0, 0), spacing=(0.7, 0.8)
    )  # rows run to the back
    for path in (prone, side):
        turned = read_source(path).upright()
        np.testing.assert_array_equal(turned.hu, supine.hu)
        np.testing.assert_allclose(turned.grid.affine[:, 1:], supine.grid.affine[:, 1:], atol=1e-6)


def turned_about(axis, degrees):
    angle, turn = np.radians(degrees), np.eye(3)
    one, other = (k for k in range(3) if k != axis)
    turn[one, one] = turn[other, other] = np.cos(angle)
    turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
    return turn


def bright_on_grey(bright):
    """HU above 0 where a mask is; no slice is of one grey."""
    return np.where(bright, 300, -300 + 10 * (np.indices(bright.shape).sum(axis=0) % 8)).astype(np.int16)


def read_slices(path, mask, count):
    """Every slice and its mask as a study gets them."""
    reader = FileReader(Preprocessing(size=24, window=(-400, 400)))
    return [reader(CaseEntry(f"{k}", 0, "p", source=str(path), mask=(str(mask),), slice=k)) for k in range(count)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_and_mask_stay_together_at_any_angle(tmp_path, axis):
    """The mask is where the image is bright, and must be there in every slice."""
    bright = np.zeros((8, 24, 24), bool)
    bright[2:5, 4:11, 6:20], bright[6, 15:20, 3:9] = True, True
    hu = bright_on_grey(bright)
    for degrees in (44, 45, 46, 50, 55, 60, 90, 135, -45, -52):
        affine = np.eye(4)
        affine[:3, :3] = turned_about(axis, degrees) @ np.diag([-0.7, -0.8, 2.5])
        stored = nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine)
        labels = nibabel.Nifti1Image(bright.transpose(2, 1, 0).astype(np.uint8), affine)
        nibabel.save(stored, tmp_path / "image.nii")
        for order in itertools.permutations(range(3)):
            turn = np.array([[place, (1, -1, 1)[place]] for place in order], float)
            nibabel.save(labels.as_reoriented(turn), tmp_path / "mask.nii")
            count = read_source(tmp_path / "image.nii").grid.upright().shape[0]
            if order == (0, 1, 2):
                cases = read_slices(tmp_path / "image.nii", tmp_path / "mask.nii", count)
                assert sum(case.mask.any() for case in cases) >= 4
                for case in cases:
                    if case.image.shape[1:] == read_source(tmp_path / "image.nii").grid.upright().shape[1:]:
                        np.testing.assert_array_equal(case.mask, case.image[0] > 0.5)
            volume = read_source(tmp_path / "image.nii")
            mask = read_mask([tmp_path / "mask.nii"], volume, MaskChoice())
            np.testing.assert_array_equal(mask, volume.upright().hu > 0)
            for place in (0, count // 2, count - 1):
                plane = volume.upright().slice(place)
                found = read_mask([tmp_path / "mask.nii"], plane, MaskChoice())
                np.testing.assert_array_equal(found, plane.hu > 0)


@pytest.mark.parametrize("degrees", [30, 46, 60])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_slices_and_masks_of_oblique_series_stay_together(tmp_path, axis, degrees, kind):
    bright = np.zeros((24, 24, 24), bool)
    bright[4:9, 4:11, 6:20] = True
    turn = turned_about(axis, degrees)
    paths = write_series(
        tmp_path / "series",
        bright_on_grey(bright),
        orientation=tuple(np.round([*turn[:, 0], *turn[:, 1]], 9)),
        step=tuple(2.5 * turn[:, 2]),
    )
    if kind == "seg":
        mask = write_segmentation(tmp_path / "mask.dcm", paths, {"heart": bright})
    else:
        affine = np.eye(4)  # as written: the reader may count the slices from the other end
        affine[:3, :3] = np.stack([2.5 * turn[:, 2], 0.8 * turn[:, 1], 0.7 * turn[:, 0]], axis=1)
        affine[:3, 3] = (-10, -20, 100)
        ring = np.array([(3.5, 5.5), (3.5, 19.5), (10.5, 19.5), (10.5, 5.5)])
        drawn = [(np.column_stack([np.full(4, k), ring, np.ones(4)]) @ affine.T)[:, :3] for k in range(4, 9)]
        mask = write_structures(tmp_path / "mask.dcm", paths[0], {"heart": drawn})
    cases = read_slices(tmp_path / "series", mask, 24)
    for case in cases:
        np.testing.assert_array_equal(case.mask, case.image[0] > 0.5)
    assert sum(case.mask.any() for case in cases) >= 5
