"""Charts of curves: a panel an estimator, its maps over the best blind map; and the same in each class."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..declarations import Chart
from ..findings import Findings
from ..findings.printing import NOTHING, title
from .drawn import Drawn, Panel, grid
from .series import Line, Series, blind_series, labels_of, series_of, upward
from .svg import Scale, element

LEFT, RIGHT, TOP, BOTTOM = 34, 16, 8, 22
"""Margins of a drawing."""
WHOLE, OF_CLASS = (280, 180), (190, 140)
"""Width and height of a drawing of all classes together, and of one of several."""
IN_CLASSES = "-classes"
"""Ends the name of a chart of each class."""


def curve_charts(findings: Findings, chart: Chart) -> dict[str, Drawn]:
    """The chart, and where its curves are means over the classes that of each class; none without measurements."""
    series, blind = series_of(findings, chart), blind_series(findings, chart)
    if not series:
        return {}
    drawn = {chart.name: _whole(findings, chart, series, blind)}
    labels = labels_of(series)
    if len(labels) > 1:
        drawn[f"{chart.name}{IN_CLASSES}"] = _of_classes(findings, chart, series, blind, labels)
    return drawn


@dataclass(frozen=True)
class Frame:
    """What all drawings of a chart have in common.

    Attributes:
        chart: the chart.
        size: width and height.
        x: across.
        y: upward.
    """

    chart: Chart
    size: tuple[int, int]
    x: Scale
    y: Scale

    @classmethod
    def around(cls, chart: Chart, lines: Sequence[Line], size: tuple[int, int]) -> "Frame":
        """The frame that holds all lines."""
        low, high = (float(end([end(line.x) for line in lines])) for end in (np.min, np.max))
        x = Scale(low, high, LEFT, size[0] - RIGHT)
        values = np.concatenate([line.value for line in lines])
        low, high = chart.limits or (min(float(np.nanmin(values)), 0.0), float(np.nanmax(values)))
        room = 0.03 * (high - low)
        return cls(chart, size, x, Scale(low - room, high + room, size[1] - BOTTOM, TOP))

    @property
    def ends(self) -> dict[str, Any]:
        """Numbers and places of both ends of both axes."""
        return {name: [one.low, one.high, one.start, one.end] for name, one in (("x", self.x), ("y", self.y))}


def _whole(findings: Findings, chart: Chart, series: Sequence[Series], blind: Series | None) -> Drawn:
    """A panel an estimator, best first: its maps, and the best blind map of the chart behind them."""
    frame = Frame.around(chart, _lines(series, blind), WHOLE)
    panels = [
        Panel(
            title(findings, name),
            _finding(findings, chart, maps, blind),
            _drawing(frame, maps, blind),
            name,
            _headlines(maps),
        )
        for name, maps in _by_estimator(series).items()
    ]
    legend = _legend(chart, series, blind)
    return Drawn("lines", panels, chart.x_label, upward(findings, chart, series), legend, frame.ends)


def _of_classes(
    findings: Findings, chart: Chart, series: Sequence[Series], blind: Series | None, labels: Sequence[int]
) -> Drawn:
    """A panel an estimator with a drawing a class, beside one another."""
    every = [*series, *([blind] if blind else [])]
    frame = Frame.around(chart, [line for label in labels for line in _lines(_in_class(every, label))], OF_CLASS)
    names, panels = findings.description.classes, []
    for name, maps in _by_estimator(series).items():
        parts, says = [], []
        for label in labels:
            own, others = _in_class(maps, label), _in_class([blind] if blind else [], label)
            head = element("span", f"{names[label]} ", element("b", _headlines(own)), class_="class-name")
            parts.append(element("div", head, _drawing(frame, own, others[0] if others else None)))
            says.append(f"{names[label]}: {_finding(findings, chart, own, others[0] if others else None)}")
        drawing = element("div", *parts, class_="by-class")
        panels.append(Panel(title(findings, name), ". ".join(says), drawing, name))
    legend = _legend(chart, series, blind, with_number=False)
    up = f"{chart.y_label.partition(',')[0]} in the class"
    return Drawn("classes", panels, chart.x_label, up, legend, frame.ends)


def _by_estimator(series: Sequence[Series]) -> Mapping[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in series:
        found.setdefault(one.key[0], []).append(one)
    return found


def _in_class(series: Sequence[Series], label: int) -> list[Series]:
    """The same maps in one class, those that have numbers there; intervals are of the mean over the classes alone."""
    none = np.full(1, np.nan)
    return [
        replace(
            one,
            headline=one.of_class.get(label, NOTHING),
            lines=tuple(
                replace(line, value=line.classes[label], low=none.repeat(len(line.x)), high=none.repeat(len(line.x)))
                for line in one.lines
            ),
        )
        for one in series
        if all(label in line.classes for line in one.lines)
    ]


def _lines(series: Sequence[Series], blind: Series | None = None) -> list[Line]:
    return [line for one in (*series, *([blind] if blind else [])) for line in one.lines]


def _legend(
    chart: Chart, series: Sequence[Series], blind: Series | None, with_number: bool = True
) -> list[tuple[str, str, str]]:
    two = len(chart.lines) > 1
    legend = [(f"line-{place}", "none", label) for place, label in enumerate(chart.line_labels)] if two else []
    forms = {one.key[1] for one in series}
    legend += [("line-form", "none", "absolute map"), ("line-form", "6 3", "map as it is")] if len(forms) > 1 else []
    if blind is not None:
        number = f" ({blind.headline})" if with_number else ""
        dotted = f"; dotted: {chart.line_labels[1]}" if two else ""
        legend.append(("ink-blind", "none", f"{blind.label}, the best blind map{number}{dotted}"))
    if chart.chance:
        legend.append(("chance", "2 3", "chance"))
    return legend


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


def _drawing(frame: Frame, maps: Sequence[Series], blind: Series | None) -> Markup:
    drawn = [*grid(frame.x, frame.y)]
    if frame.chart.chance:
        places = {"x1": frame.x(0), "y1": frame.y(0), "x2": frame.x(1), "y2": frame.y(1)}
        drawn.append(element("line", class_="chance", **places))
    drawn += _series(frame, blind, behind=True) if blind else []
    for one in reversed(maps):
        drawn += _series(frame, one)
    width, height = frame.size
    return element("svg", *drawn, viewBox=f"0 0 {width} {height}", class_="panel-drawing", aria_hidden="true")


def _series(frame: Frame, one: Series, behind: bool = False) -> Iterable[Markup]:
    """The lines of a map; ``behind``, as the best blind one lies behind all, thin and grey without intervals."""
    for place, line in enumerate(one.lines):
        ink = one.look.ink if len(one.lines) == 1 or behind else f"line-{place}"
        dash = "6 3" if one.key[1] == "original" and not behind else None
        if len(one.lines) == 2 and behind:
            dash = (None, "2 3")[place]
        known = ~(np.isnan(line.low) | np.isnan(line.high))
        if known.any() and one.key[1] != "original" and not behind:
            ends = [
                *_points(frame, line.x[known], line.low[known]),
                *_points(frame, line.x[known], line.high[known])[::-1],
            ]
            yield element("polygon", points=" ".join(ends), class_=f"band {ink}")
        yield element(
            "polyline",
            points=" ".join(_points(frame, line.x, line.value)),
            class_=f"curve {ink}",
            stroke_dasharray=dash,
            data_map="/".join(one.key),
            data_name=f"{one.label}{f', {line.label}' if line.label else ''}",
            data_low=None if behind else _numbers(line.low),
            data_high=None if behind else _numbers(line.high),
        )


def _points(frame: Frame, across: NDArray[np.float64], up: NDArray[np.float64]) -> list[str]:
    pairs = zip(across, up, strict=True)
    return [f"{frame.x(one):g},{frame.y(other):g}" for one, other in pairs if not np.isnan(one + other)]


def _numbers(values: NDArray[np.float64]) -> str | None:
    return None if np.isnan(values).all() else " ".join("" if np.isnan(one) else f"{one:.3g}" for one in values)
