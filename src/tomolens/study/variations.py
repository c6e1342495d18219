"""Choices that matter: the numbers of a case under other options, sharing with the study all that does not change.

A varied measurement is named ``fidelity | fill = blur``: what was measured, the choice, its option. Only maps that an
option changes are measured again; of the others the study's own numbers stand. Options that need no measuring (absolute
or original maps, the thresholds of the ROC) are read from the study itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ..classifier import Classifier
from ..errors import TomolensError
from ..estimators.estimators import Estimator
from ..estimators.explain import explain_each
from ..estimators.making import Explained
from ..estimators.probes import References
from ..estimators.schedule import Signs
from ..metrics.metric import AUDIT, Evaluand, MapKey, MapSigns
from ..metrics.ranked import RankedMap, absolute, rank_map
from .measure import measured
from .plan import NOT_ASSESSED, REMARK, Measurement, Plan

OF_ONE_MAP = ("fidelity", "auc", "dice_own_share", "evidence")
"""Numbers that rank maps; with a varied fill also the two curves of fidelity."""


def varied(metric: str, choice: str, option: str) -> str:
    """The name of a measurement under another option."""
    return f"{metric} | {choice} = {option}"


def parse_varied(name: str) -> tuple[str, str, str] | None:
    """Metric, choice and option of such a name; None for a measurement of the study itself."""
    metric, bar, rest = name.partition(" | ")
    if not bar:
        return None
    choice, _, option = rest.partition(" = ")
    return metric, choice, option


def measure_variations(
    plan: Plan, evaluand: Evaluand, predicted: int, references: References | None
) -> Iterator[Measurement]:
    """All varied measurements of a case; `evaluand` is the study's own. What fails costs its own rows."""
    if plan.variations is None:
        return
    if "fidelity" in plan.metrics.names:
        for option, fill in plan.variations.fills.items():
            changed = replace(
                evaluand, rankings=_absolute_and_blind(evaluand), settings=replace(evaluand.settings, fill=fill)
            )
            yield from _renamed("fidelity", changed, "fill", option)
    if "overlap" in plan.metrics.names:
        rankings = {key: ranked for key, ranked in evaluand.rankings.items() if key[1] == "absolute"}
        for option, regions in plan.variations.regions.items():
            changed = replace(evaluand, rankings=rankings, settings=replace(evaluand.settings, regions=regions))
            yield from _renamed("overlap", changed, "regions", option)
    for choice, option, signs, made in _varied_maps(plan, evaluand, predicted, references):
        for name, error in made.failed.items():
            yield Measurement(name, "", NOT_ASSESSED, note=f"{choice} = {option}: {error}")
        for name, words in made.notes.items():
            yield Measurement(name, "", REMARK, note=f"{choice} = {option}: {words}")
        if not made.maps:
            continue
        rankings = {}
        for name, importance in made.maps.items():
            chosen = importance if signs == "original" else absolute(importance)
            rankings[name, signs] = rank_map(chosen, seed=plan.seed, name=evaluand.name)
        for name in plan.metrics.names:
            yield from _renamed(name, replace(evaluand, rankings=rankings), choice, option)


def _renamed(metric: str, evaluand: Evaluand, choice: str, option: str) -> Iterator[Measurement]:
    """What a metric measures under an option, as far as it ranks maps, draws the page's curves, or is its audit."""
    for one in measured(metric, evaluand):
        if one.metric == NOT_ASSESSED:
            yield replace(one, note=f"{choice} = {option}: {one.note}")
        elif one.metric in (*OF_ONE_MAP, *AUDIT) or (choice == "fill" and one.curve is not None):
            yield replace(one, metric=varied(one.metric, choice, option))


def _absolute_and_blind(evaluand: Evaluand) -> dict[MapKey, RankedMap]:
    baselines = {key for key in evaluand.rankings if (key[0], "absolute") not in evaluand.rankings}
    return {key: one for key, one in evaluand.rankings.items() if key[1] == "absolute" or key in baselines}


def _varied_maps(
    plan: Plan, evaluand: Evaluand, predicted: int, references: References | None
) -> Iterator[tuple[str, str, MapSigns, Explained]]:
    """Choice, option, which map it is about, and the maps that the option changes."""
    assert plan.variations is not None
    classifier = evaluand.classifier

    def explained(estimators: Sequence[Estimator], of: Classifier, signs: Signs = plan.signs) -> Explained:
        try:
            made = explain_each(
                of,
                evaluand.image[None],
                estimators,
                [predicted],
                references=references,
                signs=signs,
                seed=plan.seed,
                names=[evaluand.name],
                batch_size=plan.batch_size,
            )
        except TomolensError as error:  # an option that this network does not allow
            return Explained({}, {one.name: error for one in estimators})
        return replace(made, maps={name: stack[0] for name, stack in made.maps.items()})

    if plan.variations.probability:
        other: Literal["logit", "probability"] = "probability" if classifier.score == "logit" else "logit"
        yield "score", other, "absolute", explained(plan.looking, replace(classifier, score=other, quick=None))
    if plan.variations.other_signs and plan.turned:
        rule: Signs = "paper" if plan.signs == "class" else "class"
        yield "direction", rule, "original", explained(plan.turned, classifier, rule)
    for (choice, option), estimators in plan.variations.estimators.items():
        yield choice, option, "absolute", explained(estimators, classifier)
