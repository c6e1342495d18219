"""Which differences hold: paired by patient, corrected for their number, and how sure each rank is.

A patient is the unit of everything here. The slices of one patient are not independent; tests on slices would find
differences that are not there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon
from scipy.stats import t as student

from ..declarations import Output
from .bootstrap import Resampled, Resampling, grouped, resampled
from .measured import Key, Measured, Values

FEW = 13
"""Up to so many patients the signed-rank test is exact with ties too."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Values of several maps in the cases in which all of them are defined.

    Attributes:
        maps: the maps.
        cases: how many.
        means: of each patient, ``(patients, maps)``, larger is better: the negative ones where lower values are.
        resampled: class-balanced means of the maps (plain ones where the view is not balanced over the classes), the
            same way round.
        sign: 1, or -1 where lower values are better.
    """

    maps: tuple[Key, ...]
    cases: int
    means: Values
    resampled: Resampled
    sign: float = 1.0

    @classmethod
    def of(
        cls,
        maps: tuple[Key, ...],
        numbers: Values,
        labels: NDArray[np.int64],
        patients: Sequence[str],
        resampling: Resampling,
        sign: float = 1.0,
    ) -> "Compared":
        """From ``(N, maps)`` numbers of cases; ``labels`` are all 0 where the view is not balanced."""
        sums = grouped(sign * numbers, labels, patients)
        means = sums.sums.sum(axis=0) / sums.counts.sum(axis=0)[:, None]
        return cls(maps, len(numbers), means, resampled(sums, resampling), sign)


def compared(
    measured: Measured, view: Output, resampling: Resampling, opponents: Collection[str] = ()
) -> Compared | None:
    """All maps in the cases in which every one of them has a value; None where there are no such cases.

    Maps that lack many cases are left out (`Measured.partial`); ``opponents``, which others must beat, only where they
    lack most of them.
    """
    if view.name not in measured.numbers:
        return None
    partial = measured.partial(view, opponents=opponents)
    present = np.any(~np.isnan(measured.numbers[view.name]), axis=0).tolist()
    keys = [key for key, there in zip(measured.maps, present, strict=True) if there and key not in partial]
    measured = measured.only(keys)
    values = measured.numbers[view.name]
    defined = ~np.isnan(values).any(axis=1)
    if not keys or not defined.any():
        return None
    cases = measured.cases[defined]
    labels = cases["label"].to_numpy() if view.balanced else np.zeros(len(cases), dtype=np.int64)
    return Compared.of(measured.maps, values[defined], labels, cases["patient"].tolist(), resampling, view.sign)


def pairs_table(data: Compared) -> pd.DataFrame:
    """Every two maps: difference with its interval, Wilcoxon's signed-rank test on patient means, Holm's correction.

    The difference is above 0 where the first map is better.
    """
    places = list(combinations(range(len(data.maps)), 2))
    first, second = (np.array(side, dtype=np.intp) for side in zip(*places, strict=True))

    def difference(means: Values) -> Values:
        return np.asarray(means[:, first] - means[:, second])

    low, high = data.resampled.interval(difference)
    p = np.array([signed_rank(column) for column in difference(data.means).T])
    if not len(data.resampled.draws):
        p = np.full_like(p, np.nan)
    return pd.DataFrame(
        {
            "estimator": [data.maps[one][0] for one in first],
            "form": [data.maps[one][1] for one in first],
            "other": [data.maps[one][0] for one in second],
            "other_form": [data.maps[one][1] for one in second],
            "difference": difference(data.resampled.point)[0],
            "ci_low": low,
            "ci_high": high,
            "p": p,
            "p_holm": holm(p),
            "patients": len(data.means),
        }
    )


def signed_rank(differences: Values) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over patients, exact for few; 1 where all differences are 0."""
    nonzero = differences[differences != 0]
    if len(differences) > FEW or not len(nonzero):
        return float(wilcoxon(differences).pvalue) if len(nonzero) else 1.0
    # SciPy tries every assignment of signs where there are ties; here the ways to each sum of ranks are counted.
    ranks = np.rint(2 * rankdata(np.abs(nonzero))).astype(np.int64)
    ways = np.ones(1)
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    positive = ranks[nonzero > 0].sum()
    return float(min(1.0, 2 * min(ways[: positive + 1].sum(), ways[positive:].sum()) / ways.sum()))


