"""The unit of work: one case in, its measurements out, depending on nothing but its arguments."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case
from ..classifier import Classifier
from ..errors import TomolensError
from ..estimators.baselines import Scene, body_of, draw_baselines
from ..estimators.explain import explain
from ..estimators.probes import References
from ..metrics.fills import fill_image
from ..metrics.metric import METRICS, Evaluand, MapKey
from ..metrics.ranked import RankedMap, absolute, rank_map
from ..metrics.roc import is_usable
from .plan import Measurement, Plan
from .regions_of_case import regions_of
from .variations import measure_variations


@dataclass(frozen=True)
class Evaluation:
    """What became of a case.

    Attributes:
        predicted: class that the network gives the unmasked image.
        measurements: of all its maps.
        maps: the importance maps, ``(C, *spatial)`` for each estimator.
        region_maps: ``(*spatial)`` for each map; empty without a usable mask.
    """

    predicted: int
    measurements: tuple[Measurement, ...]
    maps: dict[str, Tensor]
    region_maps: dict[MapKey, NDArray[np.float64]]


def evaluate(
    case: Case,
    classifier: Classifier,
    plan: Plan,
    references: References | None = None,
    mean_mask: NDArray[np.float64] | None = None,
) -> Evaluation:
    """Explain one case with every estimator and measure every map, as it is and absolute, and the blind baselines.

    Maps explain the predicted class; fidelity counts decisions against the true one. A baseline has no negative
    values and is measured once. ``mean_mask`` is the mean of the training cases' masks, for the baseline of that name.

    Raises:
        TomolensError: a network that fails on this case; the message names the case.
    """
    image = torch.from_numpy(case.image)[None]
    try:
        predicted = int(classifier.predict(image)[0])
        stacks = explain(
            classifier,
            image,
            plan.estimators,
            [predicted],
            references=references,
            signs=plan.signs,
            seed=plan.seed,
            names=[case.name],
            batch_size=plan.batch_size,
        )
        maps = {name: stack[0] for name, stack in stacks.items()}
        evaluand = evaluand_of(case, classifier, plan, maps, mean_mask)
        measured = (
            Measurement(*key, metric, *_value_or_curve(result))
            for name in plan.metrics.names
            for key, metric, result in METRICS[name](evaluand)
        )
        measurements = (
            *of_network(case, classifier, predicted),
            *measured,
            *measure_variations(case, plan, evaluand, predicted, references),
        )
    except TomolensError as error:
        raise type(error)(f"case {case.name}: {error}") from error
    explained = {key: regions for key, regions in evaluand.region_maps.items() if key[0] in maps}
    return Evaluation(predicted, measurements, maps, explained)


def evaluand_of(
    case: Case, classifier: Classifier, plan: Plan, maps: dict[str, Tensor], mean_mask: NDArray[np.float64] | None
) -> Evaluand:
    """All that metrics may read of a case: its maps and blind baselines sorted, and their regions."""
    rankings = rank_both_ways(maps, plan.seed, case.name) | rank_baselines(case, plan, mean_mask)
    return Evaluand(
        name=case.name,
        seed=plan.seed,
        classifier=classifier,
        image=torch.from_numpy(case.image),
        label=case.label,
        mask=case.mask,
        rankings=rankings,
        region_maps=regions_of(case, rankings, plan.metrics),
        body=body_of(case.image),
        evidence=case.evidence,
        marker=None if case.unmarked is None else (case.unmarked != case.image).any(axis=0),
        settings=plan.metrics,
        batch_size=plan.batch_size,
    )


def of_network(case: Case, classifier: Classifier, predicted: int) -> list[Measurement]:
    """What concerns no map; a case that no metric applies to has these rows all the same."""
    numbers = {"correct": float(predicted == case.label)}
    if case.mask is not None and is_usable(case.mask):
        numbers["mask_share"] = float(case.mask.mean())
    if case.unmarked is not None:
        without = int(classifier.predict(torch.from_numpy(case.unmarked)[None])[0])
        numbers["correct_without_marker"] = float(without == case.label)
    return [Measurement("", "", name, value, None) for name, value in numbers.items()]


def rank_baselines(case: Case, plan: Plan, mean_mask: NDArray[np.float64] | None) -> dict[MapKey, RankedMap]:
    """Rankings of the blind baselines' maps."""
    if not plan.baselines:
        return {}
    scene = Scene(case.image, fill_image(plan.metrics.fill, case.image, case.label), mean_mask)
    drawn = draw_baselines(plan.baselines, scene)
    return {(name, "original"): rank_map(one, seed=plan.seed, name=case.name) for name, one in drawn.items()}


def rank_both_ways(maps: dict[str, Tensor], seed: int, name: str) -> dict[MapKey, RankedMap]:
    """Rankings of each map as it is and absolute; a map without negative values is its own absolute, sorted once."""
    rankings: dict[MapKey, RankedMap] = {}
    for estimator, importance in maps.items():
        original = rank_map(importance, seed=seed, name=name)
        rankings[estimator, "original"] = original
        magnitude = absolute(importance)
        same = torch.equal(magnitude, importance)
        rankings[estimator, "absolute"] = original if same else rank_map(magnitude, seed=seed, name=name)
    return rankings


def _value_or_curve(result: float | NDArray[np.float64]) -> tuple[float | None, tuple[float, ...] | None]:
    if isinstance(result, np.ndarray):
        return None, tuple(result.tolist())
    return float(result), None
