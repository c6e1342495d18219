"""The verdict in words: one sentence above everything, why, and what to do next."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..declarations import BLURRED, Output
from .controls import turned
from .printing import map_title, printed, title
from .verdict import ASKED, Check, TrustCard, Verdict, cards_of, views_that

if TYPE_CHECKING:
    from .findings import Findings

DO_NOT = "Do not use these maps to say where the network looks."


def verdict_of(findings: "Findings") -> Verdict:
    """The verdict of a study, in numbers and in words."""
    states = dict(findings.can_judge)
    controlled = any(state != "not controlled" for state in states.values())
    verdict = Verdict(cards_of(findings), states, controlled)
    return replace(
        verdict,
        sentence=_sentence(findings, verdict),
        reasons=tuple(_reasons(findings, verdict)),
        next_steps=tuple(_next_steps(findings, verdict)),
    )


def _sentence(findings: "Findings", verdict: Verdict) -> str:
    views = views_that(findings, "model", ("yes", "no", "cannot be told", "not controlled"))
    deciding = [view for view in views if verdict.views[view.judges.name] != "no"]
    if not views:
        return (
            "Cannot be told: no view of the model's own behaviour was measured, and to be believed is to be faithful."
        )
    if not deciding:
        view = views[0]
        row = findings.controls_of(view)
        best = opponent(findings, str(row["baseline"]), str(row["baseline_form"]))
        return (
            f"None can be believed: on these {_basis(int(row['cases']), int(row['patients']))} no view of the model's "
            f"behaviour can judge maps, as the truth itself does not beat {best} by {view.judges.title} "
            f"({printed(view, row['value'])} against {printed(view, row['baseline_value'])}). {DO_NOT}"
        )
    if verdict.believed:
        return _believe(findings, verdict)
    return _none(findings, verdict, deciding)


def _believe(findings: "Findings", verdict: Verdict) -> str:
    cards = verdict.believed
    names = _listed([map_title(findings, *card.key) for card in cards])
    first = cards[0]
    passed = [check for question in ASKED for check in first.of(question) if check.state == "passed"]
    numbers = _listed([_against(findings, check) for check in passed])
    they = "it beats" if len(cards) == 1 else "they beat"
    of = f" {title(findings, first.estimator)}:" if len(cards) > 1 else ""
    model = passed[0]
    only = "only " if len(cards) < len(verdict.cards) else ""
    return (
        f"Believe {only}{names}, to say where this network looks: {they} every map that never looks at the network "
        f"({of.strip()}{' ' if of else ''}{numbers}; {_basis(model.cases, model.patients)})."
    )


def _none(findings: "Findings", verdict: Verdict, deciding: Sequence[Output]) -> str:
    checks = [check for card in verdict.cards for check in card.of("faithful") if check.state != "not assessed"]
    if not checks:
        few = any(check.reason == "too few patients" for card in verdict.cards for check in card.checks)
        why = "too few patients for any test" if few else "no map could be compared with a map that never looks at it"
        return f"Cannot be told: {why}. {DO_NOT}"
    faithful = [card for card in verdict.cards if card.state("faithful") == "passed"]
    if faithful:
        card = faithful[0]
        check = next(check for check in card.of("truth") if check.state == "failed")
        return (
            f"None can be believed: on these {_basis(check.cases, check.patients)} "
            f"{map_title(findings, *card.key)} beats every map that never looks at the network in the model's view, "
            f"and does not find the truth better than {opponent(findings, check.against)} "
            f"({_numbers(findings, card, check)}). {DO_NOT}"
        )
    view = deciding[0]
    made = [(card, check) for card in verdict.cards for check in card.of("faithful") if check.view == view.judges.name]
    card, best = max(made, key=lambda one: one[1].gain)
    return (
        f"None can be believed: on these {_basis(best.cases, best.patients)} no map beats the best one that never "
        f"looks at the network, “{title(findings, best.against)}”, by {view.judges.title} "
        f"({_numbers(findings, card, best)}). {DO_NOT}"
    )


def _reasons(findings: "Findings", verdict: Verdict) -> list[str]:
    """Which views took part, what the network looks at where that is known, and what cannot be told."""
    found = []
    cannot = [findings.views[name].judges.title for name, state in verdict.views.items() if state == "no"]
    if cannot:
        found.append(f"Cannot judge maps here, and took no part: {_listed(cannot)}.")
    if not verdict.controlled:
        found.append("Views not controlled: no truth is known here by which to tell whether they can judge maps.")
    count, of = turned(findings.measured)
    if of:
        what = "The implant turns" if findings.implant else "The twin turns"
        found.append(f"{what} the network's decision in {count} of {of} cases; only there is it a truth.")
    if len(verdict.believed) > 1 and not _told_apart(findings, verdict.believed):
        found.append("Which of them is best cannot be told: the intervals of their ranks meet.")
    if findings.shortcut is not None and len(findings.shortcut.vindicated):
        names = [map_title(findings, *key) for key in findings.shortcut.vindicated[["estimator", "form"]].to_numpy()]
        found.append(f"Faithful, and the network looks elsewhere than the expert's mask: {_listed(names)}.")
    return found


def _next_steps(findings: "Findings", verdict: Verdict) -> list[str]:
    steps = []
    cannot = views_that(findings, "model", ("no",))
    if cannot and not views_that(findings, "model", ("yes",)):
        steps.append(
            "Next: another fill (metrics.fill, or from twins where there are some), as this one cannot judge maps."
        )
    if not verdict.controlled:
        steps.append(
            "Next: run the study with --calibrate, which puts implants into the same cases and says which views can "
            "judge maps."
        )
    if not verdict.believed and verdict.cards and not steps:
        steps.append(
            "Next: a task in which a good map can win, as findings at random places (cases.finding, cases.implant), or "
            "more patients."
        )
    return steps


def _told_apart(findings: "Findings", cards: Sequence[TrustCard]) -> bool:
    """Whether the first of the believed maps is better than the others, in the view that decides."""
    check = next(check for check in cards[0].of("faithful") if check.state == "passed")
    ranks = findings.tables["ranks"]
    low, high = f"{check.view}_rank_low", f"{check.view}_rank_high"
    if high not in ranks:
        return False
    by_key = {(row["estimator"], row["form"]): row for _, row in ranks.iterrows()}
    return all(by_key[cards[0].key][high] < by_key[card.key][low] for card in cards[1:])


def _against(findings: "Findings", check: Check) -> str:
    view = findings.views[check.view]
    numbers = f"{printed(view, check.value)} against {printed(view, check.against_value)}"
    return f"{view.judges.title} {numbers} of {opponent(findings, check.against)}"


def _numbers(findings: "Findings", card: TrustCard, check: Check) -> str:
    view = findings.views[check.view]
    numbers = f"{printed(view, check.value)} against {printed(view, check.against_value)}"
    return f"{map_title(findings, *card.key)} {numbers}"


def opponent(findings: "Findings", name: str, form: str = "original") -> str:
    """A map that never looks at the network, or a blurred one, as it is called in a sentence."""
    if form == BLURRED:
        return f"the blurred map of {title(findings, name)}"
    return f"the blind map “{title(findings, name)}”"


def _basis(cases: int, patients: int) -> str:
    return f"{cases} case{'s' * (cases != 1)} of {patients} patient{'s' * (patients != 1)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
