"""Confidence intervals by resampling patients: the slices of one patient are not independent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from ..randomness import generator

Values = NDArray[np.float64]
FEWEST_PATIENTS = 6
"""With fewer patients in a class no interval holds what it says, and no rank test can reject: none is given."""


@dataclass(frozen=True)
class Resampling:
    """How often, how wide, and from which seed; the same resamples serve every estimator.

    Attributes:
        resamples: of the patients, with replacement.
        confidence: of the interval, e.g. 0.95.
        seed: of the study.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Grouped:
    """Values added up over the cases of each patient in each class.

    Attributes:
        sums: ``(L, P, K)`` for L classes and P patients, 0 where a patient has no case of a class; one class for all
            gives plain means instead of class-balanced ones.
        counts: ``(L, P)``, cases in each sum.
    """

    sums: Values
    counts: Values


def grouped(
    values: Values, labels: NDArray[np.int64], patients: Sequence[str], counts: Values | None = None
) -> Grouped:
    """Add up ``(N, K)`` values over the cases of each patient in each class.

    Patients are numbered by first appearance: pseudonyms differ between users. ``counts`` tells how many cases each
    value stands for, where it is a sum already.
    """
    classes, label = np.unique(labels, return_inverse=True)
    number, names = pd.factorize(np.asarray(patients))
    shape = len(classes), len(names)
    key = label * shape[1] + number
    sums = np.stack([np.bincount(key, column, shape[0] * shape[1]) for column in values.T], axis=-1).astype(np.float64)
    members = np.bincount(key, counts, shape[0] * shape[1]).astype(np.float64)
    return Grouped(sums.reshape(*shape, -1), members.reshape(shape))


def class_means(values: Grouped) -> Values:
    """Mean within each class, ``(L, K)``."""
    return np.asarray(values.sums.sum(axis=1) / values.counts.sum(axis=1)[:, None])


def class_balanced_mean(values: Grouped) -> Values:
    """Mean within each class, then over the classes, ``(K,)``."""
    return np.asarray(class_means(values).mean(axis=0))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Class-balanced means of K columns, and of what resampling the patients makes of them.

    Attributes:
        point: of the cases themselves, ``(1, K)``.
        draws: of each resample, ``(B, K)``, without those in which a class has no case; none where a class has fewer
            than `FEWEST_PATIENTS`.
        left_out: without each patient in turn, ``(P, K)``, likewise.
        confidence: of intervals.
    """

    point: Values
    draws: Values
    left_out: Values
    confidence: float

    def interval(self, statistic: Callable[[Values], Values] | None = None) -> tuple[Values, Values]:
        """Bootstrap interval over patients, bias-corrected and accelerated (BCa; Efron 1987).

        Args:
            statistic: of the means, ``(B, K)`` to ``(B, M)``; the means themselves by default.

        Returns:
            Lower and upper ends, ``(M,)`` each; NaN where there are no draws.
        """
        point, draws, left_out = (
            part if statistic is None else statistic(part) for part in (self.point, self.draws, self.left_out)
        )
        if not len(draws):
            return np.full_like(point[0], np.nan), np.full_like(point[0], np.nan)
        return bca_ends(draws, point[0], left_out, self.confidence)


def resampled(values: Grouped, resampling: Resampling) -> Resampled:
    """Resample the patients, each with all of its cases."""
    point = class_balanced_mean(values)[None]
    count = values.counts.shape[1]
    if int((values.counts > 0).sum(axis=1).min()) < FEWEST_PATIENTS:
        return Resampled(point, point[:0], point[:0], resampling.confidence)
    draws = _draws(count, resampling)
    every, without = [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for sums, counts in zip(values.sums, values.counts, strict=True):
            every.append((draws @ sums) / (draws @ counts)[:, None])
            without.append((sums.sum(axis=0) - sums) / (counts.sum() - counts)[:, None])
    parts = (np.mean(every, axis=0), np.mean(without, axis=0))
    means, left_out = (part[~np.isnan(part).any(axis=1)] for part in parts)
    return Resampled(point, means, left_out, resampling.confidence)


def interval(values: Grouped, resampling: Resampling) -> tuple[Values, Values]:
    """Ends of the interval of each column's class-balanced mean; see `Resampled.interval`."""
    return resampled(values, resampling).interval()


@lru_cache(maxsize=4)
def _draws(count: int, resampling: Resampling) -> Values:
    """How often each of ``count`` patients is drawn, ``(resamples, count)``; the same for every map and metric."""
    random = generator(resampling.seed, "bootstrap")
    return random.multinomial(count, np.full(count, 1 / count), size=resampling.resamples).astype(np.float64)


def bca_ends(draws: Values, point: Values, left_out: Values, confidence: float) -> tuple[Values, Values]:
    """Ends of the BCa interval of each column.

    Args:
        draws: of the bootstrap, ``(B, K)``.
        point: the estimate, ``(K,)``.
        left_out: the estimate without each patient in turn, ``(P, K)``.
        confidence: of the interval.
    """
    # Half of the draws that equal the estimate count as below it: discrete values are no bias.
    below = (draws < point).mean(axis=0) + 0.5 * (draws == point).mean(axis=0)
    smallest = 1 / (len(draws) + 1)
    bias = norm.ppf(np.clip(below, smallest, 1 - smallest))
    away = left_out.mean(axis=0) - left_out if len(left_out) else np.zeros((1, len(point)))
    spread = (away**2).sum(axis=0)
    acceleration = np.divide((away**3).sum(axis=0), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 1e-300)
    ordered = np.sort(draws, axis=0)
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + norm.ppf(tail)
        share = norm.cdf(bias + shifted / (1 - acceleration * shifted))
        place = share * (len(draws) - 1)
        low = np.floor(place).astype(np.intp)
        high = np.minimum(low + 1, len(draws) - 1)
        columns = np.arange(len(point))
        ends.append(ordered[low, columns] + (place - low) * (ordered[high, columns] - ordered[low, columns]))
    return ends[0], ends[1]
