"""What all DICOM files of a map have in common: who made them, what they say of the map, and how they are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ...errors import CaseError, TomolensError, reason_of
from ..scan_map import RESEARCH, ScanMap
from .sources import Sources

MAKER = "TomoLens"
LONG = 64
"""Characters of a long string (LO), of which readers count the bytes."""
_PART = 180
"""Characters for each of the five parts of a description of at most 1024."""


def common_options(scan_map: ScanMap, number: int, instance: int = 1, series: str = "") -> dict[str, Any]:
    """Arguments that highdicom's objects share: new UIDs, the software, and texts in UTF-8.

    Args:
        scan_map: the map.
        number: of the series in its study.
        instance: number in its series.
        series: its Series Instance UID; a new one where it is empty.
    """
    return {
        "series_instance_uid": series or generate_uid(),
        "series_number": number,
        "series_description": series_description(scan_map),
        "sop_instance_uid": generate_uid(),
        "instance_number": instance,
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": version("tomolens"),
        "device_serial_number": "none",
        "transfer_syntax_uid": ExplicitVRLittleEndian,
        "specific_character_set": "ISO_IR 192",
    }


def series_description(scan_map: ScanMap) -> str:
    """What viewers list: the title, and that it is for research."""
    ending = f" ({RESEARCH})"
    return fitting(scan_map.title, LONG - len(ending)) + ending


def derivation(scan_map: ScanMap) -> str:
    """All that is known of a map, in at most 1024 characters; a long part is cut, none is left out."""
    parts = {
        "": scan_map.title,
        "Estimator: ": scan_map.estimator,
        "Explained: ": scan_map.explained_class,
        "Network: ": scan_map.prediction,
        "Trust: ": scan_map.trust,
    }
    said = "; ".join(name + fitting(text, _PART) for name, text in parts.items())
    return f"{said}; {RESEARCH}"


def fitting(text: str, longest: int) -> str:
    """A text as a single DICOM value of at most so many bytes of UTF-8: what is cut ends in dots."""
    plain = " ".join(text.split()).replace("\\", "/")
    content = plain.encode()
    return plain if len(content) <= longest else f"{content[: longest - 3].decode(errors='ignore')}..."


@contextmanager
def refused_headers(sources: Sources) -> Iterator[None]:
    """Turn what highdicom and pydicom raise on a header into a `CaseError` that names the scan."""
    try:
        yield
    except TomolensError:
        raise
    except OSError as error:
        raise CaseError(f"{error.filename}: cannot be written ({error.strerror})") from error
    except Exception as error:  # highdicom raises nearly every built-in type
        raise CaseError(f"{sources.place}: no DICOM object can be made of its header ({reason_of(error)})") from error


def write(dataset: Any, scan_map: ScanMap, sources: Sources, file: Path) -> None:
    """Say whose it is and what it shows, and write it at once or not at all."""
    dataset.copy_patient_and_study_information(sources.identity)
    dataset.DerivationDescription = derivation(scan_map)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        dataset.save_as(fresh, enforce_file_format=True)
        os.replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def reference(image: Dataset, frames: tuple[int, ...] = ()) -> Dataset:
    """A reference to an image, or to some of its frames."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if frames:
        item.ReferencedFrameNumber = list(frames)
    return item
