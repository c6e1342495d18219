"""The structures of a case: from files of every kind and from arrays, onto the pixels that the network sees."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from ct_files import body, write_segmentation, write_series, write_slice, write_volume
from tomolens.cases import Cases, MaskChoice, Preprocessing, from_manifest, phantom
from tomolens.cases.manifest import write_manifest
from tomolens.cases.masks import read_anatomy
from tomolens.cases.masks.structures import OVERLAP
from tomolens.cases.stored import read_source
from tomolens.cases.tissue import tissue_of
from tomolens.errors import CaseError

NAMES = {"aorta": 1, "heart": 2, "lung": 7}


@pytest.fixture
def series(tmp_path):
    paths = write_series(tmp_path / "series", body(6, 64, 80))
    return paths, read_source(tmp_path / "series")


def label_map(volume):
    labels = np.zeros(volume.hu.shape, np.uint8)
    labels[:, 5:20, 5:20], labels[:, 30:40, 5:20], labels[:, 50:60, 50:60] = 1, 2, 7
    return labels


def as_labels(anatomy, names):
    """The labels that the structures have in a label map with these names."""
    numbers = np.array([0, *(names[name] for name in names)])
    return numbers[anatomy.numbered(list(names))]


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_label_map_is_named_by_the_study_or_by_its_labels(tmp_path, series, ending):
    paths, volume = series
    labels = label_map(volume)
    path = write_volume(tmp_path / f"labels.{ending}", labels)
    named, notes = read_anatomy([path], volume, MaskChoice(numbers=NAMES))
    assert (named.names, notes) == (NAMES, ())
    np.testing.assert_array_equal(named.labels, labels)
    plain, _ = read_anatomy([path], volume, MaskChoice())
    assert plain.names == {"label 1": 1, "label 2": 2, "label 7": 7}
    chosen, _ = read_anatomy([path], volume, MaskChoice(("Heart", "7"), {"heart": 2}))
    assert chosen.names == {"heart": 2, "label 7": 7}
    np.testing.assert_array_equal(chosen.labels, np.where(labels == 1, 0, labels))
    some, _ = read_anatomy([path], volume, MaskChoice(numbers={"aorta": 1, "spleen": 9}))
    assert some.present == ("aorta",)
    np.testing.assert_array_equal(some.labels, labels == 1)
    one, _ = read_anatomy([path], read_source(paths[2]), MaskChoice(numbers=NAMES))
    np.testing.assert_array_equal(one.labels, labels[2:3])


def test_names_of_a_file_and_those_of_the_study_before_them(tmp_path, series):
    _, volume = series
    image = sitk.GetImageFromArray(label_map(volume))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, -20, 100))
    for number, (name, label) in enumerate({"Segment_1": 1, "heart": 2}.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(label))
    sitk.WriteImage(image, str(tmp_path / "map.seg.nrrd"))
    found, _ = read_anatomy([tmp_path / "map.seg.nrrd"], volume, MaskChoice(numbers={"aorta": 1}))
    assert found.names == {"heart": 2, "aorta": 1}


def test_structures_of_a_folder_of_several_files_and_of_a_segmentation(tmp_path, series):
    paths, volume = series
    labels = label_map(volume)
    for name, label in NAMES.items():
        write_volume(tmp_path / "parts" / f"{name}.nii.gz", (labels == label).astype(np.uint8))
    files = [tmp_path / "parts" / f"{name}.nii.gz" for name in NAMES]
    segments = write_segmentation(tmp_path / "seg.dcm", paths, {name: labels == label for name, label in NAMES.items()})
    for given in ([tmp_path / "parts"], files, [segments]):
        found, notes = read_anatomy(given, volume, MaskChoice())
        np.testing.assert_array_equal(as_labels(found, NAMES), labels)
        assert not notes
    heart, _ = read_anatomy([tmp_path / "parts"], volume, MaskChoice(("heart",)))
    assert heart.present == ("heart",)


def test_of_structures_that_overlap_the_smaller_lies_over_the_larger(tmp_path, series):
    _, volume = series
    large, small = np.zeros((2, *volume.hu.shape), np.uint8)
    large[:, 5:40, 5:40], small[:, 10:20, 10:20] = 1, 1
    for order in (("a", "b"), ("b", "a")):
        folder = tmp_path / "".join(order)
        for name, values in zip(order, (large, small), strict=True):
            write_volume(folder / f"{name}.nii.gz", values)
        found, notes = read_anatomy([folder], volume, MaskChoice())
        assert notes == (OVERLAP,)
        wanted = np.where(small > 0, 2, large)
        np.testing.assert_array_equal(found.numbered(order), wanted)


def test_another_grid_is_refused_or_resampled_to_the_nearest_voxel(tmp_path, series):
    _, volume = series
    labels = label_map(volume)
    fine = np.repeat(np.repeat(labels, 2, 1), 2, 2)
    path = write_volume(tmp_path / "fine.nii.gz", fine, spacing=(0.35, 0.4, 2.5), origin=(-10.175, -20.2, 100))
    with pytest.raises(CaseError, match=r"fine\.nii\.gz: the anatomy lies on another grid: 6 x 128 x 160 voxels"):
        read_anatomy([path], volume, MaskChoice(numbers=NAMES))
    found, _ = read_anatomy([path], volume, MaskChoice(numbers=NAMES, resample=True))
    np.testing.assert_array_equal(found.labels, labels)


def write_cases(folder, **columns):
    """A CSV of two slices, one with an anatomy."""
    folder.mkdir(exist_ok=True)
    for name in "ab":
        write_slice(folder / f"{name}.dcm", body(1, 48, 48)[0])
    rows = [{"case": name, "image": f"{name}.dcm", "label": label, "patient": name} for label, name in enumerate("ab")]
    rows[0] |= columns
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "cases.csv"


def png(path, labels):
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))


def test_a_manifest_brings_structures_onto_the_pixels_of_the_network(tmp_path):
    table = write_cases(tmp_path, anatomy="a.png")
    labels = np.zeros((48, 48), np.uint8)
    labels[8:24, 8:40], labels[30:40, 10:20] = 1, 2
    png(tmp_path / "a.png", labels)
    found = from_manifest(table, Preprocessing(24), anatomy=MaskChoice(numbers={"aorta": 1, "heart": 2}))
    np.testing.assert_array_equal(found[0].anatomy.labels, labels[1::2, 1::2])
    assert found[1].anatomy is None
    padded = from_manifest(table, Preprocessing(64, spacing=(0.8, 0.7)), anatomy=MaskChoice(numbers={"aorta": 1}))
    assert padded[0].anatomy.labels.shape == (64, 64)
    np.testing.assert_array_equal(padded[0].anatomy.labels[8:56, 8:56], labels == 1)
    write_manifest(found.entries, tmp_path / "again.csv")
    assert from_manifest(tmp_path / "again.csv").entries[0].anatomy == found.entries[0].anatomy


def test_tissue_is_told_before_the_window_cuts_it_off(tmp_path):
    hu = np.full((48, 48), -1000.0)
    hu[8:40, 8:40] = 40.0
    hu[12:20, 12:20], hu[24:32, 12:20] = 700.0, -800.0  # both beyond the window
    write_slice(tmp_path / "a.dcm", hu)
    write_slice(tmp_path / "b.dcm", hu)
    (tmp_path / "c.csv").write_text("case,image,label,patient\na,a.dcm,0,a\nb,b.dcm,1,b\n")
    case = from_manifest(tmp_path / "c.csv", Preprocessing(48))[0]
    np.testing.assert_array_equal(case.tissue, tissue_of(hu))
    assert case.tissue.dtype == np.uint8
    np.testing.assert_array_equal(
        case.tissue, from_manifest(tmp_path / "c.csv", Preprocessing(48, (-1000, 400)))[0].tissue
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda path: png(path, np.ones((20, 20), np.uint8)),
            r"anatomy of \(20, 20\) pixels on an image of \(48, 48\)",
        ),
        (lambda path: path.write_bytes(b"nothing of the kind"), "a.png"),
        (lambda path: png(path, np.full((48, 48), 3, np.uint8)), "no structure named liver: it holds 3; cases.anatomy"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_case(tmp_path, damage, words):
    table = write_cases(tmp_path, anatomy="a.png")
    damage(tmp_path / "a.png")
    with pytest.raises(CaseError, match=rf"case a: .*a\.png.*{words}" if "a.png" not in words else r"case a: .*a\.png"):
        _ = from_manifest(table, anatomy=MaskChoice(("liver",)))[0]


def test_a_file_that_is_missing_is_told_with_its_case_before_anything_is_read(tmp_path):
    with pytest.raises(CaseError, match=r"a\.png: no such file \(case a of "):
        from_manifest(write_cases(tmp_path, anatomy="a.png"))


@pytest.mark.parametrize("spatial", [(6, 8), (4, 6, 8)])
def test_arrays_have_label_maps_too(spatial):
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (2, *spatial))
    images = random.random((2, 1, *spatial)).astype(np.float32)
    for given in (labels, labels[:, None].astype(float), list(labels.astype(np.uint8))):
        cases = Cases.from_arrays(images, [0, 1], anatomy=given)
        np.testing.assert_array_equal(cases[1].anatomy.labels, labels[1])
        assert cases[1].anatomy.names == {"label 1": 1, "label 2": 2}
    named = Cases.from_arrays(images, [0, 1], anatomy=labels, anatomy_names={"heart": 2})[0].anatomy
    np.testing.assert_array_equal(named.numbered(["heart"]), labels[0] == 2)
    for wrong, words in (
        ({"anatomy": labels[:, :3]}, "case case-0001: anatomy of shape"),
        ({"anatomy": labels - 1}, "case case-0001: its anatomy with the value .* is no label map"),
        ({"anatomy": labels + 0.5}, "case case-0001: its anatomy with the value .* is no label map"),
        ({"anatomy": labels[:1]}, "for 2 images, expected one label map an image"),
        ({"anatomy": labels, "anatomy_names": {"heart": 0}}, "heart = 0, expected a whole number from 1 on"),
        ({"anatomy_names": {"heart": 1}}, "anatomy_names without anatomy"),
    ):
        with pytest.raises(CaseError, match=words):
            Cases.from_arrays(images, [0, 1], **wrong)


def test_a_phantom_knows_its_structures():
    for case in phantom.cases(6, seed=3, preprocessing=Preprocessing(128)):
        found = case.anatomy
        assert {"chest wall", "lungs", "lung vessels", "mediastinum", "bones", "great vessels"} <= set(found.present)
        hu = -160 + 400 * case.image[0]
        of = {name: hu[found.labels == label] for name, label in found.names.items()}
        assert np.median(of["lungs"]) == pytest.approx(-160, abs=5)
        assert np.median(of["bones"]) > 120
        assert np.median(hu[found.labels == 0]) == pytest.approx(-160, abs=5)
        blood = case.mask & ~np.isin(
            found.labels, [found.names[name] for name in ("great vessels", "heart", "lung vessels")]
        )
        assert blood.sum() < 0.06 * case.mask.sum()
        assert (case.tissue[found.labels == found.names["lungs"]] <= 2).mean() > 0.9
