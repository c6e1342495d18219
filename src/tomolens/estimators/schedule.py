"""Which gradients are taken: every distinct probe once for all estimators that share it, in full batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .backward_rules import GRADIENT
from .estimators import BlindEstimator, Estimator
from .probes import FromReferences, Point, Probe, Subject

Signs = Literal["class", "paper"]


@dataclass(frozen=True)
class Run:
    """One probe with the class whose score it differentiates, and the estimators that read it."""

    probe: Probe
    of_class_one: bool
    readers: tuple[tuple[str, Estimator, float], ...]


@dataclass(frozen=True)
class Item:
    """One gradient to take: a point of a run for one image."""

    index: int
    run: Run
    point: Point
    target: int


def plan(estimators: Mapping[str, Estimator | BlindEstimator], signs: Signs = "class") -> list[Run]:
    """The distinct probes of some estimators, each with all that read it; those of the plain gradient first."""
    readers: dict[tuple[Probe, bool], list[tuple[str, Estimator, float]]] = {}
    for name, estimator in estimators.items():
        if isinstance(estimator, BlindEstimator):
            continue
        probes = estimator.probes()
        of_class_one = signs == "paper" and not estimator.turned_to_prediction
        for probe in probes:
            readers.setdefault((probe, of_class_one), []).append((name, estimator, 1.0 / len(probes)))
    runs = [Run(probe, of_class_one, tuple(users)) for (probe, of_class_one), users in readers.items()]
    return sorted(runs, key=lambda run: run.probe.rule != GRADIENT)


def passes(estimators: Mapping[str, Estimator | BlindEstimator], signs: Signs = "class") -> int:
    """Forward-backward passes an image needs."""
    return sum(run.probe.count for run in plan(estimators, signs))


def needs_references(estimator: Estimator | BlindEstimator) -> bool:
    """Whether an estimator draws training images."""
    if isinstance(estimator, BlindEstimator):
        return False
    return any(isinstance(probe, FromReferences) for probe in estimator.probes())


def items(subjects: Sequence[Subject], runs: Sequence[Run], classes: NDArray[np.int64]) -> Iterator[Item]:
    """All gradients to take, one backward rule after the other so that batches stay full."""
    for rule in dict.fromkeys(run.probe.rule for run in runs):
        for index, subject in enumerate(subjects):
            for run in runs:
                if run.probe.rule == rule:
                    target = 1 if run.of_class_one else int(classes[index])
                    for k in range(run.probe.count):
                        yield Item(index, run, run.probe.point(subject, k), target)


def batches(items: Iterator[Item], batch_size: int) -> Iterator[list[Item]]:
    """Full batches of gradients to take, each under one backward rule."""
    batch: list[Item] = []
    for item in items:
        if batch and (len(batch) == batch_size or batch[-1].run.probe.rule != item.run.probe.rule):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
