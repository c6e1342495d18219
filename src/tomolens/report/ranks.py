"""The critical-difference diagram (Demsar 2006): mean ranks on a line, bars over what cannot be told apart."""

import numpy as np
from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.inference import CriticalDifference
from ..findings.printing import map_title
from . import style

CAPTION = (
    "Mean ranks over the patients, best on the left; maps that a bar joins are not told apart (Friedman's test with "
    "Nemenyi's critical difference)."
)


def groups_in_words(findings: Findings, found: CriticalDifference) -> str:
    """The maps by mean rank, and which cannot be told apart."""
    names = [map_title(findings, *key) for key in found.maps]
    ordered = ", ".join(f"{name} {rank:.1f}" for name, rank in zip(names, found.mean_ranks, strict=True))
    alike = "; ".join(f"from {names[first]} to {names[last]}" for first, last in found.groups())
    return f"By mean rank: {ordered}. Not told apart: {alike or 'none'}."


def critical_difference_figure(findings: Findings, found: CriticalDifference) -> Figure:
    """One line of mean ranks with a label for each map, the better half on the left."""
    count, groups = len(found.maps), found.groups()
    half = (count + 1) // 2
    top = 0.45 + 0.22 * len(groups)
    bottom = -0.45 * half - 0.2
    figure = style.figure(9.0, 0.9 + 0.42 * (top - bottom))
    axes = figure.add_subplot()
    axes.set_xlim(1 - 0.38 * count, count + 0.38 * count)
    axes.set_ylim(bottom, top + 0.7)
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1.2)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.08], color="black", linewidth=1.0)
        axes.text(rank, 0.12, str(rank), ha="center", va="bottom", fontsize=style.SMALL)
    for place, (key, rank) in enumerate(zip(found.maps, found.mean_ranks, strict=True)):
        left = place < half
        level = -0.45 * ((place if left else count - 1 - place) + 1)
        end = 0.75 if left else count + 0.25
        axes.plot([rank, rank, end], [0, level, level], color="#555555", linewidth=0.8)
        name = f"{map_title(findings, *key)} {rank:.1f}"
        axes.text(
            end - 0.1 if left else end + 0.1,
            level,
            name,
            ha="right" if left else "left",
            va="center",
            fontsize=style.SMALL,
        )
    for place, (first, last) in enumerate(groups):
        height = 0.5 + 0.22 * place
        ends = found.mean_ranks[[first, last]] + np.array([-0.06, 0.06])
        axes.plot(ends, [height, height], color=style.BAR, linewidth=3.2, solid_capstyle="butt")
    length = min(found.difference, count - 1)
    axes.plot([1, 1 + length], [top + 0.35] * 2, color="black", linewidth=1.2, marker="|", markersize=7)
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    words = f"critical difference {found.difference:.2f}; {found.patients} patients; Friedman {p}"
    axes.text(1 + length + 0.2, top + 0.35, words, va="center", fontsize=style.SMALL)
    return figure
