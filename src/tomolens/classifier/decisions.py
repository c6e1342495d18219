"""Decisions asked only where they turn, by a quick backend, checked and audited against the network itself.

Asked: along a line of images that change little by little the network is asked on a coarse grid, and again where that
leaves doubt (`lines`). Checked: the network itself sees the images that the quick backend is least sure of and as many
at random, and every image whose winning score leads by less than twice the bound, which is `SAFETY` times the largest
error of a score seen so far; until no such image is left. An error of exactly 0 says nothing (the outputs may be
clamped): then the network decides everything. Audited: of the decisions that are left to the quick backend, and of
those that were filled in, a random share is made again by the network itself. If any differs, it decides them all. What
was audited and what differed is told, since a check of some images is no proof for the others. `benchmarks/audit.py`
compares all decisions over 70 real slices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .classifier import Classifier
from .lines import Line, coarse, fill_in, in_doubt, leads
from .quick import Quick

COMPARED = 16
"""Images that both see before anything is decided: half of them of the smallest lead, half at random."""
SAFETY = 4.0
"""Largest error to be expected anywhere, in units of the largest one seen."""
AUDITED, FEWEST_AUDITED = 0.02, 8
"""Share of the decisions of each kind that are made again, and how many at least."""
FEWEST = 64
"""Below this many images comparing costs more than the quick backend saves."""

Scores = NDArray[np.float32]
Scorer = Callable[[Sequence[int]], Scores]


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
        filled: how many were filled in, in the end.
        filled_audited: how many of those that were filled in the network made again.
        filled_differed: how many of these came out otherwise.
    """

    classes: NDArray[np.int64]
    bound: float
    images: int
    asked: int
    audited: int = 0
    differed: int = 0
    quick: int = 0
    filled: int = 0
    filled_audited: int = 0
    filled_differed: int = 0


def decide(
    classifier: Classifier,
    make: Callable[[Sequence[int]], Tensor],
    count: int,
    batch_size: int,
    random: np.random.Generator | None = None,
    lines: Sequence[Line] = (),
) -> Decided:
    """The classes of ``count`` images that are made when they are needed.

    Args:
        classifier: decides; its `Classifier.quick` is used where it has one, and lines where it is `sparing`.
        make: images of these numbers, ``(N, C, *spatial)`` on the classifier's device.
        count: of images.
        batch_size: images in memory at a time.
        random: chooses what is compared and audited.
        lines: images that change little by little, in their order; images on none are asked.

    Raises:
        SettingsError: a classifier of several labels.
        NetworkError: see `Classifier.class_scores`.
    """
    if classifier.task == "labels":
        raise SettingsError("decisions are between classes: give one of several labels, classifier.of_label(index)")
    with classifier.frozen(), torch.inference_mode():

        def exact(numbers: Sequence[int]) -> Scores:
            return _in_batches(lambda batch: classifier.class_scores(make(batch)), numbers, batch_size)

        quick = classifier.quick if count >= FEWEST else None
        first = exact if quick is None else _quick_scores(classifier, quick, make)
        deciding = _Deciding(count, first, exact, quick is not None, random or generator("audit"))
        deciding.decide(lines if classifier.sparing else ())
        return deciding.decided()


def _quick_scores(classifier: Classifier, quick: Quick, make: Callable[[Sequence[int]], Tensor]) -> Scorer:
    def scores(numbers: Sequence[int]) -> Tensor:
        raw = quick.outputs(make(numbers))
        # What overflows in bf16 is for the network itself: 0 makes every class win by nothing.
        return classifier.read(torch.where(torch.isfinite(raw), raw, 0.0), len(numbers)).scores

    return lambda numbers: _in_batches(scores, numbers, quick.batch)


