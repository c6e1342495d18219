"""An image masked step by step in the order of maps, the distinct images of it, and decisions on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..classifier.decisions import Decided, Undecided, decide_together
from ..errors import MapError
from ..imputers.fills import Imputer
from ..regions import count_at
from .ranked import RankedMap

MOST_STEPS = 255
"""Of which a byte tells at which a pixel is masked."""


def masked_fractions(steps: int) -> NDArray[np.float64]:
    """Share of the pixels masked at each of ``steps + 1`` points."""
    return np.linspace(0.0, 1.0, steps + 1)


def masked_images(steps: int) -> int:
    """At most so many distinct masked images of one map: two orders, without the ends that all maps share."""
    return 2 * (steps - 1)


@dataclass(frozen=True)
class Masked:
    """An image masked step by step in the order of each of several maps, made when it is needed.

    Masked images that come out equal, because a step covered only pixels that had the fill's value already or
    because nothing or everything is masked, are one.

    Attributes:
        undecided: the distinct masked images, in lines that change little by little.
        slots: number of the image at each point, ``(maps, 2, steps + 1)``: most important first, then least.
    """

    undecided: Undecided
    slots: NDArray[np.int64]

    @classmethod
    def of(
        cls, rankings: Sequence[RankedMap], fill: Imputer, steps: int, random: np.random.Generator | None = None
    ) -> "Masked":
        """Those of some maps on the image's grid; see `masked_decisions`."""
        spatial = tuple(fill.image.shape[1:])
        pixels = fill.image[0].numel()
        for ranked in rankings:
            if ranked.shape != spatial:
                raise MapError(f"importance map of {ranked.shape}, image of {spatial}: they must be the same")
        counts = [count_at(fraction, pixels) for fraction in masked_fractions(steps)]
        wanted: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        slots = np.empty((len(rankings), 2, len(counts)), dtype=np.int64)
        numbers: dict[tuple[int, int, int], int] = {}
        for m, ranked in enumerate(rankings):
            for first, pixel_order in enumerate((ranked.order[::-1], ranked.order)):
                changed = np.concatenate([[0], np.cumsum(fill.changes[pixel_order])])
                for step, count in enumerate(counts):
                    ends = changed[count] in (0, changed[-1])
                    key = (-1, -1, int(changed[count])) if ends else (m, first, int(changed[count]))
                    slots[m, first, step] = numbers.setdefault(key, len(numbers))
                    wanted.setdefault(key, (m, first, count))
        lines = [np.array(list(dict.fromkeys(line.tolist())), dtype=np.intp) for line in slots.reshape(-1, len(counts))]
        make = _masker(fill, rankings, list(wanted.values()))
        return cls(Undecided(make, len(wanted), random, lines), slots)

    def at_each_point(self, decided: Decided) -> Decided:
        """Decisions on the distinct images as those of each point."""
        return replace(decided, classes=decided.classes[self.slots], scores=decided.scores[self.slots])


def masked_decisions(
    classifier: Classifier,
    rankings: Sequence[RankedMap],
    fill: Imputer,
    steps: int,
    batch_size: int,
    random: np.random.Generator | None = None,
) -> Decided:
    """Decisions on an image masked step by step in the order of each of several maps.

    Equal masked images are shown to the network once, see `Masked`. Where the classifier is sparing, decisions
    between two steps that are decided alike, and by far, are filled in and audited; see `decide_together`.

    Args:
        classifier: makes the decisions.
        rankings: of maps on the image's grid.
        fill: makes the masked images; see `imputer`.
        steps: number of equal steps.
        batch_size: images the network sees at a time.
        random: chooses which decisions are checked and audited.

    Returns:
        Predicted classes, ``(maps, 2, steps + 1)``: most important first, then least; their scores, with an axis of
        classes more; and how they were made.
    """
    masked = Masked.of(rankings, fill, steps, random)
    return masked.at_each_point(decide_together(classifier, [masked.undecided], batch_size)[0])


def steps_of_pixels(ranked: RankedMap, steps: int) -> NDArray[np.uint8]:
    """At which step each pixel of a map is masked, the most important first, ``(*spatial)``, from 1 on.

    Masked the least important first it is at ``steps + 1`` less that, but for rounding of the steps' sizes.

    Raises:
        MapError: more steps than a byte holds.
    """
    if not 0 < steps <= MOST_STEPS:
        raise MapError(f"{steps} steps of masking, expected 1 to {MOST_STEPS}")
    pixels = len(ranked.order)
    counts = [count_at(fraction, pixels) for fraction in masked_fractions(steps)]
    found = np.searchsorted(counts, pixels - 1 - ranked.ranks, side="right")
    return found.astype(np.uint8).reshape(ranked.shape)


def _masker(
    fill: Imputer, rankings: Sequence[RankedMap], wanted: Sequence[tuple[int, int, int]]
) -> Callable[[Sequence[int]], Tensor]:
    """Makes the image with its first ``count`` pixels masked, on the device, by comparing ranks."""
    image = fill.image
    pixels = image[0].numel()

    @lru_cache(maxsize=2)  # images of one map follow one another
    def ranks(m: int) -> Tensor:
        return torch.from_numpy(rankings[m].ranks).to(image.device).reshape(image.shape[1:])

    def make(numbers: Sequence[int]) -> Tensor:
        hidden = [
            ranks(m) >= pixels - count if first == 0 else ranks(m) < count
            for m, first, count in (wanted[number] for number in numbers)
        ]
        return fill.fill(torch.stack(hidden))

    return make
