"""From measurements to the tables of the protocol, every number with its interval and the cases it rests on."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ..metrics.overlap import PERCENTAGES
from ..metrics.roc import curve_areas
from .bootstrap import Resampling, class_balanced_mean, interval

Key = tuple[str, str]
OWN_SHARE = "mask share"
VIEWS = {"fidelity_rank": "fidelity", "auc_rank": "AUC", "dice_rank": "Dice"}


def per_case(measurements: pd.DataFrame, metric: str) -> Iterator[tuple[Key, pd.DataFrame]]:
    """The rows of one metric, a frame for each map, in the order in which the study names them."""
    rows = measurements[measurements["metric"] == metric]
    for (estimator, signs), frame in rows.groupby(["estimator", "signs"], sort=False):
        yield (str(estimator), str(signs)), frame


def fidelity_table(measurements: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Metric 1: fidelity F (the paper prints 10 F), averaged over the classes."""
    rows = []
    for (estimator, signs), frame in per_case(measurements, "fidelity"):
        values, labels = frame["value"].to_numpy()[:, None], frame["label"].to_numpy()
        low, high = interval(values, labels, frame["patient"].tolist(), resampling)
        mean = class_balanced_mean(values, labels)[0, 0]
        rows.append(
            {
                "estimator": estimator,
                "signs": signs,
                "fidelity": mean,
                "ci_low": low[0],
                "ci_high": high[0],
                **_basis(frame),
            }
        )
    return pd.DataFrame(rows)


def roc_table(measurements: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Metric 2: exact AUC and average precision by image, and the areas of the paper's averaged curves."""
    precision = dict(per_case(measurements, "average_precision"))
    curves = roc_curves(measurements)
    rows = []
    for key, frame in per_case(measurements, "auc"):
        defined = frame["value"].notna().to_numpy()
        chosen = frame[defined]
        if chosen.empty:
            continue
        values = np.stack([chosen["value"].to_numpy(), precision[key][defined]["value"].to_numpy()], axis=1)
        one_class = np.zeros(len(chosen), dtype=np.int64)
        low, high = interval(values, one_class, chosen["patient"].tolist(), resampling)
        auc, average_precision = values.mean(axis=0)
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
                **_basis(chosen),
                "undefined": int((~defined).sum()),
            }
        )
    return pd.DataFrame(rows)


def overlap_table(measurements: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Metric 3: Dice at p = 1..100 % and at the mask's own share (column ``at``), with the share of the image kept."""
    own = dict(per_case(measurements, "dice_own_share"))
    kept = dict(per_case(measurements, "kept"))
    kept_own = dict(per_case(measurements, "kept_own_share"))
    rows = []
    for key, frame in per_case(measurements, "dice"):
        defined = own[key]["value"].notna().to_numpy()
        chosen = frame[defined]
        if chosen.empty:
            continue
        dice = np.column_stack([np.stack(chosen["curve"].tolist()), own[key][defined]["value"]])
        area = np.column_stack([np.stack(kept[key][defined]["curve"].tolist()), kept_own[key][defined]["value"]])
        one_class = np.zeros(len(chosen), dtype=np.int64)
        low, high = interval(dice, one_class, chosen["patient"].tolist(), resampling)
        frame_of_key = pd.DataFrame(
            {
                "estimator": key[0],
                "signs": key[1],
                "at": [*(str(p) for p in PERCENTAGES), OWN_SHARE],
                "dice": dice.mean(axis=0),
                "ci_low": low,
                "ci_high": high,
                "kept": area.mean(axis=0),
                **_basis(chosen),
                "undefined": int((~defined).sum()),
            }
        )
        rows.append(frame_of_key)
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


def mean_curves(measurements: pd.DataFrame, metric: str, balanced: bool = False) -> dict[Key, NDArray[np.float64]]:
    """Mean curve of each map over the cases in which it is defined, averaged over the classes where ``balanced``."""
    curves = {}
    for key, frame in per_case(measurements, metric):
        values = np.stack(frame["curve"].tolist())
        defined = ~np.isnan(values).any(axis=1)
        if defined.any():
            labels = frame["label"].to_numpy()[defined] if balanced else np.zeros(int(defined.sum()), dtype=np.int64)
            curves[key] = class_balanced_mean(values[defined], labels)[0]
    return curves


def perturbation_curves(measurements: pd.DataFrame) -> dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Accuracy while masking, averaged over the classes: most important first, least important first."""
    most = mean_curves(measurements, "most_important_first", balanced=True)
    least = mean_curves(measurements, "least_important_first", balanced=True)
    return {key: (most[key], least[key]) for key in most}


def roc_curves(measurements: pd.DataFrame) -> dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The paper's averaged curves: on the quantile grid and on the linear grid, (2, points) each."""
    quantile, linear = (
        [mean_curves(measurements, f"{rate}_positive_rate_{grid}") for rate in ("true", "false")]
        for grid in ("quantile", "linear")
    )
    return {
        key: (np.stack([rate[key] for rate in quantile]), np.stack([rate[key] for rate in linear]))
        for key in quantile[0]
    }


def undefined_masks(measurements: pd.DataFrame) -> dict[str, list[str]]:
    """Names of the cases whose mask is empty or full, so that nothing can be measured against it."""
    cases = measurements.drop_duplicates("case")
    return {state: cases["case"][cases["mask"] == state].tolist() for state in ("empty", "full")}


def _basis(frame: pd.DataFrame) -> dict[str, int]:
    return {"cases": len(frame), "patients": frame["patient"].nunique()}
