"""The unit of work: one case in, its measurements out, depending on nothing but its arguments."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case
from ..cases.body import AIR, body_of
from ..classifier import Classifier
from ..errors import TomolensError
from ..estimators.baselines import Scene, draw_baselines
from ..estimators.explain import explain_each
from ..estimators.making import Explained
from ..estimators.probes import References
from ..metrics.fills import fill_image
from ..metrics.metric import Evaluand, MapKey
from ..metrics.ranked import RankedMap, absolute, rank_map
from ..metrics.roc import is_usable
from .measure import measured
from .plan import NOT_ASSESSED, REMARK, SAME, Measurement, Plan
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

    An estimator or a metric that fails costs its own rows, and a row says why. Maps explain the predicted class;
    fidelity counts decisions against the true one. A baseline has no negative values and is measured once.
    ``mean_mask`` is the mean of the training cases' masks, for the baseline of that name.

    Raises:
        TomolensError: a network that fails on this case, or for every estimator; the message names the case.
    """
    image = torch.from_numpy(case.image)[None]
    try:
        predicted = int(classifier.predict(image)[0])
        explained = explain_each(
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
        looking = [explained.failed.get(one.name) for one in plan.looking]
        if looking and all(looking):
            raise next(error for error in looking if error is not None)
        maps = {name: stack[0] for name, stack in explained.maps.items()}
        evaluand = evaluand_of(case, classifier, plan, maps, mean_mask)
        measurements = (
            *of_network(case, classifier, predicted),
            *_of_estimators(explained, evaluand),
            *(one for name in plan.metrics.names for one in measured(name, evaluand)),
            *measure_variations(plan, evaluand, predicted, references),
        )
    except TomolensError as error:
        raise type(error)(f"case {case.name}: {error}") from error
    overlaps = any(one.metric == "dice_own_share" for one in measurements)
    regions = evaluand.region_maps if overlaps else {}
    return Evaluation(predicted, measurements, maps, {key: one for key, one in regions.items() if key[0] in maps})


def _of_estimators(explained: Explained, evaluand: Evaluand) -> Iterator[Measurement]:
    """Why an estimator has no map, what must be said of those that have one, and which are their own absolute."""
    for name, error in explained.failed.items():
        yield Measurement(name, "", NOT_ASSESSED, note=str(error))
    for name, words in explained.notes.items():
        yield Measurement(name, "", REMARK, note=words)
    for (name, signs), ranked in evaluand.rankings.items():
        if signs == "absolute":
            yield Measurement(name, signs, SAME, float(ranked is evaluand.rankings[name, "original"]))


def evaluand_of(
    case: Case, classifier: Classifier, plan: Plan, maps: dict[str, Tensor], mean_mask: NDArray[np.float64] | None
) -> Evaluand:
    """All that metrics may read of a case: its maps and blind baselines, sorted."""
    intensity = classifier.intensity
    grey = intensity.share(case.image)
    air = intensity.of_hounsfield(AIR)
    fill = fill_image(plan.metrics.fill, case.image, case.label, intensity)
    scene = Scene(grey, intensity.share(fill), mean_mask, air)
    return Evaluand(
        name=case.name,
        seed=plan.seed,
        classifier=classifier,
        image=torch.from_numpy(case.image),
        label=case.label,
        mask=case.mask,
        rankings=rank_both_ways(maps, plan.seed, case.name) | rank_baselines(case.name, plan, scene),
        body=body_of(grey, air),
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


def rank_baselines(name: str, plan: Plan, scene: Scene) -> dict[MapKey, RankedMap]:
    """Rankings of the blind baselines' maps."""
    drawn = draw_baselines(plan.baselines, scene)
    return {(baseline, "original"): rank_map(one, seed=plan.seed, name=name) for baseline, one in drawn.items()}


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
