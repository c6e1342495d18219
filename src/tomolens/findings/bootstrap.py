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
    """Values added up over the cases of each patient and class.

    Attributes:
        sums: ``(G, K)``.
        counts: ``(G,)``, cases of each group.
        labels: ``(G,)``; one label for all gives plain means instead of class-balanced ones.
        patients: ``(G,)``, numbers of the patients by first appearance: pseudonyms differ between users.
    """

    sums: Values
    counts: Values
    labels: NDArray[np.int64]
    patients: NDArray[np.intp]

    def chosen(self, groups: NDArray[np.bool_]) -> "Grouped":
        """Some of the groups, their patients numbered anew."""
        patients = pd.factorize(self.patients[groups])[0]
        return Grouped(self.sums[groups], self.counts[groups], self.labels[groups], patients)


def grouped(values: Values, labels: NDArray[np.int64], patients: Sequence[str]) -> Grouped:
    """Add up ``(N, K)`` values over the cases of each patient and class."""
    numbers = pd.factorize(np.asarray(patients))[0]
    key, first = pd.factorize(pd.MultiIndex.from_arrays([numbers, labels]))
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, key, values)
    pairs = np.array(first.tolist(), dtype=np.int64).reshape(-1, 2)
    return Grouped(sums, np.bincount(key, minlength=len(first)).astype(np.float64), pairs[:, 1], pairs[:, 0])


def class_balanced_mean(values: Grouped, weights: Values | None = None) -> Values:
    """Mean within each class, then over the classes.

    Args:
        values: of the cases.
        weights: how often each group counts, ``(B, G)``; once by default.

    Returns:
        ``(B, K)``, NaN where a class has no case.
    """
    weights = np.ones((1, len(values.counts))) if weights is None else weights
    means = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for label in np.unique(values.labels):
            chosen = values.labels == label
            weighted = weights if chosen.all() else weights[:, chosen]
            means.append(weighted @ values.sums[chosen] / (weighted @ values.counts[chosen])[:, None])
    return np.asarray(np.mean(means, axis=0))


def patient_weights(patients: NDArray[np.intp], resampling: Resampling) -> Values:
    """How often each group counts in each resample of the patients, ``(resamples, G)``."""
    return _draws(int(patients.max()) + 1, resampling)[:, patients]


@lru_cache(maxsize=4)
def _draws(count: int, resampling: Resampling) -> Values:
    """How often each of ``count`` patients is drawn, ``(resamples, count)``; the same for every map and metric."""
    random = generator(resampling.seed, "bootstrap")
    return random.multinomial(count, np.full(count, 1 / count), size=resampling.resamples).astype(np.float64)


def leave_one_out(values: Grouped) -> Values:
    """Class-balanced means without each patient in turn, ``(patients, K)``; NaN where a class is left without cases."""
    count = int(values.patients.max()) + 1
    means = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for label in np.unique(values.labels):
            chosen = values.labels == label
            sums, counts = np.zeros((count, values.sums.shape[1])), np.zeros((count, 1))
            np.add.at(sums, values.patients[chosen], values.sums[chosen])
            np.add.at(counts[:, 0], values.patients[chosen], values.counts[chosen])
            means.append((sums.sum(axis=0) - sums) / (counts.sum() - counts))
    return np.asarray(np.mean(means, axis=0))


def interval(
    values: Grouped, resampling: Resampling, statistic: Callable[[Values], Values] | None = None
) -> tuple[Values, Values]:
    """Bootstrap interval over patients, bias-corrected and accelerated (BCa; Efron 1987).

    Args:
        values: added up by patient and class.
        resampling: how.
        statistic: of the class-balanced means, ``(B, K)`` to ``(B, M)``; the means themselves by default.

    Returns:
        Lower and upper ends, ``(M,)`` each; NaN with fewer than two patients, where there is nothing to resample.
        Resamples in which a class has no case are left out.
    """
    statistic = statistic or (lambda means: means)
    point = statistic(class_balanced_mean(values))[0]
    if len(np.unique(values.patients)) < 2:
        return np.full_like(point, np.nan), np.full_like(point, np.nan)
    means = class_balanced_mean(values, patient_weights(values.patients, resampling))
    draws = statistic(means[~np.isnan(means).any(axis=1)])
    left = leave_one_out(values)
    return bca_ends(draws, point, statistic(left[~np.isnan(left).any(axis=1)]), resampling.confidence)


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
