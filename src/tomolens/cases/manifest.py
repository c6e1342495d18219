"""The CSV manifest: ``case, image, label, patient`` and optional ``mask``, ``split``; paths relative to the CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaseError
from .case import CONTRAST_CLASSES, Case, CaseEntry, Cases, Split
from .preprocessing import Preprocessing
from .readers import read_hu, read_mask, require_file

COLUMNS = ("case", "image", "label", "patient")


@dataclass(frozen=True)
class FileReader:
    """Reads the files of an entry, relative to ``folder``."""

    folder: Path
    preprocessing: Preprocessing

    def __call__(self, entry: CaseEntry) -> Case:
        """Read, window and resize; raises `CaseError` naming case and file."""
        try:
            hu = read_hu(self.folder / entry.source)
            mask = read_mask(self.folder / entry.mask, hu.shape) if entry.mask else None
        except CaseError as error:
            raise CaseError(f"case {entry.name}: {error}") from error
        return Case(
            name=entry.name,
            image=self.preprocessing.image(hu),
            label=entry.label,
            patient=entry.patient,
            mask=None if mask is None else self.preprocessing.mask(mask),
        )


def from_manifest(
    path: str | Path,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] = CONTRAST_CLASSES,
) -> Cases:
    """Cases from a CSV file; other columns are ignored, pixels are read when asked for.

    Args:
        path: the CSV. ``label`` is a class's index or its name; ``split`` is train or test, and where only some
            rows have one the others are test.
        preprocessing: window and size; the protocol's by default.
        classes: names of the classes, by label.

    Raises:
        CaseError: a missing file or column, a name given twice, a label outside the classes; with the line.
    """
    path = Path(path)
    require_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise CaseError(f"{path}: no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
            entries = [_entry(row, f"{path}, line {rows.line_num}", classes) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{path}: not a CSV text file ({error})") from error
    if not entries:
        raise CaseError(f"{path}: no cases")
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise CaseError(f"{path}: case {entry.name} is listed twice")
        seen.add(entry.name)
        require_file(path.parent / entry.source)
        if entry.mask:
            require_file(path.parent / entry.mask)
    return Cases(tuple(entries), FileReader(path.parent, preprocessing or Preprocessing()), tuple(classes))


def _entry(row: dict[str, str | None], where: str, classes: Sequence[str]) -> CaseEntry:
    values = {key: (row.get(key) or "").strip() for key in (*COLUMNS, "mask", "split")}
    empty = [column for column in COLUMNS if not values[column]]
    if empty:
        raise CaseError(f"{where}: no value for {', '.join(empty)}")
    return CaseEntry(
        name=values["case"],
        label=_label(values["label"], where, classes),
        patient=values["patient"],
        source=values["image"],
        mask=values["mask"] or None,
        split=_split(values["split"], where),
    )


def _label(text: str, where: str, classes: Sequence[str]) -> int:
    if text in classes:
        return list(classes).index(text)
    if text.isdigit() and int(text) < len(classes):
        return int(text)
    names = ", ".join(f"{index} ({name})" for index, name in enumerate(classes))
    raise CaseError(f"{where}: label '{text}' is outside the classes {names}")


def _split(text: str, where: str) -> Split | None:
    known: dict[str, Split | None] = {"train": "train", "test": "test", "": None}
    if text not in known:
        raise CaseError(f"{where}: split '{text}', expected train, test or nothing")
    return known[text]
