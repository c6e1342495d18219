"""Any estimator, averaged over noisy copies of the image: ``smooth:guided-backpropagation``."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..errors import SettingsError
from .estimator import Cost, Estimator, is_blind, require_numbers
from .points import Point, WithNoise
from .questions import Asking, Importance, Question, Round
from .subject import Need, Subject

PREFIX = "smooth:"
AT_ONCE = 8
"""Copies whose questions are asked together, so that batches fill and few maps are kept."""


@dataclass(frozen=True)
class OfCopy:
    """A point of a noisy copy of the image."""

    point: Point
    noise: WithNoise

    def image(self, subject: Subject) -> Tensor:
        """The point, seen from the copy."""
        return self.point.image(copy_of(subject, self.noise))


def copy_of(subject: Subject, noise: WithNoise) -> Subject:
    """The image with noise, whose own random draws are others than those of other copies."""
    return replace(subject, image=noise.image(subject), name=f"{subject.name} (copy {noise.draw})")


@dataclass(frozen=True)
class Smoothed:
    """Mean of another estimator's maps of noisy copies of the image, those of SmoothGrad.

    Attributes:
        of: the other one.
        samples: copies.
        sigma: of the noise, as a share of the image's range.

    Raises:
        SettingsError: one that never looks at the network, or no copies.
    """

    of: Estimator
    samples: int = 15
    sigma: float = 0.15
    name: str = field(init=False, repr=False)
    title: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if is_blind(self.of):
            raise SettingsError(f"{PREFIX}{self.of.name}: it never looks at the network")
        require_numbers(samples=self.samples, sigma=self.sigma)
        object.__setattr__(self, "name", f"smooth-{self.of.name}")
        object.__setattr__(self, "title", f"Smooth: {self.of.title}")

    @property
    def source(self) -> str:
        """Both papers."""
        return f"{self.of.source}; its mean over noise as in Smilkov et al. 2017, arXiv 1706.03825"

    @property
    def needs(self) -> frozenset[Need]:
        """What the other one needs."""
        return self.of.needs

    @property
    def of_prediction(self) -> bool:
        """As the other one."""
        return self.of.of_prediction

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """What the other one asks, for each copy."""
        return sum([self.of.cost(shape)] * self.samples, Cost())

    def explain(self, subject: Subject) -> Asking:
        """Some copies at once."""
        total, notes = subject.zeros(), dict[str, None]()
        copies = [WithNoise(self.sigma, k) for k in range(self.samples)]
        for first in range(0, self.samples, AT_ONCE):
            maps = yield from self._of_copies(subject, copies[first : first + AT_ONCE])
            for made in maps:
                total.add_(made.values / self.samples)
                notes.update(dict.fromkeys(made.notes))
        return Importance(total, notes=tuple(notes))

    def _of_copies(self, subject: Subject, copies: Sequence[WithNoise]) -> Generator[Round, None, list[Importance]]:
        """The maps of some copies, whose rounds are asked together."""
        maps: dict[int, Importance] = {}
        askings = {k: self.of.explain(copy_of(subject, noise)) for k, noise in enumerate(copies)}
        while len(maps) < len(copies):
            rounds: list[tuple[Round, WithNoise]] = []
            for k, asking in askings.items():
                if k in maps:
                    continue
                assert isinstance(asking, Generator)  # one that asks nothing is blind
                try:
                    rounds.append((next(asking), copies[k]))
                except StopIteration as made:
                    maps[k] = made.value if isinstance(made.value, Importance) else Importance(made.value)
            if rounds:
                yield _together(rounds)
        return [maps[k] for k in range(len(copies))]


def _together(rounds: Sequence[tuple[Round, WithNoise]]) -> Round:
    """Several copies' questions in one round."""
    asked = [(asked, number, noise) for asked, noise in rounds for number in range(len(asked.questions))]
    questions = [_of_copy(asked.questions[number], noise) for asked, number, noise in asked]

    def take(k: int, answer: Any) -> None:
        whose, number, _ = asked[k]
        whose.take(number, answer)

    return Round(questions, take)


def _of_copy(question: Any, noise: WithNoise) -> Question:
    made: Question = replace(question, point=OfCopy(question.point, noise))
    return made
