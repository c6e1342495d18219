"""Agreement: whether the model's own behaviour and the expert's masks rank the maps alike, case by case."""

from itertools import combinations

import numpy as np
import pandas as pd

from .bootstrap import Resampling, grouped, interval
from .measured import Measured, Values
from .views import TWO_VIEWS, VIEWS

ROWS = 4096
"""Cases whose pairs of maps are compared at a time."""


def agreement_by_case(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Kendall's tau-b between the rankings of a case's maps by each two views.

    Returns:
        For each two views the mean over the cases, its interval over patients, the share of cases in which the views
        disagree (tau below 0), and the case in which they part most.
    """
    rows = []
    present = [VIEWS[name] for name in TWO_VIEWS if VIEWS[name].metric in measured.numbers]
    for first, second in combinations(present, 2):
        one, other = measured.numbers[first.metric], measured.numbers[second.metric]
        taus = kendall_tau_b(one, other)
        defined = ~np.isnan(taus)
        if not defined.any():
            continue
        cases = measured.cases[defined]
        values = grouped(taus[defined, None], np.zeros(len(cases), dtype=np.int64), cases["patient"].tolist())
        low, high = interval(values, resampling)
        rows.append(
            {
                "view": first.name,
                "other": second.name,
                "tau": taus[defined].mean(),
                "ci_low": low[0],
                "ci_high": high[0],
                "disagree": float((taus[defined] < 0).mean()),
                "part_most": cases["case"].iloc[int(taus[defined].argmin())],
                "cases": len(cases),
                "patients": cases["patient"].nunique(),
            }
        )
    return pd.DataFrame(rows)


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
