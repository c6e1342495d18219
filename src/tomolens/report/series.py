"""What is drawn, apart from how: the lines of each chart and the points of two views, for page and figures alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..declarations import Chart, Output
from ..findings import Findings, printing
from ..findings.measured import BOTH, Key
from ..findings.printing import NOTHING, map_title, printed, values_of
from ..findings.tables import MAP, chart_table, class_columns, keys_of, label_of
from .style import Look, looks

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """A mean curve, ``(points,)`` each, with the ends of its interval, NaN where it has none.

    Attributes:
        label: which of two lines of a map it is.
        x: across.
        value: up.
        low: end of the interval.
        high: end of the interval.
        classes: the mean of each class by its label, where ``value`` is the mean of these.
    """

    label: str
    x: Values
    value: Values
    low: Values
    high: Values
    classes: Mapping[int, Values] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Series:
    """A map in a chart.

    Attributes:
        key: the map.
        label: its name as it is printed.
        headline: its number as it is printed.
        look: its estimator's.
        lines: one or two.
        of_class: the number in each class as it is printed, by label.
    """

    key: Key
    label: str
    headline: str
    look: Look
    lines: tuple[Line, ...]
    of_class: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Point:
    """A map in two views: value and both ends of the interval of each, as they are printed in tables."""

    key: Key
    label: str
    look: Look
    across: tuple[float, float, float]
    up: tuple[float, float, float]


def series_of(findings: Findings, chart: Chart) -> list[Series]:
    """The lines of every map, the best by the chart's headline first."""
    table = findings.tables[f"{chart.name}_curve"]
    if table.empty:
        return []
    headline = findings.description.outputs[chart.headline]
    values = values_of(findings, headline)
    numbers = dict(zip(keys_of(values), values["value"], strict=True)) if len(values) else {}
    of_class = {
        key: {label_of(name): printed(headline, row[name]) for name in class_columns(values)}
        for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True)
    }
    lines = {(str(name), str(form)): _lines(chart, frame) for (name, form), frame in table.groupby([*MAP], sort=False)}
    found = looks(findings.description)
    return [
        Series(
            key,
            map_title(findings, *key),
            printed(headline, numbers[key]) if key in numbers else NOTHING,
            found[key[0]],
            lines[key],
            of_class.get(key, {}),
        )
        for key in (*(key for key in numbers if key in lines), *(key for key in lines if key not in numbers))
    ]


def labels_of(series: Sequence[Series]) -> list[int]:
    """The classes in which any of these has a curve."""
    return sorted({label for one in series for line in one.lines for label in line.classes})


def upward(findings: Findings, chart: Chart, series: Sequence[Series]) -> str:
    """What curves rise in: a mean over the classes, unless cases of one alone were measured."""
    labels = labels_of(series)
    if len(labels) == 1 and findings.description.outputs[chart.lines[0]].balanced:
        return f"{chart.y_label.partition(',')[0]} in “{findings.description.classes[labels[0]]}”"
    return chart.y_label


def views_beside(findings: Findings) -> tuple[Output | None, list[Output]]:
    """The model's first view that can judge, or its first, and all others in which maps have values."""
    present = [view for view in findings.judging_first if len(values_of(findings, view))]
    model = next((view for view in present if view.judges.judge == "model"), None)
    return model, [view for view in present if view is not model]


def points_of(findings: Findings, across: Output, up: Output) -> list[Point]:
    """Every map that has a value in both views."""
    columns, found = ["value", "ci_low", "ci_high"], looks(findings.description)
    ends = []
    for view in (across, up):
        values = values_of(findings, view)
        rows = (view.factor * values[columns]).itertuples(index=False)
        ends.append({key: (row[0], row[1], row[2]) for key, row in zip(keys_of(values), rows, strict=True)})
    return [
        Point(key, map_title(findings, *key), found[key[0]], ends[0][key], ends[1][key])
        for key in ends[0]
        if key in ends[1]
    ]


def best_blind(findings: Findings, view: Output) -> float | None:
    """The number of the best blind baseline as it is printed in tables; None without one."""
    row = printing.best_blind(findings, view)
    return None if row is None else view.factor * float(row["value"])


def blind_series(findings: Findings, chart: Chart) -> Series | None:
    """The lines of the map that never looks at the network and that others must beat by the chart's headline.

    None where it has no such curves, and where the headline judges no maps.
    """
    headline, looked = findings.description.outputs[chart.headline], looks(findings.description)
    row = None if headline.view is None else printing.best_blind(findings, headline)
    if row is None:
        return None
    for key in _maps_of(findings, str(row["baseline"])):
        found = chart_table(findings.measured.only([key]), chart, findings.description.outputs, findings.resampling)
        if len(found):
            of_class = {label_of(column): printed(headline, row[column]) for column in class_columns(row.to_frame().T)}
            number = printed(headline, float(row["value"]))
            return Series(key, map_title(findings, *key), number, looked[key[0]], _lines(chart, found), of_class)
    return None


def _maps_of(findings: Findings, name: str) -> list[Key]:
    return [key for key in findings.measured.maps if key[0] == name and key[1] in ("original", BOTH)]


def _lines(chart: Chart, table: pd.DataFrame) -> tuple[Line, ...]:
    labels = chart.line_labels or ("",) * len(chart.lines)
    found = []
    for name, frame in table.groupby("line", sort=False):
        x, value, low, high = (frame[one].to_numpy(np.float64) for one in ("x", "value", "ci_low", "ci_high"))
        classes = {label_of(column): frame[column].to_numpy(np.float64) for column in class_columns(frame)}
        found.append(Line(labels[chart.lines.index(str(name))], x, value, low, high, classes))
    return tuple(found)
