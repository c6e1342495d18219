"""Volumes in one file, checked against SimpleITK and nibabel; damaged ones are refused in one line."""

import gzip
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from ct_files import body, write_volume
from tomolens.cases.formats import read_grid, read_volume
from tomolens.cases.pseudonyms import pseudonym
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError

ENDINGS = ("nii", "nii.gz", "nrrd", "mha", "mhd")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def direction(angle=0.2):
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return (turn @ np.diag([1, -1, 1])).ravel().tolist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_oblique_volumes_equal_simpleitk(tmp_path, ending):
    path = write_volume(tmp_path / f"a.{ending}", body(), direction=direction(), packed=ending != "mhd")
    image = sitk.ReadImage(str(path))
    volume = read_source(path)
    np.testing.assert_array_equal(volume.hu, sitk.GetArrayFromImage(image))
    for place in [(0, 0, 0), (5, 19, 23), (2, 7, 11)]:
        there = volume.grid.affine @ [*place, 1]
        np.testing.assert_allclose(there[:3], image.TransformIndexToPhysicalPoint(place[::-1]), atol=1e-4)
    np.testing.assert_array_equal(read_grid(path).affine, volume.grid.affine)


def test_nifti_equals_nibabel_in_any_orientation(tmp_path):
    hu = body()
    for codes in ("LPS", "RAS", "SAR", "PIL"):
        stored = nibabel.Nifti1Image(hu.transpose(2, 1, 0), LPS_TO_RAS @ np.diag([0.7, 0.8, 2.5, 1]))
        turn = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(stored.affine), nibabel.orientations.axcodes2ornt(codes)
        )
        nibabel.save(stored.as_reoriented(turn), tmp_path / "a.nii.gz")
        upright = read_source(tmp_path / "a.nii.gz").upright()
        np.testing.assert_array_equal(upright.hu, hu)
        assert upright.grid.axes == "SPL"


def test_scaled_integers_are_hounsfield_units(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2.0, -1000.0)
    nibabel.save(image, tmp_path / "a.nii")
    assert read_source(tmp_path / "a.nii").hu.max() == -954


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [True, False])
def test_cut_off_files_are_refused(tmp_path, ending, packed):
    path = write_volume(tmp_path / f"a.{ending}", body(12, 64, 64), packed=packed)
    voxels = next((other for other in tmp_path.iterdir() if other.suffix in (".raw", ".zraw")), path)
    voxels.write_bytes(voxels.read_bytes()[: voxels.stat().st_size // 2])
    with pytest.raises(CaseError, match=r"a\.\w+"):
        read_source(path)


@pytest.mark.parametrize("ending", ["nrrd", "mha", "nii"])
def test_values_that_are_not_finite_are_refused(tmp_path, ending):
    hu = body().astype(np.float32)
    hu[1, 2, 3], hu[2, 3, 4] = np.nan, np.inf
    with pytest.raises(CaseError, match="2 of 2880 pixels are not finite"):
        read_source(write_volume(tmp_path / f"a.{ending}", hu))


def test_headers_that_claim_too_much_are_not_followed(tmp_path):
    small = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    nibabel.save(small, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(CaseError, match=r"size \(30000, 30000, 30000\), expected at least 1 and at most"):
        read_source(tmp_path / "a.nii")
    content[42:48] = np.array([500, 500, 500], "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(CaseError, match="125000000 voxels of 2 bytes cannot be in a file of"):
        read_source(tmp_path / "a.nii.gz")
    path = write_volume(tmp_path / "b.mha", body(), packed=False)
    path.write_bytes(path.read_bytes().replace(b"DimSize = 24 20 6", b"DimSize = 999 999 999"))
    with pytest.raises(CaseError, match="997002999 voxels of 2 bytes cannot be in a file of"):
        read_source(path)


@pytest.mark.parametrize("elsewhere", ["/etc/passwd", "../a.raw", "LIST", "a%03d.raw 0 3 1"])
def test_metaimage_reads_no_file_elsewhere(tmp_path, elsewhere):
    path = write_volume(tmp_path / "a.mhd", body(), packed=False)
    path.write_text(path.read_text().replace("a.raw", elsewhere))
    with pytest.raises(CaseError, match="expected one file beside it"):
        read_source(path)


def test_metaimage_without_its_raw_file(tmp_path):
    path = write_volume(tmp_path / "a.mhd", body(), packed=False)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(CaseError, match=r"a\.mhd: its voxels are in .*a\.raw, which is missing"):
        read_source(path)


def test_nrrd_reads_no_file_elsewhere(tmp_path):
    path = write_volume(tmp_path / "a.nrrd", body())
    path.write_bytes(path.read_bytes().replace(b"encoding:", b"data file: ../secret.raw\nencoding:", 1))
    with pytest.raises(CaseError, match="its voxels are in another folder"):
        read_source(path)


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        (b"NDims = 3", b"NDims = 0"),
        (b"NDims = 3", b"NDims = 99999999"),
        (b"NDims = 3", b"NDims = -1"),
        (b"NDims = 3\n", b""),
        (b"NDims = 3", b"NDims \0 3"),
        (b"DimSize = 24 20 6", b"DimSize = 24 20"),
        (b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0 0 1 0 0"),
        (b"ElementDataFile", b"ElementDatafile"),
    ],
)
def test_metaimage_headers_that_make_itk_crash_do_not_reach_it(tmp_path, line, damaged):
    """Found by fuzzing: each of these ended the process."""
    path = write_volume(tmp_path / "a.mha", body(), packed=False)
    assert line in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(line, damaged, 1))
    with pytest.raises(CaseError, match=r"a\.mha: unreadable MetaImage"):
        read_source(path)


def test_nifti_without_a_place_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(CaseError, match="neither qform nor sform"):
        read_source(tmp_path / "a.nii")


def test_more_than_three_dimensions_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(CaseError, match=r"shape \(4, 4, 4, 2\)"):
        read_source(tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 1), np.int16), np.eye(4)), tmp_path / "b.nii")
    assert read_source(tmp_path / "b.nii").hu.shape == (6, 5, 4)


