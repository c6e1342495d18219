"""A chart of the page: panels of SVG, each with its finding in words, and what stands around them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from .svg import Scale, element


@dataclass(frozen=True)
class Panel:
    """A part of a chart.

    Attributes:
        title: above it.
        says: its finding in words.
        drawing: SVG.
        estimator: whose it is; empty for none.
        number: beside the title.
    """

    title: str
    says: str
    drawing: Markup
    estimator: str = ""
    number: str = ""


@dataclass(frozen=True)
class Drawn:
    """A chart.

    Attributes:
        kind: ``lines``, ``classes``, ``points``, ``bars``, ``pairs``, ``choices`` or ``fields``.
        panels: of it.
        across: what is to the right.
        up: what is upward.
        legend: class of the mark, dash and words of each entry.
        data: what a reader's pointer asks for: the ends of both axes, or the numbers behind a
            drawing.
    """

    kind: str
    panels: Sequence[Panel]
    across: str = ""
    up: str = ""
    legend: Sequence[tuple[str, str, str]] = ()
    data: dict[str, Any] = field(default_factory=dict)


def grid(x: Scale, y: Scale) -> Iterable[Markup]:
    """Lines and numbers of both axes."""
    for tick in y.ticks(4):
        yield element("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid")
        yield element("text", f"{tick:g}", x=x.start - 5, y=y(tick) + 3.5, class_="tick end")
    for tick in x.ticks(4):
        yield element("line", x1=x(tick), x2=x(tick), y1=y.start, y2=y.end, class_="grid")
        yield element("text", f"{tick:g}", x=x(tick), y=y.start + 14, class_="tick middle")
