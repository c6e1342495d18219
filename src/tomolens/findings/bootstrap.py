"""Confidence intervals by resampling patients: the slices of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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


def interval(values: Grouped, resampling: Resampling) -> tuple[Values, Values]:
    """Percentile bootstrap interval of the class-balanced mean of each column.

    Returns:
        Lower and upper ends, ``(K,)`` each; NaN with fewer than two patients, where there is nothing to resample.
        Resamples in which a class has no case are left out.
    """
    if len(np.unique(values.patients)) < 2:
        nothing = np.full(values.sums.shape[1], np.nan)
        return nothing, nothing
    means = class_balanced_mean(values, patient_weights(values.patients, resampling))
    tail = 100 * (1 - resampling.confidence) / 2
    low, high = np.nanpercentile(means, [tail, 100 - tail], axis=0)
    return low, high
