"""Maps and the order of their pixels in few bytes: the levels of a map are those of the masking, finer at its top.

At which step a pixel goes is nearly told by its level, so what is kept of it is a table and the few pixels that differ.
"""

import numpy as np
from numpy.typing import NDArray

from ..results.gallery import STEPS

FINE, PARTS = 4, 4
"""So many first steps of the masking, those of the most important pixels, have so many levels each; others one."""


def levels_of(
    ranks: NDArray[np.int8], values: NDArray[np.float32], steps: NDArray[np.uint8]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A map in levels that tell at which step of the masking of its absolute values each pixel goes.

    Args:
        ranks: sign and rank of each pixel, see `GalleryCase`.
        values: mean magnitude of each rank, ``(128,)``.
        steps: at which step of the masking each pixel goes, the largest magnitude first, from 1 on.

    Returns:
        Sign and level of each pixel, 1 the least; and the mean magnitude of each level, ``(128,)``. As they came where
        there are more steps than levels.
    """
    last = int(steps.max())
    if last + FINE * (PARTS - 1) > STEPS:
        return ranks, values
    magnitude = np.abs(ranks.astype(np.int64))
    found = np.where(steps > FINE, last - steps.astype(np.int64) + 1, 0).ravel()  # in memory of its own
    below = max(0, last - FINE)
    for step in range(min(FINE, last), 0, -1):
        there = np.flatnonzero(steps.ravel() == step)
        ordered = there[np.argsort(magnitude.ravel()[there], kind="stable")]
        parts = 1 + np.arange(len(ordered)) * PARTS // max(1, len(ordered))
        found[ordered] = below + (FINE - step - max(0, FINE - last)) * PARTS + parts
    totals = np.bincount(found, values[magnitude].ravel(), STEPS + 1)
    members = np.bincount(found, minlength=STEPS + 1)
    means = np.divide(totals, members, out=np.zeros(STEPS + 1), where=members > 0)
    signed = np.where(ranks < 0, -1, 1) * found.reshape(ranks.shape)
    return signed.astype(np.int8), means.astype(np.float32)


def told_by(levels: NDArray[np.int8], steps: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Steps as a table of the commonest of each level, ``(256,)`` for levels from -128 on, and the difference from it.

    Example:
        >>> table, rest = told_by(np.array([-1, -1, 2, 2], np.int8), np.array([4, 4, 1, 2], np.uint8))
        >>> (table[np.array([-1, -1, 2, 2]) + 128] + rest).tolist(), int(np.abs(rest).sum())
        ([4, 4, 1, 2], 1)
    """
    place = levels.astype(np.int64) + 128
    counts = np.zeros((256, int(steps.max()) + 1), np.int64)
    np.add.at(counts, (place.ravel(), steps.ravel()), 1)
    table = counts.argmax(axis=1).astype(np.uint8)
    return table, (steps.astype(np.int64) - table[place]).astype(np.int8)