@dataclass
class _Deciding:
    """Decisions while they are made.

    Attributes:
        count: of images.
        first: scores by what is asked first: a quick backend, or the network itself.
        exact: scores by the network itself.
        checked: whether what is asked first must be checked.
        random: chooses what is compared and audited.
    """

    count: int
    first: Scorer
    exact: Scorer
    checked: bool
    random: np.random.Generator
    error: float = 0.0
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scores = np.empty((self.count, 0), np.float32)
        self.classes = np.zeros(self.count, np.int64)
        self.asked, self.known = np.zeros(self.count, bool), np.zeros(self.count, bool)
        self.compared = False

    def decide(self, lines: Sequence[Line]) -> None:
        """Ask, check, ask on where checking turned an end of a gap, and audit."""
        on_lines = np.unique(np.concatenate(lines)) if len(lines) else np.empty(0, np.intp)
        self._ask(np.union1d(np.setdiff1d(np.arange(self.count), on_lines), coarse(lines) if len(lines) else on_lines))
        self._settle(lines)
        self.numbers["asked"] = int(self.known.sum()) if self.checked else int(self.asked.sum())
        self._audit_quick(lines)
        self._audit_filled(fill_in(lines, self.classes, self.asked))
        self.numbers["filled"] = int((~self.asked).sum())

    def decided(self) -> Decided:
        """What came of it."""
        quick = int((self.asked & ~self.known).sum()) if self.checked else 0
        return Decided(self.classes, SAFETY * self.error, self.count, quick=quick, **self.numbers)

    def _settle(self, lines: Sequence[Line]) -> None:
        """Ask in gaps and check what was asked, until neither leaves doubt."""
        while True:
            while len(doubtful := in_doubt(lines, self.scores, self.classes, self.asked)):
                self._ask(doubtful)
            if self.checked:
                self._check()
            if not len(in_doubt(lines, self.scores, self.classes, self.asked)):
                return

    def _ask(self, images: Line) -> None:
        found = self.first(images.tolist())
        if not self.scores.shape[1]:
            self.scores = np.zeros((self.count, found.shape[1]), np.float32)
        self.scores[images], self.classes[images], self.asked[images] = found, found.argmax(axis=1), True

    def _ask_itself(self, images: Line) -> Scores:
        true = self.exact(images.tolist())
        self.classes[images], self.known[images] = true.argmax(axis=1), True
        return true

    def _check(self) -> None:
        """Compare with the network itself, and let it decide what is within the bound of the error."""
        lead = leads(self.scores)
        if not self.compared:
            by_lead = np.flatnonzero(self.asked)[np.argsort(lead[self.asked], kind="stable")]
            drawn = self.random.permutation(by_lead[COMPARED // 2 :])[: COMPARED - COMPARED // 2]
            doubtful = np.concatenate([by_lead[: COMPARED // 2], drawn])
            self.compared = True
        else:
            doubtful = self._within_the_bound(lead)
        while len(doubtful):
            self.error = max(self.error, float(np.abs(self._ask_itself(doubtful) - self.scores[doubtful]).max()))
            doubtful = self._within_the_bound(lead)

    def _within_the_bound(self, lead: Scores) -> Line:
        return np.flatnonzero(self.asked & ~self.known & ((lead <= 2 * SAFETY * self.error) | (self.error == 0)))

    def _drawn(self, images: Line) -> Line:
        return self.random.permutation(images)[: max(FEWEST_AUDITED, int(np.ceil(AUDITED * len(images))))]

    def _audit_quick(self, lines: Sequence[Line]) -> None:
        left = np.flatnonzero(self.asked & ~self.known) if self.checked else np.empty(0, np.intp)
        audit = self._drawn(left)
        before = self.classes[audit]
        if len(audit):
            self._ask_itself(audit)
        self.numbers |= {"audited": len(audit), "differed": int((self.classes[audit] != before).sum())}
        if self.numbers["differed"]:
            self._ask_itself(np.flatnonzero(self.asked & ~self.known))
            while len(doubtful := in_doubt(lines, self.scores, self.classes, self.asked)):
                self._ask(doubtful)
                self._ask_itself(doubtful)

    def _audit_filled(self, filled: Line) -> None:
        audit = self._drawn(filled)
        before = self.classes[audit]
        if len(audit):
            self.asked[audit] = True
            self._ask_itself(audit)
        self.numbers |= {"filled_audited": len(audit), "filled_differed": int((self.classes[audit] != before).sum())}
        if self.numbers["filled_differed"]:
            left = np.flatnonzero(~self.asked)
            self.asked[left] = True
            self._ask_itself(left)


def _in_batches(
    scores: Callable[[Sequence[int]], Tensor], numbers: Sequence[int], batch_size: int
) -> NDArray[np.float32]:
    parts = [scores(numbers[start : start + batch_size]) for start in range(0, len(numbers), batch_size)]
    return torch.cat(parts).float().cpu().numpy()
