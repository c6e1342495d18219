"""Drawings as SVG in the page itself: elements, a scale, and dots with their intervals."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape


def element(tag: str, *content: str, **attributes: object) -> Markup:
    """An element; names of attributes have ``-`` for ``_``, None leaves one out, and text in either is escaped.

    Example:
        >>> print(element("text", "a < b", x=3, text_anchor="end", style=None))
        <text x="3" text-anchor="end">a &lt; b</text>
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{named}>{''.join(escape(one) for one in content)}</{tag}>")


@dataclass(frozen=True)
class Scale:
    """From numbers to places.

    Attributes:
        low: number at the beginning.
        high: number at the end.
        start: place of the beginning.
        end: place of the end.
    """

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0

    def __call__(self, value: float) -> float:
        """Where a number is, two digits after the point."""
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 2)

    @classmethod
    def around(cls, values: Iterable[float], start: float = 0.0, end: float = 100.0, room: float = 0.05) -> "Scale":
        """A scale that holds all of some numbers, with a share of room at both ends."""
        found = [value for value in values if value == value]
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        more = room * (high - low or abs(high) or 1.0)
        return cls(low - more, high + more, start, end)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers within it, about so many.

        Example:
            >>> Scale(0.0, 1.0).ticks(), Scale(-3.2, 11.0).ticks(4)
            ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 5.0, 10.0])
        """
        rough = (self.high - self.low) / count or 1.0
        power = 10.0 ** floor(log10(rough))
        step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(place * step, 10) for place in range(first, last + 1)]


def percent(value: float) -> str:
    """A place across, as a share of the drawing's width."""
    return f"{value:g}%"
