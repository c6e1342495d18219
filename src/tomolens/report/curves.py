"""Figures of curves: accuracy while masking, ROC, Dice against the share of the image kept."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.tables import OWN_SHARE, perturbation_curves, roc_curves
from ..metrics.metric import SIGNS
from . import style

Line = tuple[NDArray[np.float64], NDArray[np.float64], float]


def perturbation_figure(findings: Findings) -> Figure:
    """Accuracy while pixels are masked, one panel an estimator (the paper's Fig. 4)."""
    curves = perturbation_curves(findings.explained)
    table = findings.tables["fidelity"].set_index(["estimator", "signs"])["fidelity"]
    estimators = list(dict.fromkeys(estimator for estimator, _ in curves))
    columns = min(4, len(estimators))
    rows = -(-len(estimators) // columns)
    figure = style.figure(2.9 * columns + 0.3, 2.7 * rows + 0.7)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(estimators):
            axes.set_visible(False)
            continue
        _perturbation_panel(axes, estimators[place], curves, table)
        if place + columns >= len(estimators):
            axes.set_xlabel("pixels masked (%)")
            axes.xaxis.set_tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel("balanced accuracy")
    found = {name: line for axes in panels.flat for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def _perturbation_panel(
    axes: Axes,
    estimator: str,
    curves: Mapping[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.float64]]],
    fidelity: "pd.Series[float]",
) -> None:
    style.tidy(axes)
    words = []
    for signs, dash in zip(SIGNS, ("--", "-"), strict=True):
        key: tuple[str, str] = (estimator, signs)
        if signs == "absolute" and (estimator, BOTH) in curves:  # its own absolute: one map, drawn as the absolute ones
            key = (estimator, BOTH)
        if key not in curves:
            continue
        most, least = curves[key]
        percent = np.linspace(0, 100, len(most))
        axes.plot(percent, least, dash, color="#56b4e9", linewidth=1.8, label=f"least important first, {signs}")
        axes.plot(percent, most, dash, color="#a3310b", linewidth=1.8, label=f"most important first, {signs}")
        if signs == "absolute":
            axes.fill_between(percent, most, least, color="#56b4e9", alpha=0.15, linewidth=0)
        words.append(style.number(10 * fidelity[key], 1))
    axes.set_title(f"{style.title(estimator)}\n10 F = {' / '.join(words)}", fontsize=10)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(0, 100)


def roc_figure(findings: Findings) -> Figure:
    """The averaged ROC curves on the quantile grid; the exact mean AUC in the legend."""
    auc = _headline(findings.tables["roc"], "auc")
    lines = {key: (quantile[1], quantile[0], auc[key]) for key, (quantile, _) in roc_curves(findings.explained).items()}
    figure, panels = _two_panels(lines, "AUC")
    for axes in panels:
        axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, zorder=0)
        axes.set_xlabel("false positive rate")
        axes.set_xlim(0, 1)
    panels[0].set_ylabel("true positive rate")
    return figure


def dice_figure(findings: Findings) -> Figure:
    """Dice against the share of the image asked for; Dice at the mask's own share in the legend."""
    overlap = findings.tables["overlap"]
    own = _headline(overlap[overlap["at"] == OWN_SHARE], "dice")
    lines: dict[tuple[str, str], Line] = {}
    for (estimator, signs), frame in overlap[overlap["at"] != OWN_SHARE].groupby(["estimator", "signs"], sort=False):
        key = (str(estimator), str(signs))
        lines[key] = (frame["at"].to_numpy(np.float64), frame["dice"].to_numpy(np.float64), own[key])
    figure, panels = _two_panels(lines, "Dice at the mask's own share")
    for axes in panels:
        axes.set_xlabel("top p % of the region map")
        axes.set_xlim(0, 100)
    panels[0].set_ylabel("Dice")
    return figure


def _headline(table: pd.DataFrame, column: str) -> dict[tuple[str, str], float]:
    return {(str(row["estimator"]), str(row["signs"])): float(row[column]) for _, row in table.iterrows()}


def _two_panels(lines: Mapping[tuple[str, str], Line], what: str) -> tuple[Figure, list[Axes]]:
    """Original maps left, absolute ones right, each with its legend below, best first."""
    figure = style.figure(10.5, 7.4)
    panels = list(figure.subplots(1, 2, sharey=True))
    places = {estimator: place for place, estimator in enumerate(dict.fromkeys(name for name, _ in lines))}
    for axes, signs in zip(panels, SIGNS, strict=True):
        style.tidy(axes)
        shown = [(key, value) for key, value in lines.items() if signs in style.forms(key[1])]
        for (estimator, _), (x, y, headline) in sorted(shown, key=lambda item: -item[1][2]):
            label = f"{headline:.3f}  {style.title(estimator)}"
            axes.plot(x, y, linewidth=1.6, label=label, **style.line(estimator, places[estimator]))
        axes.set_title(f"{signs} maps", fontsize=11)
        axes.set_ylim(0, None)
        legend = axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=2,
            frameon=False,
            fontsize=8.5,
            title=what,
            handlelength=3.2,
        )
        legend.get_title().set_fontsize(9)
    return figure, panels
