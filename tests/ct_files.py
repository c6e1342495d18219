"""Small CT files of every kind, written by well-known libraries, for tests of the readers."""

import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    RTStructureSetStorage,
    generate_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
IDENTITY = {
    "PatientName": "Zwyczajna^Genowefa",
    "PatientID": "HOSP-7766554433",
    "PatientBirthDate": "19310203",
    "AccessionNumber": "ACC-99887766",
    "ReferringPhysicianName": "Przychodnia^Doktor",
    "InstitutionName": "Szpital Przykladowy",
    "OtherPatientIDs": "ALT-5544332211",
    "PatientAddress": "Ulica Zmyslona 17",
}
"""What must never leave a reader."""


def new_slice(
    hu,
    position=(0.0, 0.0, 0.0),
    orientation=AXIAL,
    spacing=(0.8, 0.7),
    slope=1.0,
    intercept=-1024.0,
    series=None,
    study=None,
    frame=None,
    **tags,
):
    """A CT image of one slice as a dataset; ``tags`` set or (None) delete what a scanner would write."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series or generate_uid()
    dataset.StudyInstanceUID = study or generate_uid()
    dataset.FrameOfReferenceUID = frame or generate_uid()
    for name, value in IDENTITY.items():
        setattr(dataset, name, value)
    dataset.PatientSex, dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "F", "1", "20200101", "120000"
    dataset.Modality, dataset.Manufacturer = "CT", "SCANNERS"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber = dataset.InstanceNumber = dataset.AcquisitionNumber = 1
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = list(position), list(orientation)
    dataset.PixelSpacing, dataset.SliceThickness = list(spacing), 2.0
    dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = str(slope), str(intercept), "HU"
    dataset.PixelData = np.round((np.asarray(hu) - intercept) / slope).astype(np.int16).tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


def write_slice(path, hu, **options):
    return save(new_slice(hu, **options), path)


def write_series(folder, hu, step=(0.0, 0.0, 2.5), origin=(-10.0, -20.0, 100.0), names=None, **options):
    """A volume ``(slices, rows, columns)`` as a series; file names are in no useful order."""
    order = np.random.default_rng(4).permutation(len(hu))
    common = {"series": generate_uid(), "study": generate_uid(), "frame": generate_uid(), **options}
    paths = [folder / (names[index] if names else f"{order[index]:04d}.dcm") for index in range(len(hu))]
    for index, (plane, path) in enumerate(zip(hu, paths, strict=True)):
        position = np.array(origin) + index * np.array(step)
        write_slice(path, plane, position=tuple(position), InstanceNumber=int(order[index]) + 1, **common)
    return paths


def compress(path, syntax):
    """Rewrite a native DICOM file in a compressed transfer syntax."""
    dataset = pydicom.dcmread(path)
    if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        dataset.compress(syntax, generate_instance_uid=False)
        return save(dataset, path)
    import gdcm

    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
    return path


def write_enhanced(path, hu, step=(0.0, 0.0, 2.5), origin=(-10.0, -20.0, 100.0), order=None, spacing=(0.8, 0.7)):
    """A volume as one enhanced multi-frame CT image, its frames in any order, each with a rescaling of its own."""
    order = list(range(len(hu)))[::-1] if order is None else order
    dataset = new_slice(hu[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None)
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = len(hu)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing), 2.5
    orientation.ImageOrientationPatient = list(AXIAL)
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    own, stored = [], []
    for index in order:
        place, values, group = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = list(np.array(origin) + index * np.array(step))
        values.RescaleSlope, values.RescaleIntercept = 1, -1000 - index
        values.RescaleType = "HU"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = Sequence([place]), Sequence([values])
        own.append(group)
        stored.append(np.round(hu[index] + 1000 + index).astype(np.int16))
    dataset.PerFrameFunctionalGroupsSequence = Sequence(own)
    dataset.PixelData = np.stack(stored).tobytes()
    return save(dataset, path)


def write_segmentation(path, sources, masks):
    """A SEG of named masks ``(slices, rows, columns)`` on the slices of a series, empty slices left out."""
    images = [pydicom.dcmread(source) for source in sources]
    finding = CodedConcept("123037004", "SCT", "Anatomical Structure")
    descriptions = [
        highdicom.seg.SegmentDescription(
            number,
            name,
            finding,
            finding,
            algorithm_type="MANUAL",
        )
        for number, name in enumerate(masks, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segmentation = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=np.stack(list(masks.values()), axis=-1).astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=descriptions,
            series_instance_uid=generate_uid(),
            series_number=2,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="TESTS",
            manufacturer_model_name="TESTS",
            software_versions="1",
            device_serial_number="1",
            omit_empty_frames=True,
        )
    return save(segmentation, path)


def write_structures(path, source, contours, types=None):
    """An RTSTRUCT: for each name a list of closed contours ``(K, 3)`` in LPS mm; ``types`` of some names."""
    image = pydicom.dcmread(source, stop_before_pixels=True)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "RTSTRUCT", generate_uid(), generate_uid()
    for name, value in IDENTITY.items():
        setattr(dataset, name, value)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    study.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = image.FrameOfReferenceUID, Sequence([study])
    dataset.ReferencedFrameOfReferenceSequence = Sequence([frame])
    dataset.StructureSetROISequence, dataset.ROIContourSequence = Sequence(), Sequence()
    dataset.RTROIObservationsSequence = Sequence()
    for number, (name, outlines) in enumerate(contours.items(), start=1):
        observed = Dataset()
        observed.ObservationNumber = observed.ReferencedROINumber = number
        observed.RTROIInterpretedType, observed.ROIInterpreter = (types or {}).get(name, ""), ""
        dataset.RTROIObservationsSequence.append(observed)
        structure, region = Dataset(), Dataset()
        structure.ROINumber, structure.ROIName = number, name
        region.ReferencedROINumber, region.ContourSequence = number, Sequence()
        for points in outlines:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{number:.3f}" for number in np.asarray(points).ravel()]
            region.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(structure)
        dataset.ROIContourSequence.append(region)
    return save(dataset, path)


def write_readings(path, series, readers):
    """LIDC-IDRI readings: for each reader a list of ``(height, inclusion, points)``."""
    sessions = []
    for outlines in readers:
        rois = "".join(
            f"<roi><imageZposition>{height:.6f}</imageZposition><inclusion>{str(inclusion).upper()}</inclusion>"
            + "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
            + "</roi>"
            for height, inclusion, points in outlines
        )
        nodule = f"<unblindedReadNodule><noduleID>N</noduleID>{rois}</unblindedReadNodule>"
        sessions.append(f"<readingSession><annotationVersion>3.12</annotationVersion>{nodule}</readingSession>")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><LidcReadMessage xmlns="http://www.nih.gov">'
        f"<ResponseHeader><SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>"
        f"{''.join(sessions)}</LidcReadMessage>"
    )
    return path


def write_volume(path, values, spacing=(0.7, 0.8, 2.5), origin=(-10.0, -20.0, 100.0), direction=None, packed=True):
    """A volume ``(slices, rows, columns)`` by SimpleITK; spacing, origin and direction in its order (x, y, z)."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=packed)
    return path


def body(slices=6, rows=20, columns=24, seed=0):
    """Whole HU with structure in every direction, so that no flip goes unnoticed."""
    random = np.random.default_rng(seed)
    z, y, x = np.mgrid[:slices, :rows, :columns]
    return np.round(random.uniform(-100, 100, (slices, rows, columns)) + 30 * z + 10 * y - 5 * x).astype(np.int16)


def relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
