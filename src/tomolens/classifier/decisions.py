"""Decisions asked only where they turn, by quick backends, checked and audited against the network itself.

Asked: along a line of images that change little by little the network is asked on a coarse grid, and again where that
leaves doubt (`lines`). Checked: the network itself sees the images that the quick backend is least sure of and as many
at random, and every image whose winning score leads by less than twice the bound, which is `SAFETY` times the largest
error of a score seen so far, on masked training images too where there are any; until no such image is left. Where
there is a finer backend (eight bits have one) it is asked before the network is, and its own bound tells what is left
in doubt. An error of exactly 0 says nothing (the outputs may be clamped): then the next finer one decides everything.
Of the decisions that are to be filled in the network itself sees those of the smallest lead against how fast scores
change; where one of these comes out otherwise, doubt reaches twice as far along all lines of the case, until none does.
Audited: of the decisions that are left to a quick backend, and of those that were filled in, a random share is made
again by the network itself. If any differs, it decides them all. What was audited and what differed is told, since a
check of some images is no proof for the others. `benchmarks/audit.py` compares all decisions over 70 real slices.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .classifier import Classifier
from .lines import REACH, Gaps, Line, coarse, fill_in, leads
from .quick import SAFETY, Quick

COMPARED = 16
"""Images that both see before anything is decided: half of them of the smallest lead, half at random."""
COMPARED_ANEW = 4
"""As many where the errors of the quick backend were seen on masked training images already."""
TIGHTEST = 4
"""Decisions that are to be filled in and that the network itself makes, those of the smallest lead first."""
AUDITED, FEWEST_AUDITED = 0.01, 4
"""Share of the decisions of each kind that are made again, and how many at least."""
FEWEST = 64
"""Below this many images comparing costs more than the quick backend saves."""

Scores = NDArray[np.float32]
Scorer = Callable[[Sequence[tuple[int, int]]], Scores]
"""From images, each by the number of its undecided and its own, to their scores."""
Asking = Generator[tuple[int, Line], Scores]
"""Asks a scorer, by its number, for the scores of images, and goes on when it is given them."""


@dataclass(frozen=True)
class Undecided:
    """Images of one case on which decisions are wanted.

    Attributes:
        make: images of these numbers, ``(N, C, *spatial)`` on the classifier's device, made when they are needed.
        count: of images.
        random: chooses what is compared and audited.
        lines: images that change little by little, in their order; images on none are asked.
    """

    make: Callable[[Sequence[int]], Tensor]
    count: int
    random: np.random.Generator | None = None
    lines: Sequence[Line] = ()


@dataclass(frozen=True)
class Decided:
    """Decisions on some images.

    Attributes:
        classes: int64, predicted class of each image.
        bound: of the error of a class score; 0 where no quick backend was tried.
        images: how many there were.
        asked: how many the network itself saw before the audit: compared, in doubt, or the tightest of the filled in.
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
    """The classes of ``count`` images of one case, see `Undecided` and `decide_together`."""
    return decide_together(classifier, [Undecided(make, count, random, lines)], batch_size)[0]


def decide_together(classifier: Classifier, undecided: Sequence[Undecided], batch_size: int) -> list[Decided]:
    """Decisions on the images of several cases, asked in common batches and each checked and audited on its own.

    Args:
        classifier: decides; its `Classifier.quick` is used where it has one, and lines where it is `sparing`.
        undecided: images of each case.
        batch_size: images in memory at a time.

    Raises:
        SettingsError: a classifier of several labels.
        NetworkError: see `Classifier.class_scores`.
    """
    if classifier.task == "labels":
        raise SettingsError("decisions are between classes: give one of several labels, classifier.of_label(index)")

    def make(asked: Sequence[tuple[int, int]]) -> Tensor:
        of_case: dict[int, list[int]] = {}
        for case, number in asked:
            of_case.setdefault(case, []).append(number)
        made = [undecided[case].make(numbers) for case, numbers in of_case.items()]
        return made[0] if len(made) == 1 else torch.cat(made)

    with classifier.frozen(), torch.inference_mode():

        def exact(asked: Sequence[tuple[int, int]]) -> Scores:
            return _in_batches(lambda batch: classifier.class_scores(make(batch)), asked, batch_size)

        backends: list[Quick] = []
        quick = classifier.quick
        while quick is not None:
            backends.append(quick)
            quick = quick.finer
        scorers = [*(_quick_scores(classifier, one, make) for one in backends), exact]
        deciding = []
        for one in undecided:
            skipped = 0 if one.count >= FEWEST else len(backends)
            errors = [backend.error for backend in backends[skipped:]]
            deciding.append(_Deciding(one.count, errors, one.random or generator("audit"), skipped))
        lines = [one.lines if classifier.sparing else () for one in undecided]
        _answer([one.decide(of_it) for one, of_it in zip(deciding, lines, strict=True)], scorers)
    return [one.decided() for one in deciding]


