"""Headers of MetaImage and NRRD, looked at before ITK is: it believes them, and does not check what it unpacks."""

import bz2
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CaseError
from .places import suffix

_LONGEST_HEADER = 1 << 20
_LONGEST_WORD, _LONGEST_VALUE = 254, 20_000
"""Characters that ITK has room for, of a key or a word of its own, and of what it does not know."""
_NRRD_DATA_FILE = re.compile(rb"^data ?file:\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_NRRD_SKIP = re.compile(rb"^(line|byte) ?skip:\s*(?!0\s*$)", re.MULTILINE | re.IGNORECASE)
_NRRD_SIZES = re.compile(rb"^(?:spacings|space directions):(.*)$", re.MULTILINE | re.IGNORECASE)
_NRRD_PACKING = re.compile(rb"^encoding:\s*(gz|gzip|bz2|bzip2)\s*$", re.MULTILINE | re.IGNORECASE)
_META_DATA_FILE = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[ \t]*([^\r\n]+?)[ \t]*(?:\r?\n|$)", re.MULTILINE)
_META_VECTORS = {
    "DimSize": 1,
    "ElementSpacing": 1,
    "ElementSize": 1,
    "ImagePosition": 1,
    "Offset": 1,
    "Position": 1,
    "Origin": 1,
    "CenterOfRotation": 1,
    "TransformMatrix": 2,
    "Rotation": 2,
    "Orientation": 2,
}
"""Keys with one number a dimension, or a square of them."""
# fmt: off
_META_WORDS = frozenset((
    "Comment", "ObjectType", "ObjectSubType", "TransformType", "NDims", "Name", "ID", "ParentID", "CompressedData",
    "CompressedDataSize", "CompressionLevel", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB",
    "Color", "DistanceUnits", "AnatomicalOrientation", "AcquisitionDate", "HeaderSize", "Modality", "SequenceID",
    "ElementMin", "ElementMax", "ElementNumberOfChannels", "ElementNBits", "ElementToIntensityFunctionSlope",
    "ElementToIntensityFunctionOffset", "ElementType", "ElementDataFile",
))
# fmt: on
"""The other keys that ITK acts upon; what else a header says, as converters write it, it only keeps."""
_META_FOUR = ("Color", "SequenceID")

Packing = Literal["", "zlib", "gzip", "bzip2"]


@dataclass(frozen=True)
class Voxels:
    """Where the voxels of an image are.

    Attributes:
        file: that holds them: the image itself, or one beside it.
        start: the byte of it at which they begin.
        packing: how they are packed; empty where they are not.
        sized: whether the header says how large they are.
    """

    file: Path
    start: int
    packing: Packing
    sized: bool


def kind_of(path: Path) -> str:
    """The format's name for a message."""
    return "NRRD" if suffix(path) == ".nrrd" else "MetaImage"


def last_line(error: Exception) -> str:
    """The last line that says something: SimpleITK puts its reason after a stack of file names."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def find_voxels(path: Path) -> Voxels:
    """Where the voxels of a MetaImage or NRRD are, which must be the file itself or one beside it.

    Raises:
        CaseError: voxels elsewhere, in several files, or missing; a damaged header.
    """
    with path.open("rb") as opened:
        start = opened.read(_LONGEST_HEADER)
    packing: Packing = ""
    if suffix(path) == ".nrrd":
        end = re.search(rb"\r?\n\r?\n", start)
        header, begin = (start, len(start)) if end is None else (start[: end.start()], end.end())
        found = _NRRD_DATA_FILE.search(header)
        name = found[1].decode("latin-1") if found else "LOCAL"
        sizes = _NRRD_SIZES.search(header)
        sized = sizes is not None and re.search(rb"nan|none", sizes[1], re.IGNORECASE) is None
        if packed := _NRRD_PACKING.search(header):
            packing = "gzip" if packed[1].lower().startswith(b"g") else "bzip2"
            if _NRRD_SKIP.search(header):
                raise CaseError(f"{path}: packed voxels with a line or byte skip, which is not read: convert the file")
    else:
        element = _META_DATA_FILE.search(start)
        if element is None:
            raise CaseError(f"{path}: unreadable MetaImage (no ElementDataFile)")
        name, begin = element[1].decode("latin-1"), element.end()
        values = _meta_values(path, start[: element.start()])
        sized = "ElementSpacing" in values or "ElementSize" in values
        packing = "zlib" if values.get("CompressedData", "").upper() in ("TRUE", "T", "1") else ""
        if packing and values.get("HeaderSize", "0") != "0":
            raise CaseError(f"{path}: packed voxels with a HeaderSize, which is not read: convert the file")
    if name == "LOCAL":
        return Voxels(path, begin, packing, sized)
    if Path(name).name != name or name.startswith("LIST") or "%" in name:
        # The name is not repeated: it may be a patient's, and messages about cases go into results.
        raise CaseError(f"{path}: its voxels are in another folder or several files, expected one file beside it")
    if not (path.parent / name).is_file():
        raise CaseError(f"{path}: its voxels are in {path.parent / name}, which is missing")
    return Voxels(path.parent / name, 0, packing, sized)


def _meta_values(path: Path, header: bytes) -> dict[str, str]:
    """What a MetaImage header says. ITK writes beyond its arrays where the numbers of a key it knows are too many."""
    values: dict[str, str] = {}
    for line in header.decode("latin-1").removesuffix("\n").split("\n"):
        line = line.removesuffix("\r")
        # ITK ends a key at a colon as well, so that "NDims: 9 = 3" would be nine dimensions.
        key, separator, value = (part.strip(" \t") for part in (*re.split("([=:])", line, maxsplit=1), "", "")[:3])
        known = key in _META_VECTORS or key in _META_WORDS
        room = _LONGEST_WORD if known and key not in _META_VECTORS else _LONGEST_VALUE
        if (
            not (key and separator)
            or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line)
            or len(key) > _LONGEST_WORD
            or len(value) > room
            or (known and (separator == ":" or key in values or not value.isascii()))
        ):
            raise CaseError(f"{path}: unreadable MetaImage (header line {line[:40]!r})")
        values[key] = value
    dimensions = values.get("NDims", "")
    if dimensions not in ("2", "3", "4") or "DimSize" not in values:
        raise CaseError(f"{path}: unreadable MetaImage (NDims '{dimensions[:20]}', expected 2 to 4, with DimSize)")
    for key, power in (*_META_VECTORS.items(), *((key, 0) for key in _META_FOUR)):
        needed = int(dimensions) ** power if power else 4
        if key in values and len(values[key].split()) != needed:
            raise CaseError(f"{path}: unreadable MetaImage ({key} '{values[key][:40]}' in {dimensions} dimensions)")
    for key, plain in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if key in values and _number(values[key]) != plain:
            raise CaseError(f"{path}: {key} = {values[key][:20]}, which ITK does not apply: store Hounsfield units")
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def check_packed(path: Path, voxels: Voxels, expected: int) -> None:
    """Unpack the voxels once for their length and checksum: ITK hands out damaged ones without a word.

    Raises:
        CaseError: damaged, cut off, or of another length than ``expected`` bytes.
    """
    stream = _unpacker(voxels.packing)
    length = 0
    try:
        with voxels.file.open("rb") as opened:
            opened.seek(voxels.start)
            while not stream.eof:
                packed = getattr(stream, "unconsumed_tail", b"") or opened.read(1 << 16)
                if not packed:
                    raise CaseError(f"{path}: unreadable {kind_of(path)} (its packed voxels are cut off)")
                length += len(stream.decompress(packed, 1 << 22))
                while isinstance(stream, bz2.BZ2Decompressor) and not (stream.needs_input or stream.eof):
                    length += len(stream.decompress(b"", 1 << 22))
                if length > expected:
                    break
    except (zlib.error, OSError, EOFError) as error:
        raise CaseError(f"{path}: unreadable {kind_of(path)} (its packed voxels are damaged: {error})") from error
    if length != expected:
        more = "more than " if length > expected else ""
        raise CaseError(f"{path}: its voxels unpack to {more}{min(length, expected)} bytes, the header says {expected}")


def _unpacker(packing: Packing) -> "zlib._Decompress | bz2.BZ2Decompressor":
    return bz2.BZ2Decompressor() if packing == "bzip2" else zlib.decompressobj(31 if packing == "gzip" else 15)
