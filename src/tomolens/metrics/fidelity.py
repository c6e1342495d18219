"""Metric 1, the model's view: how masking pixels in the order of a map changes the network's decisions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..classifier.decisions import decide
from ..errors import MapError, SettingsError
from ..randomness import draw_names
from .ranked import RankedMap, count_at, rank_map

Fill = Literal["label"] | float
"""Value of masked pixels: ``label`` is the paper's, 0 where the case is of class 1 and 1 where not."""


@dataclass(frozen=True)
class Fidelity:
    """Perturbation curves of one estimator over some cases, and the area between them.

    Attributes:
        fractions: share of the pixels masked at each point, ``(41,)``.
        most_important_first: accuracy at each point, averaged over the classes, ``(41,)``.
        least_important_first: likewise.
        area: fidelity F, area from the first curve up to the second, -1..1; the paper prints 10 F.
        decisions: predicted classes, int64 ``(N, 2, 41)``: most important first, then least.
    """

    fractions: NDArray[np.float64]
    most_important_first: NDArray[np.float64]
    least_important_first: NDArray[np.float64]
    area: float
    decisions: NDArray[np.int64]


def fidelity(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor | NDArray[np.int64] | Sequence[int],
    maps: Tensor,
    *,
    fill: Fill = "label",
    steps: int = 40,
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
) -> Fidelity:
    """Fidelity of one estimator's maps (protocol, metric 1).

    Args:
        classifier: makes the decisions.
        images: ``(N, C, *spatial)`` in [0, 1].
        labels: true class of each image, ``(N,)``.
        maps: ``(N, C, *spatial)``, as they are or their absolute values.
        fill: value of masked pixels.
        steps: the image is masked in so many equal steps.
        seed: of the order of ties.
        names: identifies each image in that order; its position by default.
        batch_size: images the network sees at a time.

    Raises:
        MapError: shapes that differ, or maps that are not finite.
        SettingsError: a fill by label with other than two classes.
    """
    truth = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels, dtype=np.int64)
    if maps.shape != images.shape or truth.shape != (len(images),):
        raise MapError(
            f"maps of {tuple(maps.shape)} and labels of {truth.shape} for images of {tuple(images.shape)}: "
            "maps must have the images' shape, labels one value an image"
        )
    decisions = np.stack(
        [
            masked_decisions(
                classifier,
                image,
                [rank_map(importance, seed=seed, name=name)],
                fill_value(fill, int(label)),
                steps,
                batch_size,
            )[0]
            for image, importance, label, name in zip(images, maps, truth, draw_names(names, len(images)), strict=True)
        ]
    )
    correct = decisions == truth[:, None, None]
    curves = np.mean([correct[truth == label].mean(axis=0) for label in np.unique(truth)], axis=0)
    fractions = masked_fractions(steps)
    return Fidelity(fractions, curves[0], curves[1], area_between(curves[0], curves[1]), decisions)


def masked_fractions(steps: int) -> NDArray[np.float64]:
    """Share of the pixels masked at each of ``steps + 1`` points."""
    return np.linspace(0.0, 1.0, steps + 1)


def masked_images(steps: int) -> int:
    """At most so many distinct masked images of one estimator: two orders of two maps, without their common ends."""
    return 2 * 2 * (steps - 1)


def area_between(most_important_first: NDArray[np.floating], least_important_first: NDArray[np.floating]) -> float:
    """Area from the first curve up to the second over equally spaced points from 0 to 1, trapezoid rule."""
    difference = np.asarray(least_important_first, dtype=np.float64) - np.asarray(
        most_important_first, dtype=np.float64
    )
    return float(np.trapezoid(difference, dx=1.0 / (len(difference) - 1)))


def fill_value(fill: Fill, label: int) -> float:
    """The value of masked pixels for a case of class ``label``.

    Raises:
        SettingsError: ``label`` for a class other than 0 and 1, or an unknown fill.
    """
    if fill == "label":
        if label not in (0, 1):
            raise SettingsError(f"fill = 'label' is defined for the classes 0 and 1, the case is of class {label}")
        return 1.0 - label
    if isinstance(fill, str):
        raise SettingsError(f"fill '{fill}', expected 'label' or a number")
    return float(fill)


def masked_decisions(
    classifier: Classifier, image: Tensor, rankings: Sequence[RankedMap], fill: float, steps: int, batch_size: int
) -> NDArray[np.int64]:
    """Decisions on an image masked step by step in the order of each of several maps.

    Masked images that come out equal, because a step covered only pixels that had the fill's value already or
    because nothing or everything is masked, are shown to the network once.

    Args:
        classifier: makes the decisions.
        image: ``(C, *spatial)``.
        rankings: of maps on the image's grid.
        fill: value of masked pixels.
        steps: number of equal steps.
        batch_size: images the network sees at a time.

    Returns:
        Predicted classes, int64 ``(maps, 2, steps + 1)``: most important first, then least.
    """
    pixels = image[0].numel()
    for ranked in rankings:
        if ranked.shape != tuple(image.shape[1:]):
            raise MapError(
                f"importance map of {ranked.shape}, image of {tuple(image.shape[1:])}: they must be the same"
            )
    counts = [count_at(fraction, pixels) for fraction in masked_fractions(steps)]
    changes = (image != fill).any(dim=0).flatten().cpu().numpy()
    wanted: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    slots = np.empty((len(rankings), 2, len(counts)), dtype=np.int64)
    places: dict[tuple[int, int, int], int] = {}
    for m, ranked in enumerate(rankings):
        for way, order in enumerate((ranked.order[::-1], ranked.order)):
            changed = np.concatenate([[0], np.cumsum(changes[order])])
            for step, count in enumerate(counts):
                ends = changed[count] in (0, changed[-1])
                key = (-1, -1, int(changed[count])) if ends else (m, way, int(changed[count]))
                slots[m, way, step] = places.setdefault(key, len(places))
                wanted.setdefault(key, (m, way, count))
    decided = decide(
        classifier, _masker(image.to(classifier.device), rankings, list(wanted.values()), fill), len(wanted), batch_size
    )
    return decided.classes[slots]


def _masker(
    image: Tensor, rankings: Sequence[RankedMap], wanted: Sequence[tuple[int, int, int]], fill: float
) -> Callable[[Sequence[int]], Tensor]:
    """Makes the image with its first ``count`` pixels masked, on the device, by comparing ranks."""
    pixels = image[0].numel()

    @lru_cache(maxsize=2)  # images of one map follow one another
    def ranks(m: int) -> Tensor:
        return torch.from_numpy(rankings[m].ranks).to(image.device).reshape(image.shape[1:])

    def make(numbers: Sequence[int]) -> Tensor:
        batch = []
        for m, way, count in (wanted[number] for number in numbers):
            hidden = ranks(m) >= pixels - count if way == 0 else ranks(m) < count
            batch.append(image.masked_fill(hidden[None], fill))
        return torch.stack(batch)

    return make
