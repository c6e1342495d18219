"""Image files of every format to a volume in Hounsfield units. A new format is one function here."""

import gzip
import hashlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from ..errors import CaseError
from .dicom.pixels import read_image as read_dicom
from .geometry import Grid, Volume, check_affine, shear_in_words
from .itk_headers import check_packed, find_voxels, kind_of, last_line
from .places import archive_of, require_file, suffix

MOST_VOXELS = 1 << 30
"""Four thousand slices of 512 x 512; a header that claims more is not followed."""
MOST_PACKED = 1100
"""Times that deflate can at most shrink its input: a claim beyond it is false."""
MOST_AFTER = 1 << 20
"""Bytes that may follow the voxels."""
sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what matters is raised, in one line
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def open_nifti(path: Path) -> tuple[Any, Grid]:
    """A NIfTI image whose voxels are still on disk, and its grid. Nibabel: ITK turns NaN into 0 without a word.

    Raises:
        CaseError: unreadable, of more than three dimensions, or without a place in the patient.
    """
    try:
        image: Any = nibabel.load(path)
        shape, kind = tuple(int(length) for length in image.shape), image.get_data_dtype()
        affine = np.asarray(image.affine, dtype=np.float64)
        placed = int(image.header["qform_code"]) > 0 or int(image.header["sform_code"]) > 0
    except Exception as error:  # nibabel raises its own, the operating system's and zlib's errors
        raise CaseError(f"{path}: unreadable NIfTI ({_of_nifti(error)})") from error
    if image.get_data_dtype().kind in "iuf" and float(np.nan_to_num(image.dataobj.slope, nan=1.0)) < 0:
        raise CaseError(f"{path}: a negative slope of {image.dataobj.slope:g}, which turns air and tissue round")
    shape = shape[:3] + (1,) * (3 - len(shape)) if all(length == 1 for length in shape[3:]) else shape
    if len(shape) != 3 or kind.kind not in "iufb":
        raise CaseError(f"{path}: shape {shape} of {kind}, expected numbers in three dimensions")
    if not placed:
        raise CaseError(f"{path}: neither qform nor sform says where the voxels lie in the patient")
    _check_claim(path, shape, kind.itemsize, packed=suffix(path) == ".nii.gz")
    # NIfTI counts (column, row, slice) and looks from right to left, DICOM the other way.
    return image, _grid(path, shape[::-1], (_RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]])


