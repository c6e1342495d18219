"""Choices that matter: the numbers of a case under other options, sharing with the study all that does not change.

A varied measurement is named ``fidelity | fill = blur``: what was measured, the choice, its option. Only maps that an
option changes are measured again; of the others the study's own numbers stand. Options that need no measuring (absolute
or original maps, the thresholds of the ROC) are read from the study itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..cases import Case
from ..classifier import Classifier
from ..estimators.estimators import Estimator
from ..estimators.explain import explain
from ..estimators.probes import References
from ..metrics.metric import METRICS, Evaluand, MapKey, MapSigns
from ..metrics.ranked import RankedMap, absolute, rank_map
from .plan import Measurement, Plan, Variations
from .regions_of_case import regions_of

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
    case: Case, plan: Plan, evaluand: Evaluand, predicted: int, references: References | None
) -> Iterator[Measurement]:
    """All varied measurements of a case; `evaluand` is the study's own."""
    if plan.variations is None:
        return
    if "fidelity" in plan.metrics.names:
        yield from _varied_fills(plan.variations, evaluand)
    if "overlap" in plan.metrics.names:
        yield from _varied_regions(case, plan.variations, evaluand)
    for choice, option, signs, maps in _varied_maps(case, plan, evaluand.classifier, predicted, references):
        rankings: dict[MapKey, RankedMap] = {}
        for name, importance in maps.items():
            chosen = importance if signs == "original" else absolute(importance)
            rankings[name, signs] = rank_map(chosen, seed=plan.seed, name=case.name)
        region_maps = regions_of(case, rankings, plan.metrics)
        changed = replace(evaluand, rankings=rankings, region_maps=region_maps)
        for name in plan.metrics.names:
            for (estimator, which), metric, value in METRICS[name](changed):
                if metric in OF_ONE_MAP and not isinstance(value, np.ndarray):
                    yield Measurement(estimator, which, varied(metric, choice, option), float(value), None)


def _varied_fills(variations: Variations, evaluand: Evaluand) -> Iterator[Measurement]:
    """Fidelity of absolute maps and of blind baselines with other fills, with both curves."""
    baselines = {key for key in evaluand.rankings if (key[0], "absolute") not in evaluand.rankings}
    rankings = {key: one for key, one in evaluand.rankings.items() if key[1] == "absolute" or key in baselines}
    for option, fill in variations.fills.items():
        changed = replace(evaluand, rankings=rankings, settings=replace(evaluand.settings, fill=fill))
        for (estimator, signs), metric, value in METRICS["fidelity"](changed):
            name = varied(metric, "fill", option)
            if isinstance(value, np.ndarray):
                yield Measurement(estimator, signs, name, None, tuple(value.tolist()))
            else:
                yield Measurement(estimator, signs, name, float(value), None)


def _varied_regions(case: Case, variations: Variations, evaluand: Evaluand) -> Iterator[Measurement]:
    rankings = {key: ranked for key, ranked in evaluand.rankings.items() if key[1] == "absolute"}
    for option, regions in variations.regions.items():
        settings = replace(evaluand.settings, regions=regions)
        region_maps = regions_of(case, rankings, settings)
        changed = replace(evaluand, rankings=rankings, region_maps=region_maps, settings=settings)
        for (estimator, signs), metric, value in METRICS["overlap"](changed):
            if metric in OF_ONE_MAP and not isinstance(value, np.ndarray):
                yield Measurement(estimator, signs, varied(metric, "regions", option), float(value), None)


def _varied_maps(
    case: Case, plan: Plan, classifier: Classifier, predicted: int, references: References | None
) -> Iterator[tuple[str, str, MapSigns, dict[str, Tensor]]]:
    """Choice, option, which map it is about, and the maps that the option changes."""
    assert plan.variations is not None

    def explained(estimators: Sequence[Estimator], of: Classifier, other_signs: bool = False) -> dict[str, Tensor]:
        signs = plan.signs
        if other_signs:
            signs = "paper" if plan.signs == "class" else "class"
        maps = explain(
            of,
            torch.from_numpy(case.image)[None],
            estimators,
            [predicted],
            references=references,
            signs=signs,
            seed=plan.seed,
            names=[case.name],
            batch_size=plan.batch_size,
        )
        return {name: stack[0] for name, stack in maps.items()}

    if plan.variations.probability:
        other: Literal["logit", "probability"] = "probability" if classifier.score == "logit" else "logit"
        yield "score", other, "absolute", explained(plan.looking, replace(classifier, score=other, quick=None))
    if plan.variations.other_signs and plan.turned:
        option = "paper" if plan.signs == "class" else "class"
        yield "direction", option, "original", explained(plan.turned, classifier, other_signs=True)
    for (choice, option), estimators in plan.variations.estimators.items():
        yield choice, option, "absolute", explained(estimators, classifier)
