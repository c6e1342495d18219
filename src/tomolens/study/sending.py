"""Where what is sent to other processes lies, and is taken away, by the next run where this one was killed."""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import SettingsError
from ..results.lock import FolderLock

PREFIX = "tomolens-sent-"
YOUNG = 60.0
"""Seconds in which a folder may not have its lock yet."""


@contextmanager
def folder_to_send() -> Iterator[Path]:
    """A folder for the time of the block, in the system's folder for such.

    It is locked, so that those of runs that were killed are known: they are taken away first.
    """
    _take_away_what_was_left()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FolderLock(folder)
    try:
        lock.acquire()
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _take_away_what_was_left() -> None:
    """Folders of our own whose process is gone; where the file system knows no locks, none."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, SettingsError, UserWarning):  # another's, in use, or without locks
            seen = folder.lstat()
            ours = not hasattr(os, "getuid") or seen.st_uid == os.getuid()
            if folder.is_symlink() or not folder.is_dir() or not ours or time.time() - seen.st_mtime < YOUNG:
                continue
            lock = FolderLock(folder)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                lock.acquire()
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)
