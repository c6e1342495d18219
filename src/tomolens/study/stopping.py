"""Ctrl-C once: finish what is at work, keep it, say how to go on. Twice: stop now."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_when_asked(say: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """A function that tells whether someone asked to stop, by Ctrl-C or SIGTERM (as batch systems do).

    Args:
        say: called at the first Ctrl-C. The second one raises KeyboardInterrupt at once.
    """
    asked = False

    def stopping() -> bool:
        return asked

    if threading.current_thread() is not threading.main_thread():
        yield stopping  # only the main thread may handle signals
        return

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
