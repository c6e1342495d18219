"""Charts of the page, as plotly's data and layout: every line with its interval, best maps shown first."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from ..declarations import Breakdown, Chart, Output
from ..findings import Findings
from ..findings.printing import judged
from . import style
from .breakdowns import ACROSS, TICKS, Bar, across, breakdowns, lines_of, shown
from .series import Line, Point, Series, points_of, series_of, views_beside

Drawn = dict[str, Any]
SHOWN = 3
"""The best map of so many estimators is shown at first, and of blind ones; the legend shows and hides the others."""


def charts(findings: Findings) -> dict[str, Drawn]:
    """All charts for which there are measurements, by name."""
    drawn = {}
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        series = series_of(findings, chart)
        if series:
            drawn[chart.name] = _curves(chart, series)
    drawn |= {one.name: _breakdown(findings, one) for one in breakdowns(findings)}
    model, others = views_beside(findings)
    if model is not None:
        drawn |= {f"agreement-{view.column}": _agreement(findings, model, view) for view in others}
    return drawn


def _curves(chart: Chart, series: Sequence[Series]) -> Drawn:
    first: dict[str, Series] = {}
    for one in series:
        first.setdefault(one.key[0], one)
    shown = [one for place, one in enumerate(first.values()) if place < SHOWN or one.look.colour == style.BLIND]
    traces = []
    for one in series:
        for place, line in enumerate(one.lines):
            second = place == 1 if len(one.lines) > 1 else one.key[1] == "original"
            traces += _banded(one, line, one in shown, one.look.screen_dashes[second], named=place == 0)
    if chart.chance:
        diagonal = {"x": [0, 1], "y": [0, 1], "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
        traces.append({**diagonal, "line": {"color": style.GUIDE, "width": 1}})
    layout = _axes(chart.x_label, chart.y_label)
    if chart.limits:
        room = 0.02 * (chart.limits[1] - chart.limits[0])
        layout["yaxis"]["range"] = [chart.limits[0] - room, chart.limits[1] + room]
    return {"data": traces, "layout": layout}


def _banded(one: Series, line: Line, shown: bool, dash: str, named: bool) -> list[Drawn]:
    """A line and its interval as one entry of the legend."""
    colour = one.look.colour
    group = {"legendgroup": one.label, "visible": True if shown else "legendonly", "x": _rounded(line.x)}
    hidden = {"showlegend": False, "hoverinfo": "skip", "mode": "lines", "line": {"width": 0, "color": colour}}
    band_colour = f"rgba({','.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))},0.15)"
    drawn = {"color": colour, "width": 1.3 if one.key[1] == "original" else 2.2, "dash": dash}
    named_line = {"mode": "lines", "name": one.label, "showlegend": named, "line": drawn}
    return [
        {**group, **hidden, "y": _rounded(line.low)},
        {**group, **hidden, "y": _rounded(line.high), "fill": "tonexty", "fillcolor": band_colour},
        {**group, **named_line, "y": _rounded(line.value)},
    ]


def _breakdown(findings: Findings, breakdown: Breakdown) -> Drawn:
    """The bars as plotly's data and layout: a trace a part."""
    found = shown(findings, breakdown)
    lines = lines_of(findings, found)
    traces = [
        {"type": "bar", "orientation": "h", "name": escape(part), "marker": {"color": colour}, **_of_part(part, lines)}
        for part, colour in found.parts.items()
    ]
    layout = _axes(ACROSS, "")
    layout["xaxis"] |= {"zeroline": True, "tickvals": TICKS, "ticktext": [str(abs(tick)) for tick in TICKS]}
    layout["yaxis"] = {"automargin": True, "autorange": "reversed", "ticksuffix": " "}
    layout["legend"] |= {"traceorder": "normal"}
    layout |= {"barmode": "relative", "bargap": 0.25, "height": 150 + 21 * len(lines)}
    return {"data": traces, "layout": layout}


def _of_part(part: str, lines: Sequence[tuple[str, Sequence[Bar]]]) -> Drawn:
    found = [(label, bar) for label, bars in lines for bar in bars]
    text = [
        f"{label}{f', {bar.sign} values' if bar.sign else ''}<br>{escape(part)}: {bar.words(part)}"
        for label, bar in found
    ]
    return {
        "y": [label for label, _ in found],
        "x": [across(bar, part) for _, bar in found],
        "hovertext": text,
        "hoverinfo": "text",
    }


def _agreement(findings: Findings, model: Output, view: Output) -> Drawn:
    """Every map in the model's view and in another, with the intervals of both."""
    traces = [_point(point) for point in points_of(findings, model, view)]
    return {"data": traces, "layout": _axes(f"{model.label} ({judged(model)})", f"{view.label}<br>({judged(view)})")}


def _point(point: Point) -> Drawn:
    symbol, edge = style.FORM_MARKS[point.key[1]][1], {"width": 1.5, "color": point.look.colour}
    mark = {"color": point.look.colour, "size": 9, "symbol": symbol, "line": edge}
    return {
        "x": _rounded(point.across[:1]),
        "y": _rounded(point.up[:1]),
        "error_x": _errors(point.across, point.look.colour),
        "error_y": _errors(point.up, point.look.colour),
        "mode": "markers",
        "name": point.label,
        "marker": mark,
    }


def _errors(ends: tuple[float, float, float], colour: str) -> Drawn:
    value, low, high = ends
    bars = {"type": "data", "symmetric": False, "color": colour, "thickness": 1, "width": 0}
    return {**bars, "array": _rounded([high - value]), "arrayminus": _rounded([value - low])}


def _axes(x: str, y: str) -> Drawn:
    axis = {"gridcolor": style.GRID, "zeroline": False, "automargin": True}
    return {
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y, "standoff": 14}},
        "legend": {"orientation": "h", "y": -0.22, "x": 0, "font": {"size": 11}},
        "margin": {"l": 55, "r": 12, "t": 12, "b": 40},
        "hovermode": "closest",
        "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif", "size": 12},
    }


def _rounded(values: Iterable[float]) -> list[float | None]:
    """Five digits are more than a screen shows; what is not a number is a gap."""
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in values]
