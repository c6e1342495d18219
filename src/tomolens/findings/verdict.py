"""The verdict: which map can be believed, by which checks. The rule is written down in docs/verdict.md.

To be believed is to be faithful to the network. Agreement with the expert's mask stands beside it and is never asked
for: a network may look elsewhere, and an honest map then shows it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from .controls import CanJudge
from .measured import Key

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
ASKED: tuple[Question, ...] = ("faithful", "truth", "weights")
"""What a map must pass to be believed, as far as it could be assessed; the first must be."""


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
        reason: why it was not assessed, or what else decided.
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
