"""`explain`: every distinct probe once, in full batches, streamed into the maps of all estimators that share it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..errors import MapError, NetworkError, SettingsError, TomolensError, is_out_of_memory
from ..randomness import draw_names
from .backward_rules import GRADIENT, Gradients, gradients
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


@dataclass
class Explained:
    """What came of explaining some images.

    Attributes:
        maps: of each estimator for which every image has one, ``(N, C, *spatial)``.
        failed: why the others have none.
        notes: what must be said beside a map.
    """

    maps: dict[str, Tensor]
    failed: dict[str, TomolensError] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def explain(
    classifier: Classifier,
    images: Tensor,
    estimators: Sequence[AnyEstimator] | AnyEstimator,
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
        images: ``(N, C, *spatial)``, within the classifier's `Intensity`, of the network's floating type.
        estimators: names or estimator objects. Where one is given with several parameterisations, each is named by
            what differs from its defaults, e.g. ``smoothgrad(sigma=0.3)``.
        targets: class explained for each image, ``(N,)``; by default the predicted one.
        references: training images, needed by expected gradients.
        signs: ``class``: every map is of the target's score, so that positive speaks for it. ``paper``:
            backpropagation, deconvolution and SmoothGrad always of class 1, as in the paper; two classes only.
        seed: of all random draws.
        names: identifies each image in those draws; its position by default.
        batch_size: images the network sees at a time, for every estimator.

    Returns:
        For each estimator's name the maps, ``(N, C, *spatial)`` on the images' device, not normalised; float32 where
        images have fewer bits.

    Raises:
        SettingsError: unknown or doubled estimator, or one that lacks what it needs.
        MapError: images that are not finite, out of range or of another shape than ``(N, C, *spatial)``.
        NetworkError: an estimator that the network does not allow, or a map that is 0 because the score is clamped;
            see `Classifier.class_scores` and `gradients` for more.
    """
    explained = explain_each(
        classifier,
        images,
        estimators,
        targets,
        references=references,
        signs=signs,
        seed=seed,
        names=names,
        batch_size=batch_size,
    )
    for error in explained.failed.values():
        raise error
    return explained.maps


def explain_each(
    classifier: Classifier,
    images: Tensor,
    estimators: Sequence[AnyEstimator] | AnyEstimator,
    targets: Tensor | NDArray[np.int64] | Sequence[int] | None = None,
    *,
    references: References | None = None,
    signs: Signs = "class",
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
) -> Explained:
    """As `explain`, but an estimator that fails costs its own maps, with the reason, and not those of the others.

    Raises:
        TomolensError: see `explain`, for what concerns all estimators.
    """
    if not isinstance(classifier, Classifier):
        given = type(classifier).__name__
        raise SettingsError(
            f"explain was given {given}, expected Classifier(network, output=...): what does it return?"
        )
    if not isinstance(images, Tensor):
        raise MapError(f"images are {type(images).__name__}, expected a tensor: torch.from_numpy(images)")
    chosen = _named(estimators)
    _check(classifier, images, chosen, references, signs, batch_size)
    names = draw_names(names, len(images))
    with classifier.frozen():
        placed = images.detach().to(classifier.device)
        if placed.is_inference():
            placed = placed.clone()  # an ordinary tensor, outside the caller's inference mode
        classes = _targets(classifier, images, targets, batch_size)
        if signs == "paper":
            _require_two_classes(classifier, images)
        subjects = [
            Subject(image, name, seed, references, classifier.intensity)
            for image, name in zip(placed, names, strict=True)
        ]
        making = _Making(classifier, {name: torch.zeros_like(placed, dtype=_wide(placed)) for name in chosen}, names)
        for index, subject in enumerate(subjects):
            for name, estimator in chosen.items():
                if isinstance(estimator, BlindEstimator):
                    making.maps[name][index] = estimator.draw(subject)
        for batch in _batches(_items(subjects, plan(chosen, signs), classes), batch_size):
            making.add(batch)
    return making.explained(images.device)


