"""DICOM headers: what must be known of a file before its pixels are read, and nothing else."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Literal

from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from ...errors import CaseError

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
DIRECTORY = "1.2.840.10008.1.3.10"
CT_CLASSES = (CT_IMAGE, ENHANCED_CT, LEGACY_ENHANCED_CT)

START = 1 << 14
"""Bytes read first: nearly every CT header ends before."""
LONGEST = 1 << 26
"""Bytes within which the header proper must end."""
_PREAMBLE = 132
_TRANSFER_SYNTAX = BaseTag(0x00020010)
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_LAST_TAG = 0x00280030

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a DICOM header that places an image in a scan, and the scan in a study.

    Attributes:
        place: path of the file, as text; through the archive for a member.
        sop_class: kind of object.
        instance: SOP Instance UID.
        series: Series Instance UID.
        patient: pseudonym, or the identifier itself where it was asked for.
        modality: CT, SEG, RTSTRUCT, ...
        image_type: values of (0008,0008), joined by a backslash.
        agent: ContrastBolusAgent, None where the tag is absent.
        acquisition: number, to tell apart several passes over the same positions.
        number: instance number, which says nothing about position.
        rows: of the image.
        columns: of the image.
        frames: 1 for a classic slice.
        orientation: six direction cosines; empty where absent.
        position: of the first pixel, LPS mm; empty where absent.
        spacing: between rows and columns, mm; empty where absent.
    """

    place: str
    sop_class: str
    instance: str
    series: str
    patient: str
    modality: str
    image_type: str
    agent: str | None
    acquisition: int
    number: int
    rows: int
    columns: int
    frames: int
    orientation: Numbers
    position: Numbers
    spacing: Numbers

    @property
    def is_ct(self) -> bool:
        """Whether this is a CT image of any kind."""
        return self.sop_class in CT_CLASSES or (not self.sop_class and self.modality == "CT")

    @property
    def is_localizer(self) -> bool:
        """Whether this is a scout view from which the scan was planned."""
        return "LOCALIZER" in self.image_type.upper()


_TAGS = {
    0x00080008: "image_type",
    0x00080016: "sop_class",
    0x00080018: "instance",
    0x00080060: "modality",
    0x00100020: "patient",
    0x00180010: "agent",
    0x0020000E: "series",
    0x00200012: "acquisition",
    0x00200013: "number",
    0x00200032: "position",
    0x00200037: "orientation",
    0x00280008: "frames",
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280030: "spacing",
}
_WANTED: list[BaseTag | int] = [BaseTag(tag) for tag in _TAGS]


def read_header(place: str, start: bytes, rest: Callable[[int], bytes], rename: Callable[[str], str]) -> Header | None:
    """The header of one file.

    Args:
        place: path, for the header and for messages.
        start: the first bytes of the file (`START` of them, or all).
        rest: gives the first ``n`` bytes, called where ``start`` does not hold the whole header.
        rename: turns the patient's identifier into what may be known of it.

    Returns:
        None where the file is no DICOM at all.

    Raises:
        CaseError: DICOM whose header cannot be read; the message names the place.
    """
    if start[128:132] != b"DICM":
        return None
    try:
        values, little = _elements(start)
        if values is None:
            values, little = _elements(rest(LONGEST))
    except CaseError as error:
        raise CaseError(f"{place}: {error}") from error
    except Exception as error:  # pydicom's parser raises nearly every built-in type on damaged bytes
        raise CaseError(f"{place}: unreadable DICOM header ({type(error).__name__}: {error})") from error
    if values is None:
        raise CaseError(f"{place}: the header is cut off, or longer than {LONGEST >> 20} MiB")
    try:
        return _header(place, values, "little" if little else "big", rename)
    except ValueError as error:
        raise CaseError(f"{place}: {error}") from error


def _elements(content: bytes) -> tuple[dict[str, bytes] | None, bool]:
    """Raw values of the wanted elements, None where ``content`` ends before the header does; and the byte order."""
    stream: BinaryIO = io.BytesIO(content)
    stream.seek(_PREAMBLE)
    syntax = ""
    for element in data_element_generator(
        stream, False, True, stop_when=_after_file_meta, specific_tags=[_TRANSFER_SYNTAX]
    ):
        if element.tag == _TRANSFER_SYNTAX:
            syntax = _text(element.value)  # type: ignore[arg-type]
    if syntax == _DEFLATED:
        raise CaseError("a deflated transfer syntax, which no CT archive writes: convert the file first")
    little = syntax != _BIG_ENDIAN
    values: dict[str, bytes] = {}
    complete = len(content) < START

    def past_the_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal complete
        if tag.real > _LAST_TAG:  # the plain integer: comparing two tags takes ten times as long
            complete = True
            return True
        return False

    for element in data_element_generator(
        stream, syntax == _IMPLICIT, little, stop_when=past_the_header, specific_tags=_WANTED
    ):
        name = _TAGS.get(int(element.tag))
        if name is not None and isinstance(element.value, bytes):
            values[name] = element.value
    return (values if complete else None), little


def _after_file_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.real >> 16 != 2


def _header(
    place: str, values: dict[str, bytes], order: Literal["little", "big"], rename: Callable[[str], str]
) -> Header:
    def text(name: str) -> str:
        return _text(values.get(name, b""))

    def number(name: str, missing: int) -> int:
        try:
            return int(float(text(name))) if text(name) else missing
        except (ValueError, OverflowError):
            return missing

    def short(name: str) -> int:
        raw = values.get(name, b"")
        return int.from_bytes(raw[:2], order)

    return Header(
        place=place,
        sop_class=text("sop_class"),
        instance=text("instance"),
        series=text("series"),
        patient=rename(text("patient")) if text("patient") else "",
        modality=text("modality"),
        image_type=text("image_type"),
        agent=text("agent") if "agent" in values else None,
        acquisition=number("acquisition", 0),
        number=number("number", 0),
        rows=short("rows"),
        columns=short("columns"),
        frames=max(1, number("frames", 1)),
        orientation=_decimals(values.get("orientation", b""), "orientation", 6),
        position=_decimals(values.get("position", b""), "position", 3),
        spacing=_decimals(values.get("spacing", b""), "spacing", 2),
    )


def _text(raw: bytes) -> str:
    return sys.intern(raw.decode("latin-1").strip(" \0\r\n\t"))  # the slices of a scan share most of their header


@lru_cache(maxsize=512)
def _decimals(raw: bytes, name: str, count: int) -> Numbers:
    """Decimal strings as scanners write them: padded, with leading zeros, a plus or a comma."""
    text = _text(raw)
    if not text:
        return ()
    try:
        numbers = tuple(float(part.strip(" \0").replace(",", ".")) for part in text.split("\\"))
    except ValueError as error:
        raise ValueError(f"{name} '{text}' is not numbers") from error
    if len(numbers) != count or not all(abs(number) < 1e9 for number in numbers):
        raise ValueError(f"{name} '{text}', expected {count} finite numbers")
    return numbers
