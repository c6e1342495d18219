"""A number with its interval as a dot on a line, beside what it must beat: the marks of tiles and ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from .svg import Scale, element, percent

CLASS_MARKS = ("▽", "△", "◇", "□", "☆", "○")
"""Of the means of each class, by label; of more classes a letter each, and from the 33rd on a cross."""

BEYOND = 9


@dataclass(frozen=True)
class Mark:
    """A number to draw, already multiplied for printing.

    Attributes:
        value: of the map.
        low: end of its interval, NaN where it has none.
        high: end of its interval.
        classes: means of each class, by label, NaN where it has none; empty where the mean is not of classes.
        sure: whether it surely beats the best blind map; then the dot is filled. None is not compared: a stroke.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    classes: Sequence[float] = ()
    sure: bool | None = True

    @property
    def numbers(self) -> list[float]:
        """All that must be within the scale."""
        return [self.value, self.low, self.high, *self.classes]


def class_mark(label: int) -> str:
    """The mark of a class.

    Example:
        >>> [class_mark(label) for label in (0, 5, 6, 31, 32)]
        ['▽', '○', 'a', 'z', '×']
    """
    marks = (*CLASS_MARKS, *"abcdefghijklmnopqrstuvwxyz")
    return marks[label] if label < len(marks) else "×"


def forest(scale: Scale, mark: Mark | None, blind: float | None, ink: str, height: int = 26) -> Markup:
    """A line of a forest plot, as wide as there is room; what it says stands beside it in words.

    Args:
        scale: from the number to per cent of the width.
        mark: to draw; None draws the line of the blind map alone.
        blind: where the best blind map is.
        ink: class of the colour.
        height: in pixels.
    """
    middle = height / 2
    drawn = []
    if blind is not None and not np.isnan(blind):
        x = percent(scale(blind))
        # Beyond both ends, so that the lines of rows of any height meet.
        drawn.append(element("line", x1=x, x2=x, y1=-BEYOND, y2=height + BEYOND, class_="blind-line"))
    if mark is not None:
        x = percent(scale(mark.value))
        if not np.isnan(mark.low):
            ends = {"x1": percent(scale(mark.low)), "x2": percent(scale(mark.high))}
            drawn.append(element("line", y1=middle, y2=middle, class_="interval", **ends))
        for label, mean in enumerate(mark.classes):
            if not np.isnan(mean):
                symbol = class_mark(label)
                drawn.append(element("text", symbol, x=percent(scale(mean)), y=middle + 4, class_="of-class"))
        if mark.sure is None:
            drawn.append(element("line", x1=x, x2=x, y1=middle - 7, y2=middle + 7, class_="stroke-mark"))
        else:
            drawn.append(element("circle", cx=x, cy=middle, r=4.6, class_="dot" if mark.sure else "dot hollow"))
    return element("svg", *drawn, class_=f"forest {ink}", width="100%", height=height, aria_hidden="true")
