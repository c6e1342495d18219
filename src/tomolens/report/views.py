"""The model's view against the expert's: every map as a point with the intervals of both."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.views import VIEWS, View
from . import style
from .answer import values_of

MARKERS = {"original": "o", "absolute": "s", BOTH: "D"}


def views_figure(findings: Findings) -> Figure:
    """Fidelity across, the expert's views and the truth up; the best blind baseline of each view as a dashed line."""
    model, experts = VIEWS["fidelity"], [view for view in VIEWS.values() if view.name != "fidelity"]
    present = [view for view in experts if len(values_of(findings, view))]
    figure = style.figure(5.4 * len(present) + 0.2, 5.9)
    panels = figure.subplots(1, len(present), squeeze=False)[0]
    for axes, view in zip(panels, present, strict=True):
        _points(axes, values_of(findings, model), values_of(findings, view))
        _baselines(axes, findings.tables["baselines"], view)
        style.tidy(axes)
        axes.set_xlabel(f"{model.label} ({model.judge})")
        axes.set_ylabel(f"{view.label} ({view.judge})")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _points(axes: Axes, fidelity: pd.DataFrame, expert: pd.DataFrame) -> None:
    keys = ["estimator", "signs"]
    joined = fidelity.merge(expert, on=keys, suffixes=("", "_expert"))
    places = {name: place for place, name in enumerate(dict.fromkeys(joined["estimator"]))}
    for _, row in joined.iterrows():
        colour = style.line(row["estimator"], places[row["estimator"]])["color"]
        x, y = 10 * row["value"], row["value_expert"]
        axes.plot([10 * row["ci_low"], 10 * row["ci_high"]], [y, y], color=colour, linewidth=0.9, alpha=0.7)
        axes.plot([x, x], [row["ci_low_expert"], row["ci_high_expert"]], color=colour, linewidth=0.9, alpha=0.7)
        filled = "white" if row["signs"] == "original" else colour
        label = style.map_title(row["estimator"], row["signs"])
        marker = MARKERS[row["signs"]]
        axes.plot([x], [y], marker, color=colour, markerfacecolor=filled, markersize=6.5, label=label, zorder=3)


def _baselines(axes: Axes, baselines: pd.DataFrame, view: View) -> None:
    if baselines.empty:
        return
    for name, draw, factor in (("fidelity", axes.axvline, 10.0), (view.name, axes.axhline, 1.0)):
        values = baselines["value"][baselines["view"] == name]
        if len(values):
            label = "best blind baseline" if name == "fidelity" else None
            draw(factor * values.max(), color="black", linestyle="--", linewidth=1.0, label=label)
