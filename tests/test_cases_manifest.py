import csv
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from ct_files import write_slice
from tomolens.cases import Preprocessing, from_manifest
from tomolens.errors import CaseError


def write_dicom(path, hu, modality="CT", slope=2.0, intercept=-1024.0):
    write_slice(path, hu, slope=slope, intercept=intercept, Modality=modality)


def write_nifti(path, array):
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def write_manifest(folder, rows, columns=("case", "image", "label", "patient", "mask")):
    path = folder / "cases.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


@pytest.fixture
def hu():
    return np.round(np.random.default_rng(0).uniform(-500, 500, (32, 32)) / 2) * 2


def test_dicom_and_nifti_give_the_same_case(tmp_path, hu):
    write_dicom(tmp_path / "a.dcm", hu)
    write_nifti(tmp_path / "b.nii.gz", hu[None].astype(np.int16))
    cases = from_manifest(
        write_manifest(tmp_path, [("a", "a.dcm", 1, "p", ""), ("b", "b.nii.gz", "without contrast", "q", "")]),
        Preprocessing(size=32),
    )
    first, second = cases[0], cases[1]
    assert first.image.shape == (1, 32, 32)
    np.testing.assert_allclose(first.image[0], np.clip((hu + 160) / 400, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(first.image, second.image)
    assert cases.labels.tolist() == [1, 0]
    assert first.fingerprint == second.fingerprint


def test_masks_are_the_labels_above_zero(tmp_path, hu):
    write_dicom(tmp_path / "a.dcm", hu)
    labels = np.zeros((32, 32), np.uint8)
    labels[4:8, 10:20] = 3
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "a.png"))
    cases = from_manifest(write_manifest(tmp_path, [("a", "a.dcm", 1, "p", "a.png")]), Preprocessing(size=16))
    assert cases[0].mask.dtype == bool
    np.testing.assert_array_equal(cases[0].mask, (labels > 0)[1::2, 1::2])


