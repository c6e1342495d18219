"""DICOM as scanners write it, checked against SimpleITK."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from ct_files import body, compress, new_slice, save, write_enhanced, write_series, write_slice
from tomolens.cases.dicom.pixels import AIR, read_image, read_series
from tomolens.cases.dicom.series import group_series
from tomolens.cases.dicom.tree import read_tree
from tomolens.cases.stored import find_series, read_source
from tomolens.errors import CaseError


def headers_of(folder):
    return read_tree(folder, lambda patient: patient, cached=False).headers


def itk_series(paths):
    """Voxels and LPS affine (slice, row, column) by SimpleITK, files in the order given."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine[:, [2, 1, 0, 3]]


def oblique(angle=0.3):
    row = np.array([np.cos(angle), 0, np.sin(angle)])
    column = np.array([0.0, 1.0, 0.0])
    return (*row, *column), np.cross(row, column)


@pytest.mark.parametrize("kind", ["axial", "oblique", "head first", "sagittal"])
def test_series_equal_simpleitk(tmp_path, kind):
    hu = body()
    orientation, normal = {
        "axial": ((1, 0, 0, 0, 1, 0), np.array([0, 0, 1.0])),
        "oblique": oblique(),
        "head first": ((1, 0, 0, 0, 1, 0), np.array([0, 0, -1.0])),
        "sagittal": ((0, 1, 0, 0, 0, -1), np.array([-1.0, 0, 0])),
    }[kind]
    write_series(tmp_path, hu, step=tuple(2.5 * normal), orientation=orientation)
    series = find_series(tmp_path)
    volume = read_series(series)
    values, affine = itk_series(series.places)
    np.testing.assert_array_equal(volume.hu, values)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-6)
    assert series.faults == ()
    upright = volume.upright()
    assert upright.grid.axes == "SPL"
    assert (upright.grid.affine[2, 0], upright.grid.affine[1, 1], upright.grid.affine[0, 2]) > (0, 0, 0)


def test_slices_are_ordered_by_position_never_by_name_or_number(tmp_path):
    hu = body()
    write_series(tmp_path, hu)
    volume = read_source(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    by_name = [pydicom.dcmread(path).ImagePositionPatient[2] for path in sorted(tmp_path.iterdir())]
    assert by_name != sorted(by_name)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, "JPEGLosslessProcess14_1"])
def test_compressed_series_equal_simpleitk(tmp_path, syntax):
    hu = np.repeat(np.repeat(body(), 2, 1), 2, 2)
    for path in write_series(tmp_path, hu):
        compress(path, syntax)
    series = find_series(tmp_path)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_array_equal(volume.hu, itk_series(series.places)[0])


def test_enhanced_multi_frame_is_a_volume_in_order(tmp_path):
    hu = body()
    write_enhanced(tmp_path / "enhanced.dcm", hu, order=[3, 0, 5, 1, 4, 2])
    volume = read_source(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.grid.affine[:3, 3], (-10, -20, 100))
    assert volume.grid.spacing == pytest.approx((2.5, 0.8, 0.7))
    np.testing.assert_array_equal(read_source(tmp_path).hu, hu)


def test_tilted_gantry_is_told_and_kept(tmp_path):
    hu = body()
    angle = np.radians(12)
    orientation = (1, 0, 0, 0, np.cos(angle), np.sin(angle))
    write_series(tmp_path, hu, orientation=orientation)
    series = find_series(tmp_path)
    assert series.notes == ("gantry tilted by 12.0 degrees",)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.hu, hu)
    # Each slice lies where its own header says, which a grid without shear could not tell.
    last = volume.grid.affine @ [5, 0, 0, 1]
    np.testing.assert_allclose(last[:3], (-10, -20, 112.5), atol=1e-6)


def test_missing_slices_are_told_and_make_no_volume(tmp_path):
    write_series(tmp_path, body(slices=8))
    series = find_series(tmp_path)
    for gone in series.places[3:5]:
        gone.unlink()
    with pytest.raises(CaseError, match=r"series S\w+: 2 slices are missing, after 105\.0 mm \(the step is 2\.5 mm\)"):
        read_source(tmp_path)
    assert len(find_series(tmp_path).headers) == 6


def test_doubled_slices_are_told_and_left_out(tmp_path):
    hu = body()
    paths = write_series(tmp_path, hu)
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    first = pydicom.dcmread(paths[3])
    again = new_slice(
        hu[3] * 0, position=first.ImagePositionPatient, series=first.SeriesInstanceUID, AcquisitionNumber=2
    )
    save(again, tmp_path / "again.dcm")
    series = find_series(tmp_path)
    assert series.notes == (
        "copies of slices were left out (1)",
        "slices where another lies were left out (1); the first acquisition's stay",
    )
    np.testing.assert_array_equal(read_series(series).hu, hu)


