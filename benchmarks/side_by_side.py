"""Two ways to the same result, timed in turn in one process."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tomolens.cases import Preprocessing, phantom


def seconds(work: Callable[[], Any], rounds: int = 1) -> float:
    """The median time of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def in_turn(
    claim: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    rounds: int = 3,
    warm: bool = True,
    repeated: int = 1,
) -> float:
    """Print and return how many times quicker ``ours`` is than ``repeated`` times ``theirs``: medians of rounds."""
    if warm:
        ours()
    one, other = [], []
    for _ in range(rounds):
        one.append(seconds(ours))
        other.append(repeated * seconds(theirs))
    ratio = float(np.median(other) / np.median(one))
    print(f"{claim}: {np.median(one):.3f} s against {np.median(other):.3f} s, ratio {ratio:.2f}", flush=True)
    return ratio


def slice_of(size: int, index: int = 0) -> Any:
    """A simulated slice with contrast agent."""
    return phantom.cases(2, seed=3, preprocessing=Preprocessing(size=size))[index]
