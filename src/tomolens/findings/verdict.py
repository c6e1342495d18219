"""The verdict: which map can be believed, by which checks. The rule is written down in docs/verdict.md.

To be believed is to be faithful to the network. Agreement with the expert's mask stands beside it and is never asked
for: a network may look elsewhere, and an honest map then shows it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..declarations import Output
from .bootstrap import class_balanced_mean, grouped, interval
from .controls import CanJudge, turned
from .measured import BOTH, Key

if TYPE_CHECKING:
    from .findings import Findings

State = Literal["passed", "failed", "not assessed"]
Question = Literal["faithful", "truth", "expert", "weights", "draws", "repeatable", "choices"]
QUESTIONS: dict[Question, str] = {
    "faithful": "beats the best map that never looks at the network, in the model's view",
    "truth": "finds the truth better than the best map that never looks at the network",
    "expert": "agrees with the expert's mask beyond the best map that never looks at the network",
    "weights": "depends on the network's weights",
    "draws": "comes out alike with other draws of its own",
    "repeatable": "comes out alike by other trainings of the network",
    "choices": "holds over the choices that the literature leaves open",
}
"""What each check asks of a map."""
JUDGES: dict[str, Question] = {"model": "faithful", "truth": "truth", "expert": "expert"}
"""Which question a view answers, by its judge."""
ASKED: tuple[Question, ...] = ("faithful", "truth", "weights")
"""What a map must pass to be believed, as far as it could be assessed; the first must be."""
LATER: tuple[Question, ...] = ("weights", "draws", "repeatable", "choices")
"""What no view answers, but a number of its own where a study measures one."""


@dataclass(frozen=True)
class Check:
    """One check of one map.

    Attributes:
        question: see `QUESTIONS`.
        state: passed, failed, or not assessed.
        view: by which it was made; empty where none could.
        value: of the map.
        against: name of the best blind map.
        against_value: its value.
        gain: of the map over it, above 0 where the map is better.
        interval: of the gain, over patients; NaN where there are too few.
        p: one-sided, corrected for all maps and views (Holm).
        cases, patients: that it rests on.
        reason: why it was not assessed.
    """

    question: Question
    state: State
    view: str = ""
    value: float = float("nan")
    against: str = ""
    against_value: float = float("nan")
    gain: float = float("nan")
    interval: tuple[float, float] = (float("nan"), float("nan"))
    p: float = float("nan")
    cases: int = 0
    patients: int = 0
    reason: str = ""


@dataclass(frozen=True)
class TrustCard:
    """The checks of one estimator, by the map of it that passes most.

    Attributes:
        estimator: its name.
        form: of the map: ``original``, ``absolute``, or ``both`` where they are one.
        checks: all of them.
    """

    estimator: str
    form: str
    checks: tuple[Check, ...]

    @property
    def believed(self) -> bool:
        """Whether its map can be believed: it passes the first of what is asked, and fails none."""
        return self.state(ASKED[0]) == "passed" and not self.fails

    @property
    def fails(self) -> bool:
        """Whether it fails a check that a map must pass to be believed."""
        return any(self.state(question) == "failed" for question in ASKED)

    @property
    def key(self) -> Key:
        """The map."""
        return self.estimator, self.form

    def of(self, question: Question) -> tuple[Check, ...]:
        """The checks of one question."""
        return tuple(check for check in self.checks if check.question == question)

    def state(self, question: Question) -> State:
        """Of one question: failed where one of its checks failed, passed where some passed and none failed."""
        states = [check.state for check in self.of(question)]
        return "failed" if "failed" in states else "passed" if "passed" in states else "not assessed"


@dataclass(frozen=True)
class Verdict:
    """What may be believed in a study.

    Attributes:
        cards: of every estimator that looks at the network, those that are believed first, best first.
        views: whether each view can judge maps.
        controlled: whether a truth told of every view of the model that it can judge maps, or that it cannot.
        sentence: the verdict in one sentence, with its numbers.
        reasons: what must be said with it.
        next_steps: what to do next.
    """

    cards: tuple[TrustCard, ...]
    views: dict[str, CanJudge]
    controlled: bool
    sentence: str = ""
    reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    @property
    def believed(self) -> tuple[TrustCard, ...]:
        """Cards of the maps that can be believed, best first."""
        return tuple(card for card in self.cards if card.believed)

    def __str__(self) -> str:
        return "\n".join((self.sentence, *self.reasons, *self.next_steps))

    def as_json(self) -> dict[str, Any]:
        """As ``verdict.json`` holds it; a number that is not known is null."""
        return {
            "sentence": self.sentence,
            "believed": [list(card.key) for card in self.believed],
            "controlled": self.controlled,
            "views": self.views,
            "reasons": list(self.reasons),
            "next_steps": list(self.next_steps),
            "cards": [{**_plain(asdict(card)), "believed": card.believed} for card in self.cards],
        }


def card_from_json(raw: Mapping[str, Any]) -> TrustCard:
    """A trust card as `Verdict.as_json` holds it.

    Raises:
        KeyError, TypeError, AttributeError: something else.
    """
    checks = tuple(Check(**{name: value for name, value in one.items() if value is not None}) for one in raw["checks"])
    return TrustCard(raw["estimator"], raw["form"], checks)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def cards_of(findings: "Findings") -> tuple[TrustCard, ...]:
    """A trust card for every estimator that looks at the network; best first in the first view that decides."""
    description, gains = findings.description, findings.tables["gains"]
    if gains.empty:
        return ()
    found: dict[str, list[TrustCard]] = {}
    for (estimator, form), rows in gains.groupby(["estimator", "form"], sort=False):
        if estimator not in description.blind:
            checks = (*_checks(findings, str(estimator), rows), *_answered(findings, str(estimator)))
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


def _by_sign(question: Question, name: str, row: pd.Series) -> Check:
    """Passed where a number's interval over patients lies above 0, failed where it lies below."""
    low, high = float(row["ci_low"]), float(row["ci_high"])
    state: State = "passed" if low > 0 else "failed" if high < 0 else "not assessed"
    reason = "" if state != "not assessed" else "too few patients" if np.isnan(low) else "cannot be told"
    value = float(row["value"])
    counts = int(row["cases"]), int(row["patients"])
    return Check(question, state, name, value, "", float("nan"), value, (low, high), float("nan"), *counts, reason)


def _standing(card: TrustCard) -> tuple[bool, int, float, bool]:
    """By which of its maps an estimator is judged: the one that passes most of what is asked, then the better one."""
    passed = sum(card.state(question) == "passed" for question in ASKED)
    return card.believed, passed, _lead(card), card.form in ("absolute", BOTH)


def _lead(card: TrustCard) -> float:
    """Gain in the first view that decides, or in the first there is."""
    deciding = [check for check in card.of(ASKED[0]) if check.state != "not assessed"] or list(card.checks)
    gains = [check.gain for check in deciding if not np.isnan(check.gain)]
    return gains[0] if gains else -np.inf
