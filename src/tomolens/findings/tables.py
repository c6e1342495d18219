"""From measurements to the tables of the protocol, every number with its interval and the cases it rests on."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ..metrics.overlap import PERCENTAGES
from ..metrics.roc import curve_areas
from .bootstrap import Grouped, Resampling, class_balanced_mean, grouped, interval
from .inference import Compared, rank_intervals
from .measured import Key, Measured, Values
from .views import TWO_VIEWS, VIEWS

OWN_SHARE = "mask share"
"""In the overlap table's column ``at``: the mask's own share of the image."""


def values_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """The one number of each map in each view with its interval: what ranks the maps.

    One that is ``partial`` (`Measured.partial`) has a number and no rank.
    """
    tables = {}
    for view in VIEWS.values():
        table = means_table(measured, view.metric, resampling, view.balanced)
        if not table.empty:
            partial = measured.partial(view.metric, view.balanced)
            keys = zip(table["estimator"], table["signs"], strict=True)
            table["partial"] = [key in partial for key in keys]
        tables[view.name] = table
    return by_view(tables)


def means_table(measured: Measured, metric: str, resampling: Resampling, balanced: bool = False) -> pd.DataFrame:
    """Mean of a metric for each map over the cases in which it is defined, over the classes where ``balanced``."""
    if metric not in measured.numbers:
        return pd.DataFrame()
    numbers = measured.numbers[metric]
    defined = ~np.isnan(numbers)
    alike: dict[bytes, list[int]] = {}
    for which in range(len(measured.maps)):
        if defined[:, which].any():
            alike.setdefault(defined[:, which].tobytes(), []).append(which)
    rows = {}
    for maps in alike.values():  # nearly always all of them: the cases of one are those of every other
        there = defined[:, maps[0]]
        values = _grouped(measured, numbers[there][:, maps], there, balanced)
        columns = class_balanced_mean(values), *interval(values, resampling)
        for which, value, low, high in zip(maps, *columns, strict=True):
            (estimator, signs), basis = measured.maps[which], _basis(measured, there)
            row = {"estimator": estimator, "signs": signs, "value": value, "ci_low": low, "ci_high": high}
            rows[which] = row | basis
    return pd.DataFrame([rows[which] for which in sorted(rows)])


def by_view(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all views under one another, the view in the first column."""
    named = [table.assign(view=view) for view, table in tables.items() if not table.empty]
    if not named:
        return pd.DataFrame()
    joined = pd.concat(named, ignore_index=True)
    return joined[["view", *(name for name in joined.columns if name != "view")]]


def fidelity_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 1: fidelity F (the paper prints 10 F), averaged over the classes."""
    return means_table(measured, "fidelity", resampling, balanced=True).rename(columns={"value": "fidelity"})


def evidence_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """On simulated CT: how well each map finds what truly carries the class."""
    return means_table(measured, "evidence", resampling).rename(columns={"value": "evidence"})


def roc_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 2: exact AUC and average precision by image, and the areas of the paper's averaged curves.

    ``auc_body`` is the AUC among the pixels of the body alone, which the air around the patient does not flatter.
    """
    table = means_table(measured, "auc", resampling).rename(columns={"value": "auc"})
    if table.empty:
        return table
    keys = ["estimator", "signs"]
    for metric in ("average_precision", "auc_body"):
        other = means_table(measured, metric, resampling)
        if not other.empty:
            names = {"value": metric, "ci_low": f"{metric}_ci_low", "ci_high": f"{metric}_ci_high"}
            other = other[[*keys, *names]].rename(columns=names)
            table = table.merge(other, on=keys, how="left")
    curves = roc_curves(measured)
    areas = pd.DataFrame(
        [
            (*key, *(area for area in curve_areas(*curves[key]).values()), _undefined(measured, "auc", which))
            for which, key in enumerate(measured.maps)
            if key in curves
        ],
        columns=[*keys, *(f"auc_{name}" for name in curve_areas(*next(iter(curves.values())))), "undefined"],
    )
    return table.merge(areas, on=keys, how="left")


