"""The CSV manifest: one row a case, paths relative to the CSV."""

import csv
import math
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import CaseError
from .case import CONTRAST_CLASSES, CaseEntry, Cases, Split
from .files import FileReader
from .masks import MaskChoice
from .places import archive_of
from .preprocessing import Preprocessing
from .pseudonyms import own_salt, pseudonym
from .tables import label_of, read_rows

COLUMNS = ("case", "image", "label", "patient")
OPTIONAL = ("mask", "split", "slice", "series", "scan", "position", "consensus", "anatomy")
SEPARATOR = "|"
"""Between several files of one mask or anatomy."""


def from_manifest(
    path: str | Path | Sequence[str | Path],
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] = CONTRAST_CLASSES,
    *,
    masks: MaskChoice | None = None,
    anatomy: MaskChoice | None = None,
    dimensions: Literal[2, 3] = 2,
    keep_patients: bool = False,
) -> Cases:
    """Cases from one or several CSV files; other columns are ignored, pixels are read when asked for.

    Values are separated by commas, semicolons or tabs; headings may be in capitals; the text is UTF-8.

    Args:
        path: the CSV. ``label`` is a class's index or its name; ``split`` is train or test, and where only some
            rows have one the others are test; ``slice`` counts axial slices of a volume from the feet; ``mask`` may
            be several paths joined by ``|``, of which ``consensus`` says how many must agree; ``anatomy`` has label
            maps of named structures, likewise.
        preprocessing: window and size; the protocol's by default.
        classes: names of the classes, by label.
        masks: which structures make the mask; all by default.
        anatomy: which structures of the column ``anatomy`` count; all by default.
        dimensions: 2 for slices, 3 for whole volumes.
        keep_patients: keep the column ``patient`` as it is written instead of a salted pseudonym.

    Raises:
        CaseError: a missing file or column, a name given twice, a label outside the classes; with the line.
        SettingsError: no salt can be kept for pseudonyms.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    salt = None if keep_patients else own_salt()
    entries = [entry for one in paths for entry in _entries(Path(one), classes, salt)]
    if not entries:
        raise CaseError(f"{', '.join(map(str, paths))}: no cases")
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise CaseError(f"{', '.join(map(str, paths))}: case {entry.name} is listed twice")
        seen.add(entry.name)
    reader = FileReader(preprocessing or Preprocessing(), masks or MaskChoice(), dimensions, anatomy or MaskChoice())
    return Cases(tuple(entries), reader, tuple(classes))


def write_manifest(entries: Sequence[CaseEntry], path: Path) -> None:
    """Write entries as a CSV, paths relative to it; columns that no entry uses are left out.

    Raises:
        CaseError: the file cannot be written.
    """

    def relative(place: str) -> str:
        return Path(os.path.relpath(place, path.parent)).as_posix()

    rows = [
        {
            "case": entry.name,
            "image": relative(entry.source),
            "label": entry.label,
            "patient": entry.patient,
            "mask": SEPARATOR.join(map(relative, entry.mask)),
            "split": entry.split or "",
            "slice": "" if entry.slice is None else entry.slice,
            "series": entry.series,
            "scan": entry.scan,
            "position": "" if entry.position is None else f"{entry.position:.3f}",
            "consensus": entry.consensus or "",
            "anatomy": SEPARATOR.join(map(relative, entry.anatomy)),
        }
        for entry in entries
    ]
    used = [column for column in (*COLUMNS, *OPTIONAL) if column in COLUMNS or any(row[column] != "" for row in rows)]
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, used, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(fresh, path)
    except OSError as error:
        raise CaseError(f"{path}: cannot be written ({error.strerror})") from error


def _entries(path: Path, classes: Sequence[str], salt: str | None) -> list[CaseEntry]:
    entries = [_entry(row, where, path.parent, classes, salt) for where, row in read_rows(path, COLUMNS)]
    for entry in entries:
        for place in (entry.source, *entry.mask, *entry.anatomy):
            try:
                there = Path(place).exists() or archive_of(Path(place)) is not None
            except OSError as error:  # longer than a path can be, or not to be looked at
                raise CaseError(f"{place[:200]}: {error.strerror} (case {entry.name} of {path})") from error
            if not there:
                raise CaseError(f"{place}: no such file (case {entry.name} of {path})")
    return entries


def _entry(row: dict[str, str], where: str, folder: Path, classes: Sequence[str], salt: str | None) -> CaseEntry:
    values = {key: row.get(key, "") for key in (*COLUMNS, *OPTIONAL)}
    empty = [column for column in COLUMNS if not values[column]]
    if empty:
        raise CaseError(f"{where}: no value for {', '.join(empty)}")
    # One word in two Unicode forms is one name and one patient; file names stay as the disk has them.
    for column in ("case", "patient", "scan"):
        values[column] = unicodedata.normalize("NFC", values[column])
    return CaseEntry(
        name=values["case"],
        label=label_of(values["label"], where, classes),
        patient=values["patient"] if salt is None else pseudonym(values["patient"], salt),
        source=str(folder / values["image"]),
        mask=_places(values["mask"], folder),
        split=_split(values["split"], where),
        slice=_whole(values, "slice", 0, where),
        series=values["series"],
        scan=values["scan"],
        position=_number(values["position"], where),
        consensus=_whole(values, "consensus", 1, where),
        anatomy=_places(values["anatomy"], folder),
    )


def _places(text: str, folder: Path) -> tuple[str, ...]:
    return tuple(str(folder / part.strip()) for part in text.split(SEPARATOR) if part.strip())


def _split(text: str, where: str) -> Split | None:
    known: dict[str, Split | None] = {"train": "train", "test": "test", "": None}
    if text not in known:
        raise CaseError(f"{where}: split '{text}', expected train, test or nothing")
    return known[text]


def _whole(values: dict[str, str], column: str, least: int, where: str) -> int | None:
    text = values[column]
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise CaseError(f"{where}: {column} '{text}', expected a whole number from {least} on")
    return int(text)


def _number(text: str, where: str) -> float | None:
    try:
        number = float(text) if text else None
        if number is not None and not math.isfinite(number):
            raise ValueError(text)
        return number
    except ValueError as error:
        raise CaseError(f"{where}: position '{text}', expected mm, with a decimal point") from error
