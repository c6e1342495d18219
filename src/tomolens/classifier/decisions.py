"""Decisions asked only where they turn, by quick backends, checked and audited against the network itself.

Asked: along a line of images that change little by little the network is asked on a coarse grid, and again where that
leaves doubt (`lines`). Checked: the network itself sees the images that the quick backend is least sure of and as many
at random, and every image whose winning score leads by less than twice the bound, which is `SAFETY` times the largest
error of a score seen so far; until no such image is left. Where there is a finer backend (eight bits have one) it is
asked before the network is, and its own bound tells what is left in doubt. An error of exactly 0 says nothing (the
outputs may be clamped): then the next finer one decides everything. Audited: of the decisions that are left to a quick
backend, and of those that were filled in, a random share is made again by the network itself. If any differs, it
decides them all. What was audited and what differed is told, since a check of some images is no proof for the others.
`benchmarks/audit.py` compares all decisions over 70 real slices.
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
from .quick import SAFETY, Quick

COMPARED = 16
"""Images that both see before anything is decided: half of them of the smallest lead, half at random."""
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
        scores: float32 ``(images, classes)``, by the network itself or the finest backend that was asked; NaN where a
            decision was filled in.
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
    scores: Scores = field(default_factory=lambda: np.empty((0, 0), np.float32))


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

        quick, scorers = classifier.quick if count >= FEWEST else None, []
        while quick is not None:
            scorers.append(_quick_scores(classifier, quick, make))
            quick = quick.finer
        deciding = _Deciding(count, (*scorers, exact), random or generator("audit"))
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
        scorers: from numbers of images to their scores, the roughest first and the network itself last.
        random: chooses what is compared and audited.
    """

    count: int
    scorers: Sequence[Scorer]
    random: np.random.Generator
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = len(self.scorers) - 1
        self.scores = [np.full((self.count, 0), np.nan, np.float32) for _ in self.scorers]
        self.errors = np.zeros(self.last)
        self.classes = np.zeros(self.count, np.int64)
        self.by = np.full(self.count, -1)  # which scorer decided; -1 where none was asked
        self.compared = False

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Which images were."""
        return self.by >= 0

    def decide(self, lines: Sequence[Line]) -> None:
        """Ask, check, ask on where checking turned an end of a gap, and audit."""
        on_lines = np.unique(np.concatenate(lines)) if len(lines) else np.empty(0, np.intp)
        self._ask(np.union1d(np.setdiff1d(np.arange(self.count), on_lines), coarse(lines) if len(lines) else on_lines))
        self._settle(lines)
        self.numbers["asked"] = int((self.by == self.last).sum())
        self._audit_quick(lines)
        self._audit_filled(fill_in(lines, self.classes, self.asked))
        self.numbers["filled"] = int((~self.asked).sum())

    def decided(self) -> Decided:
        """What came of it."""
        quick = int((self.asked & (self.by < self.last)).sum())
        bound = SAFETY * float(self.errors[0]) if self.last else 0.0
        return Decided(self.classes, bound, self.count, quick=quick, scores=self._known(), **self.numbers)

    def _known(self) -> Scores:
        """The finest scores there are of each image."""
        known = np.full((self.count, max(one.shape[1] for one in self.scores)), np.nan, np.float32)
        for found in self.scores:
            if found.shape[1]:
                known = np.where(np.isnan(found), known, found)
        return known

    def _settle(self, lines: Sequence[Line]) -> None:
        """Ask in gaps and check what was asked, until neither leaves doubt."""
        while True:
            while len(doubtful := self._in_doubt(lines)):
                self._ask(doubtful)
            if self.last:
                self._check()
            if not len(self._in_doubt(lines)):
                return

    def _in_doubt(self, lines: Sequence[Line]) -> Line:
        error = float(self.errors[0]) if self.last else 0.0
        return in_doubt(lines, self.scores[0], self.classes, self.asked, error)

    def _ask(self, images: Line, scorer: int = 0) -> None:
        """Let a scorer decide images, and learn from it what the rougher ones miss."""
        if not len(images):
            return
        found = self.scorers[scorer](images.tolist())
        if not self.scores[scorer].shape[1]:
            self.scores[scorer] = np.full((self.count, found.shape[1]), np.nan, np.float32)
        self.scores[scorer][images] = found
        self.classes[images], self.by[images] = found.argmax(axis=1), scorer
        for rougher in range(scorer):
            if self.scores[rougher].shape[1]:
                missed = np.abs(found - self.scores[rougher][images])
                own = 0.0 if scorer == self.last else self.errors[scorer]
                self.errors[rougher] = max(self.errors[rougher], float(np.nanmax(missed, initial=0.0)) + own)

    def _check(self) -> None:
        """Compare with the network itself, and let the next finer one decide what is within the bound of the error."""
        if not self.compared:
            lead = leads(self.scores[0])
            by_lead = np.flatnonzero(self.asked)[np.argsort(lead[self.asked], kind="stable")]
            drawn = self.random.permutation(by_lead[COMPARED // 2 :])[: COMPARED - COMPARED // 2]
            for scorer in range(1, self.last + 1):
                self._ask(np.concatenate([by_lead[: COMPARED // 2], drawn]), scorer)
            self.compared = True
        while any(len(self._within_the_bound(scorer)) for scorer in range(self.last)):
            for scorer in range(self.last):
                self._ask(self._within_the_bound(scorer), scorer + 1)

    def _within_the_bound(self, scorer: int) -> Line:
        """What a scorer decided and may have decided wrongly."""
        of_it: Line = np.flatnonzero(self.by == scorer)
        if not len(of_it) or self.errors[scorer] == 0:
            return of_it
        doubtful: Line = of_it[leads(self.scores[scorer][of_it]) <= 2 * SAFETY * self.errors[scorer]]
        return doubtful

    def _drawn(self, images: Line) -> Line:
        return self.random.permutation(images)[: max(FEWEST_AUDITED, int(np.ceil(AUDITED * len(images))))]

    def _audit_quick(self, lines: Sequence[Line]) -> None:
        audit = self._drawn(np.flatnonzero(self.asked & (self.by < self.last)))
        before = self.classes[audit]
        self._ask(audit, self.last)
        self.numbers |= {"audited": len(audit), "differed": int((self.classes[audit] != before).sum())}
        if self.numbers["differed"]:
            self._ask(np.flatnonzero(self.asked & (self.by < self.last)), self.last)
            while len(doubtful := self._in_doubt(lines)):
                self._ask(doubtful)
                self._ask(doubtful, self.last)

    def _audit_filled(self, filled: Line) -> None:
        audit = self._drawn(filled)
        before = self.classes[audit]
        self._ask(audit, self.last)
        self.numbers |= {"filled_audited": len(audit), "filled_differed": int((self.classes[audit] != before).sum())}
        if self.numbers["filled_differed"]:
            self._ask(np.flatnonzero(~self.asked), self.last)


def _in_batches(
    scores: Callable[[Sequence[int]], Tensor], numbers: Sequence[int], batch_size: int
) -> NDArray[np.float32]:
    parts = [scores(numbers[start : start + batch_size]) for start in range(0, len(numbers), batch_size)]
    return torch.cat(parts).float().cpu().numpy()
