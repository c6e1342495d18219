"""Whether a map beats the best blind map under every option of the choices that were varied, not the study's alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..declarations import Output
from ..results.description import Description
from .bootstrap import Resampling
from .choices import NO_CHOICE, OF_CLASS
from .controls import CanJudge, controls_table, judged
from .inference import compared, gains_table
from .measured import Key, Measured, Values


def option_gains_table(
    measured: Measured,
    views: Sequence[Output],
    description: Description,
    can_judge: Mapping[str, CanJudge],
    resampling: Resampling,
    confidence: float,
    least_turned: float,
) -> pd.DataFrame:
    """Gain over the best blind map of each map that an option measures again; empty where nothing was varied.

    An option that changes maps (as a noise) leaves the blind ones what they are; one that changes a view (as a fill)
    measures them again. Such a view is another one, and can judge maps or not by the truth under that option.

    Args:
        measured: all maps of the study.
        views: that rank maps.
        description: of the study.
        can_judge: of the study's own views.
        resampling: of the patients.
        confidence, least_turned: see `controls_table`.

    Returns:
        A row a view, option and map: ``view``, ``choice``, ``option``, ``can_judge`` and the columns of `gains_over`.
    """
    parts = []
    for (choice, option), numbers in measured.varied.items():
        for view in views if choice not in NO_CHOICE | {OF_CLASS} else ():
            if view.name not in numbers:
                continue
            again = set(_measured(measured, numbers[view.name]))
            anew = any(name in description.blind for name, _ in again)
            under = _under(measured, view, numbers[view.name], keep=not anew)
            state = can_judge[view.judges.name]
            if anew:
                state = controls_table(under, [view], description, resampling, confidence, least_turned).iloc[0][
                    "can_judge"
                ]
            data = compared(judged(under, description), view, resampling, description.blind)
            gains = pd.DataFrame() if data is None else gains_table(data, description.blind)
            if len(gains):
                told = {"view": view.judges.name, "choice": choice, "option": option, "can_judge": state}
                of_option = [key in again for key in zip(gains["estimator"], gains["form"], strict=True)]
                parts.append(pd.DataFrame(told, index=gains.index).join(gains)[of_option])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _measured(measured: Measured, numbers: Values) -> list[Key]:
    """The maps that have a number in some case."""
    there = np.any(~np.isnan(numbers), axis=0).tolist()
    return [key for key, one in zip(measured.maps, there, strict=True) if one]


def _under(measured: Measured, view: Output, numbers: Values, keep: bool) -> Measured:
    """The numbers of a view under an option; of maps that it leaves what they are the study's own, where they hold."""
    own = measured.numbers[view.name] if keep else np.full_like(numbers, np.nan)
    there = ~np.isnan(numbers).all(axis=0)
    return replace(measured, numbers={view.name: np.where(there, numbers, own)}, varied={})
