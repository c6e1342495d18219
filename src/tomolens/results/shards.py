"""Rows of finished cases on disk: Parquet files of at most `BLOCK` cases, each written whole or not at all.

A file is named after its block of cases and the hash of its bytes, so that one that was cut off or changed is known.
A block may lie in several files until all its cases are there; then they are joined into one.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import SettingsError
from .rows import FAILED, SCHEMA

BLOCK = 64
"""Cases whose rows are read together; bounds memory and the number of files."""

REPEATED = ["case", "patient", "mask", "estimator", "form", "metric", "choice", "option", "note"]
"""Columns of few different words, read as numbers of words."""


@dataclass(frozen=True)
class Shards:
    """The folder of the rows.

    Attributes:
        folder: made when something is written.
    """

    folder: Path

    def write(self, tables: Sequence[pa.Table], wanted: Sequence[int]) -> None:
        """Write the rows of some finished cases.

        Args:
            tables: rows of whole cases.
            wanted: indices of all cases of the study that are to be there in the end, sorted.

        Raises:
            SettingsError: no space left, or a folder that cannot be written; what was there before still is.
        """
        if not tables:
            return
        rows = pa.concat_tables(tables)
        blocks = pc.cast(pc.floor(pc.divide(pc.cast(rows["index"], pa.float64()), float(BLOCK))), pa.int64())
        for block in pc.unique(blocks).to_pylist():
            self._write_block(block, rows.filter(pc.equal(blocks, block)), wanted)

    def finished(self) -> set[int]:
        """Indices of the cases that are done and whole. Damaged files are taken away; so are failed cases' claims."""
        done: set[int] = set()
        for file in self._files():
            rows = _read(file, ["index", "metric"])
            if rows is None:
                file.unlink()
                continue
            failed = pc.equal(rows["metric"], FAILED)
            done |= set(pc.unique(rows["index"].filter(pc.invert(failed))).to_pylist())
        return done

    def names(self) -> list[str]:
        """The files that are there; each name holds the hash of the file's content."""
        return [file.name for file in self._files()]

    def require_whole(self, names: Sequence[str]) -> None:
        """Read every file and compare its content with the hash in its name.

        Raises:
            SettingsError: a file that is damaged, missing or not among ``names``.
        """
        for name in sorted({*names, *self.names()}):
            file = self.folder / name
            if not file.is_file():
                raise SettingsError(f"{file}: missing; run the study again to mend it")
            if _read(file, ["index"]) is None or name not in names:
                raise _damaged(file)

    def blocks(self) -> Iterator[pa.Table]:
        """The rows block by block, each in the order of the cases; a case that failed and later succeeded, once.

        Raises:
            SettingsError: nothing there, or a damaged file.
        """
        files: dict[int, list[Path]] = {}
        for file in self._files():
            files.setdefault(_block_of(file), []).append(file)
        if not files:
            raise SettingsError(f"{self.folder}: no measurements")
        with ThreadPoolExecutor(1) as reader:  # the next block is read while this one is looked at
            ahead: Future[pa.Table] | None = None
            for block in sorted(files):
                before, ahead = ahead, reader.submit(_block, files[block])
                if before is not None:
                    yield before.result()
            if ahead is not None:
                yield ahead.result()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet")) if self.folder.is_dir() else []

    def _write_block(self, block: int, rows: pa.Table, wanted: Sequence[int]) -> None:
        first, last = np.searchsorted(wanted, [block * BLOCK, (block + 1) * BLOCK])
        present = {file: part for file in self._files_of(block) if (part := _read(file, ["index"])) is not None}
        done = {index for part in (rows, *present.values()) for index in pc.unique(part["index"]).to_pylist()}
        if len(done) < last - first:
            self._write_file(block, _joined([rows]))
            return
        kept = self._write_file(block, _joined([*map(_required, present), rows]))
        for file in present:
            if file != kept:
                file.unlink(missing_ok=True)

    def _files_of(self, block: int) -> list[Path]:
        return sorted(self.folder.glob(f"{block:07d}-*.parquet"))

    def _write_file(self, block: int, rows: pa.Table) -> Path:
        buffer = io.BytesIO()
        pq.write_table(
            rows,
            buffer,
            compression="zstd",
            compression_level=3,
            use_dictionary=REPEATED,
            column_encoding={"curve.list.element": "BYTE_STREAM_SPLIT"},  # smaller and quicker, both ways
        )
        content = buffer.getvalue()
        file = self.folder / f"{block:07d}-{_hash(content)}.parquet"
        partial = file.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_durably(partial, content)
            os.replace(partial, file)
            _sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise SettingsError(
                f"{self.folder}: cannot be written ({error.strerror}); all cases before are kept, and the same command "
                "goes on from there"
            ) from error
        return file


def write_durably(file: Path, content: bytes) -> None:
    """Write a file that outlives a power cut."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _block_of(file: Path) -> int:
    return int(file.name.split("-")[0])


def _read(file: Path, columns: list[str] | None = None) -> pa.Table | None:
    """The rows of a file, or None where its bytes are not those it was written with."""
    content = file.read_bytes()
    if not file.stem.endswith(f"-{_hash(content)}"):
        return None
    return pq.read_table(pa.BufferReader(content), columns=columns, read_dictionary=REPEATED)


def _damaged(file: Path) -> SettingsError:
    return SettingsError(f"{file}: damaged (its content is not what was written); run the study again to mend it")


def _required(file: Path) -> pa.Table:
    rows = _read(file)
    if rows is None:
        raise _damaged(file)
    if rows.schema.names != SCHEMA.names:
        raise SettingsError(f"{file}: written by another version of TomoLens; run the study into another folder")
    return rows


def _block(files: Sequence[Path]) -> pa.Table:
    """The rows of one block; a single file is in order already."""
    tables = [_required(file) for file in files]
    return tables[0] if len(tables) == 1 else _joined(tables)


def _joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Rows of some files in the order of the cases; of a case in several files the rows of one that did not fail."""
    parts = []
    taken: set[int] = set()
    ordered = sorted(
        ((bool(pc.any(pc.equal(case["metric"], FAILED)).as_py()), index, case) for index, case in _cases(tables)),
        key=lambda part: part[:2],
    )
    for _, index, case in ordered:
        if index not in taken:
            taken.add(index)
            parts.append((index, case))
    return pa.concat_tables([case for _, case in sorted(parts, key=lambda part: part[0])])


def _cases(tables: Iterable[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each case: they follow one another in every table."""
    for table in tables:
        table = table.cast(SCHEMA)
        indices = table["index"].to_numpy()
        starts = np.flatnonzero(np.diff(indices, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(indices)], strict=True):
            yield int(indices[start]), table.slice(start, end - start)
