"""Choices that matter: how far the rank of each estimator moves when a choice that the literature leaves open changes.

Each choice is changed alone. Ranks are among the estimators' absolute maps, 1 is best; the choice "maps" ranks the maps
as they are instead, and areas of mean curves stand in for the numbers that they are another way to say. The direction
of maps ("direction") shows in maps as they are alone: its ranks are among those, and so is what it is compared with.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from ..declarations import Declaration, Output
from ..results.rows import CALIBRATION, NETWORK, NOT_ASSESSED
from .agreement import concordance
from .bootstrap import Resampling
from .measured import BOTH, Measured
from .tables import means_table

OWN = "the study's own"
NO_CHOICE = {CALIBRATION, NETWORK}
"""Options of these are other cases and networks, which nobody chooses."""
OF_CLASS = "class"
"""The choice of another class to explain."""
OF_ORIGINAL = "direction"
"""The choice whose options are ranked among the maps as they are."""


def choices_table(
    measured: Measured,
    metrics: Sequence[Declaration],
    means: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    resampling: Resampling,
) -> pd.DataFrame:
    """Value and rank of each estimator in each view under each option; empty where nothing was varied.

    Args:
        measured: the estimators' maps.
        metrics: of the study.
        means: of each of their numbers.
        tables: of each of them, with the areas of its mean curves.
        resampling: of the means, whose intervals are not used here.
    """
    parts = []
    for metric in metrics if any(choice not in NO_CHOICE for choice, _ in measured.varied) else ():
        for view in (output for output in metric.numbers if output.view and output.view.ranks):
            absolute, original = (_by_estimator(means[view.name], form) for form in ("absolute", "original"))
            if not absolute:
                continue
            parts.append(_ranked(view, OWN, OWN, absolute, absolute))
            options = {("maps", "original"): original} if original else {}
            for area in (area for area in metric.areas if area.of == view.name):
                options[area.choice, area.option] = _by_estimator(tables[metric.name], "absolute", area.name)
            for (choice, option), changed in (*options.items(), *_varied(view, measured, resampling)):
                reference = original if choice == OF_ORIGINAL else absolute
                missing = dict.fromkeys(_not_assessed(measured, choice, option) - changed.keys(), np.nan)
                parts.append(_ranked(view, choice, option, {**reference, **changed, **missing}, reference))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


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


def concordance_over(choices: pd.DataFrame, view: str) -> dict[str, float]:
    """Kendall's W of the rankings in a view under the options of each choice that has two, the study's own among them.

    Choices that are ranked among other maps than the study's own are left out.
    """
    rows = choices if choices.empty else choices[choices["view"] == view]
    found = {}
    for choice, frame in rows.groupby("choice", sort=False) if len(rows) else ():
        chosen = rows[rows["choice"].isin([OWN, choice])]
        ranks = chosen.pivot_table(index="option", columns="estimator", values="rank").dropna(axis=1)
        if choice not in (OWN, OF_ORIGINAL) and len(frame["option"].unique()) > 1 and ranks.shape[1] > 1:
            found[str(choice)] = concordance(ranks.to_numpy())
    return found


def _varied(
    view: Output, measured: Measured, resampling: Resampling
) -> Iterator[tuple[tuple[str, str], Mapping[str, float]]]:
    """Choice and option, and the values that it changes."""
    for (choice, option), numbers in measured.varied.items():
        if view.name in numbers and choice not in NO_CHOICE:
            table = means_table(measured, view, resampling, numbers[view.name])
            yield (choice, option), _by_estimator(table, "original" if choice == OF_ORIGINAL else "absolute")


def _not_assessed(measured: Measured, choice: str, option: str) -> set[str]:
    """The estimators that failed under an option: the study's own number does not stand for them."""
    remarks = measured.remarks
    there = (remarks["choice"] == choice) & (remarks["option"] == option) & (remarks["kind"] == NOT_ASSESSED)
    return set(remarks["estimator"][there]) - {""}


def _by_estimator(table: pd.DataFrame, form: str, column: str = "value") -> dict[str, float]:
    if table.empty:
        return {}
    chosen = table[table["form"].isin([form, BOTH])]
    values = chosen[column].where(~chosen["partial"]) if "partial" in chosen else chosen[column]
    return dict(zip(chosen["estimator"], values, strict=True))


def _ranked(
    view: Output, choice: str, option: str, by_estimator: Mapping[str, float], reference: Mapping[str, float]
) -> pd.DataFrame:
    """Rank of each estimator under an option, and how far that is from its rank among the study's own maps."""
    values = pd.Series(by_estimator)
    ranks, own = ((view.sign * one).rank(ascending=False) for one in (values, pd.Series(reference)))
    return pd.DataFrame(
        {
            "view": view.judges.name,
            "choice": choice,
            "option": option,
            "estimator": values.index,
            "value": values.to_numpy(),
            "rank": ranks.to_numpy(),
            "moved": (ranks - own.reindex(values.index)).fillna(0.0).to_numpy(),
        }
    )
