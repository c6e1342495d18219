"""RISE: the mean of random soft masks, weighted by the score of the image seen through each."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..classifier.coarse import enlarged
from ..errors import SettingsError
from ..randomness import generator
from .estimator import Cost
from .points import seen_through
from .questions import Asking, Round, Score
from .subject import Need, Subject


@dataclass(frozen=True)
class RandomlyMasked:
    """The image seen through a random mask: cells that are kept with a probability, enlarged and shifted.

    Attributes:
        cells: along each axis.
        kept: probability of each.
        draw: which mask.
    """

    cells: int
    kept: float
    draw: int

    def mask(self, subject: Subject) -> Tensor:
        """From 0 to 1, ``(*spatial)``, from the generator (seed, case, "rise", draw)."""
        spatial = tuple(subject.image.shape[1:])
        random = generator(subject.seed, subject.name, "rise", self.draw)
        coarse = (random.random((self.cells + 1,) * len(spatial)) < self.kept).astype(np.float32)
        sides = [-(-length // self.cells) for length in spatial]  # of a cell in pixels
        whole = [(self.cells + 1) * side for side in sides]
        wide = enlarged(torch.from_numpy(coarse), whole)
        starts = [int(random.integers(side)) for side in sides]
        shown = tuple(slice(start, start + length) for start, length in zip(starts, spatial, strict=True))
        return wide[shown].to(subject.image)

    def image(self, subject: Subject) -> Tensor:
        """black + mask (x - black)."""
        return seen_through(self.mask(subject), subject)


@dataclass(frozen=True)
class Rise:
    """Mean of random masks m, weighted by S_c(x m), divided by the probability that a pixel is kept.

    Attributes:
        samples: masks.
        cells: along each axis, enlarged to the image.
        kept: probability that a cell is kept.
    """

    samples: int = 1000
    cells: int = 7
    kept: float = 0.5
    name: str = field(default="rise", repr=False)
    title: str = field(default="RISE", repr=False)
    source: ClassVar[str] = "Petsiuk et al. 2018, arXiv 1806.07421"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 1 or self.cells < 1 or not 0 < self.kept < 1:
            raise SettingsError(
                f"samples {self.samples}, cells {self.cells}, kept {self.kept:g}: expected at least one sample and one "
                "cell, and a probability between 0 and 1"
            )

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A score for each mask."""
        return Cost(scores=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """See the image through one mask after the other."""
        masks = [RandomlyMasked(self.cells, self.kept, k) for k in range(self.samples)]
        total = torch.zeros_like(subject.zeros()[0])

        def take(k: int, scores: Tensor) -> None:
            total.add_(masks[k].mask(subject) * scores[subject.target] / (self.samples * self.kept))

        yield Round([Score(mask) for mask in masks], take)
        return (total / len(subject.image)).expand(subject.image.shape).clone()
