"""The trust card of each estimator: the checks of its maps. The rule is written down in docs/verdict.md."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..declarations import Output
from .bootstrap import class_balanced_mean, grouped, interval
from .controls import turned
from .measured import BOTH
from .verdict import ASKED, Check, Question, State, TrustCard

if TYPE_CHECKING:
    from .findings import Findings

JUDGES: dict[str, Question] = {"model": "faithful", "truth": "truth", "expert": "expert"}
"""Which question a view answers, by its judge."""
LATER: tuple[Question, ...] = ("weights", "draws", "repeatable")
"""What no view answers, but a number of its own where a study measures one."""


def cards_of(findings: "Findings") -> tuple[TrustCard, ...]:
    """A trust card for every estimator that looks at the network; best first in the first view that decides."""
    description, gains = findings.description, findings.tables["gains"]
    if gains.empty:
        return ()
    found: dict[str, list[TrustCard]] = {}
    for (estimator, form), rows in gains.groupby(["estimator", "form"], sort=False):
        if estimator not in description.blind:
            checks = (
                *_checks(findings, str(estimator), rows),
                *_answered(findings, str(estimator)),
                *_over_choices(findings, str(estimator), str(form)),
            )
            found.setdefault(str(estimator), []).append(TrustCard(str(estimator), str(form), checks))
    best = [max(cards, key=_standing) for cards in found.values()]
    return tuple(sorted(best, key=lambda card: (not card.believed, -_lead(card))))


def _checks(findings: "Findings", estimator: str, rows: pd.DataFrame) -> Iterator[Check]:
    """The checks that the views of the study make."""
    for name, view in findings.views.items():
        question = JUDGES[view.judges.judge]
        row = rows[rows["view"] == name]
        if row.empty:
            yield Check(question, "not assessed", name, reason="no number")
            continue
        one = row.iloc[0]
        reason = _not_assessed(findings, estimator, question, view, one)
        state: State = "not assessed" if reason else "passed" if one["beats"] else "failed"
        yield Check(
            question,
            state,
            name,
            float(one["value"]),
            str(one["baseline"]),
            float(one["baseline_value"]),
            float(one["gain"]),
            (float(one["ci_low"]), float(one["ci_high"])),
            float(one["p_holm"]),
            int(one["cases"]),
            int(one["patients"]),
            reason,
        )


def _not_assessed(findings: "Findings", estimator: str, question: Question, view: Output, row: pd.Series) -> str:
    """Why a view does not check a map; empty where it does."""
    if findings.can_judge[view.judges.name] == "no":
        return "this view cannot judge maps here: the truth does not beat every negative control"
    if pd.isna(row["p"]):
        return "too few patients"
    if question != "expert" and estimator in findings.description.of_twin:
        return "it has seen the twin, and with it where the truth is"
    if question == "truth" and findings.shortcut is not None:
        return "a shortcut was planted: two places carry the class"
    count, of = turned(findings.measured)
    if question == "truth" and of and count < findings.least_turned * of:
        return f"the network tells {count} of {of} cases from their twins"
    return ""


def _answered(findings: "Findings", estimator: str) -> Iterator[Check]:
    """The checks that a number of an estimator's map as it is answers by being above 0."""
    outputs = findings.description.outputs
    for question in LATER:
        answers = [
            name
            for name, output in outputs.items()
            if output.answers == question and not findings.means.get(name, pd.DataFrame()).empty
        ]
        if not answers:
            yield Check(question, "not assessed", reason="not measured in this study")
        for name in answers:
            table = findings.means[name]
            rows = table[(table["estimator"] == estimator) & (table["form"].isin(["original", BOTH]))]
            check = (
                _by_sign(question, name, rows.iloc[0])
                if len(rows)
                else Check(question, "not assessed", name, reason="no number")
            )
            yield _of_what_was_learned(findings, check) if question == "weights" else check


