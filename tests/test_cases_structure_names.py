"""Labels and names of structures that would be lost or taken for one another: one structure by union, or refused."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from ct_files import body, write_segmentation, write_series, write_volume
from tomolens.cases import Cases, MaskChoice
from tomolens.cases.files import FileReader
from tomolens.cases.masks import read_anatomy, read_mask
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError, SettingsError
from tomolens.study.settings import settings_from

IMAGES = np.random.default_rng(0).random((2, 1, 8, 8)).astype(np.float32)
LABELS = np.repeat(np.arange(8)[None] // 3, 8, 0)[None].repeat(2, 0)
SHAPE = (4, 64, 80)
LARGEST_LABEL = 16777215


@pytest.fixture
def volume(tmp_path):
    write_series(tmp_path / "series", body(4, 64, 80))
    return read_source(tmp_path / "series")


def two_labels(first=1, second=2, kind=np.uint8):
    labels = np.zeros(SHAPE, kind)
    labels[:, 5:20, 5:20], labels[:, 30:40, 5:20] = first, second
    return labels


def named(path, names):
    path.with_name(path.name + ".json").write_text(json.dumps({"labels": names}))
    return path


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (float, np.inf, "inf"),
        (float, np.nan, "nan"),
        (float, 1e19, "1e\\+19"),
        (np.float32, 1e30, "1.0.*e\\+30"),
        (np.float16, np.inf, "inf"),
        (np.uint64, 2**63 + 5, "9223372036854775813"),
        (np.int64, -1, "-1"),
        (np.int8, -128, "-128"),
        (complex, 1j, "complex128"),
        (str, "x", "<U"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_labels_of_arrays_that_are_no_labels_are_refused_with_case_and_value(kind, value, words):
    labels = LABELS.astype(kind)
    labels[1, 0, 0] = value
    where = "case-0001" if kind in (complex, str) else "case-0002"
    with pytest.raises(CaseError, match=f"case {where}: its anatomy .*{words}.* is no label map"):
        Cases.from_arrays(IMAGES, [0, 1], anatomy=labels)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.uint64, np.float16, np.float64])
@pytest.mark.filterwarnings("error")
def test_labels_of_arrays_of_every_kind_of_whole_number(kind):
    labels = LABELS.astype(kind)
    found = Cases.from_arrays(IMAGES, [0, 1], anatomy=labels)[1].anatomy
    np.testing.assert_array_equal(found.labels, labels[1].astype(int))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"a": None}, "a = None, expected a whole number"),
        ({"a": float("nan")}, "a = nan, expected a whole number"),
        ({"a": float("inf")}, "a = inf, expected a whole number"),
        ({"a": "1"}, "a = '1', expected a whole number"),
        ({"a": 1.5}, "a = 1.5, expected a whole number"),
        ({"a": True}, "a = True, expected a whole number"),
        (["a", "b"], "list, expected a mapping from each name"),
        ({None: 1}, "name 'None' of label 1, expected printable text"),
        ({"a\n": 1}, "of label 1, expected printable text"),
        ({"lung": 1, "organ": 1}, "'lung' and 'organ' are both label 1"),
        ({"Rest of the body": 1}, "is that of a part which is no structure"),
        ({"outside the body": 1}, "is that of a part which is no structure"),
        ({"other structures": 1}, "is that of a part which is no structure"),
        ({"label 2": 1}, "label 1 cannot be called 'label 2'"),
    ],
)
def test_names_that_cannot_be_are_refused_of_arrays_and_of_files(names, words):
    with pytest.raises(CaseError, match=f"anatomy_names: .*{words}"):
        Cases.from_arrays(IMAGES, [0, 1], anatomy=LABELS, anatomy_names=names)
    with pytest.raises(CaseError, match=f"anatomy_names: .*{words}"):
        FileReader(structures=MaskChoice(numbers=names))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"lung": 1, "organ": 1}, "'lung' and 'organ' are both label 1"),
        ({"rest of the body": 1}, "is that of a part which is no structure"),
        ({"lung": LARGEST_LABEL + 1}, "less than or equal to 16777215"),
    ],
)
def test_names_that_cannot_be_are_refused_of_a_study_file(names, words):
    with pytest.raises(SettingsError, match=words):
        settings_from({"name": "a", "cases": {"anatomy_names": names}}, "a test")


@pytest.mark.parametrize(
    ("kind", "label", "ending"),
    [
        (np.uint32, 2**24, "nii.gz"),
        (np.uint32, 2**24 + 1, "nrrd"),
        (np.float32, 1e30, "nii.gz"),
        (np.float64, 1e30, "mha"),
    ],
)
def test_labels_that_float32_cannot_tell_apart_are_refused_with_file_and_label(tmp_path, volume, kind, label, ending):
    path = write_volume(tmp_path / f"large.{ending}", two_labels(5, label, kind))
    for read in (read_anatomy, read_mask):
        with pytest.raises(CaseError, match=rf"large\.{ending}: label [0-9]+, expected at most 16777215"):
            read([path], volume, MaskChoice(numbers={"lung": 5}))
    path = write_volume(tmp_path / "most.nii.gz", two_labels(LARGEST_LABEL - 1, LARGEST_LABEL, np.uint32))
    found, _ = read_anatomy([path], volume, MaskChoice())
    np.testing.assert_array_equal(found.labels, two_labels(LARGEST_LABEL - 1, LARGEST_LABEL, np.int64))


def test_labels_of_one_name_are_one_structure(tmp_path, volume):
    path = named(write_volume(tmp_path / "map.nii.gz", two_labels()), {"1": "organ", "2": "organ", "900": "organ"})
    found, notes = read_anatomy([path], volume, MaskChoice())
    assert (found.names, notes) == ({"organ": 1}, ())
    np.testing.assert_array_equal(found.labels, two_labels() > 0)
    for choice in (MaskChoice(("organ",)), MaskChoice(("1", "2"))):
        np.testing.assert_array_equal(read_mask([path], volume, choice), two_labels() > 0)
    one, _ = read_anatomy([path], volume, MaskChoice(("2",)))
    np.testing.assert_array_equal(one.numbered(["label 2"]), two_labels() == 2)


def test_a_name_that_study_and_file_give_to_different_labels_is_refused(tmp_path, volume):
    path = named(write_volume(tmp_path / "map.nii.gz", two_labels()), {"1": "lung", "2": "heart"})
    with pytest.raises(
        CaseError, match=r"map\.nii\.gz: it calls label 2 'heart', which is label 3 in cases\.anatomy_n"
    ):
        read_anatomy([path], volume, MaskChoice(numbers={"heart": 3}))
    for numbers in ({"heart": 2}, {"left lung": 1}, {"heart": 3, "ventricle": 2}):
        found, _ = read_anatomy([path], volume, MaskChoice(numbers=numbers))
        np.testing.assert_array_equal(found.numbered(found.present) > 0, two_labels() > 0)


def test_two_names_of_one_label_in_a_file_are_refused(tmp_path, volume):
    path = named(write_volume(tmp_path / "map.nii.gz", two_labels()), {"1": "lung", "01": "heart"})
    for read in (read_anatomy, read_mask):
        with pytest.raises(CaseError, match="label 1 is called 'lung' and 'heart', expected one name"):
            read([path], volume, MaskChoice(("lung",)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rest of the body", "of label 2 is that of a part which is no structure"),
        ("Outside the Body", "of label 2 is that of a part which is no structure"),
        ("other structures", "of label 2 is that of a part which is no structure"),
        ("a\x07b", "of label 2, expected printable text"),
        ("  ", "of label 2, expected printable text"),
        ("label 1", "label 2 cannot be called 'label 1'"),
    ],
)
def test_names_that_cannot_be_are_refused_with_file_and_label(tmp_path, volume, name, words):
    path = named(write_volume(tmp_path / "map.nii.gz", two_labels()), {"1": "lung", "2": name})
    with pytest.raises(CaseError, match=rf"map\.nii\.gz: .*{words}"):
        read_anatomy([path], volume, MaskChoice())
    for choice in (MaskChoice(("lung",)), MaskChoice(numbers={"heart": 2})):  # left out, or called otherwise
        assert "lung" in read_anatomy([path], volume, choice)[0].present


def test_structures_called_as_their_file_or_segment_have_names_of_structures_too(tmp_path, volume):
    write_volume(tmp_path / "parts" / "outside the body.nii.gz", two_labels())
    series = sorted((tmp_path / "series").iterdir())
    segments = write_segmentation(tmp_path / "seg.dcm", series, {"rest of the body": two_labels() == 1})
    for path in (tmp_path / "parts", segments):
        with pytest.raises(CaseError, match="is that of a part which is no structure"):
            read_anatomy([path], volume, MaskChoice())


def test_labels_of_slicer_segments_are_whole_numbers(tmp_path, volume):
    image = sitk.GetImageFromArray(two_labels())
    image.SetMetaData("Segment0_Name", "lung")
    image.SetMetaData("Segment0_LabelValue", "one")
    sitk.WriteImage(image, str(tmp_path / "map.seg.nrrd"))
    with pytest.raises(CaseError, match="a segment's label is no whole number"):
        read_anatomy([tmp_path / "map.seg.nrrd"], volume, MaskChoice())
