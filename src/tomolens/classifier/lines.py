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


def in_doubt(
    lines: Sequence[Line],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    asked: NDArray[np.bool_],
    error: float = 0.0,
    reach: float = REACH,
) -> Line:
    """The images in the middle of gaps whose ends are decided differently, or not by far; each once.

    Args:
        lines: of images.
        scores: of every class, ``(images, classes)``; of images that were not asked they are not looked at.
        classes: decided.
        asked: which images were.
        error: by how much a score may be wrong, as those of a quick backend are.
        reach: see `REACH`.
    """
    found: set[int] = set()
    for line in lines:
        gaps = _Gaps.of(line, scores, classes, asked)
        found.update(gaps.middle[gaps.turns | (gaps.leads <= reach * gaps.change + 4.0 * error)].tolist())
    return np.array(sorted(found), dtype=np.intp)


def tightest(
    lines: Sequence[Line],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    asked: NDArray[np.bool_],
    count: int,
) -> Line:
    """The images in the middle of the gaps whose leads are the smallest against what they could change by.

    Args:
        lines: of images.
        scores: of every class, ``(images, classes)``; of images that were not asked they are not looked at.
        classes: decided.
        asked: which images were.
        count: of images, at most.
    """
    gaps = [_Gaps.of(line, scores, classes, asked) for line in lines]
    middle = np.concatenate([one.middle for one in gaps]) if gaps else np.empty(0, np.intp)
    if not len(middle):
        return middle
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.concatenate([one.leads / one.change for one in gaps])
    # No lead that cannot change is a tie, and no lead against no change at all is beyond every other.
    by_times = middle[np.argsort(np.nan_to_num(times, nan=0.0), kind="stable")]
    return np.array(list(dict.fromkeys(by_times.tolist()))[:count], dtype=np.intp)


@dataclass(frozen=True)
class _Gaps:
    """The gaps of a line with images in them that were not asked.

    Attributes:
        middle: number of the image in the middle of each.
        turns: whether its ends are decided differently.
        leads: what the leads at its ends add up to.
        change: by how much a lead could change within it.
    """

    middle: Line
    turns: NDArray[np.bool_]
    leads: NDArray[np.floating]
    change: NDArray[np.floating]

    @classmethod
    def of(
        cls, line: Line, scores: NDArray[np.float32], classes: NDArray[np.int64], asked: NDArray[np.bool_]
    ) -> "_Gaps":
        """Those of one line."""
        places = np.flatnonzero(asked[line])
        known, steps = line[places], np.diff(places)
        rates = np.abs(np.diff(scores[known], axis=0)).max(axis=1) / steps
        beside = np.max([np.append(0.0, rates[:-1]), rates, np.append(rates[1:], 0.0)], axis=0) if len(rates) else rates
        # A lead is a difference of two scores, and changes twice as fast as any.
        change = 2.0 * np.sqrt(beside * rates.max(initial=0.0)) * steps
        both, inside = leads(scores[known]), steps > 1
        return cls(
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
