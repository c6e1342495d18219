"""What of a source image's header goes into a map: which image it is and where it lies; nothing of the patient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from ...cases.dicom.frames import frame_groups, macro
from ...cases.dicom.headers import CT_CLASSES, CT_IMAGE
from ...cases.geometry import SAME_PLACE, Grid
from ...errors import CaseError

UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
"""What a map refers to its scan by."""
COMMON = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
"""Which of them all images of a scan share."""
EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""What DICOM wants to be there, and lets be empty."""
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def plane_headers(datasets: Sequence[Dataset], files: Sequence[Path], grid: Grid) -> tuple[Dataset, ...]:
    """New headers that place each image, and name it; values that DICOM wants and the source lacks are left empty.

    Args:
        datasets: headers as read, slice by slice, or that of one multi-frame image.
        files: where each was read, for messages.
        grid: of the scan.

    Raises:
        CaseError: naming file and value: a UID that is missing or not the same in all slices, slices askew to one
            another, several multi-frame images, or no thickness of a single slice.
    """
    for dataset, file in zip(datasets, files, strict=True):
        _name(dataset)
        _require_uids(dataset, datasets[0], file)
    if datasets[0].SOPClassUID != CT_IMAGE:
        if len(datasets) > 1:
            raise CaseError(f"{files[1]}: another multi-frame image of the scan, expected one for all its frames")
        return (_multi_frame(datasets[0], files[0], grid),)
    return tuple(_single_frame(dataset, datasets[0], file, grid) for dataset, file in zip(datasets, files, strict=True))


def _name(dataset: Dataset) -> None:
    """Give an image the name that stands in front of its header, where the header itself has lost it."""
    dataset.SOPClassUID = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    dataset.SOPInstanceUID = dataset.get("SOPInstanceUID") or dataset.file_meta.get("MediaStorageSOPInstanceUID")


def _require_uids(dataset: Dataset, first: Dataset, file: Path) -> None:
    for keyword in UIDS:
        if not dataset.get(keyword):
            raise CaseError(f"{file}: no {keyword} in its header: nothing could refer to it")
    if dataset.SOPClassUID not in CT_CLASSES:
        raise CaseError(f"{file}: SOP class {dataset.SOPClassUID.name}, expected a CT image")
    for keyword in COMMON:
        if dataset.get(keyword) != first.get(keyword):
            raise CaseError(f"{file}: {keyword} {dataset.get(keyword)}, other slices have {first.get(keyword)}")


def _named(dataset: Dataset) -> Dataset:
    """A header with the image's names, and empty where a patient would be."""
    header = Dataset()
    for keyword in UIDS:
        setattr(header, keyword, str(dataset.get(keyword)))
    for keyword in EMPTY:
        setattr(header, keyword, "")
    for keyword in LOSSY:
        if dataset.get(keyword):
            setattr(header, keyword, dataset.get(keyword))
    header.Modality = "CT"
    header.Rows, header.Columns = int(dataset.Rows), int(dataset.Columns)
    return header


def _single_frame(dataset: Dataset, first: Dataset, file: Path, grid: Grid) -> Dataset:
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise CaseError(f"{file}: {dataset.NumberOfFrames} frames in a CT image of a single one")
    shift = np.abs(_corners(dataset) - _corners(first)).max()
    if shift > SAME_PLACE * min(grid.spacing[1:]):
        raise CaseError(f"{file}: askew or of another pixel spacing: {shift:.4g} mm at the corners from other slices")
    header = _named(dataset)
    header.ImageOrientationPatient = decimals(first.ImageOrientationPatient)
    header.ImagePositionPatient = decimals(dataset.ImagePositionPatient)
    header.PixelSpacing = decimals(first.PixelSpacing)
    thickness = _thickness(dataset.get("SliceThickness"), file, grid)
    header.SliceThickness = decimals([thickness])[0]
    if grid.shape[0] > 1:
        header.SpacingBetweenSlices = decimals([distance(grid)])[0]
    return header


def _multi_frame(dataset: Dataset, file: Path, grid: Grid) -> Dataset:
    frames = grid.shape[0]
    groups = frame_groups(dataset, frames)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = decimals(macro(dataset, groups[0], "PixelMeasuresSequence", "PixelSpacing"))
    thickness = macro(dataset, groups[0], "PixelMeasuresSequence", "SliceThickness")
    measures.SliceThickness = decimals([_thickness(thickness, file, grid)])[0]
    if frames > 1:
        measures.SpacingBetweenSlices = decimals([distance(grid)])[0]
    orientation.ImageOrientationPatient = decimals(
        macro(dataset, groups[0], "PlaneOrientationSequence", "ImageOrientationPatient")
    )
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    header = _named(dataset)
    header.NumberOfFrames = frames
    header.SharedFunctionalGroupsSequence = [shared]
    own = []
    for group in groups:
        place, item = Dataset(), Dataset()
        place.ImagePositionPatient = decimals(macro(dataset, group, "PlanePositionSequence", "ImagePositionPatient"))
        item.PlanePositionSequence = [place]
        own.append(item)
    header.PerFrameFunctionalGroupsSequence = own
    return header


def _corners(dataset: Dataset) -> NDArray[np.float64]:
    """Far corners of a slice from its first pixel, in mm."""
    directions = np.array([float(number) for number in dataset.ImageOrientationPatient]).reshape(2, 3)
    between_rows, between_columns = (float(number) for number in dataset.PixelSpacing)
    along_row = directions[0] * between_columns * (int(dataset.Columns) - 1)
    along_column = directions[1] * between_rows * (int(dataset.Rows) - 1)
    return np.stack([along_row, along_column])


def _thickness(given: object, file: Path, grid: Grid) -> float:
    """Of a slice, in mm: what the header says, or where it does not the distance to the next slice.

    Raises:
        CaseError: neither is known.
    """
    said = float(str(given)) if given not in (None, "") else 0.0
    if said > 0:
        return said
    if grid.shape[0] == 1:
        raise CaseError(f"{file}: slice thickness {given}, and no other slice that would tell it")
    return distance(grid)


def distance(grid: Grid) -> float:
    """From slice to slice along their normal, in mm."""
    normal = np.cross(grid.affine[:3, 2], grid.affine[:3, 1])
    return float(abs(normal @ grid.affine[:3, 0]) / np.linalg.norm(normal))


def decimals(numbers: Sequence[float]) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters, whatever the source's looked like."""
    return [DSfloat(float(number), auto_format=True) for number in numbers]
