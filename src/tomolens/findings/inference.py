"""Which differences hold: paired by patient, corrected for their number, and how sure each rank is.

A patient is the unit of everything here. The slices of one patient are not independent; tests on slices would find
differences that are not there.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

from .bootstrap import Grouped, Resampling, class_balanced_mean, grouped, interval, patient_weights
from .measured import Key, Measured, Values

VIEWS = {"fidelity": "fidelity", "auc": "auc", "dice": "dice_own_share"}
"""Name of each view and the metric with one number a case that it rests on."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Values of several maps in the cases in which all of them are defined.

    Attributes:
        maps: the maps.
        numbers: ``(N, maps)``.
        labels: ``(N,)``; all 0 where the view is not balanced over the classes.
        patients: ``(N,)``.
    """

    maps: tuple[Key, ...]
    numbers: Values
    labels: NDArray[np.int64]
    patients: tuple[str, ...]

    @property
    def sums(self) -> Grouped:
        """Added up by patient and class."""
        return grouped(self.numbers, self.labels, self.patients)

    def patient_means(self) -> Values:
        """``(patients, maps)``."""
        numbers = pd.factorize(np.asarray(self.patients))[0]
        sums = np.zeros((numbers.max() + 1, self.numbers.shape[1]))
        np.add.at(sums, numbers, self.numbers)
        return sums / np.bincount(numbers)[:, None]


def compared(measured: Measured, view: str, maps: tuple[Key, ...]) -> Compared | None:
    """The cases in which every one of the maps has a value; None where there are none."""
    metric = VIEWS[view]
    if metric not in measured.numbers:
        return None
    places = [measured.maps.index(key) for key in maps]
    values = measured.numbers[metric][:, places]
    defined = ~np.isnan(values).any(axis=1)
    if not defined.any():
        return None
    cases = measured.cases[defined]
    labels = cases["label"].to_numpy() if view == "fidelity" else np.zeros(len(cases), dtype=np.int64)
    return Compared(maps, values[defined], labels, tuple(cases["patient"]))


def pairs_table(data: Compared, resampling: Resampling) -> pd.DataFrame:
    """Every two maps: difference with its interval, Wilcoxon's signed-rank test on patient means, Holm's correction."""
    places = list(combinations(range(len(data.maps)), 2))
    first, second = (np.array(side, dtype=np.intp) for side in zip(*places, strict=True))
    differences = grouped(data.numbers[:, first] - data.numbers[:, second], data.labels, data.patients)
    low, high = interval(differences, resampling)
    means = data.patient_means()
    p = np.array([signed_rank(means[:, one] - means[:, other]) for one, other in places])
    return pd.DataFrame(
        {
            "estimator": [data.maps[one][0] for one in first],
            "signs": [data.maps[one][1] for one in first],
            "other": [data.maps[one][0] for one in second],
            "other_signs": [data.maps[one][1] for one in second],
            "difference": class_balanced_mean(differences)[0],
            "ci_low": low,
            "ci_high": high,
            "p": p,
            "p_holm": holm(p),
            "patients": len(means),
        }
    )


def signed_rank(differences: Values) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where all differences are 0."""
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def holm(p: Values) -> Values:
    """Holm's step-down correction (1979) of p-values."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@dataclass(frozen=True, eq=False)
class CriticalDifference:
    """Friedman's test over patients and Nemenyi's critical difference of mean ranks (Demsar 2006).

    Attributes:
        maps: the maps, best mean rank first.
        mean_ranks: over the patients; 1 is best.
        p: of Friedman's test: that all maps are alike.
        difference: mean ranks that differ by more are different, at ``1 - confidence``.
        patients: how many.
    """

    maps: tuple[Key, ...]
    mean_ranks: Values
    p: float
    difference: float
    patients: int

    def groups(self) -> list[tuple[int, int]]:
        """Runs of maps, first and last place, within which no two differ; none is part of another."""
        runs: list[tuple[int, int]] = []
        for first, rank in enumerate(self.mean_ranks):
            last = int(np.flatnonzero(self.mean_ranks <= rank + self.difference)[-1])
            if last > first and (not runs or last > runs[-1][1]):
                runs.append((first, last))
        return runs


def critical_difference(data: Compared, confidence: float) -> CriticalDifference | None:
    """Friedman's test and Nemenyi's difference; None with fewer than three maps or two patients."""
    means = data.patient_means()
    patients, count = means.shape
    if count < 3 or patients < 2:
        return None
    ranks = rankdata(-means, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    quantile = studentized_range.ppf(confidence, count, np.inf) / np.sqrt(2)
    return CriticalDifference(
        tuple(data.maps[place] for place in order),
        ranks[order],
        float(friedmanchisquare(*means.T).pvalue),
        float(quantile * np.sqrt(count * (count + 1) / (6 * patients))),
        patients,
    )


def rank_intervals(data: Compared, resampling: Resampling) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest rank of each map that resampling the patients leaves possible; 1 is best."""
    sums = data.sums
    if len(np.unique(sums.patients)) < 2:
        return np.ones(len(data.maps), dtype=np.int64), np.full(len(data.maps), len(data.maps))
    means = class_balanced_mean(sums, patient_weights(sums.patients, resampling))
    means = means[~np.isnan(means).any(axis=1)]
    tail = (1 - resampling.confidence) / 2
    best = rankdata(-means, axis=1, method="min")
    worst = rankdata(-means, axis=1, method="max")
    low = np.quantile(best, tail, axis=0, method="lower").astype(np.int64)
    high = np.quantile(worst, 1 - tail, axis=0, method="higher").astype(np.int64)
    return low, high


def gains_table(data: Compared, blind: frozenset[str], resampling: Resampling) -> pd.DataFrame:
    """Each estimator's gain over the best blind baseline, chosen anew in every resample of the patients.

    ``beats`` says whether the whole interval lies above 0.
    """
    is_blind = np.array([key[0] in blind for key in data.maps])
    if not is_blind.any() or is_blind.all():
        return pd.DataFrame()
    sums = data.sums

    def gain(means: Values) -> Values:
        best: Values = means[:, is_blind].max(axis=1, keepdims=True)
        return means[:, ~is_blind] - best

    low, high = interval(sums, resampling, gain)
    means = class_balanced_mean(sums)
    best = int(np.flatnonzero(is_blind)[means[0, is_blind].argmax()])
    keys = [key for key, is_one in zip(data.maps, is_blind, strict=True) if not is_one]
    return pd.DataFrame(
        {
            "estimator": [estimator for estimator, _ in keys],
            "signs": [signs for _, signs in keys],
            "value": means[0, ~is_blind],
            "baseline": data.maps[best][0],
            "baseline_value": means[0, best],
            "gain": gain(means)[0],
            "ci_low": low,
            "ci_high": high,
            "beats": low > 0,
            "cases": len(data.numbers),
            "patients": len(set(data.patients)),
        }
    )
