"""Whole volumes as cases: from every reader, in voxels of mm, cropped, simulated, and with implants."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from ct_files import write_segmentation, write_series, write_volume
from tomolens.cases import Preprocessing, from_manifest, phantom
from tomolens.cases.body import AIR, body_of
from tomolens.cases.crop import box_of
from tomolens.cases.files import FileReader, Upright
from tomolens.cases.implants import IMPLANTS, implanted
from tomolens.cases.implants.sharpness import blur_of
from tomolens.cases.implants.tissue import find_lungs_in_volume
from tomolens.cases.phantom.ellipsoids import Ellipsoid
from tomolens.cases.phantom.findings import KINDS
from tomolens.cases.sampling import Axis
from tomolens.cases.slices import SliceChoice
from tomolens.cases.sources.class_folders import index_folder
from tomolens.cases.sources.dicom_tree import IndexOptions, index_dicom
from tomolens.errors import CaseError, SettingsError
from tomolens.randomness import generator

LUNG = (-1000.0, 400.0)


@pytest.fixture(scope="module")
def chest():
    """A simulated volume with a nodule."""
    return phantom.draw(0, 1, 64, finding="nodule", slices=40)


@pytest.fixture(scope="module")
def files(chest, tmp_path_factory):
    """The same volume with its mask in files of every kind, in a folder a class."""
    folder = tmp_path_factory.mktemp("volumes")
    spacing, mask = (chest.spacing, chest.spacing, chest.step), chest.mask.astype(np.uint8)
    for kind in ("with", "without"):
        (folder / kind).mkdir()
    write_volume(folder / "with" / "a.nii.gz", chest.hu[1], spacing=spacing, origin=(0.0, 0.0, 0.0))
    write_volume(folder / "with" / "a_mask.nii.gz", mask, spacing=spacing, origin=(0.0, 0.0, 0.0))
    write_volume(folder / "without" / "b.nrrd", chest.hu[0], spacing=spacing, origin=(0.0, 0.0, 0.0))
    series = folder / "series"
    step, size = (0.0, 0.0, chest.step), (chest.spacing, chest.spacing)
    paths = write_series(series, chest.hu[1], step=step, origin=(0.0, 0.0, 0.0), spacing=size)
    write_segmentation(series / "seg.dcm", paths, {"nodule": chest.mask})
    return folder


def test_a_volume_is_one_case_of_a_folder_and_of_a_manifest(files, chest, tmp_path):
    made = Preprocessing((20, 32, 32), LUNG)
    options = IndexOptions(slices=SliceChoice.parse("volume"), classes=("without", "with"), keep_patients=True)
    index = index_folder(files, options)
    assert [(entry.slice, entry.label) for entry in index.entries] == [(None, 0), (None, 1)]
    without, shown = index.cases(made, dimensions=3)
    np.testing.assert_allclose(shown.image, made.image(chest.hu[1]), atol=2e-3)
    np.testing.assert_array_equal(shown.mask, made.mask(chest.mask))
    assert (without.mask is None, shown.grid.spacing) == (True, pytest.approx((8.0, *(2 * [2 * chest.spacing]))))
    index.write(tmp_path / "cases.csv")
    again = from_manifest(tmp_path / "cases.csv", made, index.classes, dimensions=3)
    np.testing.assert_array_equal(again[1].image, shown.image)
    np.testing.assert_array_equal(shown.grid.to_source(np.ones((20, 32, 32))), np.ones(chest.mask.shape))


def test_a_series_of_dicom_is_one_case_with_its_segmentation(files, chest, tmp_path):
    found = index_dicom(files / "series", IndexOptions(slices=SliceChoice("volume"), keep_patients=True, cached=False))
    (entry,) = found.entries
    assert entry.slice is None
    assert entry.series
    found.write(tmp_path / "cases.csv")
    made = Preprocessing((20, 32, 32), LUNG)
    case = from_manifest(tmp_path / "cases.csv", made, dimensions=3)[0]
    np.testing.assert_allclose(case.image, made.image(chest.hu[1]), atol=2e-3)
    np.testing.assert_array_equal(case.mask, made.mask(chest.mask))


def test_slices_and_volumes_are_not_taken_for_one_another(files, tmp_path):
    volume = files / "with" / "a.nii.gz"
    (tmp_path / "c.csv").write_text(f"case,image,label,patient,slice\na,{volume},0,p,3\n")
    with pytest.raises(CaseError, match="slice 3 of a volume, and cases.dimensions = 3 takes whole ones"):
        from_manifest(tmp_path / "c.csv", dimensions=3)[0]
    (tmp_path / "c.csv").write_text(f"case,image,label,patient\na,{volume},0,p\n")
    with pytest.raises(CaseError, match=r"name one in the column slice .*cases.dimensions = 3"):
        from_manifest(tmp_path / "c.csv")[0]
    write_volume(tmp_path / "one.nii.gz", np.zeros((1, 8, 8)))
    (tmp_path / "c.csv").write_text("case,image,label,patient\na,one.nii.gz,0,p\n")
    with pytest.raises(CaseError, match="a single slice, expected a volume"):
        from_manifest(tmp_path / "c.csv", Preprocessing(8), dimensions=3)[0]


def test_the_lungs_are_found_and_cropped_to(chest):
    hu, spacing = chest.hu[1], chest.steps
    for crop in ("body", "lungs"):
        box = box_of(hu, crop, spacing)
        inside = body_of(hu[None], AIR) if crop == "body" else find_lungs_in_volume(hu, spacing)
        for axis, (low, high) in enumerate(box):
            there = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
            more = round(5.0 / spacing[axis])
            assert abs(low - max(0, there[0] - more)) <= 1
            assert abs(high - min(hu.shape[axis], there[-1] + 1 + more)) <= 1
        made = Preprocessing((16, 20, 24), LUNG, crop=crop).framed(hu, spacing)
        part = hu[tuple(slice(*one) for one in box)]
        plain = Preprocessing((16, 20, 24), LUNG).image(part)
        # Of the same filter, but for pixels whose neighbours beyond the box have a part in them.
        assert np.abs(made.image(hu, spacing) - plain)[:, 1:-1, 1:-1, 1:-1].max() < 1e-3
        assert made.image(hu, spacing).shape == (1, 16, 20, 24)
    with pytest.raises(CaseError, match="no lungs in it to crop to"):
        box_of(np.full((8, 8, 8), 40.0), "lungs")


def test_the_body_of_two_slices_is_found():
    hu = np.full((2, 30, 30), -1000.0)
    hu[:, 5:25, 4:26] = 40.0
    hu[0, 12, 2], hu[1, 1, 1] = 40.0, 40.0  # dots, which are no body
    assert box_of(hu, "body") == ((0, 2), (5, 25), (4, 26))
    np.testing.assert_array_equal(body_of(hu[None], AIR)[0], body_of(hu[None, 0], AIR))


def test_pixels_of_mm_are_about_the_middle_of_the_box_and_go_back_to_their_place(chest, files):
    spacing, made = chest.steps, Preprocessing(24, LUNG, spacing=6.0, crop="lungs")
    case = FileReader(made, dimensions=3)(
        entry := index_folder(
            files, IndexOptions(slices=SliceChoice("volume"), classes=("without", "with"), keep_patients=True)
        ).entries[1]
    )
    assert entry.slice is None
    box = box_of(chest.hu[1], "lungs", spacing)
    assert case.grid.spacing == pytest.approx((6.0, 6.0, 6.0))
    middle = case.grid.affine @ [11.5, 11.5, 11.5, 1.0]
    expected = case.grid.source.upright().affine @ [*((low + high - 1) / 2 for low, high in box), 1.0]
    np.testing.assert_allclose(middle, expected, atol=1e-6)
    back = case.grid.to_source(case.mask.astype(np.float32))
    np.testing.assert_allclose(center_of_mass(back), center_of_mass(chest.mask), atol=1.5)


def test_an_axis_with_the_scans_own_middle_is_the_plain_one():
    random = np.random.default_rng(0)
    for _ in range(300):
        plain = Axis(
            int(random.integers(3, 40)), float(random.choice([0.5, 0.75, 1, 1.3, 2])), int(random.integers(2, 50))
        )
        other = Axis(plain.length, plain.step, plain.count, plain.first + plain.step * (plain.count - 1) / 2)
        assert other.first == pytest.approx(plain.first)
        assert abs(np.subtract(plain.shown, other.shown)).max() <= 1  # where half a pixel more or less is a tie


def test_a_body_that_the_scan_cuts_holds_its_lungs():
    hu = np.full((6, 20, 20), -1000.0)
    hu[:, 3:17, 3:17], hu[:, 6:14, 6:14] = 40.0, -850.0
    assert body_of(hu[None], AIR)[:, 4:16, 4:16].all()
    assert not body_of(hu[None], AIR)[:, :2].any()


def test_ellipsoids_have_their_volume_and_place():
    random = generator(0)
    for spacing in ((1.0, 1.0, 1.0), (2.5, 0.7, 0.8)):
        drawn = Ellipsoid.drawn((30.0, 16.2, 17.4), 7.0, 0.8, random)
        shape = tuple(int(40 / step) for step in spacing)
        box, covered = drawn.coverage(tuple(2 * length for length in shape), spacing)
        whole = np.zeros(tuple(2 * length for length in shape))
        whole[box] = covered
        assert whole.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * np.prod(drawn.radii), rel=0.02)
        np.testing.assert_allclose(np.multiply(center_of_mass(whole), spacing), drawn.centre, atol=0.05)
        np.testing.assert_allclose(drawn.turn @ drawn.turn.T, np.eye(3), atol=1e-12)


def test_simulated_volumes_change_smoothly_and_always_come_out_the_same(chest):
    again = phantom.draw(0, 1, 64, finding="nodule", slices=40)
    np.testing.assert_array_equal(chest.hu, again.hu)
    lungs = (chest.labels == 2).sum(axis=(1, 2)).astype(float)
    assert lungs.min() > 100
    assert np.abs(np.diff(lungs)).max() < 0.25 * lungs.max()
    # A slice is like the next one, and less like one far away: nothing jumps along the axis.
    near, far = (np.abs(chest.hu[0][step:] - chest.hu[0][:-step]).mean() for step in (1, 12))
    assert near < 0.6 * far
    assert {3, 7, 8} <= set(np.unique(chest.labels))  # vessels of the lungs, great vessels, heart
    assert phantom.draw(0, 1, 32, slices=64).hu.shape == (2, 64, 32, 32)


@pytest.mark.parametrize("finding", KINDS)
def test_findings_of_volumes_are_what_twins_differ_in(finding):
    drawn = phantom.draw(3, 1, 64, finding=finding, slices=32)
    changed = np.abs(drawn.hu[1] - drawn.hu[0]) > 1.0
    _, high = KINDS[finding].diameters
    assert drawn.mask.any()
    places = np.argwhere(drawn.mask) * drawn.steps
    most = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2)).max() if len(places) < 3000 else high
    assert most <= 1.9 * high + 2 * max(drawn.steps)
    assert changed.sum() < 0.2 * changed.size
    assert changed[drawn.mask].mean() > 0.5
    depth = np.ptp(np.argwhere(drawn.mask)[:, 0]) + 1
    assert depth <= (1.9 * high) / drawn.step + 2  # no column along the scan


@pytest.mark.parametrize("marker", ["label", "port", "table"])
def test_markers_are_planted_in_volumes(marker):
    drawn = phantom.draw(0, 1, 64, marker, slices=16)
    changed = np.abs(drawn.marked - drawn.hu) > 200
    assert changed.any()
    slices = changed.any(axis=(0, 2, 3)).sum()
    assert slices == 16 if marker != "port" else slices < 8


def test_a_simulated_case_of_a_volume(chest):
    made = Preprocessing((12, 16, 20), LUNG, crop="lungs")
    without, shown = phantom.cases(2, preprocessing=made, finding="nodule", finding_mm=(25.0, 30.0), dimensions=3)
    assert shown.image.shape == shown.twin.shape == (1, 12, 16, 20)
    assert (without.mask, without.evidence) == (None, None)
    assert shown.evidence[shown.mask].mean() > 5 * shown.evidence[~shown.mask].mean()
    np.testing.assert_allclose(shown.evidence, np.abs(shown.image - shown.twin)[0])
    assert shown.grid.slice is None
    with pytest.raises(SettingsError, match="images have 3 axes"):
        phantom.cases(2, preprocessing=Preprocessing((12, 16), LUNG), dimensions=3)


@pytest.fixture(scope="module")
def fine():
    """A simulated volume in enough pixels to tell its sharpness."""
    return phantom.draw(0, 0, 144, slices=24)


def test_a_nodule_in_a_volume_is_as_sharp_as_its_slices_and_in_the_lung(fine):
    drawn, volume = fine, Upright(fine.hu[0], None, fine.steps)
    for seed in (0,):
        made = IMPLANTS["nodule"].alter_volume(volume, 0, generator(seed))
        there = made.coverage > 0
        np.testing.assert_array_equal(made.hu[~there], volume.hu[~there])
        assert find_lungs_in_volume(volume.hu, volume.spacing)[made.coverage > 0.5].mean() > 0.95
        deep = np.argwhere(made.coverage > 0.5) * drawn.steps
        assert 2.0 <= np.ptp(deep, axis=0).max() + max(drawn.steps) <= 20 + 2 * max(drawn.steps)
        again = IMPLANTS["nodule"].alter_volume(volume, 0, generator(seed), (4.0, 20.0))
        np.testing.assert_array_equal(made.hu, again.hu)  # the usual diameters
        large = IMPLANTS["nodule"].alter_volume(volume, 0, generator(seed), (16.0, 16.0)).coverage.sum()
        # An ellipsoid whose other axes are three quarters of the first at least.
        assert 0.7 * 0.75**2 < large * np.prod(drawn.steps) / (4 / 3 * np.pi * 8**3) < 1.05
        height = int(np.argmax(made.coverage.sum(axis=(1, 2))))
        assert blur_of(made.hu[height]) == pytest.approx(blur_of(volume.hu[height]), abs=0.15)


@pytest.mark.parametrize("implant", ["nodule", "lesion"])
def test_a_volume_with_an_implant_has_a_twin_and_a_mask(fine, tmp_path, implant):
    write_volume(tmp_path / "b.nrrd", fine.hu[0], spacing=(fine.spacing, fine.spacing, fine.step))
    (tmp_path / "c.csv").write_text("case,image,label,patient\na,b.nrrd,0,p\n")
    window = LUNG if implant == "nodule" else (-160.0, 240.0)
    cases = from_manifest(tmp_path / "c.csv", Preprocessing((24, 40, 40), window), dimensions=3)
    shown, original = (implanted(cases, implant, seed=4, share=share)[0] for share in (1.0, 0.0))
    np.testing.assert_array_equal(shown.twin, original.image)
    np.testing.assert_array_equal(shown.image, original.twin)
    assert shown.mask.any()
    assert shown.evidence[shown.mask].mean() > 10 * shown.evidence[~shown.mask].mean()
    assert (original.mask, original.evidence) == (None, None)
    with pytest.raises(SettingsError, match="into volumes go nodule, lesion"):
        implanted(cases, "contrast")
