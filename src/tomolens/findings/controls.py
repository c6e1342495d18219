"""Controls: which views of a study can judge maps. A view in which the truth does not win cannot.

The positive control is the truth map, known of simulated cases and of implants. It must beat every map that never
looks at the network, and no estimator's own map, blurred, may beat it: masking favours smooth maps.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..declarations import BLURRED, Output
from ..results.description import Description
from ..results.rows import CALIBRATION, TWIN_TURNS
from .bootstrap import Resampling
from .inference import Compared, better_than, compared, gains_over
from .measured import Key, Measured

CanJudge = Literal["yes", "no", "cannot be told", "not controlled"]
"""Whether the truth beats every blind map in a view and no blurred one beats it; not controlled where none is known."""


def controls_table(
    measured: Measured,
    views: Sequence[Output],
    description: Description,
    resampling: Resampling,
    confidence: float,
    least_turned: float = 0.0,
) -> pd.DataFrame:
    """For each view the truth against the negative control that decides, over the cases in which the truth is known.

    Args:
        measured: all maps of the study.
        views: that rank maps.
        description: of the study.
        resampling: of the patients.
        confidence: with which the truth must win.
        least_turned: share of the twins about which the network must decide otherwise for any view to be told.

    Returns:
        A row a view: ``can_judge``, see `CanJudge`; ``control``, the implant of a calibration, empty for the study's
        own cases; the truth's ``value``; ``baseline`` and ``baseline_form``, the best blind map, or the blurred one
        that beats the truth, with its value; and the truth's gain over it with its interval.
    """
    rows = []
    found, control = of_truth(measured, description)
    count, of = turned(measured)
    for view in views:
        row = _row(found, view, description, resampling, confidence) if found else {}
        if row and count < least_turned * of:
            row["can_judge"] = "cannot be told"
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


def judged(measured: Measured, description: Description) -> Measured:
    """Without the truth and blurred maps, which are controls and judged by nobody."""
    return measured.only([key for key in measured.maps if key[0] != description.truth and key[1] != BLURRED])


def is_blind(key: Key, description: Description) -> bool:
    """Whether a map never looks at the network."""
    return key[0] in description.blind and key[1] not in ("absolute", BLURRED)


def _row(
    measured: Measured, view: Output, description: Description, resampling: Resampling, confidence: float
) -> dict[str, object]:
    truth = next(key for key in measured.maps if key[0] == description.truth)
    if view.name not in measured.numbers:
        return {}
    known = ~np.isnan(measured.numbers[view.name][:, measured.maps.index(truth)])
    blind = [key for key in measured.maps if is_blind(key, description)]
    blurred = [key for key in measured.maps if key[1] == BLURRED]
    if not known.any():
        return {}
    there = measured.of_cases(known)
    data = compared(there.only([truth, *blind]), view, resampling, description.blind)
    if data is None or truth not in data.maps or len(data.maps) < 2:
        return {}
    row = _gain(data, truth, [key for key in data.maps if key != truth])
    can_judge: CanJudge = "yes" if row["p"] < 1 - confidence and row["ci_low"] > 0 else "no"
    if np.isnan(row["p"]):
        return {**row, "can_judge": "cannot be told"}
    soft = compared(there.only([truth, *blurred]), view, resampling)
    if can_judge == "yes" and soft is not None and truth in soft.maps:
        # A tie is no fault of the view: blurred, a good map may be as right as the truth.
        better = better_than(soft, truth, confidence)
        if better:
            can_judge, row = "no", _gain(soft, truth, better)
    return {**row, "can_judge": can_judge}


def _gain(data: Compared, truth: Key, controls: Sequence[Key]) -> dict[str, Any]:
    """Of the truth over the best of some controls."""
    gains = gains_over(data, controls)
    row = gains[gains["estimator"] == truth[0]].iloc[0].to_dict()
    shown = ("value", "baseline", "baseline_form", "baseline_value", "gain", "ci_low", "ci_high", "p")
    return {name: row[name] for name in (*shown, "cases", "patients")}
