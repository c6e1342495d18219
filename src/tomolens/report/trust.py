"""The trust cards and the controls, as sections of the page and a table for the terminal."""

import pandas as pd

from ..declarations import Output
from ..findings import Findings
from ..findings.printing import NOTHING, best_blind, confidence, interval_words, judged, map_title, printed, title
from ..findings.sentence import basis, opponent
from ..findings.verdict import QUESTIONS, Check, Question

CAN_JUDGE = {
    "yes": "can judge maps here",
    "no": "cannot judge maps here",
    "cannot be told": "cannot be told",
    "not controlled": "not controlled: no truth is known here",
}
SHORT: dict[Question, str] = {
    "faithful": "faithful",
    "truth": "finds the truth",
    "expert": "agrees with the expert",
    "weights": "depends on the weights",
    "draws": "repeats its draws",
    "repeatable": "repeats over trainings",
    "choices": "holds over choices",
}


def card_rows(findings: Findings) -> list[list[str]]:
    """For each estimator: its map, whether it can be believed, and the state of each question."""
    return [
        [
            map_title(findings, *card.key),
            "yes" if card.believed else "no",
            *(card.state(question) for question in SHORT),
        ]
        for card in findings.verdict.cards
    ]


def card_columns() -> list[str]:
    """Of `card_rows`."""
    return ["map", "to be believed", *SHORT.values()]


def check_rows(findings: Findings) -> list[list[str | int]]:
    """Every check that was made, with its number, what it was compared with, interval and n."""
    rows: list[list[str | int]] = []
    for card in findings.verdict.cards:
        for check in card.checks:
            if check.view:
                rows.append([map_title(findings, *card.key), *_check(findings, check)])
    return rows


def check_columns(findings: Findings) -> list[str]:
    """Of `check_rows`."""
    by = ["map", "check", "state", "by", "value", "best blind map", "its value", "gain", confidence(findings)]
    return [*by, "p (Holm)", "cases", "patients"]


def control_rows(findings: Findings) -> list[list[str | int]]:
    """For each view whether it can judge maps, and the numbers that say so."""
    rows: list[list[str | int]] = []
    for name, view in findings.views.items():
        row = findings.controls_of(view)
        state = CAN_JUDGE[findings.can_judge[name]]
        if "value" not in row or pd.isna(row["value"]):
            rows.append([view.label, state, *[NOTHING] * 5])
            continue
        control = opponent(findings, str(row["baseline"]), str(row["baseline_form"]))
        numbers = [printed(view, row["baseline_value"]), printed(view, row["value"])]
        ends = interval_words(view, row)
        gain = f"{printed(view, row['gain'])}{'' if ends == NOTHING else f' ({ends})'}"
        rows.append([view.label, state, control, *numbers, gain, int(row["cases"])])
    return rows


def control_columns(findings: Findings) -> list[str]:
    """Of `control_rows`."""
    gain = f"gain of the truth ({confidence(findings)})"
    return ["view", "maps", "best control", "its value", "truth", gain, "cases"]


def questions() -> list[str]:
    """What each check asks, in words."""
    return [f"{SHORT[question].capitalize()}: the map {words}." for question, words in QUESTIONS.items()]


def view_sentence(findings: Findings, view_name: str) -> str:
    """Whether a view can judge maps, with the numbers that say so; empty where it was not controlled."""
    view = findings.views[view_name]
    row, state = findings.controls_of(view), findings.can_judge[view_name]
    if state == "not controlled":
        return ""
    against = opponent(findings, str(row["baseline"]), str(row["baseline_form"]))
    numbers = f"the truth gets {printed(view, row['value'])}, {against} {printed(view, row['baseline_value'])}"
    where = f", by implants ({findings.implant})" if findings.implant else ""
    verb = {"yes": "can judge maps here", "no": "cannot judge maps here", "cannot be told": "may or may not judge maps"}
    cases = basis(int(row["cases"]), int(row["patients"]))
    return f"This view {verb[state]}: {numbers}{where} ({cases})."


def against_words(findings: Findings, view: Output) -> str:
    """What must be said beside a map's number in a view: the best blind map's, and where it cannot judge maps."""
    row, state = best_blind(findings, view), findings.can_judge.get(view.column)
    blind = "" if row is None else f"{opponent(findings, str(row['baseline']))} has {printed(view, row['value'])}"
    cannot = "this view cannot judge maps here" if state == "no" and view.judges.judge != "truth" else ""
    return "; ".join(filter(None, (blind, cannot)))


def named(findings: Findings, view: Output) -> str:
    """A view in a caption, with that it cannot judge maps here where that was seen."""
    cannot = ", which cannot judge maps here" if findings.can_judge.get(view.column) == "no" else ""
    return f"{view.judges.title}{cannot}"


def _check(findings: Findings, check: Check) -> list[str | int]:
    view = findings.description.outputs[findings.views[check.view].name if check.view in findings.views else check.view]
    state = f"{check.state}: {check.reason}" if check.reason else check.state
    ends = [printed(view, end) for end in check.interval]
    p = NOTHING if pd.isna(check.p) else "< 0.001" if check.p < 0.001 else f"{check.p:.3f}"
    return [
        SHORT[check.question],
        state,
        judged(view) if view.view else view.label,
        printed(view, check.value),
        title(findings, check.against) or NOTHING,
        printed(view, check.against_value),
        printed(view, check.gain),
        NOTHING if NOTHING in ends else " to ".join(ends),
        p,
        check.cases,
        check.patients,
    ]
