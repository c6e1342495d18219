"""A ready-made picture of a map as a DICOM Secondary Capture, which every viewer can show."""

from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ...errors import MapError
from ..scan_map import ScanMap
from .objects import MAKER, common_options, reference, refused_headers, write
from .sources import Sources

SERIES = 9104


def write_capture(
    picture: NDArray[np.uint8],
    scan_map: ScanMap,
    sources: Sources,
    file: Path,
    *,
    slice: int | None,
    series: str = "",
) -> None:
    """Write a picture with burnt-in words as a true-colour secondary capture.

    It belongs to the study of the scan and refers to the slice that it shows. It has no place in the patient: how the
    picture was turned and enlarged is the drawer's matter.

    Args:
        picture: uint8 ``(rows, columns, 3)``: red, green, blue.
        scan_map: the map that it shows.
        sources: the images that the map lies on.
        file: where to.
        slice: which slice of the scan as stored it shows; None where it lies across them: then it refers to all.
        series: Series Instance UID, for pictures that belong together; a new one where it is empty.

    Raises:
        MapError: no such picture, or a map with values that are not finite.
        CaseError: no such slice, images of another shape or place, a header of which no capture can be made, or a
            file that cannot be written.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise MapError(f"a picture of shape {picture.shape} in {picture.dtype}, expected (rows, columns, 3) in uint8")
    sources.require(scan_map)
    shown = _shown(sources, slice)
    with refused_headers(sources):
        options = common_options(scan_map, SERIES, 1 if slice is None else slice + 1, series)
        made = SCImage(
            pixel_array=np.ascontiguousarray(picture),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            study_instance_uid=sources.images[0].StudyInstanceUID,
            **options,
        )
        made.PatientOrientation = None  # highdicom wants one, and DICOM lets it be unknown
        made.Laterality = None  # wanted of a paired part of the body; which part it is may not be known
        made.ConversionType = "WSD"
        made.BurnedInAnnotation = "YES"
        made.SecondaryCaptureDeviceManufacturer = MAKER
        made.SecondaryCaptureDeviceManufacturerModelName = MAKER
        made.SecondaryCaptureDeviceSoftwareVersions = options["software_versions"]
        made.SourceImageSequence = [_with_purpose(item) for item in shown]
        whole = Dataset()
        whole.SeriesInstanceUID = sources.images[0].SeriesInstanceUID
        whole.ReferencedInstanceSequence = shown
        made.ReferencedSeriesSequence = [whole]
        write(made, scan_map, sources, file)


def _shown(sources: Sources, index: int | None) -> list[Dataset]:
    if index is None:
        return [reference(image) for image in sources.images]
    image, frame = sources.of_slice(index)
    return [reference(image, () if frame is None else (frame,))]


def _with_purpose(item: Dataset) -> Dataset:
    full = Dataset()
    full.update(item)
    full.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
    return full
