"""The unit of work as an executor sees it: a job that any process can do, and the outcome of each of its cases."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case, Cases
from ..classifier import Classifier
from ..classifier.quick import Quick
from ..declarations import FORMS
from ..errors import in_full, is_out_of_memory, shortened
from ..estimators.subject import References
from ..metrics.evaluand import Rival
from ..metrics.masking import MOST_STEPS, steps_of_pixels
from ..metrics.registry import METRICS
from ..results.example import Example
from ..results.gallery import encode
from ..results.rows import rows_of_evaluation, rows_of_failure
from .calibration import Calibration
from .evaluate import Evaluation, evaluate
from .plan import Plan
from .references import masked_references
from .survey import without_places


@dataclass(frozen=True)
class Job:
    """All that is needed to evaluate the held-out cases of one network.

    Attributes:
        cases: of the study.
        masks: state of each case's mask, see `Survey`.
        fold: whose network it is.
        classifier: the network.
        plan: what is done to each case.
        references: training images for expected gradients.
        atlas: mean of training cases' masks, for the baselines that need it.
        device: where the network runs.
        decisions: about how many masked images one process will see; 0 where only the network as it is may decide.
        sparing: whether decisions are asked only where they turn, and gradients of the folded network.
        checkpoint: whether gradients take less memory and more time.
        examples: cases that are kept whole for the figures.
        gallery: cases that are kept small for the page.
        keep_maps: whether every case's maps are kept.
        calibration: the cases with an implant, or None where none is asked for.
        rivals: networks of other trainings.
        refined: the network after learning from randomly masked images, or why there is none; None if none is wanted.
    """

    cases: Cases
    masks: tuple[str, ...]
    fold: int
    classifier: Classifier
    plan: Plan
    references: References | None
    atlas: NDArray[np.float64] | None
    device: str
    decisions: int
    sparing: bool
    checkpoint: bool
    examples: frozenset[int]
    gallery: frozenset[int]
    keep_maps: bool
    calibration: Calibration | None = None
    rivals: tuple[Rival, ...] = ()
    refined: Classifier | str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        index: of the case.
        rows: to store, see `rows.SCHEMA`.
        failure: why there are no measurements; empty where there are.
        note: what was unusual.
        decisions: how they were made: ``plain``, or the name of the quick backend.
        seconds: it took.
        example: the case with its maps, where it is kept whole.
        gallery: the case as a file for the page, where it is kept small.
        maps: of each estimator, where they are kept.
    """

    index: int
    rows: pa.Table
    failure: str = ""
    note: str = ""
    decisions: str = "plain"
    seconds: float = 0.0
    example: Example | None = None
    gallery: bytes = b""
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Worker:
    """A process that is ready to do a job's cases.

    Attributes:
        job: to do.
        classifier: on its device, with the quickest backend for its decisions and the folded network for gradients.
        rivals: likewise, without such a backend.
    """

    job: Job
    classifier: Classifier
    rivals: tuple[Rival, ...] = ()

    @classmethod
    def ready(cls, job: Job, like: Quick | None = None) -> "Worker":
        """Place the network; ``like`` is what was found quickest for the network before."""
        refined = (job.refined,) if isinstance(job.refined, Classifier) else ()
        for one in (job.classifier, *(rival.classifier for rival in job.rivals), *refined):
            one.network.to(job.device)
        classifier, rivals = job.classifier, job.rivals
        with one_thread(job.device):
            if job.sparing:
                classifier = _sparing(job, classifier)
                rivals = tuple(replace(one, classifier=_sparing(job, one.classifier)) for one in rivals)
            if job.checkpoint:
                classifier = classifier.with_checkpoints(_example(job, 1))
                rivals = tuple(
                    replace(one, classifier=one.classifier.with_checkpoints(_example(job, 1))) for one in rivals
                )
            if job.decisions:
                masked = partial(masked_references, job.references, job.plan, classifier.intensity)
                classifier = classifier.quickened(_example(job, job.plan.batch_size), job.decisions, like, masked)
        return cls(job, classifier, rivals)

    def evaluate(self, index: int) -> Outcome:
        """Evaluate one case; whatever goes wrong with it is its outcome."""
        began = time.perf_counter()
        job, entry = self.job, self.job.cases.entries[index]
        mask = job.masks[index]
        try:
            case = job.cases[index]
            altered = None if job.calibration is None else job.calibration.case(entry.name)
            with one_thread(job.device):
                evaluation, note = self._within_memory(case, altered)
        except Exception as error:  # a network may raise anything; the study goes on and tells
            reason = shortened(without_places(in_full(error), entry))
            return Outcome(index, rows_of_failure(index, entry, job.fold, mask, reason), failure=reason)
        example = _shown(case, evaluation, job.classifier)
        return Outcome(
            index,
            rows_of_evaluation(index, entry, job.fold, mask, evaluation.predicted, evaluation.measurements, note),
            note=note,
            decisions="plain" if self.classifier.quick is None else self.classifier.quick.told,
            seconds=time.perf_counter() - began,
            example=example if index in job.examples else None,
            gallery=_small(case, example, evaluation, job) if index in job.gallery else b"",
            maps={name: one.cpu().numpy() for name, one in evaluation.maps.items()} if job.keep_maps else {},
        )

    def _within_memory(self, case: Case, altered: Case | str | None) -> tuple[Evaluation, str]:
        """Evaluate with batches that are halved until they fit."""
        job, classifier, plan = self.job, self.classifier, self.job.plan
        while True:
            try:
                evaluation = evaluate(
                    case, classifier, plan, job.references, job.atlas, altered, self.rivals, job.refined
                )
            except Exception as error:
                if not is_out_of_memory(error) or plan.batch_size == 1:
                    raise
            else:
                halved = plan.batch_size < job.plan.batch_size
                note = f"batches of {job.plan.batch_size} did not fit in memory: {plan.batch_size}" if halved else ""
                return evaluation, note
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            # The quick backend was made for full batches.
            classifier, plan = replace(self.classifier, quick=None), replace(plan, batch_size=plan.batch_size // 2)


def _sparing(job: Job, classifier: Classifier) -> Classifier:
    return replace(classifier.with_folded(_example(job, 2)), sparing=True)


def _shown(case: Case, evaluation: Evaluation, classifier: Classifier) -> Example:
    image = classifier.intensity.share(case.image)
    return Example(
        case.name, case.label, evaluation.predicted, image, case.mask, evaluation.planes, evaluation.region_maps
    )


def _small(case: Case, example: Example, evaluation: Evaluation, job: Job) -> bytes:
    """With what stands beside the maps on the page: the twin, the blind maps, and the order in which pixels went."""
    plan, rankings, steps = job.plan, evaluation.rankings, job.plan.metrics.steps
    fits = steps <= MOST_STEPS
    outputs = {one.name: one for name in plan.metrics.names for one in METRICS[name].declaration.outputs}
    shown = replace(
        example,
        explained=evaluation.explained,
        twin=None if case.twin is None else job.classifier.intensity.share(case.twin),
        beside={
            name: ranked.scores.reshape(ranked.shape)
            for (name, form), ranked in rankings.items()
            if form == "original" and (name, form) not in evaluation.planes
        },
        steps={key: steps_of_pixels(ranked, steps) for key, ranked in rankings.items() if key[1] in FORMS and fits},
        along=evaluation.along,
        spacing=None if case.grid is None else case.grid.spacing,
        upright=case.grid is not None and case.grid.is_upright,
    )
    return encode(shown, evaluation.measurements, outputs, evaluation.fill)


def died(job: Job, index: int) -> Outcome:
    """The outcome of a case whose worker was gone, twice."""
    reason = "the worker that evaluated it died, twice (killed, out of memory, or a fault in native code)"
    rows = rows_of_failure(index, job.cases.entries[index], job.fold, job.masks[index], reason)
    return Outcome(index, rows, failure=reason)


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """One thread for the network on a CPU: with more, sums are added in another order and the numbers change."""
    before = torch.get_num_threads()
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _example(job: Job, count: int) -> Tensor:
    """So many images like those to come."""
    shape = job.cases[0].image.shape
    return torch.zeros(count, *shape) + torch.linspace(0, 1, shape[-1])