def overlap_table(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    """Metric 3: Dice at p = 1..100 % and at the mask's own share (column ``at``), with the share of the image kept."""
    rows = []
    for which, key in enumerate(measured.maps):
        defined = _defined(measured, "dice_own_share", which)
        if not defined.any():
            continue
        dice, kept = (
            [
                _curves_of(measured, name, which),
                _grouped(measured, measured.numbers[f"{name}_own_share"][defined, which][:, None], defined),
            ]
            for name in ("dice", "kept")
        )
        ends = [interval(part, resampling) for part in dice]
        frame = pd.DataFrame(
            {
                "estimator": key[0],
                "signs": key[1],
                "at": [*(str(p) for p in PERCENTAGES), OWN_SHARE],
                "dice": np.concatenate([class_balanced_mean(part) for part in dice]),
                "ci_low": np.concatenate([low for low, _ in ends]),
                "ci_high": np.concatenate([high for _, high in ends]),
                "kept": np.concatenate([class_balanced_mean(part) for part in kept]),
                **_basis(measured, defined),
                "undefined": _undefined(measured, "dice_own_share", which),
            }
        )
        rows.append(frame)
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def ranks_table(values: pd.DataFrame) -> pd.DataFrame:
    """Rank of each map in each view; 1 is best, ties share the mean. The mean rank is over the two views."""
    table = pd.DataFrame(columns=["estimator", "signs"])
    for view, frame in values.groupby("view", sort=False) if len(values) else ():
        compared = frame["value"].where(~frame["partial"])
        ranks = frame[["estimator", "signs"]].assign(**{f"{view}_rank": compared.rank(ascending=False)})
        table = ranks if table.empty else table.merge(ranks, on=["estimator", "signs"], how="outer", sort=False)
    columns = [f"{view}_rank" for view in TWO_VIEWS if f"{view}_rank" in table]
    return table.assign(mean_rank=table[columns].mean(axis=1)).sort_values("mean_rank", ignore_index=True)


def with_rank_intervals(ranks: pd.DataFrame, data: Mapping[str, Compared]) -> pd.DataFrame:
    """The ranks with the lowest and highest rank in each view that resampling the patients leaves possible."""
    for view, one in data.items():
        low, high = rank_intervals(one)
        ends = pd.DataFrame(one.maps, columns=["estimator", "signs"])
        ends = ends.assign(**{f"{view}_rank_low": low, f"{view}_rank_high": high})
        ranks = ranks.merge(ends, on=["estimator", "signs"], how="left")
    return ranks


def with_gains(table: pd.DataFrame, gains: pd.DataFrame, view: str) -> pd.DataFrame:
    """A view's table with each map's gain over the best blind baseline, its interval, and whether it beats it."""
    chosen = gains if gains.empty else gains[gains["view"] == view]
    if table.empty or chosen.empty:
        return table
    names = {"gain": "gain", "ci_low": "gain_ci_low", "ci_high": "gain_ci_high", "beats": "beats_blind"}
    columns = chosen[["estimator", "signs", *names]].rename(columns=names)
    if "at" in table:
        columns = columns.assign(at=OWN_SHARE)
    return table.merge(columns, on=[name for name in ("estimator", "signs", "at") if name in columns], how="left")


def own_share_rows(overlap: pd.DataFrame) -> pd.DataFrame:
    """The rows of the overlap table at the mask's own share."""
    return overlap if overlap.empty else overlap[overlap["at"] == OWN_SHARE].reset_index(drop=True)


def agreement(ranks: pd.DataFrame) -> dict[str, float]:
    """Kendall's tau-b between the rankings by each two views: 1 the same order, 0 unrelated, -1 reversed."""
    taus = {}
    for first, second in combinations([view for view in VIEWS.values() if f"{view.name}_rank" in ranks], 2):
        both = ranks[[f"{first.name}_rank", f"{second.name}_rank"]].dropna()
        taus[f"{first.title} and {second.title}"] = (
            float(kendalltau(*both.to_numpy().T).statistic) if len(both) > 1 else float("nan")
        )
    return taus


def mean_curves(measured: Measured, metric: str, balanced: bool = False) -> dict[Key, NDArray[np.float64]]:
    """Mean curve of each map over the cases in which it is defined, averaged over the classes where ``balanced``."""
    if metric not in measured.curves:
        return {}
    return {
        key: class_balanced_mean(_curves_of(measured, metric, which, balanced))
        for which, key in enumerate(measured.maps)
        if measured.curves[metric].counts[which].any()
    }


class Band(NamedTuple):
    """A mean curve with the ends of its interval at each point."""

    mean: Values
    low: Values
    high: Values


def curve_bands(measured: Measured, metric: str, resampling: Resampling, balanced: bool = False) -> dict[Key, Band]:
    """Mean curve of each map with its interval over patients; only for curves that are kept by patient."""
    bands = {}
    for which, key in enumerate(measured.maps):
        if metric in measured.curves and measured.curves[metric].counts[which].any():
            values = _curves_of(measured, metric, which, balanced)
            bands[key] = Band(class_balanced_mean(values), *interval(values, resampling))
    return bands


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


def _undefined(measured: Measured, metric: str, which: int) -> int:
    """In how many cases a metric was measured and has no value."""
    return int((measured.measured[metric][:, which] & ~_defined(measured, metric, which)).sum())


def _defined(measured: Measured, metric: str, which: int) -> NDArray[np.bool_]:
    if metric not in measured.numbers:
        return np.zeros(len(measured.cases), dtype=bool)
    return ~np.isnan(measured.numbers[metric][:, which])


def _grouped(measured: Measured, values: Values, chosen: NDArray[np.bool_], balanced: bool = False) -> Grouped:
    """Values of the chosen cases, ``(chosen, K)``, added up by patient."""
    cases = measured.cases[chosen]
    labels = cases["label"].to_numpy() if balanced else np.zeros(len(cases), dtype=np.int64)
    return grouped(values, labels, cases["patient"].tolist())


def _curves_of(measured: Measured, metric: str, which: int, balanced: bool = False) -> Grouped:
    """Curves of one map in the cases in which they are defined."""
    curves = measured.curves[metric]
    there = curves.counts[which] > 0
    groups = measured.groups.iloc[curves.groups[there]]
    labels = groups["label"].to_numpy() if balanced else np.zeros(len(groups), dtype=np.int64)
    return grouped(curves.sums[which][there], labels, groups["patient"].tolist(), curves.counts[which][there])


def _basis(measured: Measured, chosen: NDArray[np.bool_]) -> dict[str, int]:
    return {"cases": int(chosen.sum()), "patients": measured.cases["patient"][chosen].nunique()}
