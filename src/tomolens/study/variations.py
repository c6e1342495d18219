"""Choices that matter: the numbers of a case under other options, sharing with the study all that does not change.

Only maps that an option changes are measured again; of the others the study's own numbers stand. Options that need no
measuring (absolute or original maps, the thresholds of the ROC) are read from the study itself.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from ..classifier import Classifier
from ..declarations import FORMS, Form, audited_as
from ..errors import TomolensError
from ..estimators.estimator import Estimator
from ..estimators.explain import Explained
from ..estimators.given import Direction
from ..estimators.subject import Scene
from ..imputers.fills import Fill
from ..metrics.evaluand import Evaluand, MapKey
from ..metrics.metric import Metric
from ..metrics.ranked import RankedMap, absolute, rank_map
from ..metrics.registry import METRICS
from ..results.rows import CALIBRATION, NETWORK, NOT_ASSESSED, REMARK, TWIN_TURNS, Measurement
from .measure import measured
from .plan import Plan
from .scenes import filled


def measure_variations(
    plan: Plan, evaluand: Evaluand, explaining: Callable[..., Explained], scene: Scene
) -> Iterator[Measurement]:
    """All varied measurements of a case. What fails costs its own rows.

    Args:
        plan: with the options.
        evaluand: the study's own.
        explaining: `explain_each` with all that the study chose for this case.
        scene: what stands beside its image.
    """
    if plan.variations is None:
        return
    evaluand = replace(evaluand, along={})  # what an option leaves for the page is not the study's own
    for name in (name for name in plan.metrics.names if "fill" in METRICS[name].depends_on):
        for option, fill in plan.variations.fills.items():
            settings = replace(evaluand.settings, fill=fill)
            rankings = _absolute_and_blind(evaluand) | _of_fill(plan, evaluand, explaining, scene, fill)
            changed = replace(evaluand, rankings=rankings, settings=settings)
            yield from _under(name, changed, "fill", option)
    for name in (name for name in plan.metrics.names if "regions" in METRICS[name].depends_on):
        rankings = {key: ranked for key, ranked in evaluand.rankings.items() if key[1] == "absolute"}
        for option, regions in plan.variations.regions.items():
            settings = replace(evaluand.settings, regions=regions)
            yield from _under(name, replace(evaluand, rankings=rankings, settings=settings), "regions", option)
    for choice, option, form, made, target in _varied_maps(plan, evaluand, explaining):
        for name, error in made.failed.items():
            yield Measurement(name, "", NOT_ASSESSED, note=str(error), choice=choice, option=option)
        for name, words in made.notes.items():
            yield Measurement(name, "", REMARK, note=words, choice=choice, option=option)
        if not made.maps:
            continue
        rankings = {}
        for name, importance in made.maps.items():
            chosen = importance if form == "original" else absolute(importance)
            rankings[name, form] = rank_map(chosen, seed=plan.seed, name=evaluand.name, channels=plan.metrics.channels)
        # What the option changes is not known of altered images: metrics that explain those are not measured.
        changed = replace(
            evaluand, rankings=rankings, maps=made.maps, completeness=None, explanations=None, explained=target
        )
        for name in plan.metrics.names:
            yield from _under(name, changed, choice, option)


def measure_calibration(plan: Plan, evaluand: Evaluand, turns: bool) -> Iterator[Measurement]:
    """All views of the maps of a case with an implant, to see which of them can judge maps.

    Args:
        plan: of the study.
        evaluand: of the case with the implant, whose twin is the case as it came.
        turns: whether the implant turns the network's decision; only then its place is known to be the reason.
    """
    option = str(plan.calibration)
    yield Measurement("", "", TWIN_TURNS, float(turns), choice=CALIBRATION, option=option)
    if turns:
        for name in plan.metrics.names:
            yield from _under(name, evaluand, CALIBRATION, option)


def measure_by_rival(
    plan: Plan, evaluand: Evaluand, made: Explained, own: Collection[MapKey], name: str
) -> Iterator[Measurement]:
    """All numbers of the estimators' maps by a network of another training, of metrics that need no further maps.

    Args:
        plan: of the study.
        evaluand: of the case by that network.
        made: what came of explaining it.
        own: the maps of the study's own network; others are compared with nothing.
        name: of the network.
    """
    for estimator, error in made.failed.items():
        yield Measurement(estimator, "", NOT_ASSESSED, note=str(error), choice=NETWORK, option=name)
    ranked = {key: one for key, one in evaluand.rankings.items() if key[0] in evaluand.maps and key[1] in FORMS}
    rankings = {key: one for key, one in ranked.items() if key in own}
    alone = replace(evaluand, rankings=rankings, explanations=None)
    for metric in map(METRICS.__getitem__, plan.metrics.names):
        yield from _kept(metric, {one.name for one in metric.declaration.numbers}, alone, NETWORK, name)


def _under(name: str, evaluand: Evaluand, choice: str, option: str) -> Iterator[Measurement]:
    """What a metric measures under an option, as far as it ranks maps, draws the page's curves, or is its audit."""
    metric = METRICS[name]
    kept = {
        output.name
        for output in metric.declaration.outputs
        if (output.view is not None and output.view.judge != "shortcut")
        or (output.masked and choice in metric.depends_on)
    }
    yield from _kept(metric, kept, evaluand, choice, option)


