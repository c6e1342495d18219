"""Figure of metrics against metrics: which measures rank the maps alike, like ones beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..findings import Findings
from . import style

CAPTION = (
    "Kendall's tau-b between the rankings of the maps by each two measures (1: the same order, 0: unrelated, -1: "
    "reversed), every measure so that better is higher. Like ones stand together; lines part clusters of a mean tau "
    "above 0.5. A dash: too few maps in common, or all alike by one. No score is made of several."
)
NUMBERED = 24
"""Measures up to which each field has its number."""


@dataclass(frozen=True, eq=False)
class Fields:
    """Measures and how they agree.

    Attributes:
        names: as they are printed, like ones beside each other.
        clusters: to which each belongs.
        taus: of each two, NaN where they are not compared, and on the diagonal.
    """

    names: Sequence[str]
    clusters: Sequence[int]
    taus: NDArray[np.float64]


def metric_fields(findings: Findings) -> Fields:
    """The measures in the order of their clusters."""
    table = findings.tables["metrics"]
    place: dict[str, int] = {}
    cluster: dict[str, int] = {}
    for end in ("first", "second"):
        place |= dict(zip(table[end], table[f"place_{end}"], strict=True))
        cluster |= dict(zip(table[end], table[f"cluster_{end}"], strict=True))
    columns = sorted(place, key=lambda name: place[name])
    taus = np.full((len(columns), len(columns)), np.nan)
    for _, row in table.iterrows():
        one, other = place[row["first"]] - 1, place[row["second"]] - 1
        taus[one, other] = taus[other, one] = row["tau"]
    labels: Mapping[str, str] = {output.column: output.label for output in findings.description.outputs.values()}
    return Fields([labels.get(name) or name for name in columns], [cluster[name] for name in columns], taus)


def tau_words(tau: float) -> str:
    """A field's number."""
    return "–" if np.isnan(tau) else f"{tau:.1f}".replace("-0.0", "0.0")


def metrics_figure(findings: Findings) -> Figure:
    """A field for each two measures."""
    found = metric_fields(findings)
    side = 0.36 * len(found.names)
    figure = style.figure(side + 4.4, side + 3.0)
    axes = figure.subplots()
    shown = axes.imshow(found.taus, cmap=style.PRINTED_SIGNED, vmin=-1, vmax=1)
    axes.set_facecolor(style.GRID)
    for row, column in np.ndindex(found.taus.shape):
        if row == column:
            continue
        tau = float(found.taus[row, column])
        if len(found.names) <= NUMBERED or np.isnan(tau):
            colour = "white" if abs(np.nan_to_num(tau)) > 0.6 else "black"
            axes.text(column, row, tau_words(tau), ha="center", va="center", fontsize=6.5, color=colour)
    for at in range(1, len(found.names)):
        if found.clusters[at] != found.clusters[at - 1]:
            for line in (axes.axhline, axes.axvline):
                line(at - 0.5, color="black", linewidth=1.2)
    axes.set_xticks(
        range(len(found.names)), found.names, rotation=60, ha="right", rotation_mode="anchor", fontsize=style.SMALL
    )
    axes.set_yticks(range(len(found.names)), found.names, fontsize=style.SMALL)
    figure.colorbar(shown, ax=axes, label="Kendall's tau-b", shrink=0.6)
    return figure