class _Making:
    """Maps while they are made."""

    def __init__(self, classifier: Classifier, maps: dict[str, Tensor], names: Sequence[str]) -> None:
        self.classifier, self.maps, self.names = classifier, maps, names
        self.failed: dict[str, TomolensError] = {}
        self.notes: dict[str, list[str]] = {}
        self.points: Counter[tuple[str, int]] = Counter()
        self.clamped: Counter[tuple[str, int]] = Counter()

    def add(self, batch: Sequence[_Item]) -> None:
        """Take a batch of gradients; where that fails, one by one, so that each failure is its estimators' own."""
        batch = [item for item in batch if any(name not in self.failed for name, _, _ in item.run.readers)]
        if not batch:
            return
        try:
            taken = self._taken(batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if len(batch) > 1:
                for item in batch:
                    self.add([item])
                return
            for name, _, _ in batch[0].run.readers:
                self.failed.setdefault(name, _as_own(error))
            return
        for item, gradient, clamped in zip(batch, taken.values, taken.clamped.tolist(), strict=True):
            for name, estimator, share in item.run.readers:
                image_map = self.maps[name][item.index]
                image_map += share * item.point.weight * estimator.term(gradient, item.point.displacement)
                self.points[name, item.index] += 1
                self.clamped[name, item.index] += clamped
        for name in {name for item in batch for name, _, _ in item.run.readers}:
            self._note(name, taken.coverage.words())
            if taken.log_odds:
                self._note(name, "of the log-odds: the network's softmax could not be seen through")

    def _taken(self, batch: Sequence[_Item]) -> Gradients:
        points = torch.stack([item.point.image for item in batch])
        targets = torch.tensor([item.target for item in batch], device=points.device)
        return gradients(self.classifier, points, targets, batch[0].run.probe.rule)

    def _note(self, name: str, words: str) -> None:
        if words and words not in self.notes.setdefault(name, []):
            self.notes[name].append(words)

    def explained(self, device: torch.device) -> Explained:
        """What came of it, on a device."""
        for (name, index), count in self.clamped.items():
            if not count:
                continue
            if not bool(self.maps[name][index].any()):
                self.failed.setdefault(name, NetworkError(_saturated(self.names[index], name)))
            share = count / self.points[name, index]
            self._note(name, f"the score is clamped at {100 * share:.0f} % of the points where gradients are taken")
        maps = {name: stack.to(device) for name, stack in self.maps.items() if name not in self.failed}
        notes = {name: "; ".join(words) for name, words in self.notes.items() if words and name in maps}
        return Explained(maps, self.failed, notes)


def _saturated(image: str, name: str) -> str:
    return (
        f"{name} of image {image} is 0 everywhere, because the network's probability is 0 or 1 there and its logit "
        "clamped: give the network without its last sigmoid or softmax, as output='logit' or 'logits'"
    )


def _as_own(error: Exception) -> TomolensError:
    """An error of a network of one's own as one of ours."""
    if isinstance(error, TomolensError):
        return error
    return NetworkError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _wide(images: Tensor) -> torch.dtype:
    """The type in which means are taken: float32 at least."""
    return torch.promote_types(images.dtype, torch.float32)


def plan(estimators: Mapping[str, Estimator | BlindEstimator], signs: Signs = "class") -> list[_Run]:
    """The distinct probes of some estimators, each with all that read it; those of the plain gradient first."""
    readers: dict[tuple[Probe, bool], list[tuple[str, Estimator, float]]] = {}
    for name, estimator in estimators.items():
        if isinstance(estimator, BlindEstimator):
            continue
        probes = estimator.probes()
        of_class_one = signs == "paper" and not estimator.turned_to_prediction
        for probe in probes:
            readers.setdefault((probe, of_class_one), []).append((name, estimator, 1.0 / len(probes)))
    runs = [_Run(probe, of_class_one, tuple(users)) for (probe, of_class_one), users in readers.items()]
    return sorted(runs, key=lambda run: run.probe.rule != GRADIENT)


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


def _named(estimators: Sequence[AnyEstimator] | AnyEstimator) -> dict[str, Estimator | BlindEstimator]:
    """The estimators by name; several parameterisations of one by what they change."""
    given = [estimators] if isinstance(estimators, str | Estimator | BlindEstimator) else estimators
    made = [make_estimator(one) if isinstance(one, str) else one for one in given]
    several = {name for name, count in Counter(one.name for one in made).items() if count > 1}
    chosen: dict[str, Estimator | BlindEstimator] = {}
    for estimator in made:
        name = _spelled(estimator) if estimator.name in several else estimator.name
        if name in chosen:
            raise SettingsError(f"estimator '{name}' is given twice")
        chosen[name] = estimator
    return chosen


def _spelled(estimator: Any) -> str:
    changed = [
        f"{one.name}={getattr(estimator, one.name)!r}"
        for one in fields(estimator)
        if one.default is MISSING or getattr(estimator, one.name) != one.default
    ]
    return f"{estimator.name}({', '.join(changed)})" if changed else str(estimator.name)


def _check(
    classifier: Classifier,
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
    classifier.intensity.require(images)
    wanted = next((weight.dtype for weight in classifier.network.parameters() if weight.is_floating_point()), None)
    if wanted is not None and wanted != images.dtype:
        raise MapError(f"images are {images.dtype}, the network's weights {wanted}: convert one of them")
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
            classifier.intensity.require(references.images, "references")