def _kept(metric: Metric, kept: set[str], evaluand: Evaluand, choice: str, option: str) -> Iterator[Measurement]:
    for one in measured(metric.name, evaluand) if kept else ():
        # The audit is of the study's own network.
        audit = choice != NETWORK and bool(audited_as(one.metric))
        if one.metric in kept or audit or one.metric == NOT_ASSESSED:
            yield replace(one, choice=choice, option=option)


def _absolute_and_blind(evaluand: Evaluand) -> dict[MapKey, RankedMap]:
    baselines = {key for key in evaluand.rankings if (key[0], "absolute") not in evaluand.rankings}
    return {key: one for key, one in evaluand.rankings.items() if key[1] == "absolute" or key in baselines}


def _of_fill(
    plan: Plan, evaluand: Evaluand, explaining: Callable[..., Explained], scene: Scene, fill: Fill
) -> dict[MapKey, RankedMap]:
    """Rankings of the baselines that are made of what masked pixels become, under another fill.

    Where that is the twin they are of the study's own, as one from the twin would be the truth.
    """
    looking = [one for one in plan.baselines if "fill" in one.needs and (one.name, "original") in evaluand.rankings]
    image = evaluand.image.cpu().numpy()
    shown = filled(image, evaluand.label, evaluand.classifier.intensity, fill)
    if not looking or shown is None:
        return {}
    scenes, target = [replace(scene, fill=shown)], evaluand.explained
    made = explaining(evaluand.classifier, evaluand.image[None], looking, scenes=scenes, targets=[target])
    rank = partial(rank_map, seed=plan.seed, name=evaluand.name, channels=plan.metrics.channels)
    return {(name, "original"): rank(stack[0]) for name, stack in made.maps.items()}


def _varied_maps(
    plan: Plan, evaluand: Evaluand, explaining: Callable[..., Explained]
) -> Iterator[tuple[str, str, Form, Explained, int]]:
    """Choice, option, which map it is about, the maps that the option changes, and the class that they explain."""
    assert plan.variations is not None
    classifier, own = evaluand.classifier, evaluand.explained

    def explained(
        estimators: Sequence[Estimator], of: Classifier, direction: Direction = plan.direction, target: int = own
    ) -> Explained:
        try:
            made = explaining(of, evaluand.image[None], estimators, direction=direction, targets=[target])
        except TomolensError as error:  # an option that this network does not allow
            return Explained(failed={one.name: error for one in estimators})
        return replace(made, maps={name: stack[0] for name, stack in made.maps.items()})

    if plan.variations.probability:
        other: Literal["logit", "probability"] = "probability" if classifier.score == "logit" else "logit"
        yield "score", other, "absolute", explained(plan.asking, replace(classifier, score=other, quick=None)), own
    if plan.variations.other_direction and plan.of_class_one:
        rule: Direction = "paper" if plan.direction == "class" else "class"
        yield "direction", rule, "original", explained(plan.of_class_one, classifier, rule), own
    for (choice, option), estimators in plan.variations.estimators.items():
        yield choice, option, "absolute", explained(estimators, classifier), own
    for name, index in plan.variations.classes.items():
        yield "class", name, "absolute", explained(plan.asking, classifier, target=index), index
