"""CSV files as people have them: rows with their places, values checked before they are believed."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import CaseError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_rows(path: Path, needed: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, each with its place for messages; headings in small letters, values without edges.

    The separator is the one of comma, semicolon and tab that the first line has most of.

    Raises:
        CaseError: missing, not CSV or not UTF-8, without a needed column or with one twice, a row longer than the
            first line, or values with line breaks or control characters.
    """
    lines = _text(path)
    first = lines.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    try:
        rows = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, skipinitialspace=True)
        columns = [heading.strip().casefold() for heading in next(rows, [])]
        _check_columns(path, columns, needed, separator)
        found = []
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if not any(value.strip() for value in row):
                continue
            values = dict.fromkeys(columns, "") | dict(zip(columns, (value.strip() for value in row), strict=False))
            if any(value.strip() for value in row[len(columns) :]):
                raise CaseError(f"{where}: {len(row)} values, the first line names {len(columns)}: is one not quoted?")
            for column, value in values.items():
                if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", value):
                    raise CaseError(f"{where}: {column} {value[:40]!r} holds a line break or control character")
            values.pop("", None)
            found.append((where, values))
    except csv.Error as error:
        raise CaseError(f"{path}: not a CSV text file ({error})") from error
    return found


def _text(path: Path) -> str:
    if not path.is_file():
        raise CaseError(f"{path}: no such file")
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CaseError(f"{path}: not a CSV text file (it is UTF-16: save it as CSV UTF-8)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CaseError(
            f"{path}: not a CSV text file (line {line} is not UTF-8, perhaps Latin-1: save it as CSV UTF-8)"
        ) from error


def _check_columns(path: Path, columns: Sequence[str], needed: Sequence[str], separator: str) -> None:
    missing = [column for column in needed if column not in columns]
    if missing:
        there = ", ".join(filter(None, columns))[:200] or "nothing"
        raise CaseError(
            f"{path}: no column {', '.join(missing)}; needed are {', '.join(needed)}, there are {there} "
            f"(read as separated by {SEPARATORS[separator]})"
        )
    twice = [column for column, count in Counter(columns).items() if column and count > 1]
    if twice:
        raise CaseError(f"{path}: two columns {', '.join(twice)}; one must go")


def label_of(text: str, where: str, classes: Sequence[str]) -> int:
    """A class's index from its index or its name; ``1.0`` and ``True``, as pandas writes them, are 1.

    Raises:
        CaseError: outside the classes, or the name of one and the index of another.
    """
    index = _index(text, classes)
    if text in classes:
        named = list(classes).index(text)
        if index is not None and index != named:
            raise CaseError(f"{where}: label '{text}' is the name of class {named} and the index of class {index}")
        return named
    if index is not None:
        return index
    names = ", ".join(f"{index} ({name})" for index, name in enumerate(classes))
    raise CaseError(f"{where}: label '{text}' is outside the classes {names}")


def _index(text: str, classes: Sequence[str]) -> int | None:
    if len(classes) == 2 and text.casefold() in ("true", "false"):
        return int(text.casefold() == "true")
    whole = re.fullmatch(r"([0-9]{1,9})(\.0*)?", text)
    return int(whole[1]) if whole and int(whole[1]) < len(classes) else None
