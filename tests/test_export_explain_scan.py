"""Maps on the scan's own voxels: a map that is the image itself comes back as the scan, however that is stored."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch

import ct_files as files
from conftest import convolutional
from tomolens.classifier import Classifier, Intensity
from tomolens.errors import CaseError, MapError, NetworkError, SettingsError
from tomolens.estimators.baselines import Baseline
from tomolens.estimators.estimator import spelled
from tomolens.estimators.registry import make_estimator
from tomolens.export.dicom import find_sources, write_parametric_map
from tomolens.export.explain_scan import AT_A_TIME, explain_scan
from tomolens.export.given import GivenNetwork
from tomolens.export.nifti import write_nifti
from tomolens.regions import xrai

WINDOW = (-1000.0, 400.0)
IMAGE = Baseline("image", "The image", lambda subject: subject.grey)
ORIENTATIONS = ["".join(pair) for axes in permutations(("LR", "AP", "IS")) for pair in product(*axes)]


def network(dimensions=2, size=(), spacing=None, outputs=2, classes=("without", "with")):
    torch.manual_seed(0)
    made = convolutional(1, outputs, dimensions=dimensions).eval()
    classifier = Classifier(made, "logits", intensity=Intensity(hounsfield=WINDOW))
    return GivenNetwork(
        classifier, WINDOW, size, spacing, dimensions, classes, Path("network.toml"), "hash", {"weights": "hash"}
    )


def map_of(explained, name):
    return next(one for spelled, one in explained.maps.items() if spelled.startswith(name))


def windowed(hu):
    return np.clip((hu - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0.0, 1.0)


def volume(shape=(6, 20, 24), seed=0):
    random = np.random.default_rng(seed)
    return np.where(random.random(shape) < 0.3, -1000, random.normal(40, 200, shape)).round()


def write_oriented(file, orientation, oblique=0.0):
    """A NIfTI file whose axes rise to where the letters say; returns its array and affine."""
    hu = volume().transpose(2, 1, 0)  # x, y, z of a scan that rises to R, A, S
    affine = np.diag([0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = -10.0, -20.0, 100.0
    if oblique:
        turn = np.array([[1, 0, 0], [0, np.cos(oblique), -np.sin(oblique)], [0, np.sin(oblique), np.cos(oblique)]])
        affine[:3, :3] = turn @ affine[:3, :3]
    image = nib.Nifti1Image(hu.astype(np.int16), affine)
    wanted = nib.orientations.axcodes2ornt(orientation)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), wanted))
    nib.save(turned, file)
    return np.asarray(turned.dataobj, np.float64), turned.affine


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_map_lands_where_the_scan_is_in_all_48_orientations(tmp_path, orientation, dimensions):
    hu, affine = write_oriented(tmp_path / "scan.nii.gz", orientation, oblique=0.1)
    explained = explain_scan(tmp_path / "scan.nii.gz", network(dimensions), [IMAGE])
    write_nifti(map_of(explained, "image"), tmp_path / "map.nii.gz")
    back = nib.load(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(back.affine, affine, atol=1e-4)
    np.testing.assert_allclose(np.asarray(back.dataobj), windowed(hu), atol=1e-5)
    assert nib.aff2axcodes(back.affine) == nib.aff2axcodes(affine)


@pytest.mark.parametrize("write", ["series", "enhanced", "tilted", "upside down"])
def test_of_dicom_too(tmp_path, write):
    hu, place = files.body(), tmp_path / "scan"
    if write == "enhanced":
        place.mkdir()
        files.write_enhanced(place / "one.dcm", hu)
    elif write == "tilted":
        files.write_series(place, hu, step=(0.0, 0.6, 2.5))
    else:
        files.write_series(place, hu, step=(0.0, 0.0, -2.5 if write == "upside down" else 2.5))
    explained = explain_scan(place, network(), [IMAGE])
    np.testing.assert_allclose(map_of(explained, "image").values, windowed(explained.hu), atol=1e-5)
    assert map_of(explained, "image").explained.all()
    assert explained.slices == tuple(range(len(hu)))
    assert sorted(map(float, explained.hu.mean(axis=(1, 2)))) == pytest.approx(sorted(map(float, hu.mean(axis=(1, 2)))))


def test_what_is_cut_out_and_resampled_comes_back_at_its_place(tmp_path):
    """A map of world coordinates, of a network that sees a few of the scan's millimetres."""
    write_oriented(tmp_path / "scan.nii.gz", "LPS")
    found = explain_scan(tmp_path / "scan.nii.gz", network(size=(10, 12), spacing=(1.0, 1.0)), [IMAGE, ALONG])
    scan_map = map_of(found, "along")
    assert 0 < scan_map.explained.mean() < 0.9
    assert not scan_map.values[~scan_map.explained].any()
    places = np.argwhere(scan_map.explained)
    world = (scan_map.grid.affine @ np.c_[places, np.ones(len(places))].T)[:2]
    values = scan_map.values[scan_map.explained]
    inner = (values > values.min() + 1) & (values < values.max() - 1)  # beyond the outer pixel centres it is constant
    slope = np.polyfit(world[0][inner], values[inner], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.02)  # one pixel of 1 mm a millimetre to the left
    assert np.abs(np.polyval(np.polyfit(world[0], values, 1), world[0]) - values)[inner].max() < 0.5


