"""What the channels of a study's images are called, and which Hounsfield units are black and white in each."""

from typing import NamedTuple

from ..cases.windows import in_words, windows_of
from ..results.description import Description


class Channel(NamedTuple):
    """One channel of the images.

    Attributes:
        name: its window, or its number where all have the same; empty where there is one alone.
        low: HU that are black.
        high: HU that are white.
    """

    name: str
    low: float
    high: float


def channels_of(description: Description) -> list[Channel]:
    """The channels of a study's images, in their order."""
    count = int(description.raw["content"]["cases"]["shape"][0])
    windows = windows_of(description.settings["cases"]["window"])
    if count == 1:
        return [Channel("", *windows[0])]
    if len(windows) == count:
        return [Channel(in_words(window), *window) for window in windows]
    return [Channel(f"channel {place + 1} of {count}", *windows[0]) for place in range(count)]
