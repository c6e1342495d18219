"""Figure of metrics against metrics: which measures rank the maps alike, like ones beside each other."""

import numpy as np
from matplotlib.figure import Figure

from ..findings import Findings
from . import style

CAPTION = (
    "Kendall's tau-b between the rankings of the maps by each two measures (1: the same order, 0: unrelated, -1: "
    "reversed), every measure so that better is higher. Like ones stand together; lines part clusters of a mean tau "
    "above 0.5. A dash: too few maps in common, or all alike by one. No score is made of several."
)
NUMBERED = 24
"""Measures up to which each field has its number."""


def metrics_figure(findings: Findings) -> Figure:
    """A field for each two measures."""
    table = findings.tables["metrics"]
    place: dict[str, int] = {}
    cluster: dict[str, int] = {}
    for end in ("first", "second"):
        place |= dict(zip(table[end], table[f"place_{end}"], strict=True))
        cluster |= dict(zip(table[end], table[f"cluster_{end}"], strict=True))
    names = sorted(place, key=lambda name: place[name])
    taus = np.full((len(names), len(names)), np.nan)
    for _, row in table.iterrows():
        one, other = place[row["first"]] - 1, place[row["second"]] - 1
        taus[one, other] = taus[other, one] = row["tau"]
    labels = {output.column: output.label for output in findings.description.outputs.values()}
    side = 0.36 * len(names)
    figure = style.figure(side + 4.4, side + 3.0)
    axes = figure.subplots()
    shown = axes.imshow(taus, cmap=style.PRINTED_SIGNED, vmin=-1, vmax=1)
    axes.set_facecolor(style.GRID)
    for row, column in np.ndindex(taus.shape):
        if row == column:
            continue
        tau = taus[row, column]
        told = "–" if np.isnan(tau) else f"{tau:.1f}".replace("-0.0", "0.0")
        if len(names) <= NUMBERED or np.isnan(tau):
            colour = "white" if abs(np.nan_to_num(tau)) > 0.6 else "black"
            axes.text(column, row, told, ha="center", va="center", fontsize=6.5, color=colour)
    for at in range(1, len(names)):
        if cluster[names[at]] != cluster[names[at - 1]]:
            for line in (axes.axhline, axes.axvline):
                line(at - 0.5, color="black", linewidth=1.2)
    titles = [labels.get(name) or name for name in names]
    axes.set_xticks(range(len(names)), titles, rotation=60, ha="right", rotation_mode="anchor", fontsize=style.SMALL)
    axes.set_yticks(range(len(names)), titles, fontsize=style.SMALL)
    figure.colorbar(shown, ax=axes, label="Kendall's tau-b", shrink=0.6)
    return figure
