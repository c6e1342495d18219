"""Where maps lie: shares of each map in the parts of the image, beside the shares that an even map has."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..declarations import Breakdown, Side
from .bootstrap import Grouped, Resampled, Resampling, grouped, resampled
from .measured import Key, Measured
from .tables import MAP

Values = NDArray[np.float64]


def breakdown_table(measured: Measured, breakdown: Breakdown, resampling: Resampling) -> pd.DataFrame:
    """A row for each map, sign and part; nothing of a sign that a map has in no case.

    ``share`` is the mean over the cases in which the map has values of that sign, ``area`` the part's share of the
    image in the same cases, and ``enrichment`` the one divided by the other: 1 of an even map. It is NaN of a part
    that no case has, and has no interval where a resample has none of it.
    """
    frames = [
        frame
        for which, key in enumerate(measured.maps)
        for side in breakdown.sides
        for frame in _of_side(measured, which, key, breakdown, side, resampling)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _of_side(
    measured: Measured, which: int, key: Key, breakdown: Breakdown, side: Side, resampling: Resampling
) -> Iterator[pd.DataFrame]:
    both = _both(measured, which, side)
    if both is None:
        return
    count, found = len(breakdown.parts), resampled(both, resampling)
    share, area = found.point[0, :count], found.point[0, count:]
    low, high = (ends[:count] for ends in found.interval())
    enriched = _enrichment(found.point)[0]
    enriched_low, enriched_high = _ends_of_enrichment(found)
    yield pd.DataFrame(
        {
            **dict(zip(MAP, key, strict=True)),
            "sign": side.name,
            "part": breakdown.parts,
            "share": share,
            "share_ci_low": low,
            "share_ci_high": high,
            "area": area,
            "enrichment": enriched,
            "enrichment_ci_low": enriched_low,
            "enrichment_ci_high": enriched_high,
            "cases": int(both.counts.sum()),
            "patients": int((both.counts > 0).sum()),
        }
    )


def _both(measured: Measured, which: int, side: Side) -> Grouped | None:
    """Shares and areas of a map beside one another, by patient; None where it has no values of the sign."""
    if side.shares not in measured.curves or side.areas not in measured.curves:
        return None
    shares, areas = measured.curves[side.shares], measured.curves[side.areas]
    there = shares.counts[which] > 0
    if not there.any():
        return None
    groups = measured.groups.iloc[shares.groups[there]]
    sums = np.concatenate([shares.sums[which][there], areas.sums[which][there]], axis=1)  # both of the same cases
    everyone = np.zeros(len(groups), dtype=np.int64)
    return grouped(sums, everyone, groups["patient"].tolist(), shares.counts[which][there])


def _enrichment(means: Values) -> Values:
    """Shares divided by areas, ``(B, 2 N)`` to ``(B, N)``; NaN where there is no area."""
    shares, areas = np.split(means, 2, axis=1)
    divided: Values = np.divide(shares, areas, out=np.full(shares.shape, np.nan), where=areas > 0)
    return divided


def _ends_of_enrichment(found: Resampled) -> tuple[Values, Values]:
    ends = found.interval(_enrichment)
    unknown = np.isnan(_enrichment(np.concatenate([found.draws, found.left_out]))).any(axis=0)
    low, high = (np.where(unknown, np.nan, end) for end in ends)
    return low, high
