"""Chart of two views: every map as a point with both intervals, and its name at the right."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ..declarations import Output
from ..findings import Findings
from ..findings.printing import judged, printed
from .drawn import Drawn, Panel, grid
from .series import Point, best_blind, points_of
from .svg import Scale, element

HIGH, WIDE, LABELS = 460, 860, 240
"""Of the drawing, and the room for names at its right."""
LEAST = 13.0
"""Between two names, from line to line."""


def spread_chart(findings: Findings, model: Output, view: Output) -> Drawn:
    """Every map in the model's view and in another, with both intervals and its name at the right."""
    points = points_of(findings, model, view)
    right, bottom = WIDE - LABELS, HIGH - 36
    blind = [best_blind(findings, one) for one in (model, view)]
    beside = [[one] if one is not None else [] for one in blind]
    x = Scale.around([*(end for one in points for end in one.across), *beside[0]], 46, right)
    y = Scale.around([*(end for one in points for end in one.up), *beside[1]], bottom, 10)
    drawn = list(grid(x, y))
    if blind[0] is not None:
        drawn.append(element("line", x1=x(blind[0]), x2=x(blind[0]), y1=10, y2=bottom, class_="blind-line"))
    if blind[1] is not None:
        drawn.append(element("line", x1=46, x2=right, y1=y(blind[1]), y2=y(blind[1]), class_="blind-line"))
    ordered = sorted(points, key=lambda one: y(one.up[0]))
    for point, place in zip(ordered, _apart([y(one.up[0]) for one in ordered], 12.0, bottom), strict=True):
        drawn.append(_point(point, x, y, right, place))
    picture = element("svg", *drawn, viewBox=f"0 0 {WIDE} {HIGH}", class_="spread-drawing", aria_hidden="true")
    says = "; ".join(
        f"{one.label}: {printed(model, one.across[0] / model.factor)} and {printed(view, one.up[0] / view.factor)}"
        for one in points
    )
    up = f"{view.label} ({judged(view)})"
    legend = [("blind-line", "4 3", "best blind map")] if any(one is not None for one in blind) else []
    both = any(one.key[1] == "original" for one in points)
    legend += [("sign own", "●", "absolute map"), ("sign own", "■", "map as it is")] if both else []
    across_label = f"{model.label} ({judged(model)})"
    return Drawn("points", [Panel("", says, picture)], across_label, up, legend)


def _apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Sorted places moved so that none is nearer to the next than a line of text, as far as there is room."""
    least = min(LEAST, (bottom - top) / max(1, len(places) - 1))
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + least if found else top))
    limit = bottom
    for at in reversed(range(len(found))):
        found[at] = min(found[at], limit)
        limit = found[at] - least
    return found


def _point(point: Point, x: Scale, y: Scale, right: float, place: float) -> Markup:
    (across_, left, end), (up, low, high) = point.across, point.up
    at, height = x(across_), y(up)
    parts = []
    if not np.isnan(left):
        parts.append(element("line", x1=x(left), x2=x(end), y1=height, y2=height, class_="interval"))
    if not np.isnan(low):
        parts.append(element("line", x1=at, x2=at, y1=y(low), y2=y(high), class_="interval"))
    parts.append(element("polyline", points=f"{at:g},{height:g} {right:g},{place:.1f}", class_="leader"))
    if point.key[1] == "original":
        parts.append(element("rect", x=round(at - 4.5, 2), y=round(height - 4.5, 2), width=9, height=9, class_="dot"))
    else:
        parts.append(element("circle", cx=at, cy=height, r=5, class_="dot"))
    parts.append(element("text", point.label, x=right + 6, y=round(place + 4, 1), class_="name"))
    key = "/".join(point.key)
    return element("g", *parts, class_=f"point {point.look.ink}", data_map=key, data_estimator=point.key[0])
