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
        for place, header in _headers(file, known, read, rename):
            if isinstance(header, Unusable):
                if on_error == "stop":
                    raise CaseError(f"{header.path}: {header.reason}")
                unusable.append(header)
            elif header is None:
                others.append(Path(place))
        if done % 64 == 0 or done == len(found):
            progress("reading headers", done, len(found))
    if kept and read != known:
        save(kept, read.values())
    headers = tuple(header for _, _, header in read.values() if header.sop_class != DIRECTORY)
    return Tree(headers, tuple(unusable), tuple(others))


def _headers(
    file: FoundFile | Unusable, known: Known, read: Known, rename: Callable[[str], str]
) -> Iterator[tuple[str, Header | Unusable | None]]:
    """Headers of a file, or of all members of an archive; those that are read go to ``read``."""
    if isinstance(file, Unusable):
        yield str(file.path), file
    elif file.ending == ".zip":
        try:
            with Archive(file.path) as archive:
                for member in archive.files():
                    if isinstance(member, Unusable):
                        yield str(member.path), member
                    else:
                        yield member.place, _header(member, known, read, rename, archive)
        except CaseError as error:
            yield file.place, _unusable(file.place, error)
    else:
        yield file.place, _header(file, known, read, rename, None)


def _header(
    file: FoundFile, known: Known, read: Known, rename: Callable[[str], str], archive: Archive | None
) -> Header | Unusable | None:
    kept = known.get(file.place)
    if kept is not None and kept[0] == file.size and kept[1] == file.changed:
        read[file.place] = kept
        return kept[2]
    try:
        header = _read(file, rename, archive)
    except CaseError as error:
        return _unusable(file.place, error)
    if header is None:
        reason = "not a DICOM file" if file.size else "empty"
        return Unusable(file.path, reason) if file.ending in DICOM_SUFFIXES else None
    read[file.place] = (file.size, file.changed, header)
    return header


def _read(file: FoundFile, rename: Callable[[str], str], archive: Archive | None) -> Header | None:
    if archive is not None:
        path = file.path
        start = archive.start_of(path, START)
        return read_header(file.place, start, lambda count: archive.start_of(path, count), rename)
    try:
        with open(file.place, "rb") as opened:

            def rest(count: int) -> bytes:
                opened.seek(0)
                return opened.read(count)

            return read_header(file.place, opened.read(START), rest, rename)
    except OSError as error:
        raise CaseError(f"{file.place}: cannot be read ({error.strerror})") from error


def _unusable(place: str, error: CaseError) -> Unusable:
    return Unusable(Path(place), str(error).removeprefix(f"{place}: "))
