"""The ranking figure: every map in every view as a dot with its interval, blind maps and the truth beside them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..declarations import Output
from ..findings import Findings
from ..findings.measured import Key
from ..findings.printing import (
    confidence,
    gains_of,
    interval_words,
    judged,
    map_title,
    printed,
    title,
    values_of,
)
from ..findings.tables import class_columns, keys_of, label_of
from .classes import class_names
from .forest import Mark, class_mark, forest
from .series import best_blind
from .style import looks
from .svg import Scale
from .trust import CAN_JUDGE


@dataclass(frozen=True)
class Cell:
    """A map in a view.

    Attributes:
        drawing: dot and interval.
        value: as it is printed.
        says: all of it in words.
        sort: by which it is sorted, larger is better.
        beats: whether it surely beats the best blind map.
        compared: the same in words.
    """

    drawing: Markup
    value: str
    says: str
    sort: float
    beats: bool
    compared: str


@dataclass(frozen=True)
class Row:
    """A map.

    Attributes:
        key: as the rest of the page knows it.
        name: as it is printed.
        estimator: its title, by which it is chosen.
        kind: ``map``, ``blind`` or ``truth``.
        cells: one a view; None where it has no number.
    """

    key: str
    name: str
    estimator: str
    kind: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Column:
    """A view: its number, whose view it is, whether it can judge maps, its ends, and the marks of classes."""

    label: str
    judged: str
    state: str
    ends: tuple[str, str]
    classes: str
    name: str


@dataclass(frozen=True)
class Ranking:
    """Columns and rows; the maps in the order of the first view that can judge, then the blind ones and the truth."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    confidence: str


Numbers = Mapping[Key, pd.Series]


def ranking(findings: Findings) -> Ranking | None:
    """The figure of all views in which maps have numbers; None without any."""
    views = [view for view in findings.views.values() if len(values_of(findings, view))]
    if not views:
        return None
    columns, cells = [], {}
    for view in views:
        column, cells[view.name] = _view(findings, view)
        columns.append(column)
    judging = [cells[view.name] for view in findings.judging_first if view.name in cells]
    keys = list(dict.fromkeys(key for found in judging for key in found))
    truth, blind = findings.description.truth, findings.description.blind
    kinds = {key: "truth" if key[0] == truth else "blind" if key[0] in blind else "map" for key in keys}
    ordered = sorted(keys, key=lambda key: ("map", "blind", "truth").index(kinds[key]))
    rows = [
        Row(
            "/".join(key),
            map_title(findings, *key),
            title(findings, key[0]),
            kinds[key],
            [one.get(key) for one in cells.values()],
        )
        for key in ordered
    ]
    return Ranking(columns, rows, confidence(findings))


def _view(findings: Findings, view: Output) -> tuple[Column, dict[Key, Cell]]:
    values = values_of(findings, view)
    classes, beside = class_columns(values), {**_blind(findings, view), **_truth(findings, view)}
    own = {key: row for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True)}
    own = {key: row for key, row in own.items() if key[0] not in findings.description.blind}
    gains, known = gains_of(findings, view), looks(findings.description)
    compared = dict(zip(keys_of(gains), gains.to_dict("records"), strict=True)) if len(gains) else {}
    beating = {key for key, row in compared.items() if row["beats"]}
    marks = {
        key: _mark(view, row, classes, None if key[0] == findings.description.truth else key in own and key in beating)
        for key, row in (own | beside).items()
    }
    scale = Scale.around([one for mark in marks.values() for one in mark.numbers], 3.0, 97.0, 0.03)
    level = best_blind(findings, view)
    found = {}
    for key, row in (own | beside).items():
        ink = "ink-truth" if key[0] == findings.description.truth else known[key[0]].ink
        sort = view.sign * float(row["value"])
        found[key] = Cell(
            forest(scale, marks[key], level, ink),
            printed(view, row["value"]),
            _says(findings, view, row, classes),
            sort,
            key in own and key in beating,
            _compared(compared.get(key)),
        )
    names = [(label, findings.description.classes[label]) for label in map(label_of, classes)]
    shown = "  ".join(f"{class_mark(label)} {name}" for label, name in names)
    ends = printed(view, scale.low / view.factor), printed(view, scale.high / view.factor)
    state = findings.can_judge.get(view.column, "not controlled")
    return Column(view.label, judged(view), CAN_JUDGE[state], ends, shown, view.column), found


def drawings(findings: Findings, view: Output) -> dict[Key, Markup]:
    """The number and interval of each map in a view, on one scale with the line of the best blind map."""
    values, gains = values_of(findings, view), gains_of(findings, view)
    beating = set(keys_of(gains[gains["beats"].astype(bool)])) if len(gains) else set()
    level = best_blind(findings, view)
    rows = zip(keys_of(values), values.iterrows(), strict=True)
    marks = {key: _mark(view, row, (), key in beating) for key, (_, row) in rows}
    numbers = [one for mark in marks.values() for one in mark.numbers]
    scale = Scale.around([*numbers, *([] if level is None else [level])], 4.0, 96.0, 0.03)
    known = looks(findings.description)
    return {key: forest(scale, mark, level, known[key[0]].ink, 22) for key, mark in marks.items()}


def _blind(findings: Findings, view: Output) -> Numbers:
    table = findings.tables["baselines"]
    rows = table[(table["view"] == view.column) & (table["not_drawn"] == "")] if len(table) else table
    ordered = (
        rows.assign(badness=-view.sign * rows["value"]).sort_values("badness", kind="stable") if len(rows) else rows
    )
    return {(str(row["baseline"]), "original"): row for _, row in ordered.iterrows()}


def _truth(findings: Findings, view: Output) -> Numbers:
    """The truth's own number, where the view was controlled with it."""
    if findings.can_judge.get(view.column, "not controlled") == "not controlled":
        return {}
    row = findings.controls_of(view)
    shown = pd.Series(
        {"value": row["value"], "ci_low": np.nan, "ci_high": np.nan, "cases": row["cases"], "patients": row["patients"]}
    )
    return {} if pd.isna(row["value"]) else {(findings.description.truth, "original"): shown}


def _mark(view: Output, row: pd.Series, classes: Sequence[str], sure: bool | None) -> Mark:
    value, low, high = (view.factor * float(row[name]) for name in ("value", "ci_low", "ci_high"))
    means = [np.nan] * (1 + max(map(label_of, classes), default=-1))
    for name in classes:
        means[label_of(name)] = view.factor * float(row.get(name, np.nan))
    return Mark(value, low, high, means, sure)


def _compared(gain: dict[Hashable, Any] | None) -> str:
    """Whether a map beats the best blind map, from its row of the gains."""
    if gain is None:
        return "not compared with a blind map"
    if pd.isna(gain["p"]):
        return "too few patients to tell whether it beats the best blind map"
    return f"{'surely beats' if gain['beats'] else 'does not surely beat'} the best blind map"


def _says(findings: Findings, view: Output, row: pd.Series, classes: Sequence[str]) -> str:
    of_class = [
        f"{class_names(findings, [name])} {printed(view, row[name])}" for name in classes if not pd.isna(row.get(name))
    ]
    words = f"{view.label} {printed(view, row['value'])}"
    if not pd.isna(row["ci_low"]):
        words += f", {confidence(findings)} {interval_words(view, row)}"
    return f"{'; '.join([words, *of_class])}; {row['cases']:g} cases of {row['patients']:g} patients"
