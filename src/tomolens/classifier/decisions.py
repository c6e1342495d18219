"""Decisions by a quick way, with those that its error could turn made again by the network itself.

The bound: the largest error of any class score on the images that both ways have seen, times `SAFETY`. An image whose
winning score leads by less than twice the bound is shown to the network itself; its error counts for the bound from
then on, until no such image is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .classifier import Classifier
from .quick import Quick

COMPARED = 16
"""Images that both ways see before anything is decided."""
SAFETY = 4.0
"""Largest error to be expected anywhere, in units of the largest one seen on `COMPARED` images."""
FEWEST = 64
"""Below this many images comparing costs more than the quick way saves."""


@dataclass(frozen=True)
class Decided:
    """Decisions on some images.

    Attributes:
        classes: int64 ``(N,)``, as the network itself decides.
        bound: of the error of a class score; 0 where the network decided everything.
        checked: how many images the network itself saw.
    """

    classes: NDArray[np.int64]
    bound: float
    checked: int


def decide(classifier: Classifier, make: Callable[[Sequence[int]], Tensor], count: int, batch_size: int) -> Decided:
    """The classes of ``count`` images that are made when they are needed.

    Args:
        classifier: decides; its `Classifier.quick` is used where it has one.
        make: images of these numbers, ``(N, C, *spatial)`` on the classifier's device.
        count: of images.
        batch_size: images in memory at a time.

    Raises:
        NetworkError: see `Classifier.class_scores`.
    """
    with classifier.frozen(), torch.inference_mode():

        def exact(numbers: Sequence[int]) -> NDArray[np.float32]:
            return _in_batches(lambda batch: classifier.class_scores(make(batch)), numbers, batch_size)

        quick = classifier.quick
        if quick is None or count < FEWEST:
            return Decided(exact(range(count)).argmax(axis=1).astype(np.int64), 0.0, count)
        return _checked(_quick_scores(classifier, quick, make, count), exact)


def _quick_scores(
    classifier: Classifier, quick: Quick, make: Callable[[Sequence[int]], Tensor], count: int
) -> NDArray[np.float32]:
    def scores(numbers: Sequence[int]) -> Tensor:
        raw = quick.outputs(make(numbers))
        # What overflows in bf16 is for the network itself: 0 makes every class win by nothing.
        return classifier.read(torch.where(torch.isfinite(raw), raw, 0.0), len(numbers))

    return _in_batches(scores, range(count), quick.batch)


def _checked(scores: NDArray[np.float32], exact: Callable[[Sequence[int]], NDArray[np.float32]]) -> Decided:
    count = len(scores)
    ordered = np.sort(scores, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    sure = np.zeros(count, bool)
    classes = scores.argmax(axis=1).astype(np.int64)
    error = 0.0
    asked = np.unique(np.linspace(0, count - 1, COMPARED).astype(np.intp))
    while len(asked):
        true = exact(asked.tolist())
        error = max(error, float(np.abs(true - scores[asked]).max()))
        classes[asked], sure[asked] = true.argmax(axis=1), True
        asked = np.flatnonzero(~sure & (lead <= 2 * SAFETY * error))
    return Decided(classes, SAFETY * error, int(sure.sum()))


def _in_batches(
    scores: Callable[[Sequence[int]], Tensor], numbers: Sequence[int], batch_size: int
) -> NDArray[np.float32]:
    parts = [scores(numbers[start : start + batch_size]) for start in range(0, len(numbers), batch_size)]
    return torch.cat(parts).float().cpu().numpy()
