"""Interactive charts of the page, as plotly's data and layout: every line with its interval, best maps shown first."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..findings import Findings
from ..findings.measured import BOTH, Key
from ..findings.tables import OWN_SHARE, Band, curve_bands, mean_curves
from ..findings.views import VIEWS, View
from . import style
from .answer import values_of

Chart = dict[str, Any]
SHOWN = 3
"""The best map of so many estimators is shown at first, and random; the legend shows and hides the others."""
PLOTLY_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}


def charts(findings: Findings) -> dict[str, Chart]:
    """All charts for which there are measurements, by name."""
    drawn = {}
    if len(values_of(findings, VIEWS["fidelity"])):
        drawn["perturbation"] = perturbation_chart(findings)
    if len(values_of(findings, VIEWS["auc"])):
        drawn["roc"] = roc_chart(findings)
    if len(values_of(findings, VIEWS["dice"])):
        drawn["dice"] = dice_chart(findings)
    experts = [view for view in VIEWS.values() if view.name != "fidelity" and len(values_of(findings, view))]
    if "perturbation" in drawn:
        drawn |= {f"views-{view.name}": views_chart(findings, view) for view in experts}
    return drawn


def perturbation_chart(findings: Findings) -> Chart:
    """Accuracy while pixels are masked, most (solid) and least (dashed) important first."""
    bands = [
        curve_bands(findings.explained, f"{way}_important_first", findings.resampling, balanced=True)
        for way in ("most", "least")
    ]
    best = _order(findings, VIEWS["fidelity"], bands[0])
    traces = []
    shown = _shown(best)
    for place, key in enumerate(best):
        for which, (by_key, dash) in enumerate(zip(bands, ("solid", "dash"), strict=True)):
            percent = np.linspace(0, 100, len(by_key[key].mean))
            traces += _banded(key, place, percent, by_key[key], shown, dash, named=which == 0)
    axes = _axes("pixels masked (%)", "accuracy, mean of the classes")
    axes["yaxis"]["range"] = [-0.02, 1.02]
    return {"data": traces, "layout": axes}


def roc_chart(findings: Findings) -> Chart:
    """ROC averaged over the images at each quantile, with the interval of the true positive rate."""
    true_rate = curve_bands(findings.explained, "true_positive_rate_quantile", findings.resampling)
    false_rate = mean_curves(findings.explained, "false_positive_rate_quantile")
    traces = []
    best = _order(findings, VIEWS["auc"], true_rate)
    for place, key in enumerate(best):
        traces += _banded(key, place, false_rate[key], true_rate[key], _shown(best))
    chance = {"x": [0, 1], "y": [0, 1], "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    traces.append({**chance, "line": {"color": "#bbbbbb", "width": 1}})
    return {"data": traces, "layout": _axes("false positive rate", "true positive rate")}


def dice_chart(findings: Findings) -> Chart:
    """Dice against the share of the region map kept."""
    overlap = findings.tables["overlap"]
    curves = overlap[overlap["at"] != OWN_SHARE]
    bands = {
        (str(estimator), str(signs)): Band(*(frame[name].to_numpy() for name in ("dice", "ci_low", "ci_high")))
        for (estimator, signs), frame in curves.groupby(["estimator", "signs"], sort=False)
    }
    traces = []
    best = _order(findings, VIEWS["dice"], bands)
    for place, key in enumerate(best):
        traces += _banded(key, place, np.arange(1.0, len(bands[key].mean) + 1), bands[key], _shown(best))
    return {"data": traces, "layout": _axes("top p % of the region map", "Dice")}


def views_chart(findings: Findings, view: View) -> Chart:
    """Every map by fidelity and by another view, with the intervals of both."""
    model = VIEWS["fidelity"]
    joined = values_of(findings, model).merge(
        values_of(findings, view), on=["estimator", "signs"], suffixes=("", "_other")
    )
    places = {name: place for place, name in enumerate(dict.fromkeys(joined["estimator"]))}
    traces = []
    for _, row in joined.iterrows():
        colour = style.line(row["estimator"], places[row["estimator"]])["color"]
        factors = {"": model.factor, "_other": view.factor}
        numbers = {
            f"{name}{end}": factor * row[f"{name}{end}"]
            for end, factor in factors.items()
            for name in ("value", "ci_low", "ci_high")
        }
        traces.append(
            {
                "x": [numbers["value"]],
                "y": [numbers["value_other"]],
                "error_x": _errors(numbers, "", colour),
                "error_y": _errors(numbers, "_other", colour),
                "mode": "markers",
                "name": _name((row["estimator"], row["signs"])),
                "marker": {"color": colour, "size": 9, "symbol": _symbol(row["signs"]), "line": {"width": 1.5}},
            }
        )
    return {"data": traces, "layout": _axes(f"{model.label} ({model.judge})", f"{view.label} ({view.judge})")}


def _order(findings: Findings, view: View, bands: Mapping[Key, Band]) -> list[Key]:
    """The maps that have a curve, best first."""
    values = values_of(findings, view)
    keys = zip(values["estimator"], values["signs"], strict=True)
    return [key for key in keys if key in bands]


def _shown(best: Sequence[Key]) -> set[Key]:
    first: dict[str, Key] = {}
    for key in best:
        first.setdefault(key[0], key)
    return {key for place, (name, key) in enumerate(first.items()) if place < SHOWN or name == "random"}


def _banded(
    key: Key,
    place: int,
    x: NDArray[np.float64],
    band: Band,
    at_first: Collection[Key],
    dash: str | None = None,
    named: bool = True,
) -> list[Chart]:
    """A line and its interval as one entry of the legend."""
    looks = style.line(key[0], place)
    colour = str(looks["color"])
    dash = dash or PLOTLY_DASHES.get(str(looks["linestyle"]), "dash" if key[1] == "original" else "solid")
    shown: bool | str = True if key in at_first else "legendonly"
    group = {"legendgroup": _name(key), "visible": shown, "x": _rounded(x)}
    hidden = {"showlegend": False, "hoverinfo": "skip", "mode": "lines", "line": {"width": 0, "color": colour}}
    band_colour = f"rgba({','.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))},0.15)"
    return [
        {**group, **hidden, "y": _rounded(band.low)},
        {**group, **hidden, "y": _rounded(band.high), "fill": "tonexty", "fillcolor": band_colour},
        {
            **group,
            "y": _rounded(band.mean),
            "mode": "lines",
            "name": _name(key),
            "showlegend": named,
            "line": {"color": colour, "width": 2, "dash": dash},
        },
    ]


def _axes(x: str, y: str) -> Chart:
    axis = {"gridcolor": "#e3e3e3", "zeroline": False, "automargin": True}
    return {
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
        "legend": {"orientation": "h", "y": -0.22, "x": 0, "font": {"size": 11}},
        "margin": {"l": 55, "r": 12, "t": 12, "b": 40},
        "hovermode": "closest",
        "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif", "size": 12},
    }


def _errors(numbers: Mapping[str, float], end: str, colour: object) -> Chart:
    value = numbers[f"value{end}"]
    return {
        "type": "data",
        "symmetric": False,
        "array": _rounded([numbers[f"ci_high{end}"] - value]),
        "arrayminus": _rounded([value - numbers[f"ci_low{end}"]]),
        "color": colour,
        "thickness": 1,
        "width": 0,
    }


def _symbol(signs: str) -> str:
    return {"absolute": "square", BOTH: "diamond"}.get(signs, "circle-open")


def _name(key: Key) -> str:
    return style.map_title(*key)


def _rounded(values: Sequence[float] | NDArray[np.float64]) -> list[float | None]:
    """Four digits are more than a screen shows; what is not a number is a gap."""
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
