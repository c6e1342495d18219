"""`explain`: every distinct probe once, in full batches, streamed into the maps of all estimators that share it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..errors import MapError, SettingsError
from ..randomness import draw_names
from .backward_rules import gradients
from .estimators import BlindEstimator, Estimator, make_estimator
from .probes import FromReferences, Point, Probe, References, Subject

Signs = Literal["class", "paper"]
AnyEstimator = str | Estimator | BlindEstimator


@dataclass(frozen=True)
class _Run:
    """One probe with the class whose score it differentiates, and the estimators that read it."""

    probe: Probe
    of_class_one: bool
    readers: tuple[tuple[str, Estimator, float], ...]


@dataclass(frozen=True)
class _Item:
    """One gradient to take: a point of a run for one image."""

    index: int
    run: _Run
    point: Point
    target: int


def explain(
    classifier: Classifier,
    images: Tensor,
    estimators: Sequence[AnyEstimator],
    targets: Tensor | NDArray[np.int64] | Sequence[int] | None = None,
    *,
    references: References | None = None,
    signs: Signs = "class",
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
) -> dict[str, Tensor]:
    """Importance maps of images by several estimators.

    Args:
        classifier: whose class scores are explained; it is left exactly as it came.
        images: ``(N, C, *spatial)``, in [0, 1].
        estimators: names or estimator objects.
        targets: class explained for each image, ``(N,)``; by default the predicted one.
        references: training images, needed by expected gradients.
        signs: ``class``: every map is of the target's score, so that positive speaks for it. ``paper``:
            backpropagation, deconvolution and SmoothGrad always of class 1, as in the paper; two classes only.
        seed: of all random draws.
        names: identifies each image in those draws; its position by default.
        batch_size: images the network sees at a time, for every estimator.

    Returns:
        For each estimator's name the maps, ``(N, C, *spatial)`` on the images' device, not normalised.

    Raises:
        SettingsError: unknown or doubled estimator, or one that lacks what it needs.
        MapError: images that are not finite or of another shape than ``(N, C, *spatial)``.
        NetworkError: see `Classifier.class_scores` and `gradients`.
    """
    chosen = _named(estimators)
    _check(images, chosen, references, signs, batch_size)
    names = draw_names(names, len(images))
    placed = images.detach().to(classifier.device)  # points and maps stay beside the network until they are whole
    maps = {name: torch.zeros_like(placed) for name in chosen}
    with classifier.frozen():
        classes = _targets(classifier, images, targets, batch_size)
        if signs == "paper":
            _require_two_classes(classifier, images)
        subjects = [Subject(image, name, seed, references) for image, name in zip(placed, names, strict=True)]
        for index, subject in enumerate(subjects):
            for name, estimator in chosen.items():
                if isinstance(estimator, BlindEstimator):
                    maps[name][index] = estimator.draw(subject)
        for batch in _batches(_items(subjects, plan(chosen, signs), classes), batch_size):
            _accumulate(classifier, batch, maps)
    return {name: stack.to(images.device) for name, stack in maps.items()}


def plan(estimators: Mapping[str, Estimator | BlindEstimator], signs: Signs = "class") -> list[_Run]:
    """The distinct probes of some estimators, each with all that read it; the deconvolved ones last."""
    readers: dict[tuple[Probe, bool], list[tuple[str, Estimator, float]]] = {}
    for name, estimator in estimators.items():
        if isinstance(estimator, BlindEstimator):
            continue
        probes = estimator.probes()
        of_class_one = signs == "paper" and not estimator.turned_to_prediction
        for probe in probes:
            readers.setdefault((probe, of_class_one), []).append((name, estimator, 1.0 / len(probes)))
    runs = [_Run(probe, of_class_one, tuple(users)) for (probe, of_class_one), users in readers.items()]
    return sorted(runs, key=lambda run: run.probe.rule != "gradient")


def passes(estimators: Mapping[str, Estimator | BlindEstimator], signs: Signs = "class") -> int:
    """Forward-backward passes an image needs."""
    return sum(run.probe.count for run in plan(estimators, signs))


def needs_references(estimator: Estimator | BlindEstimator) -> bool:
    """Whether an estimator draws training images."""
    if isinstance(estimator, BlindEstimator):
        return False
    return any(isinstance(probe, FromReferences) for probe in estimator.probes())


def _items(subjects: Sequence[Subject], runs: Sequence[_Run], classes: NDArray[np.int64]) -> Iterator[_Item]:
    """All gradients to take, one backward rule after the other so that batches stay full."""
    for rule in dict.fromkeys(run.probe.rule for run in runs):
        for index, subject in enumerate(subjects):
            for run in runs:
                if run.probe.rule == rule:
                    target = 1 if run.of_class_one else int(classes[index])
                    for k in range(run.probe.count):
                        yield _Item(index, run, run.probe.point(subject, k), target)


def _batches(items: Iterator[_Item], batch_size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        if batch and (len(batch) == batch_size or batch[-1].run.probe.rule != item.run.probe.rule):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _accumulate(classifier: Classifier, batch: Sequence[_Item], maps: dict[str, Tensor]) -> None:
    points = torch.stack([item.point.image for item in batch])
    targets = torch.tensor([item.target for item in batch], device=points.device)
    taken = gradients(classifier, points, targets, batch[0].run.probe.rule)
    for item, gradient in zip(batch, taken, strict=True):
        for name, estimator, share in item.run.readers:
            image_map = maps[name][item.index]
            image_map += share * item.point.weight * estimator.term(gradient, item.point.displacement)


def _targets(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor | NDArray[np.int64] | Sequence[int] | None,
    batch_size: int,
) -> NDArray[np.int64]:
    """The class explained for each image: the given one or the predicted one."""
    if targets is None:
        return classifier.predict(images, batch_size)
    chosen = np.asarray(targets.cpu() if isinstance(targets, Tensor) else targets, dtype=np.int64)
    if chosen.shape != (len(images),):
        raise MapError(f"targets of shape {chosen.shape} for {len(images)} images, expected one class an image")
    return chosen


def _require_two_classes(classifier: Classifier, images: Tensor) -> None:
    count = classifier.predicted_scores(images[:1]).shape[1]
    if count != 2:
        raise SettingsError(f"signs = 'paper' is defined for two classes, the network has {count}")


def _named(estimators: Sequence[AnyEstimator]) -> dict[str, Estimator | BlindEstimator]:
    if isinstance(estimators, str):
        estimators = [estimators]
    chosen: dict[str, Estimator | BlindEstimator] = {}
    for given in estimators:
        estimator = make_estimator(given) if isinstance(given, str) else given
        if estimator.name in chosen:
            raise SettingsError(f"estimator '{estimator.name}' is given twice")
        chosen[estimator.name] = estimator
    return chosen


def _check(
    images: Tensor,
    chosen: Mapping[str, Estimator | BlindEstimator],
    references: References | None,
    signs: Signs,
    batch_size: int,
) -> None:
    if images.ndim < 3 or len(images) == 0 or not images.is_floating_point():
        raise MapError(f"images of shape {tuple(images.shape)}, {images.dtype}: expected floating (N, C, *spatial)")
    if not bool(torch.isfinite(images).all()):
        raise MapError(f"images hold {int((~torch.isfinite(images)).sum())} values that are not finite")
    if signs not in get_args(Signs):
        raise SettingsError(f"signs '{signs}', expected one of {', '.join(get_args(Signs))}")
    if batch_size < 1:
        raise SettingsError(f"batch_size {batch_size}, expected at least 1")
    for name, estimator in chosen.items():
        if needs_references(estimator):
            if references is None or len(references.images) == 0:
                raise SettingsError(
                    f"estimator '{name}' draws training images: give references=References(images, labels)"
                )
            if references.images.shape[1:] != images.shape[1:]:
                raise MapError(
                    f"references of shape {tuple(references.images.shape[1:])}, images of {tuple(images.shape[1:])}"
                )
