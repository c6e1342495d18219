"""Choices that matter: how far the rank of each estimator moves when a choice that the literature leaves open changes.

Each choice is changed alone. Ranks are among the estimators' absolute maps, 1 is best; the choice "maps" ranks the maps
as they are instead, and "ROC" by the areas of the paper's averaged curves instead of the exact mean area by image.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from ..study.variations import parse_varied
from .agreement import concordance
from .bootstrap import Resampling
from .measured import Measured
from .tables import means_table
from .views import VIEWS, View

OWN = "the study's own"
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
        absolute = _by_estimator(own, "absolute")
        if not absolute:
            continue
        parts.append(_ranked(view, OWN, OWN, absolute))
        for choice, option, changed in _options(view, measured, own, roc, resampling):
            parts.append(_ranked(view, choice, option, {**absolute, **changed}))
    return pd.concat(parts, ignore_index=True)


def rank_ranges_table(choices: pd.DataFrame) -> pd.DataFrame:
    """For each view and estimator its rank in the study, the ends over all options, and what moves it most."""
    rows = []
    for (view, estimator), frame in choices.groupby(["view", "estimator"], sort=False) if len(choices) else ():
        own = float(frame["rank"].to_numpy()[(frame["choice"] == OWN).argmax()])
        moved = (frame["rank"] - own).abs()
        most = frame.iloc[int(moved.argmax())]
        rows.append(
            {
                "view": view,
                "estimator": estimator,
                "rank": own,
                "lowest": frame["rank"].min(),
                "highest": frame["rank"].max(),
                "moved_most_by": most["choice"] if moved.max() > 0 else "",
                "option": most["option"] if moved.max() > 0 else "",
                "moved": moved.max(),
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
    view: View, measured: Measured, own: pd.DataFrame, roc: pd.DataFrame, resampling: Resampling
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Choice, option and the values that it changes."""
    original = _by_estimator(own, "original")
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
        if choice == "direction":  # the rule for signs shows in maps as they are, and is compared with those
            yield choice, option, {**original, **_by_estimator(means, "original")}
        else:
            yield choice, option, _by_estimator(means, "absolute")


def _by_estimator(table: pd.DataFrame, signs: str) -> dict[str, float]:
    chosen = table[table["signs"] == signs]
    return dict(zip(chosen["estimator"], chosen["value"], strict=True))


def _ranked(view: View, choice: str, option: str, by_estimator: Mapping[str, float]) -> pd.DataFrame:
    values = pd.Series(by_estimator)
    return pd.DataFrame(
        {
            "view": view.name,
            "choice": choice,
            "option": option,
            "estimator": values.index,
            "value": values.to_numpy(),
            "rank": values.rank(ascending=False).to_numpy(),
        }
    )
