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
