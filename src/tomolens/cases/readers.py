"""Readers: one image file to Hounsfield units, one label map to a mask. A new format is one function here."""

import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from ..errors import CaseError

Pixels = NDArray[np.float32]


def read_dicom(path: Path) -> Pixels:
    """A single-slice DICOM CT image in HU, ``(rows, columns)``.

    Raises:
        CaseError: not DICOM, not CT, more than one frame, or pixel data that cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            # Real scanners write decimal strings with leading zeros and the like; values still parse.
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path)
            modality = str(header.get("Modality", "no modality"))
            if modality != "CT":
                raise CaseError(f"{path}: modality is {modality}, expected CT")
            stored = header.pixel_array
            slope = float(header.get("RescaleSlope", 1.0))
            intercept = float(header.get("RescaleIntercept", 0.0))
    except InvalidDicomError as error:
        raise CaseError(f"{path}: not a DICOM file") from error
    except CaseError:
        raise
    except Exception as error:  # pydicom and its decoders raise nearly every built-in type
        raise CaseError(f"{path}: unreadable DICOM ({last_line(error)})") from error
    if stored.ndim != 2:
        raise CaseError(f"{path}: pixel data of shape {stored.shape}, expected one grey slice")
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def read_nifti(path: Path) -> Pixels:
    """A single-slice NIfTI image in HU, as radiologists look at it: ``(rows, columns)``, front up, right on the left.

    Read with nibabel: ITK turns NaN into 0 without a word.

    Raises:
        CaseError: unreadable, or a volume of more than one slice.
    """
    try:
        image = nibabel.load(path)
        stored: NDArray[np.generic] = np.asarray(image.dataobj)
        stored = stored.reshape(stored.shape + (1,) * (3 - stored.ndim))
        turn = nibabel.io_orientation(image.affine)
    except Exception as error:  # nibabel raises its own, the operating system's and zlib's errors
        raise CaseError(f"{path}: unreadable NIfTI ({last_line(error)})") from error
    if stored.ndim != 3:
        raise CaseError(f"{path}: shape {stored.shape}, expected a single slice")
    upright = np.asarray(nibabel.apply_orientation(stored, turn), dtype=np.float32)[::-1, ::-1]
    if upright.shape[2:] != (1,):
        raise CaseError(f"{path}: shape {stored.shape}, expected a single axial slice")
    return upright.reshape(upright.shape[:2]).T


def read_png(path: Path) -> Pixels:
    """A grey PNG, ``(rows, columns)``, as it is stored."""
    try:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise CaseError(f"{path}: unreadable PNG ({last_line(error)})") from error
    if pixels.ndim != 2:
        raise CaseError(f"{path}: pixels of shape {pixels.shape}, expected one grey value a pixel")
    return np.asarray(pixels, dtype=np.float32)


READERS: dict[str, Callable[[Path], Pixels]] = {
    ".dcm": read_dicom,
    ".ima": read_dicom,
    "": read_dicom,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
}
LABEL_MAPS: dict[str, Callable[[Path], Pixels]] = {".png": read_png, ".nii": read_nifti, ".nii.gz": read_nifti}


def read_hu(path: Path) -> Pixels:
    """An image file in HU, by its suffix.

    Raises:
        CaseError: missing, of an unknown format, unreadable, or with values that are not finite.
    """
    require_file(path)
    reader = READERS.get(suffix(path))
    if reader is None:
        raise CaseError(f"{path}: unknown image format '{suffix(path)}', expected one of {known(READERS)}")
    hu = reader(path)
    if not np.isfinite(hu).all():
        raise CaseError(f"{path}: {int((~np.isfinite(hu)).sum())} of {hu.size} pixels are not finite (NaN or infinite)")
    return hu


def read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A label map as a mask: True where the label is not 0.

    Args:
        path: PNG or NIfTI.
        shape: shape of the image it belongs to.

    Raises:
        CaseError: missing, unreadable, or on another grid than the image.
    """
    require_file(path)
    if suffix(path) not in LABEL_MAPS:
        raise CaseError(f"{path}: unknown mask format '{suffix(path)}', expected one of {known(LABEL_MAPS)}")
    labels = LABEL_MAPS[suffix(path)](path)
    if labels.shape != shape:
        raise CaseError(f"{path}: mask of {labels.shape} pixels on an image of {shape}: they must share one grid")
    mask: NDArray[np.bool_] = labels != 0
    return mask


def suffix(path: Path) -> str:
    """Lower-case suffix, with ``.nii.gz`` in one piece; numbers after a dot (a UID as name) are none."""
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    return "" if path.suffix[1:].isdigit() else path.suffix.lower()


def require_file(path: Path) -> None:
    """Raise `CaseError` where ``path`` is not a file."""
    if not path.is_file():
        raise CaseError(f"{path}: no such file")


def known(formats: dict[str, Callable[[Path], Pixels]]) -> str:
    """The suffixes as a list for a message."""
    return ", ".join(name or "(no suffix: DICOM)" for name in formats)


def last_line(error: Exception) -> str:
    """The last line that says something: SimpleITK puts its reason after a stack of file names."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
