"""What was read of a tree's headers, kept so that the second start reads only what changed.

Lies in the user's cache folder, readable by the user alone; patients stand in it as the index asked for them.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CaseError
from .headers import Header, Numbers

Known = dict[str, tuple[int, int, Header]]
"""By place: size and time of change of the file, and its header."""

_TYPES = get_type_hints(Header)
_NUMBERS = [name for name, kind in _TYPES.items() if kind == Numbers]
_WHOLE = [name for name, kind in _TYPES.items() if kind is int]
_SCHEMA = pa.schema(
    [
        ("size", pa.int64()),
        ("changed", pa.int64()),
        *((name, pa.int64() if name in _WHOLE else pa.string()) for name in _TYPES),
    ]
)
"""Numbers of several values as text, exactly: most of them repeat from slice to slice and are parsed once."""


def cache_file(root: Path, variant: str) -> Path:
    """Where the headers of a tree are kept; ``variant`` tells apart ways of naming patients."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tomolens" / "headers"
    key = hashlib.blake2b(f"{root.resolve()}\x1f{variant}".encode(), digest_size=12).hexdigest()
    return folder / f"{key}.parquet"


def load(file: Path) -> Known:
    """The kept headers; nothing where there are none or where they are of another version or damaged."""
    try:
        table = pq.read_table(file, schema=_SCHEMA)
    except (OSError, pa.ArrowException, ValueError):
        return {}
    columns = {name: _values(table.column(name), name) for name in _SCHEMA.names}
    headers = map(Header, *(columns[name] for name in _TYPES))
    return {
        header.place: (size, changed, header)
        for size, changed, header in zip(columns["size"], columns["changed"], headers, strict=True)
    }


def save(file: Path, known: Iterable[tuple[int, int, Header]]) -> None:
    """Keep headers for the next start, all or nothing.

    Raises:
        CaseError: the cache folder cannot be written.
    """
    rows = list(known)
    columns = {
        "size": [size for size, _, _ in rows],
        "changed": [changed for _, changed, _ in rows],
        **{name: [_text(getattr(header, name)) for _, _, header in rows] for name in _TYPES},
    }
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.touch(mode=0o600)
        pq.write_table(pa.table(columns, schema=_SCHEMA), fresh)
        os.replace(fresh, file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CaseError(
            f"{file}: headers cannot be kept ({error.strerror}); set XDG_CACHE_HOME or turn the cache off"
        ) from error


def _text(value: str | int | Numbers | None) -> str | int | None:
    return "\\".join(map(repr, value)) if isinstance(value, tuple) else value


def _values(column: pa.ChunkedArray, name: str) -> list[Any]:
    """A column as Python values, equal ones being one object: a scan repeats most of its header in every slice."""
    if name not in _TYPES or name in _WHOLE:
        return list(column.to_numpy())
    packed = column.combine_chunks().dictionary_encode()
    unique = packed.dictionary.to_pylist()
    if name in _NUMBERS:
        unique = [tuple(map(float, text.split("\\"))) if text else () for text in unique]
    return [None if index is None else unique[index] for index in packed.indices.to_pylist()]