ALONG = Baseline(
    "along", "Columns", lambda subject: np.broadcast_to(np.arange(subject.image.shape[-1]), tuple(subject.image.shape))
)


def test_slices_classes_and_words(tmp_path):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    given, scan = network(), tmp_path / "scan.nii.gz"
    explained = explain_scan(scan, given, [make_estimator("backpropagation"), IMAGE], slices="1,3-4")
    assert explained.slices == (1, 3, 4)
    upright = explained.grid.turn_upright(map_of(explained, "image").explained)
    assert [int(one) for one in np.flatnonzero(upright.any(axis=(1, 2)))] == [1, 3, 4]
    assert explained.probabilities.shape == (3, 2)
    assert explained.explained_class == int(explained.probabilities.mean(axis=0).argmax())
    assert "mean of 3 slices" in map_of(explained, "image").prediction
    assert explain_scan(scan, given, [IMAGE], slices="count=2", explained_class="with").explained_class == 1
    assert explain_scan(scan, given, [IMAGE], slices="2", explained_class="0").explained_class == 0
    other = explain_scan(scan, given, [make_estimator("backpropagation")], slices="2", explained_class="0")
    same = explain_scan(scan, given, [make_estimator("backpropagation")], slices="1-2", explained_class="0")
    chosen = map_of(other, "backpropagation").explained
    one, beside = (map_of(found, "backpropagation").values[chosen] for found in (other, same))
    np.testing.assert_allclose(one, beside, rtol=1e-4, atol=1e-8)  # the company of other slices does not show


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"slices": "9"}, "has 6, 0 .next to the feet. to 5"),
        ({"slices": "some"}, "expected all"),
        ({"slices": "largest-mask=1"}, "no mask"),
        ({"slices": "3-"}, "expected all"),
        ({"explained_class": "maybe"}, "expected one of without, with"),
    ],
)
def test_what_there_is_not_is_refused(tmp_path, options, words):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    with pytest.raises(SettingsError, match=words):
        explain_scan(tmp_path / "scan.nii.gz", network(), [IMAGE], **options)


def test_slices_that_show_nothing_are_left_out_and_told(tmp_path):
    hu = files.body().astype(np.float64)
    hu[2] = -1000
    files.write_volume(tmp_path / "scan.nii.gz", hu)
    explained = explain_scan(tmp_path / "scan.nii.gz", network(), [IMAGE])
    assert explained.slices == (0, 1, 3, 4, 5)
    assert "one grey" in explained.left_out["scan.nii.gz slice 2"]
    assert not map_of(explained, "image").explained[2].any()
    files.write_volume(tmp_path / "air.nii.gz", np.full(hu.shape, -1000.0))
    with pytest.raises(CaseError, match="one grey"):
        explain_scan(tmp_path / "air.nii.gz", network(), [IMAGE])


def test_an_estimator_that_fails_costs_its_own_map_alone(tmp_path):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    estimators = [make_estimator("expected-gradients"), make_estimator("backpropagation")]
    explained = explain_scan(tmp_path / "scan.nii.gz", network(), estimators, slices="1")
    assert set(explained.maps) == {"backpropagation"}
    assert "training images" in explained.left_out["expected-gradients"]
    with pytest.raises(NetworkError, match="no estimator has a map"):
        explain_scan(tmp_path / "scan.nii.gz", network(), estimators[:1], slices="1")


def test_of_two_estimators_of_one_name_the_one_that_works_keeps_its_map(tmp_path):
    """One fails behind the first images that are in memory together; from there on its name is the other's alone."""
    files.write_volume(tmp_path / "scan.nii.gz", volume((AT_A_TIME + 4, 20, 24)))
    seen = []

    def breaking(subject):
        seen.append(len(subject.grey))
        if sum(seen) > AT_A_TIME:
            raise MapError("no more")
        return 5 * subject.grey

    both = [IMAGE, Baseline("image", "Five times the image", breaking)]
    assert spelled(both[0]) != spelled(both[1])
    explained = explain_scan(tmp_path / "scan.nii.gz", network(), both)
    alone = explain_scan(tmp_path / "scan.nii.gz", network(), IMAGE)
    assert set(explained.maps) == {spelled(IMAGE)}
    np.testing.assert_array_equal(explained.maps[spelled(IMAGE)].values, map_of(alone, "image").values)
    assert "no more" in explained.left_out[spelled(both[1])]


