"""From measurements to the tables of the protocol, every number with its interval and the cases it rests on."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ..metrics.overlap import PERCENTAGES
from ..metrics.roc import curve_areas
from .bootstrap import Grouped, Resampling, class_balanced_mean, grouped, interval
from .inference import Compared, rank_intervals
from .measured import Key, Measured

OWN_SHARE = "mask share"
VIEWS = {"fidelity_rank": "fidelity", "auc_rank": "AUC", "dice_rank": "Dice"}


def fidelity_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 1: fidelity F (the paper prints 10 F), averaged over the classes."""
    rows = []
    for which, (estimator, signs) in enumerate(measured.maps):
        there = _there(measured, "fidelity", which)
        if not there.any():
            continue
        values = _grouped(measured, ["fidelity"], which, there, balanced=True)
        low, high = interval(values, resampling)
        rows.append(
            {
                "estimator": estimator,
                "signs": signs,
                "fidelity": class_balanced_mean(values)[0, 0],
                "ci_low": low[0],
                "ci_high": high[0],
                **_basis(measured, there),
            }
        )
    return pd.DataFrame(rows)


def roc_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 2: exact AUC and average precision by image, and the areas of the paper's averaged curves."""
    curves = roc_curves(measured)
    rows = []
    for which, key in enumerate(measured.maps):
        there, defined = _there(measured, "auc", which), _defined(measured, "auc", which)
        if not defined.any():
            continue
        values = _grouped(measured, ["auc", "average_precision"], which, defined)
        low, high = interval(values, resampling)
        auc, average_precision = class_balanced_mean(values)[0]
        rows.append(
            {
                "estimator": key[0],
                "signs": key[1],
                "auc": auc,
                "ci_low": low[0],
                "ci_high": high[0],
                "average_precision": average_precision,
                "average_precision_ci_low": low[1],
                "average_precision_ci_high": high[1],
                **{f"auc_{name}": area for name, area in curve_areas(*curves[key]).items()},
                **_basis(measured, defined),
                "undefined": int((there & ~defined).sum()),
            }
        )
    return pd.DataFrame(rows)


def overlap_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 3: Dice at p = 1..100 % and at the mask's own share (column ``at``), with the share of the image kept."""
    rows = []
    for which, key in enumerate(measured.maps):
        there, defined = _there(measured, "dice_own_share", which), _defined(measured, "dice_own_share", which)
        if not defined.any():
            continue
        dice, kept = (
            [_curves_of(measured, name, which), _grouped(measured, [f"{name}_own_share"], which, defined)]
            for name in ("dice", "kept")
        )
        ends = [interval(part, resampling) for part in dice]
        frame = pd.DataFrame(
            {
                "estimator": key[0],
                "signs": key[1],
                "at": [*(str(p) for p in PERCENTAGES), OWN_SHARE],
                "dice": np.concatenate([class_balanced_mean(part)[0] for part in dice]),
                "ci_low": np.concatenate([low for low, _ in ends]),
                "ci_high": np.concatenate([high for _, high in ends]),
                "kept": np.concatenate([class_balanced_mean(part)[0] for part in kept]),
                **_basis(measured, defined),
                "undefined": int((there & ~defined).sum()),
            }
        )
        rows.append(frame)
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def ranks_table(fidelity: pd.DataFrame, roc: pd.DataFrame, overlap: pd.DataFrame) -> pd.DataFrame:
    """Rank of each map by fidelity, by AUC and by Dice at the mask's own share; 1 is best, ties share the mean."""
    views = [("fidelity", fidelity, "fidelity"), ("auc", roc, "auc"), ("dice", own_share_rows(overlap), "dice")]
    table = pd.DataFrame(columns=["estimator", "signs"])
    for name, frame, column in views:
        if frame.empty:
            continue
        ranks = frame[["estimator", "signs"]].assign(**{f"{name}_rank": frame[column].rank(ascending=False).to_numpy()})
        table = ranks if table.empty else table.merge(ranks, on=["estimator", "signs"], how="outer", sort=False)
    columns = [column for column in table.columns if column.endswith("_rank")]
    return table.assign(mean_rank=table[columns].mean(axis=1)).sort_values("mean_rank", ignore_index=True)


def with_rank_intervals(ranks: pd.DataFrame, data: Mapping[str, Compared], resampling: Resampling) -> pd.DataFrame:
    """The ranks with the lowest and highest rank in each view that resampling the patients leaves possible."""
    for view, one in data.items():
        low, high = rank_intervals(one, resampling)
        ends = pd.DataFrame(one.maps, columns=["estimator", "signs"])
        ends = ends.assign(**{f"{view}_rank_low": low, f"{view}_rank_high": high})
        ranks = ranks.merge(ends, on=["estimator", "signs"], how="left")
    return ranks


