"""A planted shortcut: whether the network relies on it, and which maps say so.

A faithful map of such a network lies on the shortcut. That it misses the expert's mask is then no fault of the map.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..declarations import Output
from ..results.rows import CORRECT, CORRECT_WITHOUT_SHORTCUT
from .bootstrap import Resampling, grouped, resampled
from .inference import Compared
from .measured import Measured, Values

FALL = 0.05
"""A fall of the balanced accuracy by less is not called reliance, however certain it is."""


@dataclass(frozen=True, eq=False)
class Shortcut:
    """What becomes of the network when the shortcut is taken away, and of the maps where it is.

    Attributes:
        accuracy: balanced, with the shortcut.
        without: balanced, on the same cases without it.
        fall: lower and upper end of the interval of their difference.
        relied: whether the network relies on it.
        by: the outputs that compare the maps with the shortcut's place and with the expert's mask.
        maps: for each map the means of both over the cases that have both, named after their views, how much better it
            finds the shortcut than the mask (``difference``) with its interval, and whether it is ``faithful`` (better
            than blind maps in the model's view), and ``on_shortcut`` rather than on the mask.
    """

    accuracy: float
    without: float
    fall: tuple[float, float]
    relied: bool
    by: tuple[Output, Output]
    maps: pd.DataFrame

    @property
    def vindicated(self) -> pd.DataFrame:
        """Maps that are faithful to a network which does not use the mask."""
        return self.maps[self.maps["faithful"] & self.maps["on_shortcut"]] if self.relied else self.maps[:0]


def shortcut_of(
    measured: Measured,
    by: tuple[Output | None, Output | None],
    model: Compared | None,
    blind: Collection[str],
    resampling: Resampling,
) -> Shortcut | None:
    """The planted shortcut of a study; None where none was planted or no mask says where the anatomy is.

    Args:
        measured: the estimators' maps.
        by: what compares them with the shortcut's place and with the expert's mask.
        model: the maps in the model's view.
        blind: the estimators that never look at the network.
        resampling: of the patients.
    """
    without = measured.of_network.get(CORRECT_WITHOUT_SHORTCUT)
    planted, expert = by
    if without is None or planted is None or expert is None or not {planted.name, expert.name} <= set(measured.numbers):
        return None
    cases, correct = measured.cases, measured.of_network[CORRECT]
    both = np.stack([correct, np.where(np.isnan(without), correct, without)], axis=1)
    accuracy = resampled(grouped(both, cases["label"].to_numpy(), cases["patient"].tolist()), resampling)
    low, high = accuracy.interval(lambda means: means[:, :1] - means[:, 1:])
    before, after = (float(value) for value in accuracy.point[0])
    relied = bool(low[0] > 0 and before - after >= FALL)
    maps = _with_faithful(_on_shortcut(measured, planted, expert, resampling), model, blind)
    return Shortcut(before, after, (float(low[0]), float(high[0])), relied, (planted, expert), maps)


def _on_shortcut(measured: Measured, planted: Output, expert: Output, resampling: Resampling) -> pd.DataFrame:
    place, mask = (output.sign * measured.numbers[output.name] for output in (planted, expert))
    there = ~np.isnan(place).any(axis=1) & ~np.isnan(mask).any(axis=1)
    cases = measured.cases[there]
    sums = grouped(
        np.concatenate([place[there], mask[there]], axis=1), np.zeros(len(cases), np.int64), cases["patient"].tolist()
    )
    both, count = resampled(sums, resampling), len(measured.maps)

    def difference(means: Values) -> Values:
        return np.asarray(means[:, :count] - means[:, count:])

    low, high = both.interval(difference)
    return pd.DataFrame(measured.maps, columns=["estimator", "form"]).assign(
        **{
            planted.column: planted.sign * both.point[0, :count],
            expert.column: expert.sign * both.point[0, count:],
            "difference": difference(both.point)[0],
            "ci_low": low,
            "ci_high": high,
            "on_shortcut": low > 0,
            "cases": len(cases),
        }
    )


def _with_faithful(maps: pd.DataFrame, model: Compared | None, blind: Collection[str]) -> pd.DataFrame:
    """Whether each map is better than the best blind estimator in the model's view, or above 0 where none is blind."""
    if model is None:
        return maps.assign(faithful=False)
    is_blind = np.array([name in blind for name, _ in model.maps])

    def above(means: Values) -> Values:
        return means - (means[:, is_blind].max(axis=1, keepdims=True) if is_blind.any() else 0.0)

    low, _ = model.resampled.interval(above)
    faithful = dict(zip(model.maps, low > 0, strict=True))
    keys = zip(maps["estimator"], maps["form"], strict=True)
    return maps.assign(faithful=[bool(faithful.get(key, False)) for key in keys])
