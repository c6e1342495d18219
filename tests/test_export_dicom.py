import random
import shutil
import subprocess
import warnings
import zipfile
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

import ct_files
from tomolens.cases.dicom.pixels import read_image
from tomolens.cases.geometry import Grid
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError, MapError, SettingsError
from tomolens.export.dicom import (
    anonymous,
    find_sources,
    write_capture,
    write_parametric_map,
    write_segmentation,
)
from tomolens.export.dicom.anonymity import replaced_uid
from tomolens.export.scan_map import ScanMap

OBLIQUE = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
SCANS = {
    "axial": {},
    "from head to feet": {"step": (0.0, 0.0, -2.5)},
    "sagittal": {"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "step": (2.0, 0.0, 0.0)},
    "coronal": {"orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "step": (0.0, 3.0, 0.0)},
    "oblique": {
        "orientation": tuple(np.round(np.concatenate([OBLIQUE[0], OBLIQUE[1]]), 8)),
        "step": tuple(np.round(2.5 * np.cross(OBLIQUE[0], OBLIQUE[1]), 6)),
    },
    "gantry tilted": {
        "orientation": (1.0, 0.0, 0.0, 0.0, float(np.cos(0.3)), float(-np.sin(0.3))),
        "step": (0.0, 0.0, 2.5),
    },
    "cropped": {"origin": (31.4, -7.25, 412.125), "spacing": (0.625, 0.625)},
}
WORDS = {
    "estimator": "smoothgrad(samples=15)",
    "title": "SmoothGrad of the contrast classifier",
    "explained_class": "contrast agent",
    "prediction": "contrast agent, p = 0.93",
}


def world(grid: Grid, *index):
    return grid.affine[:3, :3] @ np.array(index) + grid.affine[:3, 3]


def signed_map(grid: Grid, **words) -> ScanMap:
    values = np.random.default_rng(3).normal(size=grid.shape).astype(np.float32) * 1e-4
    values[:, :3] = 0
    explained = np.ones(grid.shape, dtype=bool)
    explained[:, :3] = False
    return ScanMap(values, grid, explained, **{**WORDS, **words})


def coordinate_map(grid: Grid, axis: int) -> ScanMap:
    """A map whose value is where its voxel lies."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    places = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return ScanMap(places[..., axis].astype(np.float32), grid, np.ones(grid.shape, dtype=bool), **WORDS)


@pytest.fixture(params=SCANS)
def scan(request, tmp_path):
    return scan_of(tmp_path, request.param)


@pytest.fixture
def axial(tmp_path):
    return scan_of(tmp_path, "axial")


def scan_of(tmp_path, name):
    folder = tmp_path / name
    ct_files.write_series(folder, ct_files.body(), **SCANS[name])
    return folder


def enhanced_of(tmp_path, **options):
    return ct_files.write_enhanced(tmp_path / "enhanced.dcm", ct_files.body(), order=[3, 0, 5, 1, 4, 2], **options)


def frame_places(image):
    """For each frame of a multi-frame image its position, orientation and spacing."""
    shared = image.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    for own in image.PerFrameFunctionalGroupsSequence:
        yield np.array(own.PlanePositionSequence[0].ImagePositionPatient, float), orientation, spacing


def assert_placed(file, scan_map):
    """Every corner of every frame is where the map's grid has that voxel, and every value is the map's."""
    image = pydicom.dcmread(file)
    pixels = image.pixel_array.reshape(-1, image.Rows, image.Columns)
    assert len(pixels) == len(scan_map.values)
    grid, seen = scan_map.grid, set()
    backwards = np.linalg.inv(grid.affine)
    for frame, (position, (along_row, along_column), (rows, columns)) in zip(pixels, frame_places(image), strict=True):
        index = round((backwards @ [*position, 1])[0])
        seen.add(index)
        np.testing.assert_array_equal(frame, scan_map.values[index])
        for row, column in np.ndindex(2, 2):
            at = row * (image.Rows - 1), column * (image.Columns - 1)
            found = position + at[0] * rows * along_column + at[1] * columns * along_row
            np.testing.assert_allclose(found, world(grid, index, *at), atol=1e-3)
    assert seen == set(range(len(scan_map.values)))


def test_values_and_places_of_a_parametric_map_are_the_maps(scan, tmp_path):
    scan_map, file = signed_map(read_source(scan).grid), tmp_path / "out" / "map.dcm"
    write_parametric_map(scan_map, find_sources(scan, scan_map), file)
    assert_placed(file, scan_map)
    stored = pydicom.dcmread(file).pixel_array
    assert stored.dtype == np.float32
    assert (stored < 0).any()
    assert np.count_nonzero(stored == 0) == np.count_nonzero(scan_map.values == 0)


@pytest.mark.parametrize("axis", range(3))
def test_a_map_of_world_coordinates_lands_where_it_says(scan, axis, tmp_path):
    scan_map, file = coordinate_map(read_source(scan).grid, axis), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(scan, scan_map), file)
    if scan.name != "gantry tilted":  # of which highdicom makes no volume
        volume = highdicom.imread(file).get_volume()
        places = volume.map_indices_to_reference(np.array(list(np.ndindex(volume.spatial_shape))))
        np.testing.assert_allclose(places[:, axis], volume.array.ravel(), atol=1e-3)
    image = pydicom.dcmread(file)
    for frame, (position, (along_row, along_column), (rows, columns)) in zip(
        image.pixel_array, frame_places(image), strict=True
    ):
        row, column = np.mgrid[: image.Rows, : image.Columns]
        places = position[axis] + row * rows * along_column[axis] + column * columns * along_row[axis]
        np.testing.assert_allclose(frame, places, atol=1e-3)


def test_the_map_of_a_multi_frame_scan_lies_on_its_frames(tmp_path):
    path, file = enhanced_of(tmp_path), tmp_path / "map.dcm"
    scan_map = signed_map(read_source(path).grid)
    write_parametric_map(scan_map, find_sources(path, scan_map), file)
    assert_placed(file, scan_map)
    source, written = pydicom.dcmread(path), pydicom.dcmread(file)
    for own, (position, *_) in zip(written.PerFrameFunctionalGroupsSequence, frame_places(written), strict=True):
        item = own.DerivationImageSequence[0].SourceImageSequence[0]
        frame = source.PerFrameFunctionalGroupsSequence[item.ReferencedFrameNumber - 1]
        np.testing.assert_allclose(np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float), position)
        assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_places_of_a_multi_frame_scan_may_stand_with_each_frame(tmp_path):
    path, file = enhanced_of(tmp_path), tmp_path / "map.dcm"
    source = pydicom.dcmread(path)
    shared = source.SharedFunctionalGroupsSequence[0]
    for own in source.PerFrameFunctionalGroupsSequence:
        own.PixelMeasuresSequence = shared.PixelMeasuresSequence
        own.PlaneOrientationSequence = shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence
    ct_files.save(source, path)
    scan_map = signed_map(read_source(path).grid)
    write_parametric_map(scan_map, find_sources(path, scan_map), file)
    assert_placed(file, scan_map)


def test_a_single_slice_is_a_scan(tmp_path):
    path, file = ct_files.write_slice(tmp_path / "one.dcm", ct_files.body()[2]), tmp_path / "map.dcm"
    scan_map = signed_map(read_source(path).grid)
    sources = find_sources(path, scan_map)
    write_parametric_map(scan_map, sources, file)
    assert_placed(file, scan_map)
    write_segmentation(scan_map, sources, tmp_path / "top.dcm")
    enhanced = enhanced_of(tmp_path)
    single = pydicom.dcmread(enhanced)
    del single.PerFrameFunctionalGroupsSequence[1:]
    single.NumberOfFrames, single.PixelData = 1, single.PixelData[: 2 * single.Rows * single.Columns]
    ct_files.save(single, enhanced)
    scan_map = signed_map(read_source(enhanced).grid)
    write_parametric_map(scan_map, find_sources(enhanced, scan_map), file)
    assert_placed(file, scan_map)


def test_frames_are_in_order_along_their_normal(scan, tmp_path):
    scan_map, file = signed_map(read_source(scan).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(scan, scan_map), file)
    image = pydicom.dcmread(file)
    along = [np.cross(*directions) @ position for position, directions, _ in frame_places(image)]
    assert (np.diff(along) > 1).all()
    numbers = [own.FrameContentSequence[0].DimensionIndexValues for own in image.PerFrameFunctionalGroupsSequence]
    assert numbers == [1, 2, 3, 4, 5, 6]


@pytest.mark.skipif(shutil.which("paramap2itkimage") is None, reason="dcmqi is not installed")
def test_dcmqi_places_the_map(scan, tmp_path):
    if scan.name == "gantry tilted":
        pytest.skip("ITK's images cannot be sheared")
    scan_map, file = signed_map(read_source(scan).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(scan, scan_map), file)
    options = ["--inputDICOM", file, "--outputDirectory", tmp_path, "--outputType", "nrrd", "--prefix", "read"]
    subprocess.run(["paramap2itkimage", *map(str, options)], check=True, capture_output=True)
    image = sitk.ReadImage(str(next(tmp_path.glob("read*.nrrd"))))
    backwards = np.linalg.inv(scan_map.grid.affine)
    for index, value in np.ndenumerate(sitk.GetArrayFromImage(image)):
        found = (backwards @ [*image.TransformIndexToPhysicalPoint(index[::-1]), 1])[:3]
        np.testing.assert_allclose(found, np.rint(found), atol=1e-3)
        assert value == scan_map.values[tuple(np.rint(found).astype(int))]


def test_slices_are_found_whatever_their_files_are_called(axial, tmp_path):
    scan_map = signed_map(read_source(axial).grid)
    files = sorted(axial.iterdir())
    names = [f"{number}.dcm" for number in range(len(files))]
    random.Random(1).shuffle(names)
    for file, name in zip(files, names, strict=True):
        shutil.copy(file, tmp_path / name)
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in names:
            packed.write(tmp_path / name, name)
    written = []
    for number, place in enumerate((axial, archive)):
        file = tmp_path / "out" / f"{number}.dcm"
        write_parametric_map(scan_map, find_sources(place, scan_map), file)
        assert_placed(file, scan_map)
        image = pydicom.dcmread(file)
        written.append(
            [
                own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
                for own in image.PerFrameFunctionalGroupsSequence
            ]
        )
    assert written[0] == written[1]


def test_a_map_refers_to_its_scan_and_says_what_it_is(axial, tmp_path):
    scan_map, file = signed_map(read_source(axial).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(axial, scan_map), file)
    slices = [pydicom.dcmread(path) for path in axial.iterdir()]
    source, image = slices[0], pydicom.dcmread(file)
    assert image.file_meta.MediaStorageSOPClassUID == image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"
    assert image.StudyInstanceUID == source.StudyInstanceUID
    assert image.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert image.SeriesInstanceUID != source.SeriesInstanceUID
    assert [series.SeriesInstanceUID for series in image.ReferencedSeriesSequence] == [source.SeriesInstanceUID]
    referred = image.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {one.ReferencedSOPInstanceUID for one in referred} == {one.SOPInstanceUID for one in slices}
    assert (image.PatientName, image.PatientID) == (source.PatientName, source.PatientID)
    assert image.ContentQualification == "RESEARCH"
    assert "for research, not for diagnosis" in image.SeriesDescription
    for words in (*WORDS.values(), "trust not assessed"):
        assert words in image.DerivationDescription
    shared = image.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "130402"
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    window = shared.FrameVOILUTSequence[0]
    assert window.WindowCenter == 0
    assert float(window.WindowWidth) == pytest.approx(2 * np.abs(scan_map.values).max(), rel=1e-6)


def test_long_and_foreign_words_stay_valid(axial, tmp_path):
    scan_map = signed_map(
        read_source(axial).grid, title="Ważność \\ płuco\n" * 20, prediction="p" * 2000, trust="ufność " * 300
    )
    sources = find_sources(axial, scan_map)
    write_parametric_map(scan_map, sources, tmp_path / "map.dcm")
    write_segmentation(scan_map, sources, tmp_path / "top.dcm")
    for name in ("map.dcm", "top.dcm"):
        image = pydicom.dcmread(tmp_path / name)
        assert len(image.SeriesDescription.encode()) <= 64
        assert image.SeriesDescription.startswith("Ważność / płuco")
        assert len(image.DerivationDescription.encode()) <= 1024
        assert "Trust: ufność" in image.DerivationDescription


def test_a_name_in_another_character_set_is_read_and_written(tmp_path):
    folder = tmp_path / "scan"
    ct_files.write_series(folder, ct_files.body(), SpecificCharacterSet="ISO_IR 101", PatientName="Żółć^Łucja")
    scan_map, file = signed_map(read_source(folder).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(folder, scan_map), file)
    image = pydicom.dcmread(file)
    assert (image.SpecificCharacterSet, str(image.PatientName)) == ("ISO_IR 192", "Żółć^Łucja")


def test_the_shown_map_is_from_0_to_1(axial, tmp_path):
    scan_map, file = signed_map(read_source(axial).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(axial, scan_map), file, shown=True)
    shown = pydicom.dcmread(file)
    assert_placed(file, replace(scan_map, values=scan_map.shown))
    assert (shown.pixel_array.min(), shown.pixel_array.max()) == (0, 1)
    window = shown.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    assert (window.WindowCenter, window.WindowWidth) == (0.5, 1)


def test_a_map_of_nothing_is_a_map_but_no_segment(axial, tmp_path):
    grid = read_source(axial).grid
    empty = ScanMap(np.zeros(grid.shape, np.float32), grid, np.ones(grid.shape, dtype=bool), **WORDS)
    sources = find_sources(axial, empty)
    write_parametric_map(empty, sources, tmp_path / "map.dcm")
    assert not pydicom.dcmread(tmp_path / "map.dcm").pixel_array.any()
    with pytest.raises(MapError, match="nothing to segment"):
        write_segmentation(empty, sources, tmp_path / "top.dcm")
    with pytest.raises(SettingsError, match="share 1.5"):
        write_segmentation(signed_map(grid), sources, tmp_path / "top.dcm", share=1.5)
    assert not (tmp_path / "top.dcm").exists()


@pytest.mark.parametrize("storage", ["slices", "multi-frame"])
def test_a_segment_is_the_top_of_the_map(storage, tmp_path):
    path = enhanced_of(tmp_path) if storage == "multi-frame" else scan_of(tmp_path, "gantry tilted")
    scan_map, file = signed_map(read_source(path).grid), tmp_path / "top.dcm"
    scan_map.values[4] = 0  # a slice without any of it
    sources = find_sources(path, scan_map)
    write_segmentation(scan_map, sources, file, share=0.1)
    segmentation = highdicom.seg.segread(file)
    top = scan_map.top(0.1)
    assert segmentation.NumberOfFrames == np.count_nonzero(top.any(axis=(1, 2))) == 5
    pixels = segmentation.pixel_array
    for frame, (position, *_) in zip(pixels, frame_places(segmentation), strict=True):
        index = round((np.linalg.inv(scan_map.grid.affine) @ [*position, 1])[0])
        np.testing.assert_allclose(world(scan_map.grid, index, 0, 0), position, atol=1e-3)
        np.testing.assert_array_equal(frame, top[index])
    described = segmentation.get_segment_description(1)
    assert described.segment_label == "Top 10 % of smoothgrad(samples=15)"
    assert described.segmented_property_type.meaning == "Selected region"
    assert described.algorithm_identification.name == "TomoLens smoothgrad(samples=15)"
    assert segmentation.SegmentationType == "BINARY"


def test_a_capture_is_the_picture_and_refers_to_its_slice(axial, tmp_path):
    scan_map, file = signed_map(read_source(axial).grid), tmp_path / "capture.dcm"
    picture = np.random.default_rng(0).integers(0, 255, (31, 47, 3), dtype=np.uint8)
    sources = find_sources(axial, scan_map)
    write_capture(picture, scan_map, sources, file, slice=2)
    capture = pydicom.dcmread(file)
    np.testing.assert_array_equal(capture.pixel_array, picture)
    assert capture.BurnedInAnnotation == "YES"
    assert (capture.PhotometricInterpretation, capture.InstanceNumber) == ("RGB", 3)
    assert "for research, not for diagnosis" in capture.SeriesDescription
    [item] = capture.SourceImageSequence
    slices = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, axial.iterdir())}
    source = slices[item.ReferencedSOPInstanceUID]
    np.testing.assert_allclose(np.array(source.ImagePositionPatient, float), world(scan_map.grid, 2, 0, 0))
    assert capture.StudyInstanceUID == source.StudyInstanceUID
    assert str(capture.PatientName) == ct_files.IDENTITY["PatientName"]
    series = generate_uid()
    write_capture(picture, scan_map, sources, file, slice=None, series=series)
    across = pydicom.dcmread(file)
    assert across.SeriesInstanceUID == series
    assert {one.ReferencedSOPInstanceUID for one in across.SourceImageSequence} == set(slices)
    with pytest.raises(CaseError, match="slice 6 of a scan with slices 0 to 5"):
        write_capture(picture, scan_map, sources, file, slice=6)
    with pytest.raises(MapError, match="uint8"):
        write_capture(picture.astype(float), scan_map, sources, file, slice=2)


def test_a_capture_of_a_multi_frame_scan_refers_to_the_frame(tmp_path):
    path, file = enhanced_of(tmp_path), tmp_path / "capture.dcm"
    scan_map = signed_map(read_source(path).grid)
    write_capture(np.zeros((8, 8, 3), np.uint8), scan_map, find_sources(path, scan_map), file, slice=1)
    number = pydicom.dcmread(file).SourceImageSequence[0].ReferencedFrameNumber
    frame = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence[number - 1]
    position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
    np.testing.assert_allclose(position, world(scan_map.grid, 1, 0, 0))


def everything(scan_map, sources, folder):
    write_parametric_map(scan_map, sources, folder / "map.dcm")
    write_parametric_map(scan_map, sources, folder / "shown.dcm", shown=True)
    write_segmentation(scan_map, sources, folder / "top.dcm")
    write_capture(np.zeros((20, 24, 3), np.uint8), scan_map, sources, folder / "capture.dcm", slice=1)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("storage", ["slices", "multi-frame"])
def test_anonymous_files_name_no_one(storage, tmp_path):
    path = enhanced_of(tmp_path) if storage == "multi-frame" else scan_of(tmp_path, "axial")
    originals = [pydicom.dcmread(file) for file in (path.iterdir() if path.is_dir() else [path])]
    scan_map = signed_map(read_source(path).grid)
    named = everything(scan_map, find_sources(path, scan_map), tmp_path / "named")
    files = everything(scan_map, anonymous(find_sources(path, scan_map), "salt"), tmp_path / "anonymous")
    secrets = set(ct_files.IDENTITY.values()) | {"20200101", "SCANNERS"}
    secrets |= {part for value in ct_files.IDENTITY.values() for part in value.split("^")}
    for original in originals:
        secrets |= {str(original[name].value) for name in original.dir("UID") if name != "SOPClassUID"}
    carried = set()
    for file, known in zip(files, named, strict=True):
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]
        carried |= {secret for secret in secrets if secret.encode() in known.read_bytes()}
    assert {ct_files.IDENTITY["PatientName"], originals[0].StudyInstanceUID} <= carried  # the search does find
    images = [pydicom.dcmread(file) for file in files]
    assert len({(image.PatientID, image.PatientName, image.StudyInstanceUID) for image in images}) == 1
    assert len({image.SeriesInstanceUID for image in images}) == len(images)
    for image in images:
        assert image.PatientIdentityRemoved == "YES"
        assert not image.PatientBirthDate
        assert not image.StudyDate
        referred = image.ReferencedSeriesSequence[0]
        assert referred.SeriesInstanceUID == replaced_uid(originals[0].SeriesInstanceUID, "salt")
        uids = {replaced_uid(original.SOPInstanceUID, "salt") for original in originals}
        assert {one.ReferencedSOPInstanceUID for one in referred.ReferencedInstanceSequence} <= uids
    if storage == "slices":
        assert_placed(tmp_path / "anonymous" / "map.dcm", scan_map)


def test_a_replaced_uid_is_valid_and_hangs_on_the_salt():
    one = replaced_uid("1.2.3", "salt")
    assert pydicom.uid.UID(one).is_valid
    assert one == replaced_uid("1.2.3", "salt")
    assert len({one, replaced_uid("1.2.4", "salt"), replaced_uid("1.2.3", "other")}) == 3


def test_maps_of_another_shape_or_place_are_refused(axial):
    grid = read_source(axial).grid
    scan_map = signed_map(grid)
    smaller = Grid((6, 20, 23), grid.affine)
    with pytest.raises(CaseError, match="6 x 20 x 24 voxels, the map has 6 x 20 x 23"):
        find_sources(axial, signed_map(smaller))
    moved = grid.affine.copy()
    moved[0, 3] += 0.002
    with pytest.raises(CaseError, match=r"axial: its voxels are up to 0\.002 mm"):
        find_sources(axial, signed_map(Grid(grid.shape, moved)))
    moved[0, 3] -= 0.0015
    find_sources(axial, signed_map(Grid(grid.shape, moved)))
    stretched = grid.affine.copy()
    stretched[:3, 2] *= 1.001
    with pytest.raises(CaseError, match="mm from the map's"):
        find_sources(axial, signed_map(Grid(grid.shape, stretched)))
    scan_map.values[0, 0, 0] = np.nan
    with pytest.raises(MapError, match="1 values of the map are not finite"):
        find_sources(axial, scan_map)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_scan_that_nothing_can_refer_to_is_refused(keyword, axial):
    scan_map = signed_map(read_source(axial).grid)
    for path in axial.iterdir():
        source = pydicom.dcmread(path)
        delattr(source, keyword)
        ct_files.save(source, path)
    with pytest.raises(CaseError, match=rf"\.dcm: no {keyword}"):
        find_sources(axial, scan_map)


def test_slices_of_two_studies_or_askew_are_refused(axial):
    scan_map = signed_map(read_source(axial).grid)
    path = sorted(axial.iterdir())[3]
    source = pydicom.dcmread(path)
    other, source.StudyInstanceUID = source.StudyInstanceUID, generate_uid()
    ct_files.save(source, path)
    with pytest.raises(CaseError, match="StudyInstanceUID"):
        find_sources(axial, scan_map)
    source.StudyInstanceUID, source.PixelSpacing = other, [0.8, 0.9]
    ct_files.save(source, path)
    with pytest.raises(CaseError, match=r"askew|mm from the map's"):
        find_sources(axial, scan_map)


def test_what_dicom_lets_be_empty_may_be_missing(axial, tmp_path):
    missing = [*ct_files.IDENTITY, "PatientSex", "StudyID", "StudyDate", "StudyTime", "PositionReferenceIndicator"]
    missing += ["SliceThickness", "Manufacturer"]
    for path in axial.iterdir():
        source = pydicom.dcmread(path)
        for keyword in missing:
            delattr(source, keyword)
        ct_files.save(source, path)
    scan_map = signed_map(read_source(axial).grid)
    sources = find_sources(axial, scan_map)
    for file in everything(scan_map, sources, tmp_path / "out"):
        image = pydicom.dcmread(file)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate"):
            assert keyword in image
            assert not image.get(keyword)
    assert everything(scan_map, anonymous(sources, "salt"), tmp_path / "anonymous")


def test_what_scanners_write_wrongly_is_no_reason_to_refuse(axial, tmp_path, capfd):
    for path in axial.iterdir():
        source = pydicom.dcmread(path)
        source.PatientName, source.PatientSex = "Zwyczajna", "F"
        source.SliceThickness = ""
        source.add_new(0x00091001, "UN", b"private")
        ct_files.save(source, path)
    scan_map = signed_map(read_source(axial).grid)
    everything(scan_map, find_sources(axial, scan_map), tmp_path / "out")
    image = pydicom.dcmread(tmp_path / "out" / "map.dcm")
    assert str(image.PatientName) == "Zwyczajna"
    measures = image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (2.5, 2.5)
    assert "Zwyczajna" not in "".join(capfd.readouterr())  # no library tells the terminal whose scan it is


def test_a_single_slice_of_unknown_thickness_is_refused(tmp_path):
    path = ct_files.write_slice(tmp_path / "one.dcm", ct_files.body()[2], SliceThickness=None)
    with pytest.raises(CaseError, match=r"one\.dcm: slice thickness None"):
        find_sources(path, signed_map(read_source(path).grid))


def test_other_files_are_no_sources(axial, tmp_path):
    scan_map, file = signed_map(read_source(axial).grid), tmp_path / "map.dcm"
    write_parametric_map(scan_map, find_sources(axial, scan_map), file)
    with pytest.raises(CaseError, match="expected a CT image"):
        find_sources(file, scan_map)
    (tmp_path / "scan.nii").write_bytes(b"no DICOM" * 40)
    with pytest.raises(CaseError, match="not a DICOM file"):
        find_sources(tmp_path / "scan.nii", scan_map)


def test_a_file_that_cannot_be_written_is_an_error_of_ours(axial, tmp_path):
    scan_map = signed_map(read_source(axial).grid)
    (tmp_path / "taken").write_text("")
    with pytest.raises(CaseError, match="taken: cannot be written"):
        write_parametric_map(scan_map, find_sources(axial, scan_map), tmp_path / "taken" / "map.dcm")


def test_simpleitk_places_the_segment(axial, tmp_path):
    scan_map = signed_map(read_source(axial).grid)
    sources = find_sources(axial, scan_map)
    write_segmentation(scan_map, sources, tmp_path / "top.dcm")
    image = sitk.ReadImage(str(tmp_path / "top.dcm"))
    top, backwards = scan_map.top(0.05), np.linalg.inv(scan_map.grid.affine)
    for index, value in np.ndenumerate(sitk.GetArrayFromImage(image)):
        place = image.TransformIndexToPhysicalPoint(index[::-1])
        found = (backwards @ [*place, 1])[:3]
        np.testing.assert_allclose(found, np.rint(found), atol=1e-3)
        assert (value > 0) == top[tuple(np.rint(found).astype(int))]


def assert_no_errors(files):
    """By dciodvfy, where it is installed."""
    if shutil.which("dciodvfy") is None:
        return
    for file in files:
        told = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert not [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")], file.name


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("storage", ["slices", "multi-frame", "anonymous"])
def test_dciodvfy_finds_no_error(storage, tmp_path):
    path = enhanced_of(tmp_path) if storage == "multi-frame" else scan_of(tmp_path, "axial")
    scan_map = signed_map(read_source(path).grid)
    sources = find_sources(path, scan_map)
    sources = anonymous(sources, "salt") if storage == "anonymous" else sources
    assert_no_errors(everything(scan_map, sources, tmp_path / "out"))


def test_a_real_series(real_ct, tmp_path):
    original = real_ct / "totalsegmentator" / "series"
    if not original.is_dir():
        pytest.skip(f"no {original}")
    volume = read_source(original)
    scan_map = ScanMap(volume.hu, volume.grid, np.ones(volume.grid.shape, dtype=bool), **WORDS)
    with pytest.raises(CaseError, match="no SeriesInstanceUID"):  # whoever published it blanked what it is called
        find_sources(original, scan_map)
    series, names = tmp_path / "series", {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    slices = {}
    for path in original.iterdir():
        source = pydicom.dcmread(path)
        for keyword, uid in names.items():
            setattr(source, keyword, uid)
        source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID
        slices[source.file_meta.MediaStorageSOPInstanceUID] = read_image(path).hu[0]
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID
        ct_files.save(source, series / path.name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = everything(scan_map, find_sources(series, scan_map), tmp_path / "out")
    assert len(files) == 4
    assert_placed(tmp_path / "out" / "map.dcm", scan_map)
    image = pydicom.dcmread(tmp_path / "out" / "map.dcm")
    for frame, own in zip(image.pixel_array, image.PerFrameFunctionalGroupsSequence, strict=True):
        source = own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_array_equal(frame, slices[source])
    assert_no_errors(files)