def _of_what_was_learned(findings: "Findings", check: Check) -> Check:
    """The check of whether a map depends on the weights, where they hold something to depend on.

    Maps of a network with random weights change with these weights as those of any other do. So it fails where the
    network is not surely right more often than by chance, and cases of one class cannot let it pass.
    """
    cases = findings.measured.cases
    labels = cases["label"].to_numpy()
    right = (cases["predicted"].to_numpy() == labels).astype(np.float64)[:, None]
    values = grouped(right, labels, cases["patient"].tolist())
    (low,), (high,) = interval(values, findings.resampling)
    present = len(np.unique(labels))
    accuracy, chance = float(class_balanced_mean(values)[0]), 1 / max(present, 2)
    if low <= chance:
        ends = f"{100 * accuracy:.0f} %, {100 * low:.0f} to {100 * high:.0f} %"
        return replace(
            check, state="failed", reason=f"the network is not surely right more often than by chance ({ends})"
        )
    if present < 2 and check.state == "passed":
        return replace(check, state="not assessed", reason="cases of one class do not tell what the network learned")
    return check


def _over_choices(findings: "Findings", estimator: str, form: str) -> Iterator[Check]:
    """Whether a map beats the best blind map in each view of the model under every option that can judge maps.

    Of each view the option that decides: the worst one of those that fail, else of those that cannot be told, else of
    those that pass.
    """
    table = findings.tables["option_gains"]
    if table.empty:
        yield Check("choices", "not assessed", reason="no choice was varied in this study")
        return
    of_model = [name for name, view in findings.views.items() if view.judges.judge == "model"]
    rows = table[(table["estimator"] == estimator) & table["form"].isin([form, BOTH]) & table["view"].isin(of_model)]
    if rows.empty:
        yield Check("choices", "not assessed", reason="no option was measured of this map by a view of the model")
    for name, of_view in rows.groupby("view", sort=False):
        asked = of_view[of_view["can_judge"] != "no"]
        if asked.empty:
            yield Check("choices", "not assessed", str(name), reason="under no option this view can judge maps here")
        else:
            yield _deciding(str(name), asked)


def _deciding(view: str, rows: pd.DataFrame) -> Check:
    """The check by the option that decides, of a row each."""
    states = [_above_zero(float(low), float(high))[0] for low, high in rows[["ci_low", "ci_high"]].to_numpy()]
    state = next(one for one in ("failed", "not assessed", "passed") if one in states)
    row = rows[[one == state for one in states]].sort_values("gain", kind="stable").iloc[0]
    interval = float(row["ci_low"]), float(row["ci_high"])
    least = {"failed": "worst", "not assessed": _above_zero(*interval)[1], "passed": "least"}[state]
    return Check(
        "choices",
        state,
        view,
        float(row["value"]),
        str(row["baseline"]),
        float(row["baseline_value"]),
        float(row["gain"]),
        interval,
        cases=int(row["cases"]),
        patients=int(row["patients"]),
        reason=f"{least} under {row['choice']} {row['option']}, of {len(rows)} option{'s' * (len(rows) != 1)}",
    )


def _by_sign(question: Question, name: str, row: pd.Series) -> Check:
    """Passed where a number's interval over patients lies above 0, failed where it lies below."""
    interval, value = (float(row["ci_low"]), float(row["ci_high"])), float(row["value"])
    state, reason = _above_zero(*interval)
    counts = int(row["cases"]), int(row["patients"])
    return Check(question, state, name, value, "", float("nan"), value, interval, float("nan"), *counts, reason)


def _above_zero(low: float, high: float) -> tuple[State, str]:
    """By where an interval lies; why it is not assessed, where it is not."""
    if low > 0 or high < 0:
        return ("passed" if low > 0 else "failed"), ""
    return "not assessed", "too few patients" if np.isnan(low) else "cannot be told"


def _standing(card: TrustCard) -> tuple[bool, int, float, bool]:
    """By which of its maps an estimator is judged: the one that passes most of what is asked, then the better one."""
    passed = sum(card.state(question) == "passed" for question in ASKED)
    return card.believed, passed, _lead(card), card.form in ("absolute", BOTH)


def _lead(card: TrustCard) -> float:
    """Gain in the first view that decides, or in the first there is."""
    deciding = [check for check in card.of(ASKED[0]) if check.state != "not assessed"] or list(card.checks)
    gains = [check.gain for check in deciding if not np.isnan(check.gain)]
    return gains[0] if gains else -np.inf