def read_nifti(path: Path) -> Volume:
    """A NIfTI volume; raises `CaseError` as `open_nifti`, or where its voxels are damaged."""
    image, grid = open_nifti(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if suffix(path) == ".nii.gz":
                image = type(image).from_bytes(_whole_gzip(path, image))
            stored = np.asarray(image.dataobj, dtype=np.float32)
    except CaseError:
        raise
    except Exception as error:
        raise CaseError(f"{path}: unreadable NIfTI ({_of_nifti(error)})") from error
    return Volume(stored.reshape(grid.shape[::-1]).transpose(2, 1, 0), grid, shear_in_words(grid.affine))


def _whole_gzip(path: Path, image: Any) -> bytes:
    """All that a packed NIfTI holds: to the end, for only there stand its length and checksum."""
    width = image.get_data_dtype().itemsize
    expected = int(image.dataobj.offset) + int(np.prod([int(length) for length in image.shape])) * width
    content = bytearray()
    with gzip.open(path) as packed:
        while block := packed.read(1 << 20):
            content += block
            if len(content) > expected + MOST_AFTER:
                raise CaseError(f"{path}: unpacks to more than the {expected} bytes of its header and voxels")
    if len(content) < expected:
        raise CaseError(f"{path}: unpacks to {len(content)} bytes, its header and voxels are {expected}")
    return bytes(content)


def _of_nifti(error: Exception) -> str:
    """Nibabel hides behind a guess that the voxels end too soon."""
    text = last_line(error)
    return "cut off or damaged: it ends before its voxels do" if "could the file be damaged" in text else text


def open_itk(path: Path) -> tuple[sitk.ImageFileReader, Grid]:
    """A MetaImage or NRRD image whose voxels are still on disk, and its grid.

    Raises:
        CaseError: unreadable, cut off, of vectors, or with its pixels in a file elsewhere.
    """
    voxels = find_voxels(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size: tuple[int, ...] = reader.GetSize()
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
        components = reader.GetNumberOfComponents()
    except RuntimeError as error:
        raise CaseError(f"{path}: unreadable {kind_of(path)} ({last_line(error)})") from error
    if len(size) > 3 and any(length != 1 for length in size[3:]):
        raise CaseError(f"{path}: size {size}, expected three dimensions")
    if components != 1 or "complex" in kind:
        raise CaseError(f"{path}: {components} values a voxel ({kind}), expected one number; export it as a label map")
    bits = int(re.sub(r"\D", "", kind) or 64)
    _check_claim(voxels.file, size, bits // 8, packed=bool(voxels.packing))
    columns, rows, slices = (*size, 1, 1)[:3]
    return reader, _grid(path, (slices, rows, columns), _itk_affine(reader))


def read_itk(path: Path) -> Volume:
    """A MetaImage or NRRD volume; raises `CaseError` as `open_itk`, or where its voxels are damaged."""
    reader, grid = open_itk(path)
    voxels = find_voxels(path)
    if voxels.packing:
        width = int(re.sub(r"\D", "", sitk.GetPixelIDValueAsString(reader.GetPixelID())) or 64) // 8
        check_packed(path, voxels, int(np.prod(grid.shape)) * width)
    try:
        stored = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise CaseError(f"{path}: unreadable {kind_of(path)} ({last_line(error)})") from error
    hu, notes = stored.astype(np.float32).reshape(grid.shape), shear_in_words(grid.affine)
    return Volume(hu, grid, notes, sized=voxels.sized)


READERS: dict[str, Callable[[Path], Volume]] = {
    ".dcm": read_dicom,
    ".ima": read_dicom,
    ".dicom": read_dicom,
    "": read_dicom,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_itk,
    ".mha": read_itk,
    ".mhd": read_itk,
}
IMAGE_SUFFIXES = tuple(suffix for suffix, reader in READERS.items() if reader is not read_dicom)
"""Of the formats that keep a whole volume in one file."""


def read_volume(path: Path) -> Volume:
    """An image file by its suffix, or a label map, which packs far better.

    Raises:
        CaseError: missing, of an unknown format, unreadable, or with values that are not finite.
    """
    require_file(path)
    reader = READERS.get(suffix(path))
    if reader is None:
        raise CaseError(f"{path}: unknown image format '{suffix(path)}', expected one of {known(READERS)}")
    if reader is not read_dicom and not path.is_file():
        raise CaseError(f"{path}: only DICOM is read out of archives: unpack {archive_of(path)}")
    volume = reader(path)
    if not np.isfinite(volume.hu).all():
        bad = int((~np.isfinite(volume.hu)).sum())
        raise CaseError(f"{path}: {bad} of {volume.hu.size} pixels are not finite (NaN or infinite)")
    return volume


def read_grid(path: Path) -> Grid:
    """Where the voxels of a volume in one file lie, without reading them.

    Raises:
        CaseError: as for the volume itself.
    """
    require_file(path)
    return (open_nifti(path) if READERS.get(suffix(path)) is read_nifti else open_itk(path))[1]


def name_of_content(path: Path) -> str:
    """A short name for a volume in one file that neither its path nor the salt shows in: a hash of what it holds.

    Random draws are keyed by the names of cases, which may therefore not depend on a salt; a hash of the path could
    be found by trying patients' names.
    """
    held = path if READERS.get(suffix(path)) is read_nifti else find_voxels(path).file
    with held.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=5))
    return f"V{digest.hexdigest()}"


def read_png(path: Path) -> NDArray[np.float32]:
    """A grey PNG, ``(rows, columns)``, as it is stored; it has no place in the patient.

    Raises:
        CaseError: unreadable, in colour or of absurd size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=["PNG"])
            _check_claim(path, image.size, 1, packed=True)
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise CaseError(f"{path}: unreadable PNG ({last_line(error)})") from error
    if pixels.ndim != 2:
        raise CaseError(f"{path}: pixels of shape {pixels.shape}, expected one grey value a pixel")
    return pixels.astype(np.float32)


def known(formats: dict[str, Any]) -> str:
    """The suffixes as a list for a message."""
    return ", ".join(name or "(no suffix: DICOM)" for name in formats)


def _check_claim(path: Path, shape: tuple[int, ...], width: int, *, packed: bool) -> None:
    """Before anything is allocated: no more voxels than make sense, nor than the file can hold."""
    voxels = int(np.prod([float(length) for length in shape]))
    if not shape or min(shape) < 1 or voxels > MOST_VOXELS:
        raise CaseError(f"{path}: size {tuple(shape)}, expected at least 1 and at most {MOST_VOXELS} voxels")
    bytes_there = path.stat().st_size * (MOST_PACKED if packed else 1)
    if voxels * width > bytes_there:
        raise CaseError(f"{path}: {voxels} voxels of {width} bytes cannot be in a file of {path.stat().st_size} bytes")


def _grid(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64]) -> Grid:
    try:
        check_affine(affine)
    except CaseError as error:
        raise CaseError(f"{path}: its affine is no grid in the patient: {error}") from error
    slices, rows, columns = shape
    return Grid((slices, rows, columns), affine)


def _itk_affine(image: sitk.ImageFileReader) -> NDArray[np.float64]:
    dimensions = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine = np.eye(4)
    used = min(dimensions, 3)
    affine[:used, :used] = (direction * image.GetSpacing())[:used, :used]
    affine[:used, 3] = image.GetOrigin()[:used]
    return affine[:, [2, 1, 0, 3]]
