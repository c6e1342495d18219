"""Confidence intervals by resampling patients: the slices of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass

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


def class_balanced_mean(values: Values, labels: NDArray[np.int64], weights: Values | None = None) -> Values:
    """Mean within each class, then over the classes.

    Args:
        values: ``(N, K)``.
        labels: ``(N,)``; one label for all gives the plain mean.
        weights: how often each case counts, ``(B, N)``; once by default.

    Returns:
        ``(B, K)``, NaN where a class has no case.
    """
    weights = np.ones((1, len(values))) if weights is None else weights
    means = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for label in np.unique(labels):
            chosen = labels == label
            means.append(weights[:, chosen] @ values[chosen] / weights[:, chosen].sum(axis=1, keepdims=True))
    return np.asarray(np.mean(means, axis=0))


def patient_weights(patients: Sequence[str], resampling: Resampling) -> Values:
    """How often each case counts in each resample of the patients, ``(resamples, N)``."""
    patient, names = pd.factorize(np.asarray(patients))  # by first appearance: pseudonyms differ between users
    random = generator(resampling.seed, "bootstrap")
    counts = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resampling.resamples)
    return np.asarray(counts[:, patient], dtype=np.float64)


def interval(
    values: Values, labels: NDArray[np.int64], patients: Sequence[str], resampling: Resampling
) -> tuple[Values, Values]:
    """Percentile bootstrap interval of the class-balanced mean of each column.

    Args:
        values: ``(N, K)``, finite.
        labels: ``(N,)``, see `class_balanced_mean`.
        patients: of each case.
        resampling: how.

    Returns:
        Lower and upper ends, ``(K,)`` each; NaN with fewer than two patients, where there is nothing to resample.
        Resamples in which a class has no case are left out.
    """
    if len(set(patients)) < 2:
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    means = class_balanced_mean(values, labels, patient_weights(patients, resampling))
    tail = 100 * (1 - resampling.confidence) / 2
    low, high = np.nanpercentile(means, [tail, 100 - tail], axis=0)
    return low, high