def baselines_table(measured: Measured, blind: Collection[str], resampling: Resampling) -> pd.DataFrame:
    """Value of each blind baseline in each view: what an estimator reaches without ever looking at the network."""
    only = measured.only([key for key in measured.maps if key[0] in blind and key[1] == "original"])
    fidelity, roc = fidelity_table(only, resampling), roc_table(only, resampling)
    views = {"fidelity": (fidelity, "fidelity"), "auc": (roc, "auc")}
    views["dice"] = own_share_rows(overlap_table(only, resampling)), "dice"
    parts = []
    for view, (table, column) in views.items():
        if not table.empty:
            chosen = table[["estimator", column, "ci_low", "ci_high", "cases", "patients"]]
            parts.append(chosen.rename(columns={"estimator": "baseline", column: "value"}).assign(view=view))
    if not parts:
        return pd.DataFrame()
    joined = pd.concat(parts, ignore_index=True)
    return joined[["view", *(name for name in joined.columns if name != "view")]]


def own_share_rows(overlap: pd.DataFrame) -> pd.DataFrame:
    """The rows of the overlap table at the mask's own share."""
    return overlap if overlap.empty else overlap[overlap["at"] == OWN_SHARE].reset_index(drop=True)


def agreement(ranks: pd.DataFrame) -> dict[str, float]:
    """Kendall's tau-b between the rankings by each two views: 1 the same order, 0 unrelated, -1 reversed."""
    columns = [column for column in VIEWS if column in ranks]
    taus = {}
    for place, first in enumerate(columns):
        for second in columns[place + 1 :]:
            both = ranks[[first, second]].dropna()
            taus[f"{VIEWS[first]} and {VIEWS[second]}"] = (
                float(kendalltau(both[first], both[second]).statistic) if len(both) > 1 else float("nan")
            )
    return taus


def mean_curves(measured: Measured, metric: str, balanced: bool = False) -> dict[Key, NDArray[np.float64]]:
    """Mean curve of each map over the cases in which it is defined, averaged over the classes where ``balanced``."""
    if metric not in measured.curves:
        return {}
    return {
        key: class_balanced_mean(_curves_of(measured, metric, which, balanced))[0]
        for which, key in enumerate(measured.maps)
        if measured.curves[metric].counts[which].any()
    }


def perturbation_curves(measured: Measured) -> dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Accuracy while masking, averaged over the classes: most important first, least important first."""
    most = mean_curves(measured, "most_important_first", balanced=True)
    least = mean_curves(measured, "least_important_first", balanced=True)
    return {key: (most[key], least[key]) for key in most}


def roc_curves(measured: Measured) -> dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The paper's averaged curves: on the quantile grid and on the linear grid, (2, points) each."""
    quantile, linear = (
        [mean_curves(measured, f"{rate}_positive_rate_{grid}") for rate in ("true", "false")]
        for grid in ("quantile", "linear")
    )
    return {
        key: (np.stack([rate[key] for rate in quantile]), np.stack([rate[key] for rate in linear]))
        for key in quantile[0]
    }


def undefined_masks(measured: Measured) -> dict[str, list[str]]:
    """Names of the cases whose mask is empty or full, so that nothing can be measured against it."""
    cases = measured.cases
    return {state: cases["case"][cases["mask"] == state].tolist() for state in ("empty", "full")}


def _there(measured: Measured, metric: str, which: int) -> NDArray[np.bool_]:
    if metric not in measured.measured:
        return np.zeros(len(measured.cases), dtype=bool)
    return measured.measured[metric][:, which]


def _defined(measured: Measured, metric: str, which: int) -> NDArray[np.bool_]:
    if metric not in measured.numbers:
        return np.zeros(len(measured.cases), dtype=bool)
    return ~np.isnan(measured.numbers[metric][:, which])


def _grouped(
    measured: Measured, metrics: list[str], which: int, chosen: NDArray[np.bool_], balanced: bool = False
) -> Grouped:
    """Values of one map in the chosen cases, a column for each metric."""
    cases = measured.cases[chosen]
    values = np.stack([measured.numbers[metric][chosen, which] for metric in metrics], axis=1)
    labels = cases["label"].to_numpy() if balanced else np.zeros(len(cases), dtype=np.int64)
    return grouped(values, labels, cases["patient"].tolist())


def _curves_of(measured: Measured, metric: str, which: int, balanced: bool = False) -> Grouped:
    """Curves of one map in the cases in which they are defined."""
    curves = measured.curves[metric]
    groups = measured.groups.iloc[curves.groups]
    labels = groups["label"].to_numpy() if balanced else np.zeros(len(groups), dtype=np.int64)
    patients = pd.factorize(groups["patient"])[0]
    every = Grouped(curves.sums[which], curves.counts[which], labels, patients)
    return every.chosen(curves.counts[which] > 0)


def _basis(measured: Measured, chosen: NDArray[np.bool_]) -> dict[str, int]:
    return {"cases": int(chosen.sum()), "patients": measured.cases["patient"][chosen].nunique()}
