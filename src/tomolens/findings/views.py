"""The two views: whether the model's own behaviour and the expert's masks rank the maps alike, case by case."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from .bootstrap import Resampling, grouped, interval
from .inference import VIEWS
from .measured import Measured, Values


def agreement_by_case(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Kendall's tau-b between the rankings of a case's maps by each two views.

    Returns:
        For each two views the mean over the cases, its interval over patients, the share of cases in which the views
        disagree (tau below 0), and the case in which they part most.
    """
    rows = []
    for first, second in combinations([view for view in VIEWS if VIEWS[view] in measured.numbers], 2):
        one, other = measured.numbers[VIEWS[first]], measured.numbers[VIEWS[second]]
        taus = np.array([_tau(a, b) for a, b in zip(one, other, strict=True)])
        defined = ~np.isnan(taus)
        if not defined.any():
            continue
        cases = measured.cases[defined]
        values = grouped(taus[defined, None], np.zeros(len(cases), dtype=np.int64), cases["patient"].tolist())
        low, high = interval(values, resampling)
        rows.append(
            {
                "view": first,
                "other": second,
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
    """Kendall's W of ``(judges, maps)`` ranks, corrected for ties: 1 all judges agree, 0 no agreement."""
    judges, count = ranks.shape
    ties = sum(float((sizes**3 - sizes).sum()) for sizes in (np.unique(row, return_counts=True)[1] for row in ranks))
    spread = float(((ranks.sum(axis=0) - ranks.sum() / count) ** 2).sum())
    return float(12 * spread / (judges**2 * (count**3 - count) - judges * ties))


def _tau(one: Values, other: Values) -> float:
    both = ~np.isnan(one) & ~np.isnan(other)
    return float(kendalltau(one[both], other[both]).statistic) if both.sum() > 1 else float("nan")
