"""Ctrl-C once: finish what is at work, keep it, say how to go on. Twice: stop now. SIGTERM likewise."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Someone asked to stop.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass
class Stopping:
    """Whether someone asked to stop.

    Attributes:
        number: of the signal by which they did; None while nobody has.
    """

    number: int | None = None

    def __call__(self) -> bool:
        """Whether to begin nothing new."""
        return self.number is not None

    def raise_if_asked(self) -> None:
        """Raise `Interrupted` where someone asked to stop."""
        if self.number is not None:
            raise Interrupted(self.number)


@contextmanager
def stop_when_asked(say: Callable[[], None]) -> Iterator[Stopping]:
    """Tells whether someone asked to stop, by Ctrl-C or SIGTERM (as batch systems do).

    Args:
        say: called at the first signal, between any two steps of the main thread; it must not raise. The second
            signal raises `Interrupted` at once.
    """
    stopping = Stopping()

    def ask(number: int, frame: FrameType | None) -> None:
        stopping.raise_if_asked()
        stopping.number = number
        say()

    with _handled_by(ask):
        yield stopping


@contextmanager
def interrupted_by_signals() -> Iterator[Stopping]:
    """Each signal raises `Interrupted` at once, and is remembered: native code may turn the exception into another."""
    stopping = Stopping()

    def interrupt(number: int, frame: FrameType | None) -> None:
        stopping.number = number
        raise Interrupted(number)

    with _handled_by(interrupt):
        yield stopping


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)
