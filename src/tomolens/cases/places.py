"""Places of data: files, folders, and members of zip archives, written as paths that lead through the archive."""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from ..errors import CaseError

LARGEST_MEMBER = 2 << 30
"""Bytes that one member of an archive may unpack to: more than any CT image, less than a machine's memory."""
LARGEST_RATIO = 200
"""A CT slice of pure air packs about a hundred times; a bomb a thousand times and more."""
MOST_MEMBERS = 1_000_000
UNPACKING_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)


class FoundFile(NamedTuple):
    """A file of a tree; a bare tuple of text and numbers, for there are hundreds of thousands of them.

    Attributes:
        place: path of the file as text; through the archive for a member (``scans.zip/a/0001.dcm``).
        size: in bytes, unpacked.
        changed: time of the last change in ns; of the archive for a member.
    """

    place: str
    size: int
    changed: int

    @property
    def path(self) -> Path:
        """The place as a path."""
        return Path(self.place)

    @property
    def ending(self) -> str:
        """Lower-case suffix."""
        return os.path.splitext(self.place)[1].lower()


@dataclass(frozen=True)
class Unusable:
    """A file or folder that was left out, and why."""

    path: Path
    reason: str


def require_file(path: Path) -> None:
    """Raise `CaseError` where ``path`` is neither a file nor a member of an archive."""
    if path.is_file():
        return
    archive = archive_of(path)
    if archive is None:
        raise CaseError(f"{path}: {'a folder, expected a file' if path.is_dir() else 'no such file'}")
    with _opened_archive(archive) as opened:
        _member(opened, archive, path)


def suffix(path: Path) -> str:
    """Lower-case suffix, with ``.nii.gz`` in one piece; numbers after a dot (a UID as name) are none."""
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    return "" if path.suffix[1:].isdigit() else path.suffix.lower()


def archive_of(path: Path) -> Path | None:
    """The zip archive that a path leads into, if any."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent
    return None


def open_place(path: Path) -> BinaryIO:
    """A file or an archive's member for reading; members are unpacked into memory, bounded.

    Raises:
        CaseError: missing, unreadable, or a member that unpacks to more than it says or than is sensible.
    """
    archive = None if path.is_file() else archive_of(path)
    if archive is None:
        try:
            return path.open("rb")
        except OSError as error:
            raise CaseError(f"{path}: cannot be read ({error.strerror})") from error
    with _opened_archive(archive) as opened:
        return io.BytesIO(_unpacked(opened, archive, path, _member(opened, archive, path)))


class Archive:
    """An archive held open while many of its members are read."""

    def __init__(self, path: Path) -> None:
        """Open ``path``; raises `CaseError` where it is no archive."""
        self.path = path
        self._opened = _opened_archive(path)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def files(self) -> Iterator[FoundFile | Unusable]:
        """Its members, in the order of their names."""
        changed = self.path.stat().st_mtime_ns
        members = [member for member in self._opened.infolist() if not member.is_dir()]
        if len(members) > MOST_MEMBERS:
            yield Unusable(self.path, f"{len(members)} members, more than {MOST_MEMBERS} are not unpacked")
            return
        for member in sorted(members, key=lambda member: member.filename):
            reason = _suspicion(member)
            inside = self.path / PurePosixPath(member.filename.lstrip("/"))
            yield Unusable(inside, reason) if reason else FoundFile(str(inside), member.file_size, changed)

    def start_of(self, path: Path, count: int) -> bytes:
        """The first ``count`` bytes of a member."""
        try:
            with self._opened.open(_member(self._opened, self.path, path)) as packed:
                return packed.read(count)
        except UNPACKING_ERRORS as error:
            raise CaseError(f"{path}: cannot be unpacked ({error})") from error


def files_of(root: Path) -> Iterator[FoundFile | Unusable]:
    """All files below a folder, in the order of their paths; every folder once, whatever links lead to it.

    Hidden files are left out; archives are not opened.

    Raises:
        CaseError: no such folder.
    """
    if root.is_file():
        status = root.stat()
        yield FoundFile(str(root), status.st_size, status.st_mtime_ns)
        return
    if not root.is_dir():
        raise CaseError(f"{root}: no such file or folder")
    read: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in read:
                yield Unusable(folder, "a link to a folder that was read already")
                continue
            read.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listed:
                inside = sorted((entry for entry in listed if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            yield Unusable(folder, error.strerror or "cannot be read")
            continue
        folders = []
        for entry in inside:
            found = _look_at(entry)
            if found is None:
                folders.append(Path(entry.path))
            else:
                yield found
        waiting.extend(reversed(folders))


def _look_at(entry: os.DirEntry[str]) -> FoundFile | Unusable | None:
    """What an entry of a folder is; None for a folder."""
    try:
        status = entry.stat()
    except OSError as error:
        return Unusable(Path(entry.path), error.strerror or "cannot be read")
    if stat.S_ISDIR(status.st_mode):
        return None
    if stat.S_ISREG(status.st_mode):
        return FoundFile(entry.path, status.st_size, status.st_mtime_ns)
    return Unusable(Path(entry.path), "neither a file nor a folder")


def _opened_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except UNPACKING_ERRORS as error:
        raise CaseError(f"{path}: not a zip archive ({error})") from error


def _member(opened: zipfile.ZipFile, archive: Path, path: Path) -> zipfile.ZipInfo:
    name = path.relative_to(archive).as_posix()
    for spelled in (name, f"/{name}"):
        if spelled in opened.NameToInfo:
            return opened.NameToInfo[spelled]
    raise CaseError(f"{path}: no such file in the archive")


def _suspicion(member: zipfile.ZipInfo) -> str | None:
    """Why a member of an archive should not be unpacked."""
    if ".." in PurePosixPath(member.filename.replace("\\", "/")).parts or member.filename.startswith(("/", "\\")):
        return "its path climbs out of the archive"
    if member.flag_bits & 1:
        return "encrypted"
    if member.file_size > LARGEST_MEMBER:
        return f"unpacks to {member.file_size} bytes, more than {LARGEST_MEMBER}"
    if member.file_size > LARGEST_RATIO * max(member.compress_size, 1) and member.file_size > 1 << 24:
        return f"unpacks to {member.file_size // max(member.compress_size, 1)} times its size, as no CT image does"
    return None


def _unpacked(opened: zipfile.ZipFile, archive: Path, path: Path, member: zipfile.ZipInfo) -> bytes:
    reason = _suspicion(member)
    if reason:
        raise CaseError(f"{path}: {reason}")
    try:
        with opened.open(member) as packed:
            content = packed.read(member.file_size + 1)
    except UNPACKING_ERRORS as error:
        raise CaseError(f"{path}: cannot be unpacked ({error})") from error
    if len(content) != member.file_size:
        raise CaseError(f"{path}: {len(content)} bytes unpacked, the archive says {member.file_size}")
    return content
