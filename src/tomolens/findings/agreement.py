"""Agreement: whether the model's own behaviour and the expert's masks rank the maps alike, case by case."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ..declarations import Output
from .bootstrap import Resampling, grouped, interval
from .measured import Measured, Values

ROWS = 4096
"""Cases whose pairs of maps are compared at a time."""


def agreement_by_case(measured: Measured, views: Sequence[Output], resampling: Resampling) -> pd.DataFrame:
    """Agreement of the views within each case: Kendall's tau-b of each two, and W of all of them.

    Returns:
        For each ``statistic`` its mean over the cases, the interval over patients, the share of cases in which two
        views disagree (tau below 0), and the case in which they part most.
    """
    numbers = {
        view.judges.name: view.sign * measured.numbers[view.name] for view in views if view.name in measured.numbers
    }
    rows = [
        _row(measured, (first, other, "tau-b"), kendall_tau_b(numbers[first], numbers[other]), resampling)
        for first, other in combinations(numbers, 2)
    ]
    if len(numbers) > 2:
        rows.append(_row(measured, ("all", "", "W"), kendall_w(list(numbers.values())), resampling))
    return pd.DataFrame([row for row in rows if row])


def _row(measured: Measured, names: tuple[str, str, str], values: Values, resampling: Resampling) -> dict[str, object]:
    defined = ~np.isnan(values)
    if not defined.any():
        return {}
    cases = measured.cases[defined]
    sums = grouped(values[defined, None], np.zeros(len(cases), dtype=np.int64), cases["patient"].tolist())
    low, high = interval(sums, resampling)
    return {
        **dict(zip(("view", "other", "statistic"), names, strict=True)),
        "value": values[defined].mean(),
        "ci_low": low[0],
        "ci_high": high[0],
        "disagree": float((values[defined] < 0).mean()) if names[2] == "tau-b" else np.nan,
        "part_most": cases["case"].iloc[int(values[defined].argmin())],
        "cases": len(cases),
        "patients": cases["patient"].nunique(),
    }


def concordance(ranks: Values) -> float:
    """Kendall's W of ``(judges, maps)`` ranks, corrected for ties: 1 all agree, 0 none do; NaN where all are tied."""
    judges, count = ranks.shape
    ties = sum(float((sizes**3 - sizes).sum()) for sizes in (np.unique(row, return_counts=True)[1] for row in ranks))
    spread = float(((ranks.sum(axis=0) - ranks.sum() / count) ** 2).sum())
    most = judges**2 * (count**3 - count) - judges * ties
    return 12 * spread / most if most > 0 else float("nan")


def kendall_tau_b(one: Values, other: Values) -> Values:
    """Kendall's tau-b of each row of two ``(N, maps)`` arrays over the maps that both have; NaN where it has none."""
    first, second = np.triu_indices(one.shape[1], 1)
    taus = np.empty(len(one))
    for start in range(0, len(one), ROWS):
        rows = slice(start, start + ROWS)
        a, b = (np.sign(values[rows, first] - values[rows, second]) for values in (one, other))
        missing = np.isnan(a) | np.isnan(b)
        a[missing], b[missing] = 0.0, 0.0  # as if tied in both, which counts in neither sum
        with np.errstate(invalid="ignore"):
            taus[rows] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return taus


def kendall_w(views: Sequence[Values]) -> Values:
    """Kendall's W of each row of several ``(N, maps)`` arrays, corrected for ties; NaN where a map lacks a value."""
    count, judges = views[0].shape[1], len(views)
    w = np.empty(len(views[0]))
    for start in range(0, len(w), ROWS):
        parts = [view[start : start + ROWS] for view in views]
        ranks = [rankdata(part, axis=1) for part in parts]  # NaN in a row makes all its ranks NaN
        total = np.sum(ranks, axis=0)
        spread = ((total - total.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        # t^3 - t of a group of t tied maps is t^2 - 1, added up over its members.
        ties = sum((((one[:, :, None] == one[:, None, :]).sum(axis=2) ** 2) - 1).sum(axis=1) for one in ranks)
        most = judges**2 * (count**3 - count) - judges * ties
        w[start : start + ROWS] = np.divide(12 * spread, most, out=np.full(len(total), np.nan), where=most > 0)
    return w
