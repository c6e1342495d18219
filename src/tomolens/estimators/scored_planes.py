"""Class activation maps without gradients: planes weighted by what happens to the score with or without them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..classifier.coarse import enlarged
from ..errors import SettingsError
from .activation_maps import features_at
from .estimator import Cost
from .planes import on_the_grid
from .points import AtInput, Constant, OnPath, seen_through
from .questions import LAST_PLANES, Asking, ChangedScore, Importance, Question, Round, Score
from .subject import Need, Subject


@dataclass(frozen=True, eq=False)
class Through:
    """The image seen through a plane of a layer, black where that is lowest on the image's grid.

    Attributes:
        plane: ``(*coarse)``.
    """

    plane: Tensor

    def image(self, subject: Subject) -> Tensor:
        """black + mask (x - black), with the enlarged plane from 0 to 1 as mask (equations 4 to 6)."""
        wide = enlarged(self.plane, subject.image.shape[1:])
        reach = wide.max() - wide.min()
        mask = (wide - wide.min()) / reach if reach > 0 else torch.zeros_like(wide)
        return seen_through(mask, subject)


@dataclass(frozen=True)
class Without:
    """A layer's output with one of its planes at 0."""

    plane: int

    def of(self, values: Tensor, subject: Subject) -> Tensor:
        """The planes ``(K, *coarse)`` but for one."""
        changed = values.clone()
        changed[self.plane] = 0
        return changed


def _most_varied(planes: Tensor, count: int) -> list[int]:
    """The planes that vary most over places, in their order."""
    varied = planes.flatten(1).double().var(dim=1, unbiased=False)
    return sorted(torch.argsort(varied, descending=True, stable=True)[:count].tolist())


def _weighed(
    subject: Subject,
    estimator: "ScoreCam | AblationCam",
    asked: Callable[[Tensor, int], Question],
    beside: Score,
    weigh: Callable[[Tensor, Tensor], Tensor],
) -> Asking:
    """The planes by weights that are made of the score of each question and of one beside them."""
    planes = (yield from features_at(subject, estimator.layer)).values
    chosen = _most_varied(planes, estimator.most)
    scores = torch.zeros(len(chosen) + 1, dtype=torch.float64)

    def take(k: int, answer: Tensor) -> None:
        scores[k] = float(answer[subject.target])

    yield Round([*(asked(planes, number) for number in chosen), beside], take)
    coarse = torch.tensordot(weigh(scores[:-1], scores[-1]).to(planes), planes[chosen], dims=1)
    made = on_the_grid(coarse.clamp(min=0) if estimator.clip else coarse, subject)
    if len(chosen) == len(planes):
        return made
    return Importance(made, notes=(f"of {len(planes)} planes the {len(chosen)} that vary most (most = ...)",))


def _require_most(most: int) -> None:
    if most < 1:
        raise SettingsError(f"most = {most}, expected one plane or more")


@dataclass(frozen=True)
class ScoreCam:
    """Planes weighted by the softmax of the scores of the image seen through each (algorithm 1).

    Attributes:
        layer: by its name; the last one with planes unless told.
        most: of a layer with more planes only so many, those that vary most, are asked about.
        clip: whether what is below 0 becomes 0.
    """

    layer: str = ""
    most: int = 64
    clip: bool = False
    name: str = field(default="score-cam", repr=False)
    title: str = field(default="Score-CAM", repr=False)
    source: ClassVar[str] = "Wang et al. 2020, arXiv 1910.01279"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_most(self.most)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A pass to the layer, a score for each plane and that of a black image."""
        return Cost(features=1, scores=self.most + 1)

    def explain(self, subject: Subject) -> Asking:
        """See the image through one plane after the other."""

        def asked(planes: Tensor, number: int) -> Question:
            return Score(Through(planes[number]))

        black = Score(OnPath(Constant(0.0), 0.0))
        return (yield from _weighed(subject, self, asked, black, lambda seen, none: torch.softmax(seen - none, dim=0)))


@dataclass(frozen=True)
class AblationCam:
    """Planes weighted by how far the score falls without each, not divided by the score.

    Attributes:
        layer: by its name; the last one with planes unless told.
        most: of a layer with more planes only so many, those that vary most, are asked about.
        clip: whether what is below 0 becomes 0.
    """

    layer: str = ""
    most: int = 64
    clip: bool = False
    name: str = field(default="ablation-cam", repr=False)
    title: str = field(default="Ablation-CAM", repr=False)
    source: ClassVar[str] = "Desai & Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_most(self.most)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A pass to the layer, a score without each plane and that of the image."""
        return Cost(features=1, scores=self.most + 1)

    def explain(self, subject: Subject) -> Asking:
        """Leave out one plane after the other."""

        def asked(planes: Tensor, number: int) -> Question:
            return ChangedScore(AtInput(), Without(number), self.layer or LAST_PLANES)

        return (yield from _weighed(subject, self, asked, Score(AtInput()), lambda without, whole: whole - without))
