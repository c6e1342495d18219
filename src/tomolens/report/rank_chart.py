"""Chart of mean ranks with the critical difference, and beside them every two maps: told apart or not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from ..declarations import Output
from ..findings import Findings
from ..findings.inference import CriticalDifference
from ..findings.measured import Key
from ..findings.printing import confidence, interval_words, map_title, printed
from ..findings.tables import keys_of
from .drawn import Drawn, Panel
from .ranks import groups_in_words
from .style import looks
from .svg import Scale, element

NAMES, RANKS = 250, 270
"""Widths: of the names, and of the axis of mean ranks."""
APART, NEAR, BARS = 9.0, 3.5, 70.0
"""From one bar that joins maps to the next: where there are few, at least, and the width that all of them may take."""
TOP, ROW, LEAST = 58, 18.0, 13.0
"""Height above the first row; of a row, and of one of very many."""
MANY = 40
"""Maps from which on a pair tells its p alone."""
MARKS = {
    "apart": "told apart by the patients",
    "means": "not told apart by the patients, the interval of the means leaves out 0",
    "alike": "not told apart",
}
"""How a pair is drawn, and what that means."""


@dataclass(frozen=True)
class Pair:
    """Two maps, the one that ranks better first: their marks in the drawing, and their numbers in words."""

    mark: str
    says: str


def rank_chart(findings: Findings, view: Output, found: CriticalDifference) -> Drawn:
    """The maps from the best mean rank on, one a row."""
    count = len(found.maps)
    row = ROW if count <= MANY else LEAST
    pairs = pairs_of(findings, view)
    across = Scale(1.0, float(count), NAMES + 14, NAMES + RANKS - 14)
    runs = found.groups()
    apart = min(APART, max(NEAR, BARS / max(1, len(runs))))
    left = NAMES + RANKS + 30 + max(BARS, len(runs) * apart)
    drawn = [*_axis(found, across, row), *_groups(runs, apart, row), *_matrix(found.maps, pairs, left, row)]
    known = looks(findings.description)
    for place, (key, rank) in enumerate(zip(found.maps, found.mean_ranks, strict=True)):
        middle = TOP + (place + 0.5) * row
        name = element("text", map_title(findings, *key), x=NAMES - 22, y=middle + 4, class_="name end")
        number = element("text", str(place + 1), x=NAMES - 4, y=middle + 4, class_="tick end")
        dot = element("circle", cx=across(rank), cy=middle, r=min(4.6, row / 3), class_="dot")
        ink = known[key[0]].ink
        parts = {"class_": f"point {ink}", "data_map": "/".join(key), "data_estimator": key[0]}
        drawn.append(element("g", name, number, dot, **parts))
    wide, high = left + count * row + 4, TOP + count * row + 6
    box = f"0 0 {wide:g} {high:g}"
    picture = element("svg", *drawn, viewBox=box, class_="pairs-drawing", width=f"{wide:g}", aria_hidden="true")
    told = [[pairs[second, first].says for first in found.maps[:place]] for place, second in enumerate(found.maps)]
    names = [map_title(findings, *key) for key in found.maps]
    data = {"names": names, "cells": told, "corner": [left, TOP], "size": row}
    legend = [(f"sign pair-{mark}", "▪" if mark == "alike" else "", words) for mark, words in MARKS.items()]
    says = f"{groups_in_words(findings, found)} {told_apart(pairs)}"
    return Drawn("pairs", [Panel("", says, picture)], "", "", legend, data)


def pairs_of(findings: Findings, view: Output) -> Mapping[tuple[Key, Key], Pair]:
    """Every two maps of a view, both ways round."""
    table = findings.tables["pairs"]
    rows = table[table["view"] == view.column] if len(table) else table
    level, many = 1 - findings.resampling.confidence, len(rows) > MANY * (MANY - 1) / 2
    found = {}
    for _, row in rows.iterrows():
        first, second = (row["estimator"], row["form"]), (row["other"], row["other_form"])
        pair = Pair(_mark(row, level), _says(findings, view, row, many))
        found[first, second] = found[second, first] = pair
    return found


def _mark(row: pd.Series, level: float) -> str:
    if row["p_holm"] < level:
        return "apart"
    return "means" if row["ci_low"] > 0 or row["ci_high"] < 0 else "alike"


def _says(findings: Findings, view: Output, row: pd.Series, many: bool) -> str:
    p = "p < 0.001" if row["p_holm"] < 0.001 else f"p = {row['p_holm']:.3f}"
    if many:
        return p
    first = row["difference"] >= 0
    better = map_title(findings, *row[["estimator", "form"] if first else ["other", "other_form"]])
    low, high = sorted([row["ci_low"], row["ci_high"]] if first else [-row["ci_low"], -row["ci_high"]])
    ends = interval_words(view, pd.Series({"ci_low": low, "ci_high": high}))
    return f"{better} is better by {printed(view, abs(row['difference']))} ({confidence(findings)} {ends}); {p}"


def told_apart(pairs: Mapping[tuple[Key, Key], Pair]) -> str:
    """How many pairs are told apart, and in how many the means say more than the patients."""
    marks = [pair.mark for pair in pairs.values()]
    apart, means, every = (count // 2 for count in (marks.count("apart"), marks.count("means"), len(marks)))
    also = (
        f"; of {means} other{'s' * (means != 1)} the interval of the difference of the means leaves out 0"
        if means
        else ""
    )
    return f"By the patients {apart} of {every} pairs are told apart{also}."


def caption(findings: Findings, view: Output) -> str:
    """Below the chart: what it shows, and how ranks of means and tests of patients can differ."""
    return (
        "Dots: mean ranks over the patients, best above; bars join maps that Nemenyi’s critical difference does not "
        "tell apart. Squares: every two maps by Wilcoxon’s signed-rank test on the patients’ means with Holm’s "
        f"correction. {told_apart(pairs_of(findings, view))} A ranking by means asks how large a difference is on "
        "average, these tests weigh the difference in each patient by the rank of its size, so that a very large gain "
        f"in a few patients can lead the one and not be told by the other{moved(findings, view)}; and corrected for so "
        "many pairs, few patients tell few maps apart. Numbers: tables/pairs.csv."
    )


def moved(findings: Findings, view: Output) -> str:
    """The map whose place by its mean and by its mean rank differ most; empty where none moves by two places."""
    found, means = findings.critical_differences[view.column], findings.means[view.name]
    numbers = dict(zip(keys_of(means), view.sign * means["value"], strict=True))
    ordered = sorted(found.maps, key=lambda key: -numbers[key])
    places = {key: (ordered.index(key) + 1, found.maps.index(key) + 1) for key in found.maps}
    key = max(places, key=lambda one: abs(places[one][0] - places[one][1]))
    by_mean, by_rank = places[key]
    if abs(by_mean - by_rank) < 2:
        return ""
    return f", as {map_title(findings, *key)} is number {by_mean} by its mean and number {by_rank} by its mean rank"


def _axis(found: CriticalDifference, across: Scale, row: float) -> Iterator[Markup]:
    bottom = TOP + len(found.maps) * row
    count = len(found.maps)
    inner = [tick for tick in across.ticks(6) if tick == int(tick) and 1.5 < tick < 0.93 * count]
    for tick in (1, *inner, count):
        yield element("line", x1=across(tick), x2=across(tick), y1=TOP - 4, y2=bottom, class_="grid")
        yield element("text", f"{tick:g}", x=across(tick), y=TOP - 9, class_="tick middle")
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    yield element("text", f"mean rank; Friedman {p}, {found.patients} patients", x=NAMES + 14, y=12, class_="tick")
    length = min(found.difference, len(found.maps) - 1)
    yield element("line", x1=across(1), x2=across(1 + length), y1=28, y2=28, class_="critical")
    words = f"critical difference {found.difference:.1f}"
    yield element("text", words, x=across(1 + length) + 6, y=32, class_="tick")


def _groups(runs: Sequence[tuple[int, int]], apart: float, row: float) -> Iterator[Markup]:
    for place, (first, last) in enumerate(runs):
        x = round(NAMES + RANKS + 6 + place * apart, 1)
        ends = {"y1": TOP + first * row + 3, "y2": TOP + (last + 1) * row - 3}
        yield element("line", x1=x, x2=x, class_="joined", stroke_width=round(min(3.0, apart / 2), 2), **ends)


def _matrix(maps: Sequence[Key], pairs: Mapping[tuple[Key, Key], Pair], left: float, row: float) -> Iterator[Markup]:
    """Below the diagonal a mark a pair, all of a kind as one path; above the columns the numbers of their maps."""
    places: dict[str, list[str]] = {mark: [] for mark in MARKS}
    for down, second in enumerate(maps):
        for over, first in enumerate(maps[:down]):
            mark = pairs[first, second].mark
            room = {"apart": 1.5, "means": 2.5, "alike": row / 2 - 1.5}[mark]
            side = row - 2 * room
            corner = f"{left + over * row + room:g} {TOP + down * row + room:g}"
            places[mark].append(f"M{corner}h{side:g}v{side:g}h-{side:g}z")
    yield from (element("path", d="".join(one), class_=f"pair-{mark}") for mark, one in places.items() if one)
    step = 1 if row == ROW else 5
    for over in range(0, len(maps) - 1):
        if (over + 1) % step == 0 or over == 0:
            yield element("text", str(over + 1), x=left + (over + 0.5) * row, y=TOP - 4, class_="tick middle")