def test_uneven_slices_make_no_volume(tmp_path):
    uid = "1.2.3"
    for index, height in enumerate((0, 2, 4.7, 6)):
        write_slice(tmp_path / f"{index}.dcm", body()[0], position=(0, 0, height), series=uid)
    with pytest.raises(CaseError, match=r"slices are 1\.3 to 2\.7 mm apart, which is no grid"):
        read_source(tmp_path)


def test_localizers_and_other_objects_are_left_out_with_a_word(tmp_path):
    paths = write_series(tmp_path, body())
    uid = pydicom.dcmread(paths[0]).SeriesInstanceUID
    write_slice(tmp_path / "scout.dcm", body()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], series=uid)
    write_slice(tmp_path / "mr.dcm", body()[0], Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    series, left_out = group_series(headers_of(tmp_path))
    assert [len(one.headers) for one in series] == [6]
    assert left_out == {"localizers": 1, "MR, not CT images": 1}


def test_a_series_that_mixes_directions_is_taken_apart(tmp_path):
    paths = write_series(tmp_path, body())
    uid = pydicom.dcmread(paths[0]).SeriesInstanceUID
    write_slice(tmp_path / "coronal.dcm", body()[0], orientation=(1, 0, 0, 0, 0, -1), series=uid)
    series, _ = group_series(headers_of(tmp_path))
    assert sorted(len(one.headers) for one in series) == [1, 6]
    assert all("one of 2 parts" in one.notes[0] for one in series)
    assert len({one.name for one in series}) == 2


def test_two_series_in_one_folder_must_be_told_apart(tmp_path):
    write_series(tmp_path / "a", body(seed=1))
    write_series(tmp_path / "b", body(seed=2))
    with pytest.raises(
        CaseError, match=r"2 CT series: S\w+ \(6 slices\), S\w+ \(6 slices\); name one in the column series"
    ):
        read_source(tmp_path)
    uid = pydicom.dcmread(next((tmp_path / "b").iterdir())).SeriesInstanceUID
    np.testing.assert_array_equal(read_source(tmp_path, uid).hu, body(seed=2))


@pytest.mark.parametrize("written", [-2000, 63536])
def test_padding_is_air(tmp_path, written):
    """Both ways of writing -2000 occur in real files."""
    stored = body()[0].astype(np.int16) + 1024
    stored[:3] = -2000
    dataset = new_slice(body()[0])
    dataset.PixelData = stored.tobytes()
    element = pydicom.DataElement("PixelPaddingValue", "SS" if written < 0 else "US", written)
    dataset["PixelPaddingValue"] = element
    volume = read_image(save(dataset, tmp_path / "a.dcm"))
    assert (volume.hu[0, :3] == AIR).all()
    np.testing.assert_array_equal(volume.hu[0, 3:], body()[0][3:])
    assert volume.notes == ()


def test_padding_that_would_erase_tissue_is_not_followed(tmp_path):
    dataset = new_slice(body()[0], intercept=0.0)
    dataset["PixelPaddingValue"] = pydicom.DataElement("PixelPaddingValue", "SS", 0)
    volume = read_image(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(volume.hu[0], body()[0])
    assert volume.notes == ("a padding value of 0 (0 HU) would erase tissue and was not used",)


def test_padding_range(tmp_path):
    hu = body()[0].astype(float)
    hu[0], hu[1] = -3000, -2500
    dataset = new_slice(hu)
    dataset["PixelPaddingValue"] = pydicom.DataElement("PixelPaddingValue", "SS", -2000)
    dataset["PixelPaddingRangeLimit"] = pydicom.DataElement("PixelPaddingRangeLimit", "SS", -1400)
    volume = read_image(save(dataset, tmp_path / "a.dcm"))
    assert (volume.hu[0, :2] == AIR).all()


def test_odd_decimal_strings_are_read(tmp_path):
    path = write_slice(tmp_path / "a.dcm", body()[0], spacing=(0.5, 0.5))
    content = path.read_bytes()
    odd = content.replace(b"-1024.0 ", b"-01024.0")
    assert odd != content
    path.write_bytes(odd)
    np.testing.assert_array_equal(read_image(path).hu[0], body()[0])
    assert len(headers_of(tmp_path)) == 1


@pytest.mark.parametrize(("signed", "bits"), [(0, 12), (1, 12), (1, 13), (0, 16)])
def test_fewer_bits_than_are_allocated_hide_nothing(tmp_path, signed, bits):
    """Unused bits are zero or copies of the sign."""
    hu = np.clip(body()[0], -150, 300)
    dataset = new_slice(hu, intercept=0.0, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed)
    if not signed:
        dataset.RescaleIntercept = "-1024"
        dataset.PixelData = (hu + 1024).astype(np.uint16).tobytes()
    np.testing.assert_array_equal(read_image(save(dataset, tmp_path / "a.dcm")).hu[0], hu)
    if bits < 16:  # padding of -2500 would come out as tissue
        dataset.PixelData = np.full(hu.shape, -2500 if bits == 12 else -5000, np.int16).tobytes()
        with pytest.raises(CaseError, match=f"100 % of pixels need more than the {bits} bits"):
            read_image(save(dataset, tmp_path / "b.dcm"))


def test_values_of_sixteen_bits_do_not_wrap(tmp_path):
    dataset = new_slice(body()[0], PixelRepresentation=0)
    stored = np.full((20, 24), 65535, np.uint16)
    stored[0, 0] = 0
    dataset.PixelData = stored.tobytes()
    hu = read_image(save(dataset, tmp_path / "a.dcm")).hu[0]
    assert (hu[0, 0], hu[5, 5]) == (-1024, 64511)


ABSURD = {
    "a billion pixels": ({"Rows": 40000, "Columns": 40000}, "1 frames of 40000 x 40000 pixels, expected at most"),
    "more frames than data": ({"NumberOfFrames": 500}, r"\d+ bytes of pixels, \d+ are needed"),
    "too short": ({"Rows": 21}, r"960 bytes of pixels, 1008 are needed"),
    "no rescale": ({"RescaleSlope": None}, "no rescale slope and intercept"),
    "slope 0": ({"RescaleSlope": "0"}, "rescale slope 0.0"),
    "other unit": ({"RescaleType": "MGML"}, "rescale type is MGML, expected Hounsfield units"),
    "no position": ({"ImagePositionPatient": None}, "no ImagePositionPatient in the header"),
    "no orientation": ({"ImageOrientationPatient": None}, "no ImageOrientationPatient in the header"),
    "no rows": ({"Rows": None}, "1 frames of 0 x 24 pixels"),
    "no pixels": ({"PixelData": None}, "no pixel data"),
    "colour": ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "3 values a pixel"),
    "MR": ({"Modality": "MR"}, "modality is MR, expected CT"),
    "secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "modality is Secondary Capture Image Storage"),
    "infinite spacing": ({"PixelSpacing": [1e12, 1e12]}, r"is no grid: voxels of 1 x 1e\+12 x 1e\+12 mm, expected"),
    "negative spacing": ({"PixelSpacing": [-0.8, 0.8]}, r"spacing \[-0\.8, 0\.8\] mm is no grid"),
    "far away": ({"ImagePositionPatient": [1e8, 0, 0]}, "begins 1e\\+08 mm from the scanner's middle"),
    "negative slope": ({"RescaleSlope": "-1"}, "a rescale slope of -1, which turns air and tissue round"),
    "steep slope": ({"RescaleSlope": "1000000"}, r"rescale slope 1e\+06 and intercept -1024, which no scanner"),
    "far intercept": ({"RescaleIntercept": "1000000000"}, r"intercept 1e\+09, which no scanner writes"),
    "hidden bits": ({"BitsStored": 8, "HighBit": 7}, r"% of pixels need more than the 8 bits that BitsStored says"),
    "no bits": ({"BitsStored": 0}, "'Bits Stored' value of '0' is invalid"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "photometric interpretation PALETTE COLOR"),
    "localizer": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, r"a localizer \(scout view\)"),
    "cut-off header": ({"Modality": None, "SOPClassUID": None}, "neither SOP class nor modality in its header"),
    "too few rows": ({"Rows": 9}, r"960 bytes of pixels, 1 frames of 9 x 24 have 432"),
}


