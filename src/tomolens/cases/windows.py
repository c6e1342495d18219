"""Windows: which Hounsfield units are black and which white. Several windows are the channels of one image."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any, cast

from ..errors import SettingsError

Window = tuple[float, float]
"""The HU that become black and white."""
Windows = Window | tuple[Window, ...]
"""One window, or one for each channel."""
MOST_WINDOWS = 8
NARROWEST, FARTHEST = 1.0, 100_000.0
"""HU."""


def windows_of(window: Windows | Sequence[Any]) -> tuple[Window, ...]:
    """One window or several, as the tuple of all.

    Example:
        >>> windows_of((-160.0, 240.0))
        ((-160.0, 240.0),)
    """
    given: Sequence[Any] = window if isinstance(window[0], tuple | list) else [window]
    return tuple(cast("Window", tuple(one)) for one in given)


def check_windows(window: Any) -> tuple[Window, ...]:
    """One window or several as the tuple of all, whatever was given for them.

    Raises:
        SettingsError: no pair of finite numbers, an empty or reversed window, one of less than 1 HU or beyond 100000
            HU, or more than eight; with its place among several.
    """
    several = isinstance(window, list | tuple) and any(isinstance(one, list | tuple) for one in window)
    given = list(window) if several else [window]
    if len(given) > MOST_WINDOWS:
        raise SettingsError(f"{len(given)} windows, expected at most {MOST_WINDOWS}")
    places = [f"window {place + 1} of {len(given)}, " if several else "window " for place in range(len(given))]
    return tuple(_checked(one, place) for one, place in zip(given, places, strict=True))


def _checked(one: Any, place: str) -> Window:
    pair = list(one) if isinstance(one, list | tuple) else one
    numbers = isinstance(pair, list) and all(isinstance(end, Real) and not isinstance(end, bool) for end in pair)
    if not numbers or len(pair) != 2 or not all(map(isfinite, pair)):
        raise SettingsError(f"{place}{pair!r}, expected two finite numbers, the HU that become black and white")
    low, high = map(float, pair)
    if low >= high:
        raise SettingsError(f"{place}{[low, high]} is empty: the lower limit comes first")
    if not (-FARTHEST <= low and high <= FARTHEST and high - low >= NARROWEST):
        raise SettingsError(
            f"{place}{[low, high]}, expected at least {NARROWEST:g} HU within {-FARTHEST:.0f} to {FARTHEST:.0f} HU"
        )
    return low, high


def in_words(window: Windows | Sequence[Any]) -> str:
    """Windows for a message or a report.

    Example:
        >>> in_words((-160.0, 240.0))
        '-160 to 240 HU'
        >>> in_words(((-1000.0, 400.0), (-160.0, 240.0), (-100.0, 900.0)))
        '-1000 to 400, -160 to 240 and -100 to 900 HU'
    """
    *before, last = (f"{low:g} to {high:g}" for low, high in windows_of(window))
    return f"{', '.join(before)} and {last} HU" if before else f"{last} HU"
