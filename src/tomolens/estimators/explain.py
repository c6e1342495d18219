"""`explain`: importance maps of images by several estimators, whose gradients are taken together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..errors import MapError, SettingsError
from ..randomness import draw_names
from .estimators import BlindEstimator, Estimator, make_estimator
from .making import Explained, Making, wide
from .probes import References, Subject
from .schedule import Signs, batches, items, needs_references, plan

AnyEstimator = str | Estimator | BlindEstimator


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
        making = Making(classifier, {name: torch.zeros_like(placed, dtype=wide(placed)) for name in chosen}, names)
        for index, subject in enumerate(subjects):
            for name, estimator in chosen.items():
                if isinstance(estimator, BlindEstimator):
                    making.draw(name, index, estimator, subject)
        for batch in batches(items(subjects, plan(chosen, signs), classes), batch_size):
            making.add(batch)
    return making.explained(images.device)


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
