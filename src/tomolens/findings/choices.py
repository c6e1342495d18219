"""Choices that matter: how far the rank of each estimator moves when a choice that the literature leaves open changes.

Each choice is changed alone. Ranks are among the estimators' absolute maps, 1 is best; the choice "maps" ranks the maps
as they are instead, and "ROC" by the areas of the paper's averaged curves instead of the exact mean area by image. The
rule for signs ("direction") shows in maps as they are alone: its ranks are among those, and so is what it is compared
with.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ..study.plan import NOT_ASSESSED
from ..study.variations import parse_varied
from .agreement import concordance
from .bootstrap import Resampling
from .measured import BOTH, Measured
from .tables import means_table
from .views import VIEWS, View

OWN = "the study's own"
OF_ORIGINAL = "direction"
"""The choice whose options are ranked among the maps as they are."""
ROC_AREAS = {
    "auc_quantile_trapezoid": "quantile grid",
    "auc_quantile_height": "quantile grid, mean height",
    "auc_linear_trapezoid": "linear grid",
    "auc_linear_height": "linear grid, mean height",
}


def choices_table(measured: Measured, values: pd.DataFrame, roc: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Value and rank of each estimator in each view under each option; empty where nothing was varied.

    Args:
        measured: the estimators' maps.
        values: of the study itself, see `values_table`.
        roc: the study's ROC table.
        resampling: of the means, whose intervals are not used here.
    """
    if not any(parse_varied(metric) for metric in measured.numbers):
        return pd.DataFrame()
    parts = []
    for view in VIEWS.values():
        own = values[values["view"] == view.name]
        absolute, original = _by_estimator(own, "absolute"), _by_estimator(own, "original")
        if not absolute:
            continue
        parts.append(_ranked(view, OWN, OWN, absolute, absolute))
        for choice, option, changed in _options(view, measured, roc, original, resampling):
            reference = original if choice == OF_ORIGINAL else absolute
            missing = dict.fromkeys(_not_assessed(measured, choice, option) - changed.keys(), np.nan)
            parts.append(_ranked(view, choice, option, {**reference, **changed, **missing}, reference))
    return pd.concat(parts, ignore_index=True)


def rank_ranges_table(choices: pd.DataFrame) -> pd.DataFrame:
    """For each view and estimator its rank in the study, the ends over all options, and what moves it most.

    The ends are over the options that rank absolute maps; what moved it most is over all of them.
    """
    rows = []
    for (view, estimator), frame in choices.groupby(["view", "estimator"], sort=False) if len(choices) else ():
        among_absolute = frame[frame["choice"] != OF_ORIGINAL]
        own = float(frame["rank"].to_numpy()[(frame["choice"] == OWN).argmax()])
        most = frame.iloc[int(frame["moved"].abs().to_numpy().argmax())]
        moved = abs(float(most["moved"]))
        rows.append(
            {
                "view": view,
                "estimator": estimator,
                "rank": own,
                "lowest": among_absolute["rank"].min(),
                "highest": among_absolute["rank"].max(),
                "moved_most_by": most["choice"] if moved > 0 else "",
                "option": most["option"] if moved > 0 else "",
                "moved": moved,
            }
        )
    return pd.DataFrame(rows)


def concordance_over(choices: pd.DataFrame, view: str, choice: str) -> float:
    """Kendall's W of the rankings under a choice's options, the study's own among them; NaN with fewer than two."""
    if choices.empty:
        return float("nan")
    chosen = choices[(choices["view"] == view) & choices["choice"].isin([OWN, choice])]
    ranks = chosen.pivot_table(index="option", columns="estimator", values="rank").dropna(axis=1)
    return concordance(ranks.to_numpy()) if len(ranks) > 1 and ranks.shape[1] > 1 else float("nan")


def _options(
    view: View, measured: Measured, roc: pd.DataFrame, original: Mapping[str, float], resampling: Resampling
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Choice, option and the values that it changes."""
    if original:
        yield "maps", "original", original
    if view.name == "auc":
        for column, option in ROC_AREAS.items():
            yield "ROC", option, _by_estimator(roc.assign(value=roc[column]), "absolute")
    for metric in measured.numbers:
        parsed = parse_varied(metric)
        if parsed is None or parsed[0] != view.metric:
            continue
        _, choice, option = parsed
        means = means_table(measured, metric, resampling, view.balanced)
        yield choice, option, _by_estimator(means, "original" if choice == OF_ORIGINAL else "absolute")


def _not_assessed(measured: Measured, choice: str, option: str) -> set[str]:
    """The estimators that failed under an option: the study's own number does not stand for them."""
    remarks = measured.remarks
    there = remarks["note"].str.startswith(f"{choice} = {option}: ") & (remarks["kind"] == NOT_ASSESSED)
    return set(remarks["estimator"][there.astype(bool)])


def _by_estimator(table: pd.DataFrame, signs: str) -> dict[str, float]:
    chosen = table[table["signs"].isin([signs, BOTH])]
    return dict(zip(chosen["estimator"], chosen["value"], strict=True))


def _ranked(
    view: View, choice: str, option: str, by_estimator: Mapping[str, float], reference: Mapping[str, float]
) -> pd.DataFrame:
    """Rank of each estimator under an option, and how far that is from its rank among the study's own maps."""
    values, own = pd.Series(by_estimator), pd.Series(reference).rank(ascending=False)
    ranks = values.rank(ascending=False)
    return pd.DataFrame(
        {
            "view": view.name,
            "choice": choice,
            "option": option,
            "estimator": values.index,
            "value": values.to_numpy(),
            "rank": ranks.to_numpy(),
            "moved": (ranks - own.reindex(values.index)).fillna(0.0).to_numpy(),
        }
    )
