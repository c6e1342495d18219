"""The model's view against the expert's: every map as a point with the intervals of both."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.tables import own_share_rows
from . import style

MARKERS = {"original": "o", "absolute": "s"}


def views_figure(findings: Findings) -> Figure:
    """Fidelity across, AUC and Dice up; the best blind baseline of each view as a dashed line."""
    views = [("auc", "AUC", findings.tables["roc"]), ("dice", "Dice", own_share_rows(findings.tables["overlap"]))]
    present = [view for view in views if not view[2].empty]
    figure = style.figure(5.4 * len(present) + 0.2, 5.9)
    panels = figure.subplots(1, len(present), squeeze=False)[0]
    for axes, (column, name, table) in zip(panels, present, strict=True):
        _points(axes, findings.tables["fidelity"], table, column)
        _baselines(axes, findings.tables["baselines"], column)
        style.tidy(axes)
        axes.set_xlabel("fidelity F × 10 (the model's view)")
        axes.set_ylabel(f"{name} (the expert's view)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _points(axes: Axes, fidelity: pd.DataFrame, table: pd.DataFrame, column: str) -> None:
    keys = ["estimator", "signs"]
    joined = fidelity.merge(table, on=keys, suffixes=("", "_expert"))
    places = {name: place for place, name in enumerate(dict.fromkeys(joined["estimator"]))}
    for _, row in joined.iterrows():
        colour = style.line(row["estimator"], places[row["estimator"]])["color"]
        x, y = 10 * row["fidelity"], row[column]
        axes.plot([10 * row["ci_low"], 10 * row["ci_high"]], [y, y], color=colour, linewidth=0.9, alpha=0.7)
        axes.plot([x, x], [row["ci_low_expert"], row["ci_high_expert"]], color=colour, linewidth=0.9, alpha=0.7)
        filled = colour if row["signs"] == "absolute" else "white"
        label = f"{style.title(row['estimator'])}, {row['signs']}"
        marker = MARKERS[row["signs"]]
        axes.plot([x], [y], marker, color=colour, markerfacecolor=filled, markersize=6.5, label=label, zorder=3)


def _baselines(axes: Axes, baselines: pd.DataFrame, column: str) -> None:
    if baselines.empty:
        return
    for view, draw, factor in (("fidelity", axes.axvline, 10.0), (column, axes.axhline, 1.0)):
        values = baselines["value"][baselines["view"] == view]
        if len(values):
            label = "best blind baseline" if view == "fidelity" else None
            draw(factor * values.max(), color="black", linestyle="--", linewidth=1.0, label=label)
