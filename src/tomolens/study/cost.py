"""What a study will take, from a calibration of some seconds on one of its own cases, before anything long starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..cases import Case, Cases
from ..classifier import Classifier
from ..classifier.architectures import build, output_of
from ..classifier.lines import USUALLY_ASKED
from ..classifier.training import Recipe
from ..errors import NetworkError, TomolensError, reason_of
from ..estimators.answers import answers
from ..estimators.estimator import Cost
from ..estimators.questions import Kind
from ..imputers.fills import Fill, imputer
from ..metrics.evaluand import Evaluand
from ..metrics.ranked import rank_map
from ..metrics.registry import METRICS, refines
from .executors import workers_for
from .measure import measured
from .plan import Plan
from .refining import unrefinable
from .settings import StudySettings

AS_IF = 5_000
"""Images for which backends are tried here."""
BYTES_A_NUMBER = 3.5
"""Measurements in Parquet, compressed; measured."""


@dataclass(frozen=True)
class StudyCost:
    """A study in numbers.

    Attributes:
        cases: held out, and explained.
        training: cases learned from, summed over networks and epochs, those of refining too.
        maps: of one case: estimators, as they are, absolute and blurred, and what is measured beside them.
        asked: what the estimators ask for one case.
        images: altered images that the metrics show the network of one case, at most.
        seconds: expected time of each stage, by name.
        megabytes: on disk when it is done.
        decisions: the backend that would make them.
    """

    cases: int
    training: int
    maps: int
    asked: Cost
    images: int
    seconds: dict[str, float]
    megabytes: float
    decisions: str

    @property
    def total(self) -> float:
        """Expected seconds."""
        return sum(self.seconds.values())

    def lines(self) -> list[str]:
        """To print."""
        stages = [f"  {name:32} {_time(seconds):>12}" for name, seconds in self.seconds.items()]
        return [
            f"cases to explain   {self.cases}",
            f"maps a case        {self.maps}",
            f"passes a case      {self.asked.gradients + self.asked.features} forward and backward, "
            f"{self.asked.scores} forward for scores, at most {self.images} for decisions ({self.decisions})",
            f"training images    {self.training}",
            f"disk               {self.megabytes:.0f} MB",
            f"expected time      {_time(self.total)}",
            *stages,
        ]


def estimate(
    settings: StudySettings,
    cases: Cases,
    held_out: int,
    trained_on: int,
    networks: int,
    classifier: Classifier | None,
    device: str,
) -> StudyCost:
    """Measure one batch of every stage and multiply.

    Args:
        settings: the study file.
        cases: of the study; one is read.
        held_out: how many are explained.
        trained_on: how many a network learns from.
        networks: how many are trained.
        classifier: where one is given, none is trained.
        device: where the network runs.

    Raises:
        NetworkError: it breaks on the study's images.
    """
    case = cases[0]
    plan, rivals = settings.plan, settings.repeat.rivals if settings.repeat else 0
    if classifier is None:
        channels, *spatial = case.image.shape
        count, recipe = len(cases.classes), settings.classifier.recipe
        network = build(recipe.architecture, channels, count, len(spatial), spatial, recipe.arguments).to(device).eval()
        classifier, epochs = Classifier(network, output_of(count)), recipe.epochs * networks * (1 + rivals)
    else:
        epochs = 0
    batch = torch.from_numpy(case.image).expand(settings.batch_size, *case.image.shape).contiguous()
    batch = batch.to(classifier.device)
    _require_answers(classifier, batch)
    twins = case.twin is not None
    asked, maps = plan.cost(case.image.shape), plan.maps(twins)
    shown, exact = plan.images(twins), plan.images(twins, exact=True)
    if settings.precision == "auto":
        # Compiling is not tried: it would take longer than all the rest of this.
        classifier = classifier.with_folded(batch[:2])
        if shown:
            classifier = classifier.quickened(batch, min(round(USUALLY_ASKED * shown) * held_out, AS_IF))
    seconds: dict[str, float] = {"reading cases": 2 * len(cases) * _timed(lambda: cases[0])}
    gradient = _gradient_time(classifier, batch)
    if epochs:
        # Weights need gradients too, which cost about as much again as those of the images.
        chosen, recipe = settings.classifier.pretraining, settings.classifier.recipe
        seconds["training"] = epochs * trained_on * _images_a_case(recipe) * 1.5 * gradient
        if chosen is not None:
            count = chosen.recipe.epochs * chosen.cases * _images_a_case(chosen.recipe)
            architectures = 1 + (len(settings.repeat.architectures) if settings.repeat else 0)
            seconds["pretraining"] = architectures * count * 1.5 * gradient
    seconds["explaining"] = held_out * (asked.gradients + asked.features) * gradient
    refining = 0
    if refines(plan.metrics) and not unrefinable(classifier):
        seen = trained_on * (_images_a_case(settings.classifier.recipe) if epochs else 1)
        refining = settings.classifier.refining.epochs * networks * seen
        seconds["refining"] = refining * 1.5 * gradient
    decision = _decision_time(classifier, batch)
    seconds["explaining"] += held_out * asked.scores * decision
    # A rival explains each case twice: for its likeness to the study's own network, and to be measured itself.
    seconds["explaining"] *= 1 + 2 * rivals + sum(METRICS[name].explanations for name in plan.metrics.names)
    asked_share = USUALLY_ASKED if settings.precision == "auto" else 1.0
    if shown:
        seconds["decisions"] = held_out * asked_share * shown * decision
        masking = _masking_time(case, classifier, plan, twins)
        seconds["masking"] = held_out * asked_share * sum(masking.values())
    plain = _decision_time(replace(classifier, quick=None), batch) if exact or rivals else 0.0
    if exact:
        seconds["scores of altered images"] = held_out * exact * plain
    if rivals:
        own = 2 * len(plan.estimators) / maps  # no blind maps and no blurred ones
        seconds["measuring by other trainings"] = held_out * rivals * own * (asked_share * shown + exact) * plain
    workers = workers_for(held_out, device)
    seconds["other metrics"] = held_out * _metrics_time(case, classifier, plan, maps) / workers
    # For the page a byte a pixel: a map of each estimator with the order of its pixels and its regions, and blind maps.
    planes = 3 * len(plan.estimators) + 2 * len(plan.baselines)
    gallery = min(held_out, settings.gallery) * case.image[0].size * planes
    numbers = maps * (2 * (settings.metrics.steps + 1) + 4 * settings.metrics.roc_points + 2 * 100)
    return StudyCost(
        cases=held_out,
        training=epochs * trained_on * _images_a_case(settings.classifier.recipe) + refining,
        maps=maps,
        asked=asked,
        images=shown + exact,
        seconds=seconds,
        megabytes=(
            held_out * (1 + rivals) * numbers * BYTES_A_NUMBER + settings.examples * maps * case.image.nbytes / 2
        )
        / 1e6
        + gallery / 1e6
        + networks * (1 + rivals) * sum(weight.nbytes for weight in classifier.network.parameters()) / 1e6,
        decisions=classifier.quick.told if classifier.quick else "plain",
    )


def _require_answers(classifier: Classifier, batch: torch.Tensor) -> None:
    """Refuse a network that breaks on the study's images.

    Raises:
        NetworkError: with what it raised.
    """
    try:
        classifier.predicted_scores(batch[:1])
    except TomolensError:
        raise
    except Exception as error:  # a network may raise anything
        shape = " x ".join(map(str, batch.shape[1:]))
        raise NetworkError(f"the network breaks on an image of the study, {shape} ({reason_of(error)})") from error


def _images_a_case(recipe: Recipe) -> int:
    return 2 if recipe.twins else 1


def _gradient_time(classifier: Classifier, batch: torch.Tensor) -> float:
    targets = torch.zeros(len(batch), dtype=torch.int64, device=batch.device)
    with classifier.frozen():
        return _timed(lambda: answers(classifier, Kind("gradients"), batch, targets).values[0].cpu()) / len(batch)


def _decision_time(classifier: Classifier, batch: torch.Tensor) -> float:
    quick = classifier.quick
    with classifier.frozen(), torch.inference_mode():
        run = classifier.class_scores if quick is None else quick.outputs
        return _timed(lambda: run(batch).cpu()) / len(batch)


def _masking_time(case: Case, classifier: Classifier, plan: Plan, twins: bool) -> dict[Fill, float]:
    """Seconds that the masked images of a case take to make, by what masked pixels become."""
    image = torch.from_numpy(case.image).to(classifier.device)
    hidden = torch.from_numpy(np.random.default_rng(0).random((8, *case.image.shape[1:])) < 0.5).to(classifier.device)
    found: dict[Fill, float] = {}
    for fill, count in plan.shown(twins).items():
        if count:
            masked = imputer(fill, image, case.label, intensity=classifier.intensity, twin=case.twin)
            found[fill] = count * _timed(lambda masked=masked: masked.fill(hidden)) / len(hidden)  # type: ignore[misc]
    return found


def _metrics_time(case: Case, classifier: Classifier, plan: Plan, maps: int) -> float:
    """Everything about the maps of a case that needs no network: once for the case, and for each of its maps."""
    random, mask = np.random.default_rng(0), np.zeros(case.image.shape[1:], bool)
    mask.flat[: mask.size // 10] = True
    names = [
        name
        for name in plan.metrics.names
        if not METRICS[name].needs - {"mask", "anatomy", "tissue"} and not METRICS[name].images(plan.metrics)
    ]

    def measure(count: int) -> None:
        rankings = {
            (str(which), "original"): rank_map(random.standard_normal(case.image.shape)) for which in range(count)
        }
        evaluand = Evaluand(
            name=case.name,
            seed=0,
            classifier=classifier,
            image=torch.from_numpy(case.image),
            label=case.label,
            explained=case.label,
            mask=mask,
            rankings=rankings,
            body=~mask,
            evidence=None,
            marker=None,
            settings=plan.metrics,
            batch_size=plan.batch_size,
            anatomy=mask.astype(np.int64),
            structures=("a structure",),
            tissue=mask.astype(np.uint8),
        )
        for name in names:
            measured(name, evaluand)

    one, three = _timed(lambda: measure(1)), _timed(lambda: measure(3))
    each = max(0.0, (three - one) / 2)
    return max(0.0, one - each) + maps * each


def _timed(work: Callable[[], Any]) -> float:
    """Seconds of the second call: the first one warms up."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