def test_the_top_of_a_map_takes_no_part_of_what_is_equal():
    explained = explain_scan_of(np.array([[3.0, 2.0, 2.0, 1.0]]))
    assert explained.top(0.25).tolist() == [[[True, False, False, False]]]
    assert explained.top(0.5).tolist() == [[[True, False, False, False]]]
    assert explained.top(0.75).tolist() == [[[True, True, True, False]]]
    assert not explain_scan_of(np.zeros((1, 4))).top(0.5).any()
    assert explain_scan_of(np.array([[-4.0, 2.0]])).shown.tolist() == [[[1.0, 0.5]]]
    assert not explain_scan_of(np.zeros((1, 4))).shown.any()


def explain_scan_of(plane):
    from tomolens.cases.geometry import Grid
    from tomolens.export.scan_map import ScanMap

    values = plane[None].astype(np.float32)
    return ScanMap(values, Grid(values.shape, np.eye(4)), np.ones(values.shape, bool), "one", "One", "with", "with")


def test_region_maps_are_those_of_the_slices(tmp_path):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    explained = explain_scan(tmp_path / "scan.nii.gz", network(), [IMAGE], slices="2", regions=True)
    (found,) = explained.regions.values()
    image = windowed(explained.grid.turn_upright(explained.hu)[2])[None].astype(np.float32)
    expected = xrai(image, image[0])
    np.testing.assert_allclose(explained.grid.turn_upright(found.values)[2], expected, atol=1e-5)
    assert "XRAI" in found.title


def test_region_maps_of_a_volume_are_of_all_of_it(tmp_path):
    write_oriented(tmp_path / "scan.nii.gz", "RAS")
    explained = explain_scan(tmp_path / "scan.nii.gz", network(3), [IMAGE], regions=True)
    (found,), (importance,) = explained.regions.values(), explained.maps.values()
    image = windowed(explained.grid.turn_upright(explained.hu)).astype(np.float32)
    seen = explained.grid.turn_upright(importance.values)
    expected = xrai(image[None], np.abs(seen), spacing=explained.grid.upright().spacing)
    np.testing.assert_allclose(explained.grid.turn_upright(found.values), expected, atol=1e-5)


@pytest.mark.parametrize("scan", ["chest_ct.nii.gz", "torso_ct.nii.gz"])
def test_real_volumes_are_explained_whole_and_come_back_to_their_place(real_ct, tmp_path, scan):
    """From the file to a network of volumes, out as NIfTI, and read again by nibabel."""
    place = real_ct / "totalsegmentator" / scan
    explained = explain_scan(place, network(dimensions=3), [IMAGE, "backpropagation"])
    assert explained.slices == ()
    assert np.abs(map_of(explained, "backpropagation").values).max() > 0
    write_nifti(map_of(explained, "image"), tmp_path / "map.nii.gz")
    back, source = nib.load(tmp_path / "map.nii.gz"), nib.load(place)
    np.testing.assert_allclose(back.affine, source.affine, atol=1e-4)
    np.testing.assert_allclose(np.asarray(back.dataobj), windowed(source.get_fdata()), atol=1e-4)


def test_a_real_volume_comes_back_to_the_slices_of_its_series(real_ct, tmp_path):
    """The same by DICOM: every frame is at the place of the slice whose pixels it has."""
    hu = np.moveaxis(nib.load(real_ct / "totalsegmentator" / "chest_ct.nii.gz").get_fdata(), -1, 0)[40:60]
    files.write_series(tmp_path / "scan", hu.round().astype(np.int16), step=(0.0, 0.0, 1.5))
    explained = explain_scan(tmp_path / "scan", network(dimensions=3), [IMAGE])
    made = map_of(explained, "image")
    write_parametric_map(made, find_sources(tmp_path / "scan", made), tmp_path / "map.dcm")
    written, slices = pydicom.dcmread(tmp_path / "map.dcm"), list(map(pydicom.dcmread, (tmp_path / "scan").iterdir()))
    frames = np.frombuffer(written.FloatPixelData, "<f4").reshape(len(hu), written.Rows, written.Columns)
    assert written.FrameOfReferenceUID == slices[0].FrameOfReferenceUID
    for frame, functional in zip(frames, written.PerFrameFunctionalGroupsSequence, strict=True):
        position = functional.PlanePositionSequence[0].ImagePositionPatient
        (own,) = [one for one in slices if np.allclose(one.ImagePositionPatient, position)]
        stored = own.pixel_array * float(own.RescaleSlope) + float(own.RescaleIntercept)
        np.testing.assert_allclose(frame, windowed(stored), atol=1e-5)
