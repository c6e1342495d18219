"""Occlusion: how far the score falls when a window of the image is covered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import SettingsError
from ..lengths import Length
from .estimator import Cost
from .points import AtInput
from .questions import Asking, Round, Score
from .subject import Need, Subject, needed_by, require_fill_of_any_class

MOST = 10_000
"""Windows at most, where they are in millimetres: how many these are depends on the image's pixels."""


@dataclass(frozen=True)
class Covered:
    """The image with a window masked.

    Attributes:
        start: first pixel along each axis.
        sides: pixels along each axis; what lies beyond the image is cut off.
        fill: what masked pixels become, see `Fill`.
    """

    start: tuple[int, ...]
    sides: tuple[int, ...]
    fill: float | str

    @property
    def within(self) -> tuple[slice, ...]:
        """The window in an array ``(*spatial)``."""
        return tuple(slice(at, at + side) for at, side in zip(self.start, self.sides, strict=True))

    def image(self, subject: Subject) -> Tensor:
        """x, with every channel of the window masked."""
        hidden = torch.zeros(subject.image.shape[1:], dtype=torch.bool, device=subject.image.device)
        hidden[self.within] = True
        return subject.imputer(self.fill).fill(hidden[None])[0]


@dataclass(frozen=True)
class Occlusion:
    """Mean, over the windows that cover a pixel, of S_c(x) - S_c(x with the window covered).

    It asks for scores alone, and so does for networks that give no gradients.

    Attributes:
        window: side of a window in pixels, or in millimetres as ``"20 mm"``, along each axis.
        stride: from one window to the next, likewise.
        fill: what covers, see `Fill`: a number from 0 (black) to 1 (white), ``"mean"``, ``"blur"``, ``"road"``, ...
    """

    window: int | str = 16
    stride: int | str = 8
    fill: float | str = 0.0
    name: str = field(default="occlusion", repr=False)
    title: str = field(default="Occlusion", repr=False)
    source: ClassVar[str] = "Zeiler & Fergus 2014, arXiv 1311.2901"
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_fill_of_any_class(self.fill)
        window, stride = Length.of(self.window), Length.of(self.stride)
        if window.unit != stride.unit or not 0 < stride.value <= window.value:
            raise SettingsError(
                f"window {self.window} and stride {self.stride}: expected both in pixels or both in millimetres, as "
                "'20 mm', and a stride of at most the window, so that no pixel is left out"
            )

    @property
    def needs(self) -> frozenset[Need]:
        """The pixels' size where windows are in millimetres, and what the fill needs."""
        told: set[Need] = {"spacing"} if Length.of(self.window).unit else set()
        return frozenset(told) | needed_by(self.fill)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """The score of the image, and one for each window; of windows in millimetres at most `MOST`."""
        if Length.of(self.window).unit:
            return Cost(scores=1 + min(MOST, prod(shape[1:])))
        axes = len(shape) - 1
        return Cost(scores=1 + prod(map(len, self._starts(shape[1:], (1.0,) * axes))))

    def explain(self, subject: Subject) -> Asking:
        """Cover one window after the other.

        Raises:
            SettingsError: more windows than `MOST`, where they are in millimetres.
        """
        windows = list(self._windows(subject))
        if len(windows) > MOST and Length.of(self.window).unit:
            raise SettingsError(f"{self.name}: {len(windows)} windows, expected at most {MOST}: take a longer stride")
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

    def _windows(self, subject: Subject) -> Iterator[Covered]:
        spatial = tuple(subject.image.shape[1:])
        pixels = subject.scene.spacing if Length.of(self.window).unit else None
        sizes = (1.0,) * len(spatial) if pixels is None else tuple(pixels)
        sides = tuple(max(1, Length.of(self.window).pixels(size)) for size in sizes)
        for start in product(*self._starts(spatial, sizes)):
            yield Covered(start, sides, self.fill)

    def _starts(self, spatial: Sequence[int], sizes: Sequence[float]) -> Iterator[range]:
        """Where windows begin along each axis."""
        for length, size in zip(spatial, sizes, strict=True):
            window, stride = max(1, Length.of(self.window).pixels(size)), max(1, Length.of(self.stride).pixels(size))
            steps = -(-max(length - window, 0) // stride)
            yield range(0, steps * stride + 1, stride)
