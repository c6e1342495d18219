"""Questions of many estimators about many images, answered in full batches; equal ones of a round once.

Estimators are started image by image, and only as far as it takes to fill a batch, so that what waits stays small.
Answers reach an estimator in the order of its questions of each kind, whatever else is in the batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import MapError, SettingsError, TomolensError, is_out_of_memory, reason_of
from .answers import Answers, copied
from .questions import Asking, Importance, Kind, Question, Round
from .subject import Subject

Key = tuple[int, int, Question]
"""Index of the image, explained class, and what is asked."""


@dataclass(eq=False)
class Work:
    """An estimator at work on one image.

    Attributes:
        name: of the estimator.
        index: of the image.
        subject: the image, with the class that this estimator explains.
        asking: yields rounds.
        most: questions that it may ask: as many as it states.
        asked: questions so far.
        derived: of them, how many gradients were answered.
        clamped: of these, how many where the score is clamped.
    """

    name: str
    index: int
    subject: Subject
    asking: Asking
    most: Callable[[], int]
    asked: int = 0
    derived: int = 0
    clamped: int = 0
    _round: Round | None = None
    _left: int = 0
    _order: dict[Kind, list[int]] = field(default_factory=dict)
    _early: dict[int, Any] = field(default_factory=dict)

    def begin(self, asked: Round) -> None:
        """Wait for the answers of a round.

        Raises:
            SettingsError: a round without questions, or more than the estimator states.
        """
        self.asked, most = self.asked + len(asked.questions), self.most()
        if not asked.questions or self.asked > most:
            found = f"{self.asked} questions" if asked.questions else "nothing in a round"
            raise SettingsError(
                f"estimator '{self.name}' states that it asks {most} questions at most, and asks {found}"
            )
        self._round, self._left = asked, len(asked.questions)
        self._order, self._early = {}, {}
        for number, question in enumerate(asked.questions):
            self._order.setdefault(question.kind, []).append(number)
        for numbers in self._order.values():
            numbers.reverse()

    def take(self, number: int, kind: Kind, answer: Any) -> bool:
        """Hand on an answer in its turn; returns whether it was the last of the round."""
        assert self._round is not None
        waiting = self._order[kind]
        self._early[number] = answer
        while waiting and waiting[-1] in self._early:
            turn = waiting.pop()
            self._round.take(turn, self._early.pop(turn))
            self._left -= 1
        return self._left == 0


@dataclass
class Schedule:
    """All that waits for answers.

    Attributes:
        answer: answers questions of one kind about some points.
        batch_size: questions answered at a time; halved where that does not fit in memory.
        done: told of each map that is made.
        failed: told of each failure.
        note: told what must be said beside an estimator's maps.
        alive: whether an estimator, by its name, has not failed on any image.
        spare: asked where a single question does not fit in memory: whether it can be tried again with less.
    """

    answer: Callable[[Kind, Sequence[tuple[Subject, Question]]], Answers]
    batch_size: int
    done: Callable[[Work, Tensor | Importance], None]
    failed: Callable[[Work, Exception], None]
    note: Callable[[Work, Sequence[str]], None]
    alive: Callable[[str], bool]
    spare: Callable[[], bool] = lambda: False
    _queues: dict[Kind, dict[Key, list[tuple[Work, int]]]] = field(default_factory=dict)

    def run(self, works: Iterable[Iterable[Work]]) -> None:
        """Do all the work; ``works`` are those of one image after the other, made when they are begun."""
        images = iter(works)
        while True:
            kind = next((kind for kind, waiting in self._queues.items() if len(waiting) >= self.batch_size), None)
            if kind is None:
                more = next(images, None)
                if more is not None:
                    for work in more:
                        self._go_on(work)
                    continue
                kind = next((kind for kind, waiting in self._queues.items() if waiting), None)
            if kind is None:
                return
            self._answer_batch(kind)

    def _go_on(self, work: Work) -> None:
        """Let an estimator ask its next round, or return its map."""
        try:
            try:
                asked = next(work.asking)
            except StopIteration as made:
                self.done(work, made.value)
                return
            work.begin(asked)
            for number, question in enumerate(asked.questions):
                key = (work.index, work.subject.target, question)
                self._queues.setdefault(question.kind, {}).setdefault(key, []).append((work, number))
        except Exception as error:  # an estimator of one's own may raise anything
            self.failed(work, _of(work, error))

    def _answer_batch(self, kind: Kind) -> None:
        waiting = self._queues[kind]
        batch: dict[Key, list[tuple[Work, int]]] = {}
        while waiting and len(batch) < self.batch_size:
            key = next(iter(waiting))
            readers = [(work, number) for work, number in waiting.pop(key) if self.alive(work.name)]
            if readers:
                batch[key] = readers
        if batch:
            self._answer(kind, batch)

    def _answer(self, kind: Kind, batch: Mapping[Key, list[tuple[Work, int]]]) -> None:
        """Answer a batch; where that fails, one by one, so that each failure is its estimators' own."""
        try:
            given = self.answer(kind, [(readers[0][0].subject, key[2]) for key, readers in batch.items()])
        except Exception as error:
            if is_out_of_memory(error):
                if len(batch) > 1:
                    self._answer_halves(kind, batch)
                elif self.spare():
                    self._answer(kind, batch)
                else:
                    raise
                return
            if len(batch) > 1:
                for key, readers in batch.items():
                    self._answer(kind, {key: readers})
                return
            for work, _ in (reader for readers in batch.values() for reader in readers):
                self.failed(work, error)
            return
        for (_, readers), value, clamped in zip(batch.items(), given.values, given.clamped, strict=True):
            for work, number in readers:
                own = copied(value) if len(readers) > 1 else value  # what one does to it is not the others'
                self._hand_on(work, number, kind, own, clamped, given.notes)

    def _answer_halves(self, kind: Kind, batch: Mapping[Key, list[tuple[Work, int]]]) -> None:
        """Answer a batch that did not fit in memory in parts; no later one is larger, and no number depends on it."""
        self.batch_size = max(1, len(batch) // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        keys = list(batch)
        while keys:
            part, keys = keys[: self.batch_size], keys[self.batch_size :]
            self._answer(kind, {key: batch[key] for key in part})

    def _hand_on(self, work: Work, number: int, kind: Kind, value: Any, clamped: bool, notes: Sequence[str]) -> None:
        if not self.alive(work.name):
            return
        self.note(work, notes)
        if kind.asks != "scores":
            work.derived, work.clamped = work.derived + 1, work.clamped + clamped
        try:
            last = work.take(number, kind, value)
        except Exception as error:
            self.failed(work, _of(work, error))
            return
        if last:
            self._go_on(work)


def _of(work: Work, error: Exception) -> Exception:
    """An error of an estimator's own, with its name; ours say what they are of."""
    if isinstance(error, TomolensError):
        return error
    return MapError(f"estimator '{work.name}' raised {reason_of(error)}")