def _answer(asking: Sequence[Asking], scorers: Sequence[Scorer]) -> None:
    """Let all go on together: what several of them ask of one scorer is answered at once."""
    waiting = {case: asked for case, one in enumerate(asking) if (asked := next(one, None)) is not None}
    while waiting:
        scorer = min(scorer for scorer, _ in waiting.values())
        cases = [case for case, (asked, _) in waiting.items() if asked == scorer]
        scores = scorers[scorer]([(case, number) for case in cases for number in waiting[case][1].tolist()])
        start = 0
        for case in cases:
            count = len(waiting.pop(case)[1])
            with suppress(StopIteration):
                waiting[case] = asking[case].send(scores[start : start + count])
            start += count


def _quick_scores(classifier: Classifier, quick: Quick, make: Callable[[Sequence[tuple[int, int]]], Tensor]) -> Scorer:
    def scores(asked: Sequence[tuple[int, int]]) -> Tensor:
        raw = quick.outputs(make(asked))
        # What overflows in bf16 is for the network itself: where all are 0 every class wins by nothing.
        overflows = ~torch.isfinite(raw).reshape(len(raw), -1).all(dim=1)
        return classifier.read(raw.masked_fill(overflows.reshape(-1, *[1] * (raw.ndim - 1)), 0.0), len(asked)).scores

    return lambda asked: _in_batches(scores, asked, quick.batch)


