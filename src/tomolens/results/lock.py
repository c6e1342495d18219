"""One run at a time in a folder: a lock that the system lets go when its process ends, however it ends.

``flock`` on POSIX, a byte-range lock on Windows. On network file systems it holds between machines where the mount
passes locks on (NFS from version 4, Lustre with ``flock``); where it knows no locks at all, that is told, and two runs
are not kept apart. Worker processes do not inherit it.
"""

import errno
import os
import socket
import sys
import warnings
from pathlib import Path

from ..errors import SettingsError

NAME = ".lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system that knows no locks answers."""


class FolderLock:
    """The right to write in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock; it is let go by `release`, and when the process ends.

        Raises:
            SettingsError: a run that lives has it, and the message names the process; or the lock's file is a link.
        """
        while self._handle is None:
            handle = self._opened()
            if not _locked(handle):
                owner = os.read(handle, 200).decode(errors="replace").strip() or "a process"
                os.close(handle)
                raise SettingsError(
                    f"{self.file.parent}: another run ({owner}) is writing there: wait for it, or give another --out"
                )
            if _is_still(self.file, handle):
                self._handle = handle
            else:  # whoever had it took the file away in between
                os.close(handle)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def _opened(self) -> int:
        """The file, which may lie where others write: a link would have what it leads to emptied."""
        no_links = getattr(os, "O_NOFOLLOW", 0)  # not there on Windows
        try:
            return os.open(self.file, os.O_RDWR | os.O_CREAT | no_links, 0o644)  # not inherited by what is started
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise SettingsError(f"{self.file}: a link, expected a file of the run's own: take it away") from error

    def release(self) -> None:
        """Let the lock go, and take its file away."""
        if self._handle is not None:
            self.file.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def _is_still(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _locked(handle: int) -> bool:
    """Whether the lock could be had."""
    try:
        _lock(handle)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            return False
        warnings.warn("the results lie on a file system without locks: start no second run there", stacklevel=2)
    return True


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 4096, os.SEEK_SET)  # behind the words, which can so be read by others
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