CONVERTED = {
    "dim[0]": "3",
    "0008|0060": "CT",
    "0010|0010": "A^B",
    "qform_code_name": "NIFTI_XFORM_UNKNOWN",
    "long": "x" * 3000,
}


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("packed", [True, False])
def test_headers_of_converted_files_are_read(tmp_path, ending, packed):
    """SimpleITK keeps what it found in NIfTI and DICOM, under keys that are its own."""
    image = sitk.GetImageFromArray(body())
    for key, value in CONVERTED.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / f"a.{ending}"), packed)
    assert b"0008|0060" in (tmp_path / f"a.{ending}").read_bytes()
    np.testing.assert_array_equal(read_source(tmp_path / f"a.{ending}").hu, body())
    nibabel.save(nibabel.Nifti1Image(body().transpose(2, 1, 0), np.eye(4)), tmp_path / "b.nii.gz")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "b.nii.gz")), str(tmp_path / f"c.{ending}"), packed)
    assert b"dim[0]" in (tmp_path / f"c.{ending}").read_bytes()
    np.testing.assert_array_equal(read_source(tmp_path / f"c.{ending}").hu, body())


@pytest.mark.parametrize(
    "line",
    [
        b"NDims: 9 = 3\n",
        b"NDims = 9\n",
        b"a = b\x0cNDims = 9\n",
        b"a = b\rNDims = 9\n",
        b"Comment = ElementDataFile = LOCAL\nNDims = 9\n",
        b"Comment = " + b"x" * 400 + b"\n",
        b"Color = 1 2 3 4 5 6 7 8\n",
        b"ImagePosition = 1 2 3 4 5 6 7 8\n",
        b"k" * 600 + b" = 3\n",
        b"no separator\n",
    ],
)
def test_lines_that_smuggle_something_past_the_check_of_a_header(tmp_path, line):
    path = write_volume(tmp_path / "a.mha", body(), packed=False)
    for before in (b"DimSize", b"ElementDataFile", b"ObjectType"):
        path.write_bytes(path.read_bytes().replace(before, line + before, 1))
        with pytest.raises(CaseError, match=r"a\.mha: unreadable MetaImage"):
            read_source(path)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha", "mhd"])
def test_a_single_bit_of_packed_voxels_does_not_turn_without_a_word(tmp_path, ending):
    path = write_volume(tmp_path / f"a.{ending}", body(), packed=True)
    file = next((other for other in tmp_path.iterdir() if other.suffix == ".zraw"), path)
    whole = file.read_bytes()
    start = 20 if file != path or ending == "nii.gz" else len(whole) - 3000
    for place in [*range(start, len(whole) - 8, 97), *range(len(whole) - 4, len(whole))]:
        damaged = bytearray(whole)
        damaged[place] ^= 8
        file.write_bytes(damaged)
        with pytest.raises(CaseError, match=r"a\.\w+"):
            read_source(path)
    file.write_bytes(whole)
    np.testing.assert_array_equal(read_source(path).hu, body())