BAD = {
    "missing file": ([("a", "none.dcm", 1, "p", "")], r"none\.dcm: no such file"),
    "label outside": ([("a", "a.dcm", 2, "p", "")], r"line 2: label '2' is outside the classes 0 \(without contrast\)"),
    "no patient": ([("a", "a.dcm", 1, "", "")], "line 2: no value for patient"),
    "twice": ([("a", "a.dcm", 1, "p", ""), ("a", "a.dcm", 1, "p", "")], "case a is listed twice"),
    "unreadable DICOM": ([("a", "broken.dcm", 1, "p", "")], r"case a: .*broken\.dcm: not a DICOM file"),
    "truncated DICOM": ([("a", "short.dcm", 1, "p", "")], r"case a: .*short\.dcm: unreadable DICOM"),
    "MR": ([("a", "mr.dcm", 1, "p", "")], r"mr\.dcm: modality is MR, expected CT"),
    "other grid": ([("a", "a.dcm", 1, "p", "small.png")], r"mask of \(8, 8\) pixels on an image of \(32, 32\)"),
    "volume": ([("a", "volume.nii", 1, "p", "")], r"volume\.nii: a volume of 3 slices: name one in the column slice"),
    "NaN": ([("a", "nan.nii", 1, "p", "")], r"nan\.nii: 1 of 1024 pixels are not finite"),
    "format": ([("a", "a.txt", 1, "p", "")], r"unknown image format '\.txt'"),
    "broken NIfTI": ([("a", "broken.nii", 1, "p", "")], r"broken\.nii: unreadable NIfTI"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_names_case_and_file(tmp_path, hu, fault):
    write_dicom(tmp_path / "a.dcm", hu)
    write_dicom(tmp_path / "mr.dcm", hu, modality="MR")
    (tmp_path / "short.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:-500])
    (tmp_path / "broken.dcm").write_bytes(b"this is no image" * 50)
    shutil.copy(tmp_path / "broken.dcm", tmp_path / "broken.nii")
    (tmp_path / "a.txt").write_text("x")
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((8, 8), np.uint8)), str(tmp_path / "small.png"))
    write_nifti(tmp_path / "volume.nii", np.zeros((3, 32, 32), np.int16))
    with_nan = hu.astype(np.float32)
    with_nan[3, 4] = np.nan
    write_nifti(tmp_path / "nan.nii", with_nan[None])
    rows, message = BAD[fault]
    with pytest.raises(CaseError, match=message):
        list(from_manifest(write_manifest(tmp_path, rows), Preprocessing(size=16)))


def test_missing_column_and_empty_manifest(tmp_path):
    with pytest.raises(CaseError, match="no column patient"):
        from_manifest(write_manifest(tmp_path, [], columns=("case", "image", "label")))
    with pytest.raises(CaseError, match="no cases"):
        from_manifest(write_manifest(tmp_path, []))


def test_cases_are_lazy(tmp_path, hu):
    write_dicom(tmp_path / "a.dcm", hu)
    cases = from_manifest(write_manifest(tmp_path, [("a", "a.dcm", 1, "p", "")]))
    (tmp_path / "a.dcm").unlink()
    assert cases.names == ("a",)
    with pytest.raises(CaseError, match="no such file"):
        cases[0]


TABLE = "case,image,label,patient,position\nä 1,a.dcm,1,p,2.5\nb,a.dcm,0,q,\n"


@pytest.mark.parametrize(
    "change", ["semicolons", "tabs", "capitals", "byte order mark", "spaces", "CRLF", "1.0", "True"]
)
def test_tables_as_programs_write_them_are_read(tmp_path, hu, change):
    write_dicom(tmp_path / "a.dcm", hu)
    text, encoding = TABLE, "utf-8"
    if change in ("semicolons", "tabs"):
        text = text.replace(",", {"semicolons": ";", "tabs": "\t"}[change])
    elif change == "capitals":
        text = text.replace("case,image,label", "Case,IMAGE,Label")
    elif change == "byte order mark":
        encoding = "utf-8-sig"
    elif change == "spaces":
        text = text.replace("case,image,label", " case , image , label ")
    elif change == "CRLF":
        text = text.replace("\n", "\r\n")
    elif change == "1.0":
        text = text.replace(",1,p", ",1.0,p").replace(",0,q", ",0.0,q")
    else:
        text = text.replace(",1,p", ",True,p").replace(",0,q", ",False,q")
    (tmp_path / "cases.csv").write_bytes(text.encode(encoding))
    cases = from_manifest(tmp_path / "cases.csv", keep_patients=True)
    assert cases.names == ("ä 1", "b")
    assert cases.labels.tolist() == [1, 0]
    assert cases.patients == ("p", "q")
    assert cases.entries[0].position == 2.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TABLE.encode("utf-16"), r"cases\.csv: not a CSV text file \(it is UTF-16: save it as CSV UTF-8\)"),
        (TABLE.encode("latin-1"), "line 2 is not UTF-8, perhaps Latin-1: save it as CSV UTF-8"),
        (
            TABLE.replace(",", ":").encode(),
            "no column case, image, label, patient; .* there are case:image",
        ),
        (TABLE.replace(",position", ",label").encode(), "two columns label; one must go"),
        (TABLE.replace(",position", ",LABEL ").encode(), "two columns label; one must go"),
        (TABLE.replace("p,2.5", "p,2.5,7").encode(), "line 2: 6 values, the first line names 5"),
        (TABLE.replace("2.5", "nan").encode(), "line 2: position 'nan', expected mm"),
        (TABLE.replace("2.5", "inf").encode(), "line 2: position 'inf', expected mm"),
        (TABLE.replace("ä 1", "a\x00b").encode(), "line 2: case .* holds a line break or control character|NUL"),
        (TABLE.replace("ä 1", '"a\nb"').encode(), "line 3: case .* holds a line break or control character"),
        (TABLE.replace("ä 1", "a\x1b[2J").encode(), "line 2: case .* holds a line break or control character"),
        (TABLE.replace("a.dcm", "a" * 300 + ".dcm").encode(), r"a{50}.*: File name too long \(case ä 1 of"),
        (TABLE.replace(",1,p", ",1.5,p").encode(), "label '1.5' is outside the classes"),
        (TABLE.replace(",1,p", ",-1,p").encode(), "label '-1' is outside the classes"),
        (TABLE.replace("b,", "a\u0308 1,").encode(), "case ä 1 is listed twice"),
    ],
)
def test_tables_that_could_mislead_are_refused_in_one_line(tmp_path, hu, content, message):
    write_dicom(tmp_path / "a.dcm", hu)
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(CaseError, match=message) as caught:
        from_manifest(tmp_path / "cases.csv")
    assert "\n" not in str(caught.value)


def test_a_patient_in_two_unicode_forms_is_one_patient(tmp_path, hu):
    write_dicom(tmp_path / "a.dcm", hu)
    (tmp_path / "cases.csv").write_text("case,image,label,patient\n1,a.dcm,1,Andr\u00e9\n2,a.dcm,0,Andre\u0301\n")
    assert len(set(from_manifest(tmp_path / "cases.csv").patients)) == 1


def test_a_label_that_is_one_class_by_name_and_another_by_index_is_refused(tmp_path, hu):
    write_dicom(tmp_path / "a.dcm", hu)
    path = write_manifest(tmp_path, [("a", "a.dcm", 1, "p", "")])
    with pytest.raises(CaseError, match="label '1' is the name of class 0 and the index of class 1"):
        from_manifest(path, classes=("1", "0"))
    assert from_manifest(path, classes=("0", "1")).labels.tolist() == [1]
