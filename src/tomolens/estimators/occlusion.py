"""Occlusion: how far the score falls when a window of the image is covered."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import SettingsError
from .estimator import Cost
from .points import AtInput
from .questions import Asking, Round, Score
from .subject import Need, Subject


@dataclass(frozen=True)
class Covered:
    """The image with a window of one value, from 0 (black) to 1 (white).

    Attributes:
        start: first pixel along each axis.
        sides: pixels along each axis; what lies beyond the image is cut off.
        share: the value.
    """

    start: tuple[int, ...]
    sides: tuple[int, ...]
    share: float

    @property
    def within(self) -> tuple[slice, ...]:
        """The window in an array ``(*spatial)``."""
        return tuple(slice(at, at + side) for at, side in zip(self.start, self.sides, strict=True))

    def image(self, subject: Subject) -> Tensor:
        """x, with every channel of the window at the value."""
        covered = subject.image.clone()
        covered[:, *self.within] = subject.intensity.at(self.share)
        return covered


@dataclass(frozen=True)
class Occlusion:
    """Mean, over the windows that cover a pixel, of S_c(x) - S_c(x with the window covered).

    It asks for scores alone, and so does for networks that give no gradients.

    Attributes:
        window: pixels of a window along each axis.
        stride: pixels from one window to the next.
        share: what covers, from 0 (black) to 1 (white).
    """

    window: int = 16
    stride: int = 8
    share: float = 0.0
    name: str = field(default="occlusion", repr=False)
    title: str = field(default="Occlusion", repr=False)
    source: ClassVar[str] = "Zeiler & Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window < 1 or not 1 <= self.stride <= self.window:
            raise SettingsError(
                f"window {self.window} and stride {self.stride}: expected a window of 1 pixel or more and a "
                "stride from 1 to the window, so that no pixel is left out"
            )

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """The score of the image, and one for each window."""
        return Cost(scores=1 + prod(len(self._starts(length)) for length in shape[1:]))

    def explain(self, subject: Subject) -> Asking:
        """Cover one window after the other."""
        windows = list(self._windows(tuple(subject.image.shape[1:])))
        total, count = subject.zeros(), torch.zeros_like(subject.zeros())
        whole = torch.zeros((), dtype=total.dtype, device=total.device)

        def take(k: int, answer: Tensor) -> None:
            if k == 0:
                whole.copy_(answer[subject.target])
                return
            # The score of the image itself may come last: it is put in at the end.
            total[:, *windows[k - 1].within] -= answer[subject.target].to(total.dtype)
            count[:, *windows[k - 1].within] += 1

        yield Round([Score(AtInput()), *map(Score, windows)], take)
        return total / count + whole

    def _windows(self, spatial: tuple[int, ...]) -> Iterator[Covered]:
        sides = (self.window,) * len(spatial)
        for start in product(*(self._starts(length) for length in spatial)):
            yield Covered(start, sides, self.share)

    def _starts(self, length: int) -> range:
        steps = -(-max(length - self.window, 0) // self.stride)
        return range(0, steps * self.stride + 1, self.stride)