@dataclass
class _Deciding:
    """Decisions on the images of one case while they are made.

    Attributes:
        count: of images.
        seen: largest error of a score that each quick backend made elsewhere, the roughest first; 0 where none was
            seen.
        random: chooses what is compared and audited.
        skipped: so many of the roughest scorers are not asked.
    """

    count: int
    seen: Sequence[float]
    random: np.random.Generator
    skipped: int = 0
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = len(self.seen)
        self.scores = [np.full((self.count, 0), np.nan, np.float32) for _ in range(self.last + 1)]
        self.errors = np.array(self.seen, dtype=float)
        self.classes = np.zeros(self.count, np.int64)
        self.by = np.full(self.count, -1)  # which scorer decided; -1 where none was asked
        self.compared = False
        self.reach = REACH

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Which images were."""
        return self.by >= 0

    def decide(self, lines: Sequence[Line]) -> Asking:
        """Ask, check, ask on where checking turned an end of a gap, and audit."""
        on_lines = np.unique(np.concatenate(lines)) if len(lines) else np.empty(0, np.intp)
        first = np.union1d(np.setdiff1d(np.arange(self.count), on_lines), coarse(lines) if len(lines) else on_lines)
        yield from self._ask(first)
        yield from self._settle(lines)
        yield from self._check_tightest(lines)
        self.numbers["asked"] = int((self.by == self.last).sum())
        yield from self._audit_quick(lines)
        yield from self._audit_filled(fill_in(lines, self.classes, self.asked))
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

    def _settle(self, lines: Sequence[Line]) -> Asking:
        """Ask in gaps and check what was asked, until neither leaves doubt."""
        while True:
            while len(doubtful := self._in_doubt(lines)):
                yield from self._ask(doubtful)
            if self.last:
                yield from self._check()
            if not len(self._in_doubt(lines)):
                return

    def _in_doubt(self, lines: Sequence[Line]) -> Line:
        error = float(self.errors[0]) if self.last else 0.0
        return self._gaps(lines).in_doubt(error, self.reach)

    def _gaps(self, lines: Sequence[Line]) -> Gaps:
        return Gaps.of(lines, self.scores[0], self.classes, self.asked)

    def _ask(self, images: Line, scorer: int = 0) -> Asking:
        """Let a scorer decide images, and learn from it what the rougher ones miss."""
        if not len(images):
            return
        found = yield scorer + self.skipped, images
        if not self.scores[scorer].shape[1]:
            self.scores[scorer] = np.full((self.count, found.shape[1]), np.nan, np.float32)
        self.scores[scorer][images] = found
        self.classes[images], self.by[images] = found.argmax(axis=1), scorer
        for rougher in range(scorer):
            if self.scores[rougher].shape[1]:
                missed = np.abs(found - self.scores[rougher][images])
                own = 0.0 if scorer == self.last else self.errors[scorer]
                self.errors[rougher] = max(self.errors[rougher], float(np.nanmax(missed, initial=0.0)) + own)

    def _check(self) -> Asking:
        """Compare with the network itself, and let the next finer one decide what is within the bound of the error."""
        if not self.compared:
            count = COMPARED_ANEW if all(error > 0 for error in self.seen) else COMPARED
            lead = leads(self.scores[0])
            by_lead = np.flatnonzero(self.asked)[np.argsort(lead[self.asked], kind="stable")]
            drawn = self.random.permutation(by_lead[count // 2 :])[: count - count // 2]
            for scorer in range(1, self.last + 1):
                yield from self._ask(np.concatenate([by_lead[: count // 2], drawn]), scorer)
            self.compared = True
        while any(len(self._within_the_bound(scorer)) for scorer in range(self.last)):
            for scorer in range(self.last):
                yield from self._ask(self._within_the_bound(scorer), scorer + 1)

    def _check_tightest(self, lines: Sequence[Line]) -> Asking:
        """Let the network itself see what is nearest to doubt; where that turns, doubt reaches twice as far."""
        while len(tight := self._gaps(lines).tightest(TIGHTEST)):
            fill_in(lines, self.classes, self.asked)
            filled = self.classes[tight]
            yield from self._ask_all(tight)
            turned = not np.array_equal(self.classes[tight], filled)
            self.reach *= 2.0 if turned else 1.0
            yield from self._settle(lines)  # what was seen may leave doubt beside it
            if not turned:
                return

    def _ask_all(self, images: Line) -> Asking:
        """Ask the network itself, and the roughest before it, whose scores tell what is in doubt beside them."""
        yield from self._ask(images)
        if self.last:
            yield from self._ask(images, self.last)

    def _within_the_bound(self, scorer: int) -> Line:
        """What a scorer decided and may have decided wrongly."""
        of_it: Line = np.flatnonzero(self.by == scorer)
        if not len(of_it) or self.errors[scorer] == 0:
            return of_it
        doubtful: Line = of_it[leads(self.scores[scorer][of_it]) <= 2 * SAFETY * self.errors[scorer]]
        return doubtful

    def _drawn(self, images: Line) -> Line:
        return self.random.permutation(images)[: max(FEWEST_AUDITED, int(np.ceil(AUDITED * len(images))))]

    def _audit_quick(self, lines: Sequence[Line]) -> Asking:
        audit = self._drawn(np.flatnonzero(self.asked & (self.by < self.last)))
        before = self.classes[audit]
        yield from self._ask(audit, self.last)
        self.numbers |= {"audited": len(audit), "differed": int((self.classes[audit] != before).sum())}
        if self.numbers["differed"]:
            yield from self._ask(np.flatnonzero(self.asked & (self.by < self.last)), self.last)
            while len(doubtful := self._in_doubt(lines)):
                yield from self._ask_all(doubtful)

    def _audit_filled(self, filled: Line) -> Asking:
        audit = self._drawn(filled)
        before = self.classes[audit]
        yield from self._ask(audit, self.last)
        self.numbers |= {"filled_audited": len(audit), "filled_differed": int((self.classes[audit] != before).sum())}
        if self.numbers["filled_differed"]:
            yield from self._ask(np.flatnonzero(~self.asked), self.last)


def _in_batches(
    scores: Callable[[Sequence[tuple[int, int]]], Tensor], asked: Sequence[tuple[int, int]], batch_size: int
) -> Scores:
    parts = [scores(asked[start : start + batch_size]) for start in range(0, len(asked), batch_size)]
    return torch.cat(parts).float().cpu().numpy()
