"""Controls: which views of a study can judge maps. A view in which the truth does not win cannot.

The positive control is the truth map, known of simulated cases and of implants. Negative controls never look at the
network, or are an estimator's own map, blurred: masking favours smooth maps whether or not they are right.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from ..declarations import BLURRED, Output
from ..results.description import Description
from ..results.rows import CALIBRATION, TWIN_TURNS
from .bootstrap import Resampling
from .inference import compared, gains_over
from .measured import Key, Measured

CanJudge = Literal["yes", "no", "cannot be told", "not controlled"]
"""Whether the truth beats every negative control in a view; not controlled where no truth is known."""


def controls_table(
    measured: Measured, views: Sequence[Output], description: Description, resampling: Resampling, confidence: float
) -> pd.DataFrame:
    """For each view the truth against the best negative control, over the cases in which the truth is known.

    Args:
        measured: all maps of the study.
        views: that rank maps.
        description: of the study.
        resampling: of the patients.
        confidence: with which the truth must win.

    Returns:
        A row a view: ``can_judge``, see `CanJudge`; ``control``, the implant of a calibration, empty for the study's
        own cases; the truth's ``value``; ``baseline`` and ``baseline_form``, the best negative control, with its value;
        and the gain with its interval.
    """
    rows = []
    found, control = of_truth(measured, description)
    for view in views:
        row = _row(found, view, description, resampling, confidence) if found else {}
        rows.append({"view": view.judges.name, "control": control, "can_judge": "not controlled", **row})
    return pd.DataFrame(rows)


def of_truth(measured: Measured, description: Description) -> tuple[Measured | None, str]:
    """The measurements in which the truth is known: the study's own, or those of its calibration, and the implant."""
    place = [where for where, key in enumerate(measured.maps) if key[0] == description.truth]
    if not place:
        return None, ""
    if any(not np.isnan(numbers[:, place]).all() for numbers in measured.numbers.values()):
        return measured, ""
    for (choice, option), numbers in measured.varied.items():
        if choice == CALIBRATION:
            return replace(measured, numbers=numbers), option
    return None, ""


def turned(measured: Measured) -> tuple[int, int]:
    """About how many twins the network decides otherwise, of how many."""
    told = measured.of_network.get(TWIN_TURNS, np.zeros(0))
    return int(np.nansum(told)), int((~np.isnan(told)).sum())


def is_negative(key: Key, description: Description) -> bool:
    """Whether a map is a negative control."""
    return key[1] == BLURRED or (key[0] in description.blind and key[1] != "absolute")


def _row(
    measured: Measured, view: Output, description: Description, resampling: Resampling, confidence: float
) -> dict[str, object]:
    truth = next(key for key in measured.maps if key[0] == description.truth)
    if view.name not in measured.numbers:
        return {}
    known = ~np.isnan(measured.numbers[view.name][:, measured.maps.index(truth)])
    negative = [key for key in measured.maps if is_negative(key, description)]
    if not known.any():
        return {}
    data = compared(measured.of_cases(known).only([truth, *negative]), view, resampling)
    gains = pd.DataFrame() if data is None else gains_over(data, negative)
    if gains.empty:
        return {}
    row = gains.iloc[0].to_dict()
    can_judge: CanJudge = "yes" if row["p"] < 1 - confidence and row["ci_low"] > 0 else "no"
    if np.isnan(row["p"]):
        can_judge = "cannot be told"
    shown = ("value", "baseline", "baseline_form", "baseline_value", "gain", "ci_low", "ci_high", "p")
    return {"can_judge": can_judge, **{name: row[name] for name in (*shown, "cases", "patients")}}
