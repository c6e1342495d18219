"""What a mean over the classes hides: how far they differ, where a curve rests, and what is no more than a step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ..declarations import Chart, Output
from ..findings import Findings
from ..findings.agreement import concordance
from ..findings.printing import map_title, printed, values_of
from ..findings.tables import class_columns, label_of
from .series import Line, series_of

RIGHT, WRONG, LONG = 0.95, 0.05, 3
"""A class is all but always decided rightly or wrongly from these shares on, at so many points at least."""


def several_classes(findings: Findings) -> bool:
    """Whether the cases that were explained are of more than one class, so that an accuracy is a mean over classes."""
    return len(set(findings.measured.cases["label"])) > 1


def class_names(findings: Findings, columns: Sequence[str]) -> str:
    """The classes whose means stand in some columns."""
    return " | ".join(findings.description.classes[label_of(name)] for name in columns)


def class_sentence(findings: Findings, view: Output) -> str:
    """How far the classes differ in a view that averages over them; empty where they do not.

    They do where the means of the best map lie further apart than its interval is wide, or another map leads a class.
    """
    values = values_of(findings, view)
    columns = class_columns(values)
    values = values[~values["partial"]].dropna(subset=columns) if len(values) else values
    if len(columns) == 1 and len(values):
        return f"{view.label}: all cases that it could be measured in are of one class, {_names(findings, columns)[0]}."
    if len(columns) < 2 or values.empty:
        return ""
    best, leads = values.iloc[0], _leaders(findings, view, values, columns)
    of_class = best[columns].to_numpy(np.float64)
    apart = float(of_class.max() - of_class.min())
    wide = float(best["ci_high"] - best["ci_low"])
    if np.isnan(wide):
        return _without_intervals(findings, view, best, columns)
    if not (apart > wide or len(set(leads)) > 1):
        return ""
    names, means = _names(findings, columns), _means(findings, view, best, columns)
    each = "; ".join(f"in {name} {lead}" for name, lead in zip(names, leads, strict=True))
    led = f"{leads[0]} in each" if len(set(leads)) == 1 else each
    by = f" Ranked by each class alone {_alike(values, columns)}; the best is {led}." if len(values) > 1 else ""
    whose = map_title(findings, best["estimator"], best["form"])
    return f"{view.label} is a mean over the classes, and they differ: of {whose} it is {means}.{by}"


def _without_intervals(findings: Findings, view: Output, best: pd.Series, columns: Sequence[str]) -> str:
    """The numbers of each class, where too few patients leave it open whether they differ."""
    means = _means(findings, view, best, columns)
    if len({printed(view, best[column]) for column in columns}) == 1:
        return ""
    whose = map_title(findings, best["estimator"], best["form"])
    return (
        f"{view.label} is a mean over the classes: of {whose} it is {means}. Too few patients for "
        "intervals: whether the classes differ cannot be told."
    )


def _names(findings: Findings, columns: Sequence[str]) -> list[str]:
    return [f"“{class_names(findings, [name])}”" for name in columns]


def _means(findings: Findings, view: Output, row: pd.Series, columns: Sequence[str]) -> str:
    named = zip(columns, _names(findings, columns), strict=True)
    return ", ".join(f"{printed(view, row[column])} in {name}" for column, name in named)


def _leaders(findings: Findings, view: Output, values: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    rows = [values.iloc[int((view.sign * values[name]).to_numpy().argmax())] for name in columns]
    return [map_title(findings, row["estimator"], row["form"]) for row in rows]


def _alike(values: pd.DataFrame, columns: Sequence[str]) -> str:
    """How alike the classes rank the maps."""
    if len(columns) == 2:
        tau = float(kendalltau(*values[list(columns)].to_numpy().T).statistic)
        return "all maps are tied in one of them" if np.isnan(tau) else f"the maps agree with τ = {tau:+.2f}"
    w = concordance(values[list(columns)].rank().to_numpy().T)
    return "all maps are tied" if np.isnan(w) else f"the maps agree with W = {w:.2f}"


def rest_sentence(findings: Findings, chart: Chart) -> str:
    """Where a mean curve rests because one class is always right and another always wrong; empty where it does not.

    Of all lines the longest stretch without a gap.
    """
    found = [(series, line, _resting(line)) for series in series_of(findings, chart) for line in series.lines]
    if not found:
        return ""
    series, line, there = max(found, key=lambda one: one[2].sum())
    if there.sum() < LONG:
        return ""
    means = {label: float(np.nanmean(curve[there])) for label, curve in line.classes.items()}
    right, wrong = max(means, key=lambda one: means[one]), min(means, key=lambda one: means[one])
    rests, names = float(np.nanmean(line.value[there])), findings.description.classes
    ends = f"{line.x[there].min():g} to {line.x[there].max():g}"
    return (
        f"Where a mean curve rests near {rests:.2f}, one class is right and another wrong: of {series.label}"
        f"{f', {line.label}' if line.label else ''}, at {ends} {_unit(chart)} “{names[right]}” is right in "
        f"{100 * means[right]:.0f} % of its cases, “{names[wrong]}” in {100 * means[wrong]:.0f} %."
    )


def _unit(chart: Chart) -> str:
    """Of the horizontal axis, behind a number: ``% of the pixels masked`` of ``pixels masked (%)``."""
    what, bracket, unit = chart.x_label.partition(" (")
    return f"{unit.rstrip(')')} of the {what}" if bracket else chart.x_label


def _resting(line: Line) -> NDArray[np.bool_]:
    if len(line.classes) < 2:
        return np.zeros(len(line.x), bool)
    curves = np.stack(list(line.classes.values()))
    # Which class is right and which is wrong, by its place; where none is, -1.
    right = np.where(curves.max(axis=0) >= RIGHT, curves.argmax(axis=0), -1)
    wrong = np.where(curves.min(axis=0) <= WRONG, curves.argmin(axis=0), -1)
    begins = np.flatnonzero(np.diff(right, prepend=-2) | np.diff(wrong, prepend=-2))
    runs = zip(begins, [*begins[1:], len(right)], strict=True)
    first, end = max(
        ((one, other) for one, other in runs if right[one] >= 0 and wrong[one] >= 0),
        key=lambda run: run[1] - run[0],
        default=(0, 0),
    )
    there = np.zeros(len(line.x), bool)
    there[first:end] = True
    return there


def step_sentences(findings: Findings) -> list[str]:
    """Where an area between two curves is no more than one step of their grid, in a class."""
    sentences = []
    charts = [chart for metric in findings.description.metrics for chart in metric.charts if len(chart.lines) > 1]
    for chart in charts:
        view, points = findings.description.outputs[chart.headline], findings.tables[f"{chart.name}_curve"]
        values = findings.means[view.name]
        if points.empty or values.empty:
            continue
        step = 1.0 / (len(points["x"].unique()) - 1)
        for column in class_columns(values):
            near, every = int((values[column].abs() <= step * (1 + 1e-9)).sum()), int(values[column].notna().sum())
            if near:
                whose, are = view.judges.title if view.view else view.label, "is" if near == 1 else "are"
                sentences.append(
                    f"{whose}, {class_names(findings, [column])}: {near} of {every} maps {are} within one step of the "
                    f"masking ({printed(view, step)}), which is as good as 0"
                )
    return sentences
