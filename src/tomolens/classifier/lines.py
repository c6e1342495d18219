"""Decisions along a line of images that change little by little: asked on a coarse grid, and finer where they turn.

Between two images on which the network decides alike, and by far against how fast its scores change along the line, it
is taken to decide alike too. That is no proof, so it is audited (`decisions`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.intp]
"""Numbers of images in their order; images may be on several lines."""

EVERY = 5
"""Of so many images of a line one is asked at first, and the last."""
REACH = 2.0
"""The leads at both ends of a gap must add up to more than so many times what they could change by within it, at a
rate that the line has shown: the geometric mean of its steepest and of the steepest at the gap and beside it. From 1.5
on none of 22,000 decisions on simulated and real slices was wrong."""
USUALLY_ASKED = 0.42
"""Share of the images that is asked in the end over those slices; for estimates of time."""


def coarse(lines: Sequence[Line]) -> Line:
    """The images that are asked first, each once."""
    return np.unique(np.concatenate([np.append(line[::EVERY], line[-1]) for line in lines]))


@dataclass(frozen=True)
class Gaps:
    """The gaps of some lines: images that were not asked, between two that were.

    Attributes:
        middle: number of the image in the middle of each.
        turns: whether its ends are decided differently.
        leads: what the leads at its ends add up to.
        change: by how much a lead could change within it, at the rate of `REACH`.
    """

    middle: Line
    turns: NDArray[np.bool_]
    leads: NDArray[np.floating]
    change: NDArray[np.floating]

    @classmethod
    def of(
        cls,
        lines: Sequence[Line],
        scores: NDArray[np.float32],
        classes: NDArray[np.int64],
        asked: NDArray[np.bool_],
    ) -> "Gaps":
        """Those of all lines, one line after the other.

        Args:
            lines: of images.
            scores: of every class, ``(images, classes)``; of images that were not asked they are not looked at.
            classes: decided.
            asked: which images were.
        """
        found = [_gaps_of_line(line, scores, classes, asked) for line in lines]
        if not found:
            return cls(np.empty(0, np.intp), np.empty(0, np.bool_), np.empty(0), np.empty(0))
        middle, turns, both, change = zip(*found, strict=True)
        return cls(np.concatenate(middle), np.concatenate(turns), np.concatenate(both), np.concatenate(change))

    def in_doubt(self, error: float = 0.0, reach: float = REACH) -> Line:
        """The images in the middle of gaps whose ends are decided differently, or not by far; each once.

        Args:
            error: by how much a score may be wrong, as those of a quick backend are.
            reach: see `REACH`.
        """
        return np.unique(self.middle[self.turns | (self.leads <= reach * self.change + 4.0 * error)])

    def tightest(self, count: int) -> Line:
        """The images in the middle of the gaps whose leads are the smallest against what they could change by.

        Args:
            count: of images, at most.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            times = self.leads / self.change
        # A lead of 0 that cannot change is a tie, and one above 0 that cannot is beyond every other.
        by_times = self.middle[np.argsort(np.nan_to_num(times, nan=0.0), kind="stable")]
        return np.array(list(dict.fromkeys(by_times.tolist()))[:count], dtype=np.intp)


def _gaps_of_line(
    line: Line, scores: NDArray[np.float32], classes: NDArray[np.int64], asked: NDArray[np.bool_]
) -> tuple[Line, NDArray[np.bool_], NDArray[np.floating], NDArray[np.floating]]:
    """What `Gaps` has of one line."""
    places = np.flatnonzero(asked[line])
    known, steps = line[places], np.diff(places)
    rates = np.abs(np.diff(scores[known], axis=0)).max(axis=1) / steps
    beside = np.max([np.append(0.0, rates[:-1]), rates, np.append(rates[1:], 0.0)], axis=0) if len(rates) else rates
    # A lead is a difference of two scores, and changes twice as fast as any.
    change = 2.0 * np.sqrt(beside * rates.max(initial=0.0)) * steps
    both, inside = leads(scores[known]), steps > 1
    return (
        line[(places[:-1] + places[1:])[inside] // 2],
        (classes[known[:-1]] != classes[known[1:]])[inside],
        (both[:-1] + both[1:])[inside],
        change[inside],
    )


def leads(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much the highest score of each image exceeds the next, ``(images,)``."""
    ordered = np.sort(scores, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def fill_in(lines: Sequence[Line], classes: NDArray[np.int64], asked: NDArray[np.bool_]) -> Line:
    """Decide the images that were not asked as their neighbours were decided, in place; their numbers."""
    filled = [np.empty(0, dtype=np.intp)]
    for line in lines:
        places = np.flatnonzero(asked[line])
        for before, after in pairwise(places):
            between = line[before + 1 : after]
            classes[between] = classes[line[before]]
            filled.append(between)
    return np.unique(np.concatenate(filled))