@pytest.mark.parametrize("fault", ABSURD)
def test_damaged_slices_are_refused_in_one_line(tmp_path, fault):
    tags, message = ABSURD[fault]
    path = write_slice(tmp_path / "a.dcm", body()[0], **tags)
    if fault == "infinite spacing":
        assert len(read_tree(tmp_path, str, cached=False).unusable) == 1
    with pytest.raises(CaseError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_compressed_frame_of_another_size_is_not_decoded(tmp_path):
    hu = np.repeat(np.repeat(body()[0], 2, 0), 2, 1)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, "JPEGLosslessProcess14_1"):
        path = compress(write_slice(tmp_path / "a.dcm", hu), syntax)
        dataset = pydicom.dcmread(path)
        dataset.Rows = 41
        save(dataset, path)
        with pytest.raises(CaseError, match=r"frame 1 is 40 x 48 x 1, the header says 41 x 48 x 1"):
            read_image(path)


def test_a_decoder_that_breaks_down_costs_a_line(tmp_path):
    """Found by fuzzing: GDCM aborts on this stream of lossless JPEG, and takes its process with it."""
    hu = np.repeat(np.repeat(body()[0], 2, 0), 2, 1)
    path = compress(write_slice(tmp_path / "a.dcm", hu), "JPEGLosslessProcess14_1")
    content = path.read_bytes()
    start = content.index(b"\xff\xd8\xff")
    random, messages = np.random.default_rng(0), set()
    for _ in range(1500):
        damaged = bytearray(content)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(start + 2, len(damaged))] ^= 1 << random.integers(0, 8)
        path.write_bytes(damaged)
        try:
            read_image(path)
        except CaseError as error:
            messages.add(str(error).removeprefix(f"{path}: "))
    assert "unreadable DICOM: its decoder broke down on the stream" in messages
    path.write_bytes(content)
    np.testing.assert_array_equal(read_image(path).hu[0], hu)
