import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_files import body, write_slice, write_volume
from tomolens.cases.files import read_source
from tomolens.cases.geometry import Grid, Volume, grid_of_plane
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
