"""The verdict in words: one sentence above everything, why, and what to do next."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..declarations import BLURRED, Output
from .cards import cards_of
from .controls import is_blind, turned
from .measured import BOTH
from .printing import map_title, printed, title
from .verdict import ASKED, Check, TrustCard, Verdict

if TYPE_CHECKING:
    from .findings import Findings

DO_NOT = "Do not use these maps to say where the network looks."


def verdict_of(findings: "Findings") -> Verdict:
    """The verdict of a study, in numbers and in words."""
    states = dict(findings.can_judge)
    of_model = [states[view.judges.name] for view in _of_model(findings)]
    controlled = bool(of_model) and all(state in ("yes", "no") for state in of_model)
    verdict = Verdict(cards_of(findings), states, controlled)
    return replace(
        verdict,
        sentence=_sentence(findings, verdict),
        reasons=tuple(_reasons(findings, verdict)),
        next_steps=tuple(_next_steps(findings, verdict)),
    )


def _of_model(findings: "Findings") -> list[Output]:
    """The views of the model by which maps were measured."""
    return [view for view in findings.views.values() if view.judges.judge == "model" and len(findings.means[view.name])]


def _sentence(findings: "Findings", verdict: Verdict) -> str:
    views = _of_model(findings)
    if not views:
        return (
            "Cannot be told: no view of the model's own behaviour was measured, and to be believed is to be faithful."
        )
    if all(verdict.views[view.judges.name] == "no" for view in views):
        view, row = views[0], findings.controls_of(views[0])
        best = opponent(findings, str(row["baseline"]), str(row["baseline_form"]))
        verb = "is beaten by" if row["gain"] < 0 else "does not surely beat"
        return (
            "None can be believed: no view of the model's behaviour by which these maps were measured can judge maps. "
            f"By {view.judges.title} the truth itself {verb} {best} ({printed(view, row['value'])} against "
            f"{printed(view, row['baseline_value'])}, {basis(int(row['cases']), int(row['patients']))}). {DO_NOT}"
        )
    return _believe(findings, verdict) if verdict.believed else _none(findings, verdict)


def _believe(findings: "Findings", verdict: Verdict) -> str:
    cards = verdict.believed
    names = _maps(findings, cards)
    first = cards[0]
    checks = [check for question in ASKED for check in first.of(question) if check.against]
    passed = [check for check in checks if check.state == "passed"]
    rests = list(dict.fromkeys(basis(check.cases, check.patients) for check in passed))
    each = [_against(findings, check, with_basis=len(rests) > 1) for check in passed]
    numbers = ", ".join([listed(each), *(rests if len(rests) == 1 else [])])
    they = "it beats" if len(cards) == 1 else "they beat"
    of = f"{title(findings, first.estimator)}: " if len(cards) > 1 else ""
    only = "only " if len(cards) < len(verdict.cards) else ""
    return f"Believe {only}{names}, to say where this network looks: {they} {_every(findings)} ({of}{numbers})."


def _maps(findings: "Findings", cards: Sequence[TrustCard]) -> str:
    """Their names; of several that are all absolute, or their own absolute, that is said once."""
    if len(cards) > 1 and {card.form for card in cards} - {BOTH} == {"absolute"}:
        return f"the absolute maps of {listed([title(findings, card.estimator) for card in cards])}"
    return listed([map_title(findings, *card.key) for card in cards])


def _every(findings: "Findings") -> str:
    """All that was beaten, and what was not among it."""
    missing = _not_compared(findings)
    but = f", apart from {listed(missing)}, which could not be compared" if missing else ""
    return f"every map that never looks at the network{but}"


def _none(findings: "Findings", verdict: Verdict) -> str:
    made = [(card, check) for card in verdict.cards for check in card.of("faithful")]
    failed = [(card, check) for card, check in made if check.state == "failed"]
    faithful = [card for card in verdict.cards if card.state("faithful") == "passed"]
    if faithful:
        card = faithful[0]
        check = next(check for name in ASKED[1:] for check in card.of(name) if check.state == "failed")
        beats = f"None can be believed: {map_title(findings, *card.key)} beats {_every(findings)} in the model's view"
        if check.question == "weights":
            output = findings.description.outputs[check.view]
            if check.reason:
                return f"{beats}, but {check.reason}. {DO_NOT}"
            return (
                f"{beats}, and the map of a network with shuffled weights is more like it than that of another image "
                f"is ({output.label} {printed(output, check.value)}). {DO_NOT}"
            )
        return (
            f"{beats}, and does not surely find the truth better than {opponent(findings, check.against)} "
            f"({_numbers(findings, card, check)}). {DO_NOT}"
        )
    if failed:
        card, check = max(failed, key=lambda one: one[1].gain)
        view = findings.views[check.view]
        judging = [view for view in _of_model(findings) if verdict.views[view.judges.name] != "no"]
        one = len(judging) == 1
        where = "the one view of the model that can judge here" if one else "every view of the model that can judge"
        return (
            f"None can be believed: on these {basis(check.cases, check.patients)} no map surely beats the best one "
            f"that never looks at the network, “{title(findings, check.against)}”, in {where} (the nearest, by "
            f"{view.judges.title}: {_numbers(findings, card, check)}). {DO_NOT}"
        )
    reasons = list(dict.fromkeys(check.reason for _, check in made if check.reason))
    why = "; ".join(reasons) or "no map could be compared with one that never looks at the network"
    return f"Cannot be told: {why}. {DO_NOT}"


def _reasons(findings: "Findings", verdict: Verdict) -> list[str]:
    """Which views took part, what the network looks at where that is known, and what cannot be told."""
    found = []
    count, of = turned(findings.measured)
    for state, words in (
        ("no", "Cannot judge maps here, and took no part"),
        ("cannot be told", "Whether it can judge maps here cannot be told"),
        ("not controlled", "Views not controlled: no truth is known here of"),
    ):
        names = [findings.views[name].judges.title for name, one in verdict.views.items() if one == state]
        if names and (verdict.cards or state == "no"):
            found.append(f"{words}{' ' if state == 'not controlled' else ': '}{listed(names)}.")
    if of:
        what = f"The implant ({findings.implant}) turns" if findings.implant else "The twin turns"
        found.append(f"{what} the network's decision in {count} of {of} cases; only there is it a truth.")
        found += _one_sided(findings)
    found += _at_the_truth(findings)
    missing = _not_compared(findings)
    if missing:
        found.append(f"Not among the maps to beat, as they have no number in many of the cases: {listed(missing)}.")
    untold = [card for card in verdict.believed if any(one.view and one.reason for one in card.of("weights"))]
    if untold:
        names = [map_title(findings, *card.key) for card in untold]
        found.append(f"Whether it depends on the network's weights cannot be told of {listed(names)}.")
    if len(verdict.believed) > 1 and not _told_apart(findings, verdict.believed):
        found.append("Which of them is best cannot be told: the intervals of their ranks meet.")
    if findings.shortcut is not None:
        faithful = {card.key for card in verdict.cards if card.state("faithful") == "passed"}
        keys = [tuple(key) for key in findings.shortcut.vindicated[["estimator", "form"]].to_numpy()]
        names = [map_title(findings, *key) for key in keys if key in faithful]
        if names:
            found.append(f"Faithful, and the network looks elsewhere than the expert's mask: {listed(names)}.")
    return found


def _at_the_truth(findings: "Findings") -> list[str]:
    """Views of the model in which several maps have the truth's own number, so that none can be above another."""
    found = []
    for view in _of_model(findings):
        if findings.can_judge.get(view.column) != "yes":
            continue
        truth, values = printed(view, findings.controls_of(view)["value"]), findings.means[view.name]
        values = values[~values["estimator"].isin(findings.description.blind)]
        alike = sum(printed(view, value) == truth for value in values["value"])
        if alike > 1:
            found.append(
                f"{alike} of {len(values)} maps have the truth's own number by {view.judges.title} ({truth}): it "
                "cannot tell them apart; more steps of masking might (metrics.steps)."
            )
    return found


