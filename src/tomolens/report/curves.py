"""Figures of a chart's curves: a panel an estimator where each map has two lines, else a panel a form."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..declarations import FORMS, Chart, Output
from ..findings import Findings
from ..findings.printing import forms, title
from . import style
from .series import Line, Series, blind_series, series_of, upward

MANY, MOST = 12, 8
"""Maps from which on only so many of them, the best, are drawn in colour."""


def curves_figure(findings: Findings, chart: Chart) -> Figure:
    """The figure of a chart; its series must not be empty."""
    series, headline = series_of(findings, chart), findings.description.outputs[chart.headline]
    return (_by_estimator if len(chart.lines) > 1 else _by_form)(findings, chart, series, headline)


def _by_estimator(findings: Findings, chart: Chart, series: Sequence[Series], headline: Output) -> Figure:
    """Both lines of each map, dashed as it is and solid absolute with the area between them, in the study's order."""
    own, blind = {one.key[0] for one in series}, blind_series(findings, chart)
    names = [one.name for one in findings.description.estimators if one.name in own]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = style.figure(2.9 * columns + 0.3, 2.7 * rows + 0.7)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(names):
            axes.set_visible(False)
            continue
        maps = {form: one for one in series if one.key[0] == names[place] for form in forms(one.key[1])}
        style.tidy(axes)
        for form, dash in zip(FORMS, ("--", "-"), strict=True):
            if form in maps and not (form == "original" and maps[form] is maps.get("absolute")):
                _two_lines(axes, maps[form].lines, form, dash)
        if blind is not None:
            label = f"{blind.label}, the best blind map ({blind.headline})"
            for line in blind.lines:
                axes.plot(line.x, line.value, color=style.BLIND, linewidth=0.9, label=label, zorder=1)
        sentence = headline.view.sentence if headline.view else f"{headline.label} {{}}"
        numbers = " / ".join(dict.fromkeys(maps[form].headline for form in FORMS if form in maps))
        axes.set_title(f"{title(findings, names[place])}\n{sentence.format(numbers)}", fontsize=style.TEXT + 1)
        if place + columns >= len(names):
            axes.set_xlabel(chart.x_label)
            axes.xaxis.set_tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel(upward(findings, chart, series))
    _limit(panels[0, 0], chart, series)
    style.legend(figure, panels.flat, "upper", 2)
    return figure


def _two_lines(axes: Axes, lines: Sequence[Line], form: str, dash: str) -> None:
    for line, colour in zip(lines, (style.FIRST_LINE, style.SECOND_LINE), strict=True):
        axes.plot(line.x, line.value, dash, color=colour, linewidth=style.LINE, label=f"{line.label}, {form}")
        if form == "absolute":
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.3, linewidth=0, zorder=1.5)
    if form == "absolute":
        first, second = lines
        axes.fill_between(first.x, first.value, second.value, color=style.SECOND_LINE, alpha=0.15, linewidth=0)


def _by_form(findings: Findings, chart: Chart, series: Sequence[Series], headline: Output) -> Figure:
    """Maps as they are left, absolute ones right, with legends below, best first; of many the best in colour."""
    figure, blind = style.figure(10.5, 7.4), blind_series(findings, chart)
    panels = list(figure.subplots(1, 2, sharey=True))
    for axes, form in zip(panels, FORMS, strict=True):
        style.tidy(axes)
        own = [one for one in series if form in forms(one.key[1])]
        best = [one for one in own if one.look.colour != style.BLIND][:MOST]
        shown = own if len(own) <= MANY else [one for one in own if one in best or one.look.colour == style.BLIND]
        for one in shown:
            (line,), name = one.lines, f"{one.headline}  {title(findings, one.key[0])}"
            colour, dash = one.look.colour, one.look.dash
            axes.plot(line.x, line.value, linewidth=style.LINE, label=name, color=colour, linestyle=dash)
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.1, linewidth=0, zorder=0)
        rest = [one for one in own if one not in shown]
        for one in rest:
            (line,) = one.lines
            label = f"{len(rest)} others, see the table" if one is rest[0] else None
            axes.plot(line.x, line.value, linewidth=0.8, color=style.GUIDE, zorder=1, label=label)
        if blind is not None:
            name = f"{blind.headline}  {blind.label}\n(the best blind map)"  # as wide as the other names
            axes.plot(blind.lines[0].x, blind.lines[0].value, "--", color=style.BLIND, linewidth=style.LINE, label=name)
        if chart.chance:
            axes.plot([0, 1], [0, 1], color=style.GUIDE, linewidth=0.8, zorder=0)
        axes.set_title(f"{form} maps", fontsize=style.TITLE)
        axes.set_xlabel(chart.x_label)
        _limit(axes, chart, series)
        where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "ncols": 2, "handlelength": 3.2}
        axes.legend(frameon=False, fontsize=style.SMALL, title=headline.label, title_fontsize=style.TEXT, **where)
    panels[0].set_ylabel(upward(findings, chart, series))
    return figure


def _limit(axes: Axes, chart: Chart, series: Sequence[Series]) -> None:
    lines = [line for one in series for line in one.lines]
    axes.set_xlim(min(float(line.x.min()) for line in lines), max(float(line.x.max()) for line in lines))
    low, high = (float(end([end(line.value) for line in lines])) for end in (np.nanmin, np.nanmax))
    low, high = chart.limits or (min(low, 0.0), high)
    room = 0.03 * (high - low)
    axes.set_ylim(low - room if chart.limits or low < 0 else 0.0, high + room)
