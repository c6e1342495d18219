"""A planted shortcut: whether the network relies on the marker, and which maps say so.

A faithful map of such a network lies on the marker. That it misses the expert's mask is then no fault of the map.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .bootstrap import Resampled, Resampling, grouped, resampled
from .inference import Compared
from .measured import Measured, Values

FALL = 0.05
"""A fall of the balanced accuracy by less is not called reliance, however certain it is."""


@dataclass(frozen=True, eq=False)
class Shortcut:
    """What becomes of the network when the marker is removed, and of the maps where it is.

    Attributes:
        accuracy: balanced, with the marker.
        without: balanced, on the same cases without it.
        fall: lower and upper end of the interval of their difference.
        relied: whether the network relies on the marker.
        maps: for each map its mean AUC against marker and mask over the marked cases, their difference with its
            interval, and whether it is ``faithful`` (more than random maps), and ``on_marker`` rather than on the mask.
    """

    accuracy: float
    without: float
    fall: tuple[float, float]
    relied: bool
    maps: pd.DataFrame

    @property
    def vindicated(self) -> pd.DataFrame:
        """Maps that are faithful to a network which does not use the mask."""
        return self.maps[self.maps["faithful"] & self.maps["on_marker"]] if self.relied else self.maps[:0]


def shortcut_of(measured: Measured, fidelity: Compared | None, resampling: Resampling) -> Shortcut | None:
    """The planted shortcut of a study; None where none was planted or no mask says where the anatomy is."""
    without = measured.of_network.get("correct_without_marker")
    if without is None or "marker" not in measured.numbers or "auc" not in measured.numbers:
        return None
    cases, correct = measured.cases, measured.of_network["correct"]
    both = np.stack([correct, np.where(np.isnan(without), correct, without)], axis=1)
    accuracy = resampled(grouped(both, cases["label"].to_numpy(), cases["patient"].tolist()), resampling)
    low, high = accuracy.interval(lambda means: means[:, :1] - means[:, 1:])
    before, after = (float(value) for value in accuracy.point[0])
    relied = bool(low[0] > 0 and before - after >= FALL)
    maps = _on_marker(measured, resampling)
    return Shortcut(before, after, (float(low[0]), float(high[0])), relied, _with_faithful(maps, fidelity))


def _on_marker(measured: Measured, resampling: Resampling) -> pd.DataFrame:
    marker, mask = measured.numbers["marker"], measured.numbers["auc"]
    there = ~np.isnan(marker).any(axis=1) & ~np.isnan(mask).any(axis=1)
    cases = measured.cases[there]
    sums = grouped(
        np.concatenate([marker[there], mask[there]], axis=1), np.zeros(len(cases), np.int64), cases["patient"].tolist()
    )
    both, count = resampled(sums, resampling), len(measured.maps)

    def difference(means: Values) -> Values:
        return np.asarray(means[:, :count] - means[:, count:])

    low, high = both.interval(difference)
    return pd.DataFrame(measured.maps, columns=["estimator", "signs"]).assign(
        marker=both.point[0, :count],
        auc=both.point[0, count:],
        difference=difference(both.point)[0],
        ci_low=low,
        ci_high=high,
        on_marker=low > 0,
        cases=len(cases),
    )


def _with_faithful(maps: pd.DataFrame, fidelity: Compared | None) -> pd.DataFrame:
    """Whether each map's fidelity is above that of random maps, or above 0 in a study without them."""
    if fidelity is None:
        return maps.assign(faithful=False)
    low, _ = _above_random(fidelity.resampled, [key[0] for key in fidelity.maps])
    faithful = dict(zip(fidelity.maps, low > 0, strict=True))
    keys = zip(maps["estimator"], maps["signs"], strict=True)
    return maps.assign(faithful=[bool(faithful.get(key, False)) for key in keys])


def _above_random(fidelity: Resampled, names: list[str]) -> tuple[Values, Values]:
    random = names.index("random") if "random" in names else None
    return fidelity.interval(lambda means: means if random is None else means - means[:, [random]])
