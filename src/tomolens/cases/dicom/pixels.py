"""Pixels of DICOM CT images in Hounsfield units; every claim of a header is checked before anything is allocated."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ...errors import CaseError, reason_of
from ..geometry import Volume
from ..places import open_place
from .codestream import claimed_size
from .frames import frame_groups, macro, placed
from .headers import CT_CLASSES, DIRECTORY
from .isolated import Frame, decoder
from .series import Series

LONGEST_SIDE = 8192
"""Pixels; the largest CT matrix on the market is 2048."""
MOST_FRAMES = 20_000
MOST_RUN = 64
"""Pixels that two bytes of run-length code can stand for, a byte."""
DECODERS = {
    JPEGBaseline8Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    RLELossless: "pydicom",
}
"""One decoder a syntax: of several that are installed, some abort the process on damaged streams."""
ISOLATED = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
"""Syntaxes that GDCM alone decodes, which aborts on some damaged streams: a process of its own does it."""
AIR = -1024.0
"""HU of padding: outside the scan there is nothing, and the lowest value of a 12-bit scanner says so."""
WARMEST_PADDING = -500.0
"""A padding value above this HU would erase tissue: such headers are wrong and are not followed."""
STEEPEST, FARTHEST_INTERCEPT = 100.0, 50_000.0
"""Rescaling beyond these is no scanner's: even the extended scale for metal has a slope of 10."""
_UNITS = ("", "HU", "HU_MOD", "US")


def read_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """A whole DICOM file, or what comes before its pixels.

    Raises:
        CaseError: not DICOM or damaged.
    """
    with open_place(path) as opened:
        try:
            with warnings.catch_warnings():
                # Real scanners write decimal strings with leading zeros and the like; values still parse.
                warnings.simplefilter("ignore")
                return pydicom.dcmread(opened, stop_before_pixels=not pixels)
        except InvalidDicomError as error:
            raise CaseError(f"{path}: not a DICOM file") from error
        except Exception as error:  # pydicom raises nearly every built-in type on damaged bytes
            raise CaseError(f"{path}: unreadable DICOM ({reason_of(error)})") from error


