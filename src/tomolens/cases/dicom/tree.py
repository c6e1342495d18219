"""All DICOM headers below a folder, in nested folders and in zip archives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import CaseError
from ...progress import Progress, silent
from ..places import Archive, FoundFile, Unusable, files_of
from .cache import Known, cache_file, load, save
from .headers import DIRECTORY, START, Header, read_header

OnError = Literal["stop", "skip"]
DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class Tree:
    """What lies below a folder.

    Attributes:
        headers: of all DICOM files, in the order of their paths.
        unusable: files and folders that were left out, with the reason.
        others: files that are no DICOM and do not claim to be.
    """

    headers: tuple[Header, ...]
    unusable: tuple[Unusable, ...]
    others: tuple[Path, ...]


def read_tree(
    root: Path,
    rename: Callable[[str], str],
    *,
    variant: str = "",
    on_error: OnError = "skip",
    cached: bool = True,
    progress: Progress = silent,
) -> Tree:
    """Read the headers of every file below ``root``; pixels stay where they are.

    Args:
        root: a folder, an archive or a file.
        rename: turns a patient's identifier into what may be known of it.
        variant: names this way of renaming, so that the cache never mixes two.
        on_error: ``skip`` leaves unreadable files out and lists them, ``stop`` raises at the first.
        cached: keep the headers for the next start.
        progress: told how far it is.

    Raises:
        CaseError: no such folder; with ``stop`` an unreadable file.
    """
    kept = cache_file(root, variant) if cached else None
    known = load(kept) if kept else {}
    read: Known = {}
    unusable: list[Unusable] = []
    others: list[Path] = []
    found = list(files_of(root))
    for done, file in enumerate(found, start=1):
        for path, header in _headers(file, known, read, rename):
            if isinstance(header, Unusable):
                if on_error == "stop":
                    raise CaseError(f"{header.path}: {header.reason}")
                unusable.append(header)
            elif header is None:
                others.append(path)
        if done % 64 == 0 or done == len(found):
            progress("reading headers", done, len(found))
    if kept and read != known:
        save(kept, read.values())
    headers = tuple(header for _, _, header in read.values() if header.sop_class != DIRECTORY)
    return Tree(headers, tuple(unusable), tuple(others))


def _headers(
    file: FoundFile | Unusable, known: Known, read: Known, rename: Callable[[str], str]
) -> Iterator[tuple[Path, Header | Unusable | None]]:
    """Headers of a file, or of all members of an archive; those that are read go to ``read``."""
    if isinstance(file, Unusable):
        yield file.path, file
    elif file.path.suffix.lower() == ".zip":
        try:
            with Archive(file.path) as archive:
                for member in archive.files():
                    if isinstance(member, Unusable):
                        yield member.path, member
                    else:
                        yield member.path, _header(member, known, read, rename, archive)
        except CaseError as error:
            yield file.path, _unusable(file.path, error)
    else:
        yield file.path, _header(file, known, read, rename, None)


def _header(
    file: FoundFile, known: Known, read: Known, rename: Callable[[str], str], archive: Archive | None
) -> Header | Unusable | None:
    place = str(file.path)
    size, changed, header = known.get(place, (-1, -1, None))
    if header is None or (size, changed) != (file.size, file.changed):
        try:
            header = _read(file, rename, archive)
        except CaseError as error:
            return _unusable(file.path, error)
    if header is None:
        claims = file.path.suffix.lower() in DICOM_SUFFIXES
        return Unusable(file.path, "not a DICOM file" if file.size else "empty") if claims else None
    read[place] = (file.size, file.changed, header)
    return header


def _read(file: FoundFile, rename: Callable[[str], str], archive: Archive | None) -> Header | None:
    if archive is not None:
        return read_header(
            str(file.path),
            archive.start_of(file.path, START),
            lambda count: archive.start_of(file.path, count),
            rename,
        )
    try:
        with open(file.path, "rb") as opened:

            def rest(count: int) -> bytes:
                opened.seek(0)
                return opened.read(count)

            return read_header(str(file.path), opened.read(START), rest, rename)
    except OSError as error:
        raise CaseError(f"{file.path}: cannot be read ({error.strerror})") from error


def _unusable(path: Path, error: CaseError) -> Unusable:
    return Unusable(path, str(error).removeprefix(f"{path}: "))
