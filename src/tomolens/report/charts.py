"""Charts of the page as SVG: a panel an estimator with its lines named, maps in two views, and bars of shares."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..declarations import Breakdown, Chart, Output
from ..findings import Findings
from ..findings.printing import judged, printed, title
from .breakdowns import ACROSS, TICKS, Bar, across, breakdowns, lines_of, shown
from .series import Line, Point, Series, best_blind, blind_series, points_of, series_of, views_beside
from .svg import Scale, element

WIDE, HIGH = 280, 180
LEFT, RIGHT, TOP, BOTTOM = 34, 16, 8, 22
"""Of a panel, and its margins."""
SPREAD_HIGH, SPREAD_WIDE, LABELS = 460, 860, 240
"""Of a chart of two views, and the room for names at its right."""
LEAST = 13.0
"""Between two names, from line to line."""


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
        kind: ``lines``, ``points`` or ``bars``.
        panels: of it.
        across: what is to the right.
        up: what is upward.
        legend: class of the mark, dash and words of each entry.
        data: what a reader's pointer asks for: the ends of both axes.
    """

    kind: str
    panels: Sequence[Panel]
    across: str = ""
    up: str = ""
    legend: Sequence[tuple[str, str, str]] = ()
    data: dict[str, Any] = field(default_factory=dict)


def charts(findings: Findings) -> dict[str, Drawn]:
    """All charts for which there are measurements, by name."""
    drawn = {}
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        series = series_of(findings, chart)
        if series:
            drawn[chart.name] = _curves(findings, chart, series)
    drawn |= {one.name: _breakdown(findings, one) for one in breakdowns(findings)}
    model, others = views_beside(findings)
    if model is not None:
        drawn |= {f"agreement-{view.column}": _agreement(findings, model, view) for view in others}
    return drawn


def _curves(findings: Findings, chart: Chart, series: Sequence[Series]) -> Drawn:
    """A panel an estimator, best first: its maps, and the best blind map of the chart behind them."""
    by_estimator: dict[str, list[Series]] = {}
    for one in series:
        by_estimator.setdefault(one.key[0], []).append(one)
    blind = blind_series(findings, chart)
    every = [line for one in (*series, *([blind] if blind else [])) for line in one.lines]
    x = Scale(
        min(float(line.x.min()) for line in every), max(float(line.x.max()) for line in every), LEFT, WIDE - RIGHT
    )
    y = _upward(chart, every)
    two = len(chart.lines) > 1
    panels = [
        Panel(
            title(findings, name),
            _finding(findings, chart, maps, blind),
            _panel(chart, maps, blind, x, y),
            name,
            _headlines(maps),
        )
        for name, maps in by_estimator.items()
    ]
    legend = [(f"line-{place}", "none", label) for place, label in enumerate(chart.line_labels)] if two else []
    forms = {key[1] for key in (one.key for one in series)}
    legend += [("line-form", "none", "absolute map"), ("line-form", "6 3", "map as it is")] if len(forms) > 1 else []
    if blind is not None:
        legend.append(("ink-blind", "none", f"{blind.label}, the best blind map ({blind.headline})"))
    if chart.chance:
        legend.append(("chance", "2 3", "chance"))
    ends = {"x": [x.low, x.high, x.start, x.end], "y": [y.low, y.high, y.start, y.end]}
    return Drawn("lines", panels, chart.x_label, chart.y_label, legend, ends)


def _upward(chart: Chart, lines: Sequence[Line]) -> Scale:
    values = np.concatenate([line.value for line in lines])
    low, high = chart.limits or (min(float(np.nanmin(values)), 0.0), float(np.nanmax(values)))
    room = 0.03 * (high - low)
    return Scale(low - room, high + room, HIGH - BOTTOM, TOP)


def _finding(findings: Findings, chart: Chart, maps: Sequence[Series], blind: Series | None) -> str:
    headline = findings.description.outputs[chart.headline]
    label = headline.view.title if headline.view else headline.label or headline.name
    numbers = "; ".join(f"{one.label}: {label} {one.headline}" for one in maps)
    against = f"; {blind.label}, the best blind map: {blind.headline}" if blind else ""
    return f"{numbers}{against}"


def _headlines(maps: Sequence[Series]) -> str:
    """The number of each map of an estimator, with its form where there are two."""
    if len(maps) == 1:
        return maps[0].headline
    return ", ".join(f"{one.key[1]} {one.headline}" for one in maps)


def _panel(chart: Chart, maps: Sequence[Series], blind: Series | None, x: Scale, y: Scale) -> Markup:
    drawn = [*_grid(x, y)]
    if chart.chance:
        places = {"x1": x(0), "y1": y(0), "x2": x(1), "y2": y(1)}
        drawn.append(element("line", class_="chance", **places))
    drawn += _series(chart, blind, x, y) if blind else []
    for one in reversed(maps):
        drawn += _series(chart, one, x, y)
    return element("svg", *drawn, viewBox=f"0 0 {WIDE} {HIGH}", class_="panel-drawing", aria_hidden="true")


def _grid(x: Scale, y: Scale) -> Iterable[Markup]:
    for tick in y.ticks(4):
        yield element("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid")
        yield element("text", f"{tick:g}", x=x.start - 5, y=y(tick) + 3.5, class_="tick end")
    for tick in x.ticks(4):
        yield element("line", x1=x(tick), x2=x(tick), y1=y.start, y2=y.end, class_="grid")
        yield element("text", f"{tick:g}", x=x(tick), y=y.start + 14, class_="tick middle")


