"""By what a case is known to be what it was when it was read last, without reading it again."""

import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ..code import code_hash
from ..errors import CaseError
from .case import CaseEntry, Cases
from .itk_headers import find_voxels
from .places import FoundFile, archive_of, files_of, suffix

READ_BY = (
    "numpy", "scipy", "pydicom", "SimpleITK", "nibabel", "pillow", "highdicom", "pylibjpeg", "pylibjpeg-openjpeg",
    "pyjpegls", "python-gdcm",
)  # fmt: skip
ITK = (".nrrd", ".mha", ".mhd")
"""Headers whose voxels may lie in another file, which they name."""


class Stamps:
    """Stamps of the cases of one source, while its files are looked at once.

    A stamp is a hash of the entry, of how the case is read or drawn (settings, code and libraries), and of the size and
    time of each of its files. A file that changes and keeps both is not noticed.
    """

    def __init__(self, cases: Cases) -> None:
        self._read_as = getattr(cases.read, "read_as", None)
        self._files: dict[Path, str] = {}

    def of(self, entry: CaseEntry) -> str | None:
        """A case's stamp; None where only reading it tells what it is: cases in memory, headers without voxels."""
        if self._read_as is None:
            return None
        how, places = self._read_as(entry)
        try:
            files = [file for place in places for file in _with_voxels(Path(place))]
        except (CaseError, OSError):  # reading it tells why
            return None
        parts = [how, repr(entry), *map(self._state, files), code()]
        return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()

    def _state(self, place: Path) -> str:
        file = archive_of(place) or place
        if file not in self._files:
            self._files[file] = "\x1e".join(_sizes_and_times(file))
        return self._files[file]


def _with_voxels(place: Path) -> list[Path]:
    """A place, and the file that holds its voxels where it is a header alone.

    Raises:
        CaseError, OSError: a header that does not tell.
    """
    return [place, find_voxels(place).file] if suffix(place) in ITK and archive_of(place) is None else [place]


def _sizes_and_times(place: Path) -> Iterator[str]:
    """Of a file, or of all files of a folder, links followed; of what is not there nothing: reading tells that."""
    if not place.exists():
        return
    for found in files_of(place):
        yield f"{found.place} {found.size} {found.changed}" if isinstance(found, FoundFile) else str(found)


@cache
def code() -> str:
    """Of the code of this package's cases and the versions of what reads them."""
    versions = " ".join(f"{name} {version(name)}" for name in READ_BY)
    return f"{code_hash(Path(__file__).parent)} Python {platform.python_version()} {versions}"
