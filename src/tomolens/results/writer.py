"""When rows are written: after so many cases or so many seconds, and whatever happens, at the end."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from ..errors import TomolensError
from .shards import BLOCK, Shards

SECONDS = 30.0
"""When a process is killed, so much work is lost, and the cases at work."""


@dataclass
class Writer:
    """Collects the rows of finished cases and writes them together.

    Attributes:
        shards: where they go.
        wanted: indices of all cases that are to be there in the end, sorted.
    """

    shards: Shards
    wanted: Sequence[int]
    _waiting: list[pa.Table] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)
    _writing: bool = False

    def add(self, rows: pa.Table, *, at_once: bool = False) -> None:
        """The rows of one case; see `Shards.write` for what may be raised."""
        self._waiting.append(rows)
        if at_once or len(self._waiting) >= BLOCK or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._writing = True
        try:
            self.shards.write(self._waiting, self.wanted)
        finally:
            self._writing = False
        self._waiting = []  # not before: whoever interrupts the writing leaves them to be written at the end
        self._written = time.monotonic()

    def keep(self) -> None:
        """Write what waits, from a signal's handler: who asks to stop may kill soon after. Nothing is raised.

        What cannot be written now is tried again at the end, which tells why not.
        """
        if not self._writing:  # or else what waits is just being written
            with suppress(TomolensError, OSError):
                self.flush()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        except KeyboardInterrupt:
            self.flush()  # to stop now is not to lose what is finished
            raise
