"""When rows are written: after so many cases or so many seconds, and whatever happens, at the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

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

    def add(self, rows: pa.Table) -> None:
        """The rows of one case; see `Shards.write` for what may be raised."""
        self._waiting.append(rows)
        if len(self._waiting) >= BLOCK or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self.shards.write(self._waiting, self.wanted)
        self._waiting = []  # not before: whoever interrupts the writing leaves them to be written at the end
        self._written = time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        except KeyboardInterrupt:
            self.flush()  # to stop now is not to lose what is finished
            raise