def read_image(path: Path) -> Volume:
    """A DICOM CT image, one slice or multi-frame.

    Raises:
        CaseError: not a CT image, damaged, or of sizes that no scanner makes.
    """
    dataset = read_dataset(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _volume(dataset)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    except Exception as error:  # damaged values surface wherever they are first used
        raise CaseError(f"{path}: unreadable DICOM ({reason_of(error)})") from error


def read_series(series: Series) -> Volume:
    """A series as one volume.

    Raises:
        CaseError: slices that form no volume, or one that cannot be read.
    """
    if series.is_multi_frame and series.patients == 1:
        return read_image(series.places[0])
    grid = series.grid()
    hu = np.empty(grid.shape, np.float32)
    notes = list(series.notes)
    for index, place in enumerate(series.places):
        plane = read_image(place)
        if plane.hu.shape != (1, *grid.shape[1:]):
            raise CaseError(f"{place}: {plane.hu.shape} pixels, its header said {grid.shape[1:]}")
        hu[index] = plane.hu[0]
        notes += [note for note in plane.notes if note not in notes]
    return Volume(hu, grid, tuple(notes))


def _volume(dataset: Dataset) -> Volume:
    _check_kind(dataset)
    frames = check_claim(dataset)
    groups = frame_groups(dataset, frames)
    stored = _decoded(dataset, frames)
    _check_bits(dataset, stored)
    hu = np.empty(stored.shape, np.float32)
    notes: list[str] = []
    for index in range(frames):
        slope, intercept = _rescale(dataset, groups[index])
        hu[index] = stored[index] * slope + intercept  # in float64, so that slopes like 0.0001 lose nothing
        padded, note = _padding(dataset, stored[index], slope, intercept)
        if padded is not None:
            hu[index][padded] = AIR
        if note and note not in notes:
            notes.append(note)
    order, grid = placed(dataset, groups, frames)
    instance = str(dataset.get("SOPInstanceUID", "")) if frames == 1 else ""
    return Volume(hu if order is None else hu[order], grid, tuple(notes), instance)


def _check_kind(dataset: Dataset) -> None:
    sop_class = str(dataset.get("SOPClassUID", ""))
    if sop_class == DIRECTORY:
        raise CaseError("a DICOM directory, expected a CT image")
    if not sop_class and "Modality" not in dataset:
        raise CaseError("neither SOP class nor modality in its header: no CT image, or cut off")
    modality = str(dataset.get("Modality", "not given"))
    if modality != "CT" or (sop_class and sop_class not in CT_CLASSES):
        kind = modality if modality != "CT" else UID(sop_class).name
        raise CaseError(f"modality is {kind}, expected CT")
    if "PixelData" not in dataset:
        raise CaseError("no pixel data")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise CaseError(f"{dataset.SamplesPerPixel} values a pixel, expected one grey value")
    if "LOCALIZER" in str(dataset.get("ImageType") or "").upper():
        raise CaseError("a localizer (scout view), expected an axial image")
    colours = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip().upper()
    if not colours.startswith("MONOCHROME"):
        raise CaseError(
            f"photometric interpretation {colours}, expected MONOCHROME2: its pixels are no Hounsfield units"
        )
    unit = str(dataset.get("RescaleType") or "").strip().upper()
    if unit not in _UNITS:
        raise CaseError(f"rescale type is {unit}, expected Hounsfield units (HU)")


def check_claim(dataset: Dataset) -> int:
    """Before any decoder allocates: the header's sizes against sense and against the bytes that are there.

    Returns:
        The number of frames.

    Raises:
        CaseError: sizes that no scanner makes, or fewer bytes than they need.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not (0 < rows <= LONGEST_SIDE and 0 < columns <= LONGEST_SIDE and 0 < frames <= MOST_FRAMES):
        raise CaseError(
            f"{frames} frames of {rows} x {columns} pixels, expected at most {MOST_FRAMES} of "
            f"{LONGEST_SIDE} x {LONGEST_SIDE}"
        )
    bits = int(dataset.get("BitsAllocated") or 0)
    if bits not in (1, 8, 16, 32):
        raise CaseError(f"{bits} bits a pixel, expected 1, 8, 16 or 32")
    data: bytes = dataset.get("PixelData") or b""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        needed = (frames * rows * columns * bits + 7) // 8
        if len(data) < needed:
            raise CaseError(f"unreadable DICOM: {len(data)} bytes of pixels, {needed} are needed")
        if len(data) >= needed + max(needed // frames, 2):
            raise CaseError(
                f"unreadable DICOM: {len(data)} bytes of pixels, {frames} frames of {rows} x {columns} have {needed}"
            )
        return frames
    count = 0
    for count, frame in enumerate(generate_frames(data, number_of_frames=frames), start=1):
        size = claimed_size(frame)
        if syntax != RLELossless and size != (rows, columns, 1):
            found = "no image" if size is None else " x ".join(map(str, size))
            raise CaseError(f"unreadable DICOM: frame {count} is {found}, the header says {rows} x {columns} x 1")
        if syntax == RLELossless and len(frame) * MOST_RUN < rows * columns * bits // 8:
            raise CaseError(f"unreadable DICOM: frame {count} of {len(frame)} bytes is cut off")
    if count != frames:
        raise CaseError(f"unreadable DICOM: {count} frames of pixels, the header says {frames}")
    return frames


def _decoded(dataset: Dataset, frames: int) -> NDArray[np.integer[Any]]:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    stored: NDArray[np.integer[Any]] | None = None
    for index, frame in enumerate(_frames(dataset, frames)):
        if stored is None:
            stored = np.empty((frames, rows, columns), frame.dtype)
        stored[index] = frame
    if stored is None:
        raise CaseError("no pixel data")
    return stored


def _frames(dataset: Dataset, frames: int) -> Iterator[NDArray[np.integer[Any]]]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in ISOLATED:
        yield from iter_pixels(dataset, raw=True, decoding_plugin=DECODERS.get(syntax, ""))
        return
    described = Frame(
        syntax=str(syntax),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.BitsStored),
        is_signed=int(dataset.get("PixelRepresentation") or 0) == 1,
    )
    for content in generate_frames(dataset.PixelData, number_of_frames=frames):
        yield decoder.decode(described, content)


def _check_bits(dataset: Dataset, decoded: NDArray[np.integer[Any]]) -> None:
    """Decoders cut pixels to BitsStored: where the file keeps more in the bits above, the header hides it."""
    bits, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    syntax = dataset.file_meta.TransferSyntaxUID
    if stored == bits or bits < 16 or syntax.is_encapsulated:
        return
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    kind = np.dtype(f"{'<' if syntax.is_little_endian else '>'}{'i' if signed else 'u'}{bits // 8}")
    raw = np.frombuffer(dataset.PixelData, kind, decoded.size).reshape(decoded.shape)
    hidden = raw != decoded
    if signed:
        hidden &= raw >> stored != 0  # writers may leave the bits above a sign at zero
    if hidden.any():
        share = 100 * float(hidden.mean())
        raise CaseError(f"{share:.3g} % of pixels need more than the {stored} bits that BitsStored says")


def _rescale(dataset: Dataset, groups: Sequence[Dataset]) -> tuple[float, float]:
    values = [
        macro(dataset, groups, "PixelValueTransformationSequence", f"Rescale{name}") for name in ("Slope", "Intercept")
    ]
    if any(value is None for value in values):
        raise CaseError("no rescale slope and intercept: its pixels cannot be told in Hounsfield units")
    slope, intercept = map(float, values)
    if not (np.isfinite([slope, intercept]).all() and slope != 0):
        raise CaseError(f"rescale slope {slope} and intercept {intercept} make no Hounsfield units")
    if slope < 0:
        raise CaseError(f"a rescale slope of {slope:g}, which turns air and tissue round")
    if slope > STEEPEST or abs(intercept) > FARTHEST_INTERCEPT:
        raise CaseError(f"rescale slope {slope:g} and intercept {intercept:g}, which no scanner writes for HU")
    return slope, intercept


def _padding(
    dataset: Dataset, stored: NDArray[np.integer[Any]], slope: float, intercept: float
) -> tuple[NDArray[np.bool_] | None, str | None]:
    """Which pixels are padding, and a word where the header's padding value cannot be true."""
    limits = [dataset.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if limits[0] is None:
        return None, None
    bits = int(dataset.BitsAllocated)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    values = [_as_stored(int(limit), bits, signed) for limit in limits if limit is not None]
    low, high = min(values), max(values)
    if max(low * slope, high * slope) + intercept > WARMEST_PADDING:
        return (
            None,
            f"a padding value of {high} ({high * slope + intercept:.0f} HU) would erase tissue and was not used",
        )
    return (stored >= low) & (stored <= high), None


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """-2000 is written as 63536 by scanners that take the tag for unsigned, and the other way round."""
    value %= 1 << bits
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value
