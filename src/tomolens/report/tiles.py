"""The first screen: for each judge the best map against the best map that never looks at the network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from ..declarations import Output
from ..findings import Findings
from ..findings.printing import confidence, gains_of, interval_words, map_title, printed, title, values_of
from ..findings.sentence import basis, left_out
from ..findings.tables import keys_of
from .forest import Mark, forest
from .style import looks
from .svg import Scale

HEADINGS = {"model": "The model’s own view", "expert": "The expert’s masks", "truth": "The known truth"}
ASKS = {
    "model": "Does the network change its mind when what the map marks is taken away?",
    "expert": "Does the map lie where an expert would look?",
    "truth": "Does the map lie where the finding truly is?",
}
"""What each judge asks of a map."""


@dataclass(frozen=True)
class Line:
    """A map in a tile: its name, its number in words, and the drawing; ``key`` is known to the rest of the page."""

    name: str
    value: str
    drawing: Markup
    key: str


@dataclass(frozen=True)
class Tile:
    """What one judge says.

    Attributes:
        heading: whose view.
        asks: what it asks of a map.
        measure: by which number.
        state: ``passed``, ``failed`` or ``open``.
        says: the outcome in a few words.
        best: the best map that looks at the network, of those that surely beat the blind ones if any does.
        blind: the best that does not.
        gain: of one over the other, with its interval.
        basis: cases and patients.
        caution: why it is not to be relied upon; may be empty.
        link: to its section.
    """

    heading: str
    asks: str
    measure: str
    state: str
    says: str
    best: Line
    blind: Line
    gain: str
    basis: str
    caution: str
    view: str


def tiles(findings: Findings) -> list[Tile]:
    """The model's view, the expert's by each way of judging, and the truth where it is known."""
    return [tile for view in _shown(findings) if (tile := _tile(findings, view)) is not None]


def _shown(findings: Findings) -> Iterator[Output]:
    """The first view of each judge, and of the expert for each way of judging; of the model one that can judge."""
    present = [view for view in findings.judging_first if len(values_of(findings, view))]
    for judge in HEADINGS:
        seen: set[str] = set()
        for view in present:
            by = view.judges.by if judge == "expert" else ""
            if view.judges.judge == judge and by not in seen:
                seen.add(by)
                yield view


def _tile(findings: Findings, view: Output) -> Tile | None:
    gains, blind = gains_of(findings, view), findings.description.blind
    if gains.empty:
        return None
    looking = gains[~gains["estimator"].isin(blind)]
    if looking.empty:
        return None
    row = looking.sort_values(["beats", "gain"], ascending=False, kind="stable").iloc[0]
    key = (str(row["estimator"]), str(row["form"]))
    values, baselines = values_of(findings, view), findings.tables["baselines"]
    own = values.iloc[keys_of(values).index(key)]
    found = baselines[(baselines["view"] == view.column) & (baselines["baseline"] == row["baseline"])]
    other = found.iloc[0] if len(found) else pd.Series({"value": row["baseline_value"], "ci_low": float("nan")})
    marks = [_mark(view, own, bool(row["beats"])), _mark(view, other, True)]
    scale = Scale.around([number for mark in marks for number in mark.numbers], 4.0, 96.0, 0.12)
    found_looks, level = looks(findings.description), marks[1].value
    inks = [found_looks[key[0]].ink, "ink-blind"]
    lines = [forest(scale, mark, level, ink, 30) for mark, ink in zip(marks, inks, strict=True)]
    heading = HEADINGS[view.judges.judge] + (f", {view.judges.by}" if view.judges.judge == "expert" else "")
    state, says = _outcome(row, left_out(findings, view))
    return Tile(
        heading.rstrip(", "),
        ASKS[view.judges.judge],
        view.label,
        state,
        says,
        Line(map_title(findings, *key), printed(view, own["value"]), lines[0], "/".join(key)),
        Line(
            title(findings, str(row["baseline"])), printed(view, row["baseline_value"]), lines[1], str(row["baseline"])
        ),
        _gain(findings, view, row),
        basis(int(row["cases"]), int(row["patients"])),
        _caution(findings, view),
        view.column,
    )


def _mark(view: Output, row: pd.Series, sure: bool) -> Mark:
    value, low, high = (view.factor * float(row.get(name, float("nan"))) for name in ("value", "ci_low", "ci_high"))
    return Mark(value, low, high, sure=sure)


def _outcome(row: pd.Series, missing: Sequence[str]) -> tuple[str, str]:
    if pd.isna(row["p"]):
        return "open", "Too few patients to tell"
    if row["beats"]:
        return "passed", "Beats every blind map that was compared" if missing else "Beats every blind map"
    if row["ci_low"] > 0:  # by itself it does, and not once all maps and views that were tried are counted
        return "failed", "Ahead, but not surely: many maps were tried"
    return "failed", "Worse than a blind map" if row["ci_high"] < 0 else "Does not surely beat a blind map"


def _gain(findings: Findings, view: Output, row: pd.Series) -> str:
    gain = printed(view, row["gain"])
    ends = "" if pd.isna(row["ci_low"]) else f" ({confidence(findings)} {interval_words(view, row)})"
    return f"{'' if gain.startswith('-') else '+'}{gain}{ends}"


def _caution(findings: Findings, view: Output) -> str:
    """What the controls say of the view itself."""
    state = findings.can_judge.get(view.column, "not controlled")
    return (
        {
            "no": "This view cannot judge maps here: the truth itself does not beat every blind map.",
            "cannot be told": "Whether this view can judge maps here cannot be told.",
            "not controlled": "Not controlled: no truth is known here to try this view with.",
        }.get(state, "")
        if view.judges.judge != "truth"
        else ""
    )