def _series(chart: Chart, one: Series, x: Scale, y: Scale) -> Iterable[Markup]:
    blind = one.look.ink == "ink-blind"
    for place, line in enumerate(one.lines):
        ink = one.look.ink if len(one.lines) == 1 or blind else f"line-{place}"
        dash = "6 3" if one.key[1] == "original" and not blind else None
        if len(one.lines) == 2 and blind:
            dash = (None, "2 3")[place]
        known = ~(np.isnan(line.low) | np.isnan(line.high))
        if known.any() and one.key[1] != "original" and not blind:
            ends = [
                *_points(line.x[known], line.low[known], x, y),
                *_points(line.x[known], line.high[known], x, y)[::-1],
            ]
            yield element("polygon", points=" ".join(ends), class_=f"band {ink}")
        yield element(
            "polyline",
            points=" ".join(_points(line.x, line.value, x, y)),
            class_=f"curve {ink}",
            stroke_dasharray=dash,
            data_map="/".join(one.key),
            data_name=f"{one.label}{f', {line.label}' if line.label else ''}",
            data_low=None if blind else _numbers(line.low),
            data_high=None if blind else _numbers(line.high),
        )


def _points(across: NDArray[np.float64], up: NDArray[np.float64], x: Scale, y: Scale) -> list[str]:
    return [f"{x(one):g},{y(other):g}" for one, other in zip(across, up, strict=True) if not np.isnan(one + other)]


def _numbers(values: NDArray[np.float64]) -> str | None:
    return None if np.isnan(values).all() else " ".join("" if np.isnan(one) else f"{one:.3g}" for one in values)


def _agreement(findings: Findings, model: Output, view: Output) -> Drawn:
    """Every map in the model's view and in another, with both intervals and its name at the right."""
    points = points_of(findings, model, view)
    right, bottom = SPREAD_WIDE - LABELS, SPREAD_HIGH - 36
    blind = [best_blind(findings, one) for one in (model, view)]
    beside = [[one] if one is not None else [] for one in blind]
    x = Scale.around([*(end for one in points for end in one.across), *beside[0]], 46, right)
    y = Scale.around([*(end for one in points for end in one.up), *beside[1]], bottom, 10)
    drawn = list(_grid(x, y))
    if blind[0] is not None:
        drawn.append(element("line", x1=x(blind[0]), x2=x(blind[0]), y1=10, y2=bottom, class_="blind-line"))
    if blind[1] is not None:
        drawn.append(element("line", x1=46, x2=right, y1=y(blind[1]), y2=y(blind[1]), class_="blind-line"))
    ordered = sorted(points, key=lambda one: y(one.up[0]))
    for point, place in zip(ordered, _apart([y(one.up[0]) for one in ordered], 12.0, bottom), strict=True):
        drawn.append(_point(point, x, y, right, place))
    picture = element(
        "svg", *drawn, viewBox=f"0 0 {SPREAD_WIDE} {SPREAD_HIGH}", class_="spread-drawing", aria_hidden="true"
    )
    says = "; ".join(
        f"{one.label}: {printed(model, one.across[0] / model.factor)} and {printed(view, one.up[0] / view.factor)}"
        for one in points
    )
    up = f"{view.label} ({judged(view)})"
    legend = [("blind-line", "4 3", "best blind map")] if any(one is not None for one in blind) else []
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
    hollow = " hollow" if point.key[1] == "original" else ""
    parts.append(element("polyline", points=f"{at:g},{height:g} {right:g},{place:.1f}", class_="leader"))
    parts.append(element("circle", cx=at, cy=height, r=5, class_=f"dot{hollow}"))
    parts.append(element("text", point.label, x=right + 6, y=round(place + 4, 1), class_="name"))
    key = "/".join(point.key)
    return element("g", *parts, class_=f"point {point.look.ink}", data_map=key, data_estimator=point.key[0])


def _breakdown(findings: Findings, breakdown: Breakdown) -> Drawn:
    """A row a map: bars of its shares, positive to the right and negative to the left."""
    found = shown(findings, breakdown)
    x = Scale(-100.0, 100.0)
    panels = []
    for label, bars in lines_of(findings, found):
        pieces = [piece for bar in bars for piece in _pieces(bar, found.parts, x)]
        pieces.append(element("line", x1="50%", x2="50%", y1=0, y2=20, class_="axis"))
        picture = element("svg", *pieces, class_="bars-drawing", width="100%", height=20, aria_hidden="true")
        says = "; ".join(
            f"{bar.sign + ' values, ' if bar.sign else ''}{part} {bar.words(part)}"
            for bar in bars
            for part in found.parts
        )
        estimator = bars[0].key[0] if bars and bars[0].key else ""
        panels.append(Panel(label, says, picture, estimator))
    legend = [("part", colour, part) for part, colour in found.parts.items()]
    return Drawn("bars", panels, ACROSS, "", legend, {"ticks": [abs(tick) for tick in TICKS]})


def _pieces(bar: Bar, parts: Mapping[str, str], x: Scale) -> Iterable[Markup]:
    start = 0.0
    for part in parts:
        length = across(bar, part)
        begin, end = sorted((x(start), x(start + length)))
        start += length
        if end > begin:
            told = element("title", f"{part}: {bar.words(part)}{f', {bar.sign} values' if bar.sign else ''}")
            place = {"x": f"{begin:g}%", "width": f"{end - begin:.2f}%", "y": 2, "height": 16}
            yield element("rect", told, fill=parts[part], **place)
