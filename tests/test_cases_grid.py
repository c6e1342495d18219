import pickle

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from ct_files import body, write_enhanced, write_series, write_slice, write_volume
from tomolens.cases import CaseEntry, Preprocessing, from_manifest, phantom
from tomolens.cases.files import FileReader
from tomolens.cases.geometry import Grid as VoxelGrid
from tomolens.cases.grid import Grid
from tomolens.cases.meta_tensor import AS_IT_IS
from tomolens.cases.stored import read_source
from tomolens.errors import MapError

FIELD = np.array([9.0, -6.0, 14.0])
"""HU a millimetre to the left, the back and the head: interpolation keeps a linear field."""
WINDOW = (-1000.0, 1000.0)


def oblique(first=25, second=-35, third=160):
    """A rotation by three angles in degrees; the last one turns the patient nearly round."""
    a, b, c = np.radians([first, second, third])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


DIRECTIONS = {
    "upright": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "columns to the head": np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]]),
    "oblique": oblique(),
    "oblique and left-handed": oblique(10, 20, 70) @ np.diag([1, 1, -1]),
}


def field_volume(path, direction, shape=(6, 20, 24), spacing=(0.7, 0.8, 2.5)):
    """A file whose HU are a linear field of the patient, by SimpleITK, which says where its voxels lie."""
    image = sitk.GetImageFromArray(np.zeros(shape, np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin((-2.0, -3.0, -4.0))
    image.SetDirection(np.asarray(direction).ravel())
    hu = np.empty(shape, np.float32)
    for place in np.ndindex(shape):
        hu[place] = FIELD @ image.TransformIndexToPhysicalPoint(tuple(int(i) for i in place[::-1]))
    return write_volume(path, hu, spacing, (-2.0, -3.0, -4.0), np.asarray(direction).ravel(), packed=False)


def read_case(path, size, dimensions=2, slice=None, series=""):
    reader = FileReader(Preprocessing(size, WINDOW), dimensions=dimensions)
    return reader(CaseEntry("a", 0, "p", source=str(path), slice=slice, series=series))


def world(case):
    """Millimetres of every pixel of a case, ``(*spatial, 3)``, by its grid."""
    shape = case.image.shape[1:]
    places = np.stack(np.meshgrid(*map(np.arange, (1, *shape)[-3:]), indexing="ij"), axis=-1).reshape(*shape, 3)
    return places @ case.grid.affine[:3, :3].T + case.grid.affine[:3, 3]


def inner(array, margin):
    """Away from edges, where resizing has no neighbours to average."""
    return array[
        tuple(slice(margin, length - margin) if length > 2 * margin else slice(None) for length in array.shape)
    ]


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("ending", ["nii", "nrrd", "mha"])
def test_volumes_lie_where_simpleitk_says_after_turning_and_resizing(tmp_path, name, ending):
    path = field_volume(tmp_path / f"v.{ending}", DIRECTIONS[name])
    for size in (40, (25, 45, 31)):
        case = read_case(path, size, dimensions=3)
        hu = case.image[0] * 2000 - 1000
        np.testing.assert_allclose(inner(hu, 5), inner(world(case) @ FIELD, 5), atol=0.1)
        assert np.abs(hu - world(case) @ FIELD).max() < 40  # constant beyond the outer centres


@pytest.mark.parametrize("name", DIRECTIONS)
def test_slices_of_volumes_lie_where_simpleitk_says(tmp_path, name):
    path = field_volume(tmp_path / "v.nii.gz", DIRECTIONS[name])
    source = read_source(path).grid
    for index in (0, source.upright().shape[0] - 1):
        case = read_case(path, (30, 27), slice=index)
        assert case.image.shape == (1, 30, 27)
        np.testing.assert_allclose(inner(case.image[0] * 2000 - 1000, 4), inner(world(case) @ FIELD, 4), atol=0.1)


def test_an_image_at_its_own_size_has_the_affine_of_nibabel(tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ oblique(5, 8, 12) @ np.diag([0.7, 0.8, 2.5])
    affine[:3, 3] = (11, -7, 130)
    nibabel.save(nibabel.Nifti1Image(body().transpose(2, 1, 0), affine), tmp_path / "v.nii")
    case = read_case(tmp_path / "v.nii", (6, 20, 24), dimensions=3)
    ras = np.diag([-1.0, -1, 1, 1]) @ case.grid.affine
    np.testing.assert_allclose(ras[:, [2, 1, 0, 3]], nibabel.load(tmp_path / "v.nii").affine, atol=1e-5)
    assert case.grid.spacing == pytest.approx((2.5, 0.8, 0.7), abs=1e-5)
    assert read_case(tmp_path / "v.nii", (10, 12), slice=2).grid.spacing == pytest.approx((1.6, 1.4), abs=1e-5)


def dicom_point(path, row, column):
    image = sitk.ReadImage(str(path))
    return np.array(image.TransformIndexToPhysicalPoint((column, row, 0)))


def test_dicom_slices_lie_where_simpleitk_says(tmp_path):
    turn = oblique(10, -15, 100)
    orientation = tuple(np.round([*turn[:, 0], *turn[:, 1]], 9))
    hu = body()[0]
    path = write_slice(tmp_path / "a.dcm", hu, orientation=orientation, position=(3.0, -40.0, 70.0))
    case = read_case(path, (24, 20))  # nearest to upright with rows and columns exchanged: its own size
    stored = read_source(path).hu[0]
    for row, column in ((0, 0), (19, 0), (7, 21)):
        distance = np.linalg.norm(world(case) - dicom_point(path, row, column), axis=-1)
        there = np.unravel_index(distance.argmin(), distance.shape)
        assert distance.min() < 1e-4
        assert case.image[0][there] * 2000 - 1000 == pytest.approx(stored[row, column], abs=1e-3)


@pytest.mark.parametrize("kind", ["series", "enhanced"])
def test_stacks_of_dicom_lie_where_their_slices_do(tmp_path, kind):
    hu = body().astype(np.float32)
    if kind == "series":
        write_series(tmp_path / "s", hu)
        path = tmp_path / "s"
    else:
        path = write_enhanced(tmp_path / "e.dcm", hu)
    case = read_case(path, (6, 20, 24), dimensions=3)
    for place in ((0, 0, 0), (5, 19, 23), (2, 11, 3)):
        np.testing.assert_allclose(
            world(case)[place], np.array([-10, -20, 100]) + np.array(place)[::-1] * (0.7, 0.8, 2.5)
        )
        assert case.image[0][place] * 2000 - 1000 == pytest.approx(hu[place], abs=1e-3)
    one = read_case(path, (20, 24), slice=4)
    np.testing.assert_allclose(world(one), world(case)[4], atol=1e-9)
    assert one.grid.within == (slice(4, 5), slice(None), slice(None))


def interpolated(case, values):
    """`Grid.to_source` from the affines alone: each voxel looks up where it lies in the map."""
    grid = case.grid
    every = np.stack(np.meshgrid(*map(np.arange, grid.source.shape), indexing="ij"), axis=-1)[grid.within]
    relation = np.linalg.inv(grid.affine) @ grid.source.affine
    places = every @ relation[:3, :3].T + relation[:3, 3]
    if values.ndim == 2:
        assert np.abs(places[..., 0]).max() < 1e-6
        places = places[..., 1:]
    return ndimage.map_coordinates(values, np.moveaxis(places, -1, 0), order=1, mode="nearest")


@pytest.mark.parametrize("name", DIRECTIONS)
def test_maps_go_back_by_linear_interpolation(tmp_path, name):
    path = field_volume(tmp_path / "v.nii", DIRECTIONS[name])
    random = np.random.default_rng(0)
    for case in (
        read_case(path, (5, 5, 5), dimensions=3),
        read_case(path, (3, 5), slice=2),
        read_case(path, 6, slice=0),
    ):
        values = random.normal(size=case.grid.shape)
        found = case.grid.to_source(values)
        assert found.shape == np.empty(case.grid.source.shape)[case.grid.within].shape
        np.testing.assert_allclose(found, interpolated(case, values), atol=1e-5)
    with pytest.raises(MapError, match=r"a map of shape \(4, 4\) for a case of \(6, 6\)"):
        case.grid.to_source(np.zeros((4, 4)))


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_marked_voxel_survives_the_way_there_and_back(tmp_path, name, dimensions):
    hu = np.random.default_rng(1).uniform(-300, 0, (7, 16, 22)).astype(np.float32)
    for marked in ((0, 0, 0), (6, 3, 20), (2, 15, 9)):
        lit = hu.copy()
        lit[marked] = 900
        path = write_volume(tmp_path / "v.nrrd", lit, direction=DIRECTIONS[name].ravel())
        turned = read_source(path).upright().hu
        index = int(np.argwhere(turned == 900)[0, 0]) if dimensions == 2 else None
        case = read_case(path, 48, dimensions, slice=index)
        whole = np.zeros(case.grid.source.shape, np.float32)
        whole[case.grid.within] = case.grid.to_source(case.image[0])
        assert np.unravel_index(whole.argmax(), whole.shape) == marked


def test_only_what_leads_to_head_back_and_left_is_upright():
    step, shape = np.diag([3.0, 0.8, 0.8]), (4, 5, 6)
    for axes, turned in {
        (2, 1, 0): True, (2, 0, 1): False, (0, 1, 2): False, (1, 2, 0): False,
    }.items():  # fmt: skip
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, list(axes)] @ step
        source = VoxelGrid(shape, affine)
        assert Grid(shape, source, AS_IT_IS).is_upright == turned
        assert Grid.of(shape, source).is_upright
        for flipped in range(3):
            affine = affine.copy()
            affine[:3, flipped] *= -1
            assert not Grid(shape, VoxelGrid(shape, affine), AS_IT_IS).is_upright
            affine[:3, flipped] *= -1
    assert Grid(shape[1:], VoxelGrid((1, 5, 6), np.eye(4)[[2, 1, 0, 3]]), AS_IT_IS, 0).is_upright
    assert not Grid(shape[1:], VoxelGrid((1, 5, 6), np.eye(4)[[2, 0, 1, 3]]), AS_IT_IS, 0).is_upright


def test_more_pixels_than_the_source_has_are_averaged():
    grid = Grid.of((16, 16), VoxelGrid((1, 8, 8), np.eye(4)[[2, 1, 0, 3]]), 0)
    fine = np.zeros((16, 16), np.float32)
    fine[9, 6] = 1.0
    back = grid.to_source(fine)
    assert back.shape == (1, 8, 8)
    assert back.sum() == pytest.approx(0.25, abs=1e-6)  # a pixel is a quarter of a voxel
    assert back.argmax() == 4 * 8 + 3


def test_the_phantom_knows_its_spacing(tmp_path):
    case = phantom.cases(1, preprocessing=Preprocessing((64, 128)))[0]
    drawn = phantom.draw(0, 0)
    assert case.grid.spacing == pytest.approx((4 * drawn.spacing, 2 * drawn.spacing))
    assert case.grid.is_upright
    np.testing.assert_allclose(world(case).mean(axis=(0, 1)), 0, atol=1e-9)
    again = pickle.loads(pickle.dumps(case)).grid
    np.testing.assert_array_equal(again.affine, case.grid.affine)


def test_real_slices_and_volumes_lie_where_simpleitk_says(real_ct):
    cases = from_manifest(real_ct / "tcga-contrast" / "cases.csv", Preprocessing(128, WINDOW))
    for case, entry in list(zip(cases, cases.entries, strict=True))[::7]:
        values = np.random.default_rng(0).normal(size=case.grid.shape)
        np.testing.assert_allclose(case.grid.to_source(values), interpolated(case, values), atol=1e-4)
        image = sitk.ReadImage(entry.source)
        corners = [
            np.array(image.TransformContinuousIndexToPhysicalPoint((x, y, 0.0)))
            for x in (-0.5, 511.5)
            for y in (-0.5, 511.5)
        ]
        edges = np.array([(0, a, b, 1) for a in (-0.5, 127.5) for b in (-0.5, 127.5)]) @ case.grid.affine.T
        for corner in corners:  # the outer edges of source and case are the same
            assert np.linalg.norm(edges[:, :3] - corner, axis=1).min() < 1e-3
    path = real_ct / "totalsegmentator" / "torso_ct.nii.gz"
    image, case = sitk.ReadImage(str(path)), read_case(path, (112, 101, 122), dimensions=3)
    stored = sitk.GetArrayFromImage(image)
    for place in ((0, 0, 0), (60, 30, 100), (111, 100, 121)):
        index = image.TransformPhysicalPointToContinuousIndex(world(case)[place].tolist())
        x, y, z = np.rint(index).astype(int)
        assert np.abs(np.array(index) - (x, y, z)).max() < 1e-3
        assert case.image[0][place] == pytest.approx(np.clip((stored[z, y, x] + 1000) / 2000, 0, 1), abs=1e-5)
    np.testing.assert_allclose(
        case.grid.to_source(case.image[0]) * 2000 - 1000, np.clip(stored, -1000, 1000), atol=1e-2
    )