def holm(p: Values) -> Values:
    """Holm's step-down correction (1979) of p-values; what is no number stays none and does not count."""
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    corrected = np.full_like(p, np.nan)
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
    """Friedman's test and Nemenyi's difference; None with fewer than three maps or too few patients."""
    means = data.means
    patients, count = means.shape
    if count < 3 or not len(data.resampled.draws):
        return None
    ranks = rankdata(-means, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    with np.errstate(invalid="ignore"):
        p = float(friedmanchisquare(*means.T).pvalue)
    quantile = studentized_range.ppf(confidence, count, np.inf) / np.sqrt(2)
    return CriticalDifference(
        tuple(data.maps[place] for place in order),
        ranks[order],
        1.0 if np.isnan(p) else p,  # all maps equal in every patient
        float(quantile * np.sqrt(count * (count + 1) / (6 * patients))),
        patients,
    )


def rank_intervals(data: Compared) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest rank of each map that resampling the patients leaves possible; 1 is best."""
    means = data.resampled.draws
    if not len(means):
        return np.ones(len(data.maps), dtype=np.int64), np.full(len(data.maps), len(data.maps))
    tail = (1 - data.resampled.confidence) / 2
    best = rankdata(-means, axis=1, method="min")
    worst = rankdata(-means, axis=1, method="max")
    low = np.quantile(best, tail, axis=0, method="lower").astype(np.int64)
    high = np.quantile(worst, 1 - tail, axis=0, method="higher").astype(np.int64)
    return low, high


def gains_table(data: Compared, blind: Collection[str]) -> pd.DataFrame:
    """Each estimator's gain over the best blind baseline; see `gains_over`."""
    return gains_over(data, [key for key in data.maps if key[0] in blind])


def gains_over(data: Compared, opponents: Collection[Key]) -> pd.DataFrame:
    """Each other map's gain over the best of some, chosen anew in every resample of the patients.

    The gain is above 0 where the map is better.
    ``p`` is one-sided, that there is no gain: Student's t of the gain by its bootstrap standard error.
    """
    is_blind = np.array([key in opponents for key in data.maps])
    if not is_blind.any() or is_blind.all():
        return pd.DataFrame()

    def gain(means: Values) -> Values:
        best: Values = means[:, is_blind].max(axis=1, keepdims=True)
        return means[:, ~is_blind] - best

    low, high = data.resampled.interval(gain)
    means = data.resampled.point
    best = int(np.flatnonzero(is_blind)[means[0, is_blind].argmax()])
    keys = [key for key, is_one in zip(data.maps, is_blind, strict=True) if not is_one]
    return pd.DataFrame(
        {
            "estimator": [estimator for estimator, _ in keys],
            "form": [form for _, form in keys],
            "value": data.sign * means[0, ~is_blind],
            "baseline": data.maps[best][0],
            "baseline_form": data.maps[best][1],
            "baseline_value": data.sign * means[0, best],
            "gain": gain(means)[0],
            "ci_low": low,
            "ci_high": high,
            "p": _above_zero(gain(means)[0], gain(data.resampled.draws), len(data.means)),
            "cases": data.cases,
            "patients": len(data.means),
        }
    )


def better_than(data: Compared, key: Key, confidence: float) -> list[Key]:
    """The maps that are better than one, tested together (Holm)."""
    means, draws, place = data.resampled.point, data.resampled.draws, data.maps.index(key)
    others = [where for where in range(len(data.maps)) if where != place]
    gain, drawn = means[0, others] - means[0, place], draws[:, others] - draws[:, [place]]
    corrected = holm(_above_zero(gain, drawn, len(data.means)))
    return [data.maps[where] for where, p in zip(others, corrected, strict=True) if p < 1 - confidence]


def _above_zero(gain: Values, draws: Values, patients: int) -> Values:
    """One-sided p of each gain; NaN without draws."""
    if not len(draws):
        return np.full_like(gain, np.nan)
    error = draws.std(axis=0, ddof=1) * np.sqrt(patients / (patients - 1))  # resampling divides by n, not by n - 1
    scaled = np.divide(gain, error, out=np.where(gain > 0, np.inf, -np.inf), where=error > 0)
    return np.asarray(student.sf(scaled, patients - 1))


def with_beats(gains: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Which gains hold: the family of all maps in all views is tested together (Holm), so that with maps that know
    nothing "some map beats the best blind baseline" is said in no more studies than ``1 - confidence``, as far as means
    over the patients are near normal. Of gains that are 0 in most patients and large in few that needs more of them.

    ``beats`` also asks that the gain's own interval lies above 0.
    """
    if gains.empty:
        return gains
    corrected = holm(gains["p"].to_numpy(np.float64))
    beats = (corrected < 1 - confidence) & (gains["ci_low"] > 0)
    return gains.assign(p_holm=corrected, beats=beats)
