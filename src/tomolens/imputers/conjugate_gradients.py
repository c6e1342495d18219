"""The linear system of ROAD on the processor: conjugate gradients over the hidden pixels alone, compiled.

A step touches no pixel that is known, so that scattered or few hidden pixels, which are most of a curve, cost little.
Hestenes & Stiefel 1952, with the degree of each pixel as preconditioner.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

Flat = NDArray[np.float64]


def solved(
    values: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    offsets: Sequence[tuple[int, ...]],
    weights: Flat,
    small: float,
    rounds: int,
) -> tuple[NDArray[np.float64], float]:
    """Values whose hidden pixels are the weighted means of their neighbours within the image.

    Args:
        values: ``(C, *spatial)``, known pixels and an estimate of the hidden ones.
        hidden: bool ``(*spatial)``.
        offsets: of a pixel's neighbours, at most 1 along each axis.
        weights: of each.
        small: largest residual at which it stops.
        rounds: steps at most.

    Returns:
        The values, and the largest residual that is left.
    """
    shape = tuple(length + 2 for length in hidden.shape)  # a border of zeros, which no image reaches
    inner = (slice(1, -1),) * hidden.ndim
    steps = np.array([np.ravel_multi_index(np.array(offset) + 1, shape) for offset in offsets])
    steps -= np.ravel_multi_index((1,) * hidden.ndim, shape)
    within, wanted = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    within[inner], wanted[inner] = 1.0, hidden
    places = np.flatnonzero(wanted)
    degree = np.zeros(len(places))
    for step, weight in zip(steps, weights, strict=True):
        degree += weight * within.ravel()[places + step]
    places, degree = places[degree > 0], degree[degree > 0]  # a single pixel has no neighbours
    found, left = np.empty_like(values), 0.0
    for channel, plane in enumerate(values):
        padded = np.zeros(shape)
        padded[inner] = plane
        left = np.maximum(left, _solve(padded.ravel(), places, steps, weights, degree, small, rounds))
        found[channel] = padded[inner]
    return found, float(left)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _solve(
    values: Flat,
    places: NDArray[np.intp],
    steps: NDArray[np.intp],
    weights: Flat,
    degree: Flat,
    small: float,
    rounds: int,
) -> float:
    """Solve in place; returns the largest residual that is left."""
    residual, moved = np.zeros(len(places)), np.zeros(len(places))
    direction = np.zeros_like(values)
    power, largest = 0.0, 0.0
    for n in range(len(places)):
        at = places[n]
        total = -degree[n] * values[at]
        for k in range(len(steps)):
            total += weights[k] * values[at + steps[k]]
        residual[n] = total
        direction[at] = total / degree[n]
        power += total * total / degree[n]
        largest = np.maximum(largest, abs(total))  # which keeps NaN
    for _ in range(rounds):
        if largest <= small or np.isnan(largest):
            break
        energy = 0.0
        for n in range(len(places)):
            at = places[n]
            total = degree[n] * direction[at]
            for k in range(len(steps)):
                total -= weights[k] * direction[at + steps[k]]
            moved[n] = total
            energy += direction[at] * total
        step, before = power / energy, power
        power, largest = 0.0, 0.0
        for n in range(len(places)):
            values[places[n]] += step * direction[places[n]]
            residual[n] -= step * moved[n]
            power += residual[n] * residual[n] / degree[n]
            largest = np.maximum(largest, abs(residual[n]))
        for n in range(len(places)):
            at = places[n]
            direction[at] = residual[n] / degree[n] + power / before * direction[at]
    return float(largest)
