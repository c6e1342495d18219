"""Decisions by a quick backend, checked and audited against the network itself.

Checked: the network itself sees the images that the quick backend is least sure of and as many at random, and every
image whose winning score leads by less than twice the bound, which is `SAFETY` times the largest error of a score seen
so far; until no such image is left. An error of exactly 0 says nothing (the outputs may be clamped): then the network
decides everything. Audited: of the decisions that are left to the quick backend a random share is made again by the
network itself. If any differs, it decides them all. What was audited and what differed is told, since a check of some
images is no proof for the others. Measured over 70 real slices with each of four quick backends: 0 wrong of 17,220
decisions (`benchmarks/audit.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .classifier import Classifier
from .quick import Quick

COMPARED = 16
"""Images that both see before anything is decided: half of them of the smallest lead, half at random."""
SAFETY = 4.0
"""Largest error to be expected anywhere, in units of the largest one seen."""
AUDITED, FEWEST_AUDITED = 0.02, 8
"""Share of the decisions of the quick backend that are made again, and how many at least."""
FEWEST = 64
"""Below this many images comparing costs more than the quick backend saves."""


@dataclass(frozen=True)
class Decided:
    """Decisions on some images.

    Attributes:
        classes: int64, predicted class of each image.
        bound: of the error of a class score; 0 where no quick backend was tried.
        images: how many there were.
        asked: how many the network itself saw before the audit: compared with the quick backend, or in doubt.
        audited: how many decisions of the quick backend it made again.
        differed: how many of these came out otherwise.
        quick: how many decisions are the quick backend's in the end.
    """

    classes: NDArray[np.int64]
    bound: float
    images: int
    asked: int
    audited: int = 0
    differed: int = 0
    quick: int = 0


def decide(
    classifier: Classifier,
    make: Callable[[Sequence[int]], Tensor],
    count: int,
    batch_size: int,
    random: np.random.Generator | None = None,
) -> Decided:
    """The classes of ``count`` images that are made when they are needed.

    Args:
        classifier: decides; its `Classifier.quick` is used where it has one.
        make: images of these numbers, ``(N, C, *spatial)`` on the classifier's device.
        count: of images.
        batch_size: images in memory at a time.
        random: chooses what is compared and audited.

    Raises:
        SettingsError: a classifier of several labels.
        NetworkError: see `Classifier.class_scores`.
    """
    if classifier.task == "labels":
        raise SettingsError("decisions are between classes: give one of several labels, classifier.of_label(index)")
    with classifier.frozen(), torch.inference_mode():

        def exact(numbers: Sequence[int]) -> NDArray[np.float32]:
            return _in_batches(lambda batch: classifier.class_scores(make(batch)), numbers, batch_size)

        quick = classifier.quick
        if quick is None or count < FEWEST:
            return Decided(exact(range(count)).argmax(axis=1).astype(np.int64), 0.0, count, count)
        return _checked(_quick_scores(classifier, quick, make, count), exact, random or generator("audit"))


def _quick_scores(
    classifier: Classifier, quick: Quick, make: Callable[[Sequence[int]], Tensor], count: int
) -> NDArray[np.float32]:
    def scores(numbers: Sequence[int]) -> Tensor:
        raw = quick.outputs(make(numbers))
        # What overflows in bf16 is for the network itself: 0 makes every class win by nothing.
        return classifier.read(torch.where(torch.isfinite(raw), raw, 0.0), len(numbers)).scores

    return _in_batches(scores, range(count), quick.batch)


def _checked(
    scores: NDArray[np.float32], exact: Callable[[Sequence[int]], NDArray[np.float32]], random: np.random.Generator
) -> Decided:
    count = len(scores)
    ordered = np.sort(scores, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    by_lead = np.argsort(lead, kind="stable")
    classes = scores.argmax(axis=1).astype(np.int64)
    known = np.zeros(count, bool)

    def ask(images: NDArray[np.intp]) -> NDArray[np.float32]:
        true = exact(images.tolist())
        classes[images], known[images] = true.argmax(axis=1), True
        return true

    error = 0.0
    drawn = random.permutation(by_lead[COMPARED // 2 :])[: COMPARED - COMPARED // 2]
    doubtful = np.concatenate([by_lead[: COMPARED // 2], drawn])
    while len(doubtful):
        error = max(error, float(np.abs(ask(doubtful) - scores[doubtful]).max()))
        doubtful = np.flatnonzero(~known & ((lead <= 2 * SAFETY * error) | (error == 0)))
    asked, left = int(known.sum()), np.flatnonzero(~known)
    audit = random.permutation(left)[: max(FEWEST_AUDITED, int(np.ceil(AUDITED * len(left))))]
    differed = 0
    if len(audit):
        before = classes[audit]
        ask(audit)
        differed = int((classes[audit] != before).sum())
        if differed:
            ask(np.flatnonzero(~known))
    return Decided(classes, SAFETY * error, count, asked, len(audit), differed, count - int(known.sum()))


def _in_batches(
    scores: Callable[[Sequence[int]], Tensor], numbers: Sequence[int], batch_size: int
) -> NDArray[np.float32]:
    parts = [scores(numbers[start : start + batch_size]) for start in range(0, len(numbers), batch_size)]
    return torch.cat(parts).float().cpu().numpy()