def _one_sided(findings: "Findings") -> list[str]:
    """Where the truth is known of images of some classes only, while a view averages over all of them."""
    labels = findings.labels_of_truth
    classes = findings.description.classes
    balanced = any(view.balanced for view in _of_model(findings))
    if not labels or not balanced or len(labels) == len(classes):
        return []
    names = listed([f"“{classes[label]}”" for label in labels])
    return [f"Views are controlled by images of the class {names} alone: of others no truth is known."]


def _not_compared(findings: "Findings") -> list[str]:
    """Blind maps that a view of the model leaves out, because they lack most of its cases."""
    names = [name for view in _of_model(findings) for name in left_out(findings, view)]
    return list(dict.fromkeys(f"“{title(findings, name)}”" for name in names))


def left_out(findings: "Findings", view: Output) -> list[str]:
    """Names of the blind maps that a view leaves out of what maps must beat."""
    description = findings.description
    partial = findings.measured.partial(view, opponents=description.blind)
    return [key[0] for key in partial if is_blind(key, description)]


def _next_steps(findings: "Findings", verdict: Verdict) -> list[str]:
    views, steps = _of_model(findings), []
    if not views:
        return ["Next: measure the network's own behaviour too (metrics.names)."]
    if all(verdict.views[view.judges.name] == "no" for view in views):
        steps.append(
            "Next: another fill (metrics.fill, or from twins where there are some), as this one cannot judge maps."
        )
    count, of = turned(findings.measured)
    if of and count < max(1.0, findings.least_turned * of):
        steps.append("Next: a network that notices the finding, or a larger one: it tells few cases from their twins.")
    elif not of and not verdict.controlled:
        steps.append(
            "Next: run the study with --calibrate, which puts implants into the same cases and says which views can "
            "judge maps."
        )
    if not verdict.believed and verdict.cards and not steps:
        steps.append(
            "Next: a task in which a good map can win, as findings at varying places (cases.finding, cases.implant), "
            "or more patients."
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


def _against(findings: "Findings", check: Check, *, with_basis: bool) -> str:
    view = findings.views[check.view]
    numbers = f"{printed(view, check.value)} against {printed(view, check.against_value)}"
    against = opponent(findings, check.against)
    rests = f", {basis(check.cases, check.patients)}" if with_basis else ""
    return f"{view.judges.title} {numbers} of {against}{rests}"


def _numbers(findings: "Findings", card: TrustCard, check: Check) -> str:
    view = findings.views[check.view]
    numbers = f"{printed(view, check.value)} against {printed(view, check.against_value)}"
    return f"{map_title(findings, *card.key)} {numbers}"


def opponent(findings: "Findings", name: str, form: str = "original") -> str:
    """A map that never looks at the network, or a blurred one, as it is called in a sentence."""
    if form == BLURRED:
        return f"the blurred map of {title(findings, name)}"
    return f"the blind map “{title(findings, name)}”"


def basis(cases: int, patients: int) -> str:
    """On how much a number rests."""
    return f"{cases} case{'s' * (cases != 1)} of {patients} patient{'s' * (patients != 1)}"


def listed(names: Sequence[str]) -> str:
    """Several in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