def test_packed_voxels_of_another_length_are_refused(tmp_path):
    path = write_volume(tmp_path / "a.nii.gz", body(), packed=True)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-2]))
    with pytest.raises(
        CaseError, match=f"unpacks to {len(content) - 2} bytes, its header and voxels are {len(content)}"
    ):
        read_source(path)
    path.write_bytes(gzip.compress(content + bytes(1 << 22)))
    with pytest.raises(CaseError, match="unpacks to more than"):
        read_source(path)
    path.write_bytes(gzip.compress(content[:2000]) + gzip.compress(content[2000:]))  # as bgzip writes
    np.testing.assert_array_equal(read_source(path).hu, body())
    path = write_volume(tmp_path / "a.mha", body(), packed=True)
    header, start, packed = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    voxels = zlib.decompress(packed)
    for wrong in (voxels[:-10], voxels + bytes(10)):
        path.write_bytes(header + start + zlib.compress(wrong))
        with pytest.raises(CaseError, match=f"bytes, the header says {len(voxels)}"):
            read_source(path)


def test_a_claim_that_no_image_packs_to_is_not_followed(tmp_path):
    """300 million voxels of nothing in half a megabyte; a label map may be as empty as that."""
    header = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_bytes()[:352]
    claimed = bytearray(header)
    claimed[42:48] = np.array([256, 256, 300], "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(claimed) + bytes(256 * 256 * 300)))
    with pytest.raises(CaseError, match="300 x 256 x 256 voxels in a file of .* bytes: no CT image packs so well"):
        read_source(tmp_path / "a.nii.gz")
    assert read_volume(tmp_path / "a.nii.gz").hu.shape == (300, 256, 256)


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([1e30, 1, 1, 1]), r"voxels of 1 x 1 x 1e\+30 mm, expected 0\.001 to 1000 mm"),
        (np.diag([1e-9, 1, 1, 1]), "voxels of 1 x 1 x 1e-09 mm"),
        (np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "rows and columns at 63.4 degrees"),
        (np.array([[1, 0, 0, 0], [0, 1, 3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "slices stacked at 71.6 degrees"),
        (np.array([[1, 0, 0, 1e9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "begins 1e\\+09 mm from"),
    ],
)
def test_affines_that_place_no_scan_are_refused(tmp_path, affine, message):
    nibabel.save(nibabel.Nifti1Image(body().transpose(2, 1, 0), affine), tmp_path / "a.nii")
    with pytest.raises(CaseError, match=message):
        read_source(tmp_path / "a.nii")


def test_sheared_slices_are_told(tmp_path):
    tilted = np.eye(4)
    tilted[1, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(body().transpose(2, 1, 0), tilted), tmp_path / "a.nii")
    assert read_source(tmp_path / "a.nii").notes == ("slices sheared by 16.7 degrees, as of a tilted gantry",)


def test_a_negative_slope_is_refused(tmp_path):
    image = nibabel.Nifti1Image(body().transpose(2, 1, 0), np.eye(4))
    image.header.set_slope_inter(-1, 0)
    nibabel.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[112:116] = np.array([-2], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(CaseError, match="a negative slope of -2"):
        read_source(tmp_path / "a.nii")


def test_a_cut_off_nifti_is_called_cut_off(tmp_path):
    path = write_volume(tmp_path / "a.nii", body(), packed=False)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CaseError, match=r"unreadable NIfTI \(cut off or damaged: it ends before its voxels do\)"):
        read_source(path)


@pytest.mark.parametrize("line", ["ElementToIntensityFunctionSlope = -1", "ElementToIntensityFunctionOffset = -1024"])
def test_a_rescaling_that_itk_does_not_apply_is_refused(tmp_path, line):
    file = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 4), np.int16)), str(file))
    content = file.read_bytes()
    assert read_volume(file).hu.shape == (2, 4, 4)
    file.write_bytes(content.replace(b"ElementType", line.encode() + b"\nElementType"))
    with pytest.raises(CaseError, match="which ITK does not apply: store Hounsfield units"):
        read_volume(file)


def test_names_that_are_no_text_have_a_pseudonym():
    name = b"M\xfcller".decode("utf-8", "surrogateescape")
    assert pseudonym(name, "salt") != pseudonym("Mller", "salt")
    assert pseudonym(pseudonym(name, "salt"), "salt") == pseudonym(name, "salt")
