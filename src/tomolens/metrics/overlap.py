"""Metric 3, the expert's view by region: Dice of the top share of a region map against the mask."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..cases.masks.usable import as_mask, is_usable
from ..declarations import Chart, Declaration, Output, View
from ..errors import MapError
from ..regions import count_at
from .evaluand import Evaluand
from .metric import Metric, Reading

PERCENTAGES = np.arange(1, 101)
"""The shares p of the image that are kept, in %."""


@dataclass(frozen=True)
class RegionOverlap:
    """One region map against one mask; all NaN where the mask is empty or full.

    Attributes:
        percentages: p = 1..100, ``(100,)``.
        dice: 2 |X n Y| / (|X| + |Y|) of the top p % X and the mask Y, ``(100,)``.
        kept: share of the image in X, in %, ``(100,)``: at least p, as regions are kept whole.
        own_share: the mask's own share of the image, in %.
        dice_own_share: Dice at p = ``own_share``, the fairest single point.
        kept_own_share: share of the image kept there, in %.
    """

    percentages: NDArray[np.int64]
    dice: NDArray[np.float64]
    kept: NDArray[np.float64]
    own_share: float
    dice_own_share: float
    kept_own_share: float


def region_overlap(regions: Tensor | NDArray[np.floating], mask: Tensor | NDArray[np.bool_]) -> RegionOverlap:
    """Dice of the top p % of a region map for p = 1..100 (protocol, metric 3).

    Args:
        regions: ``(*spatial)``, from `tomolens.xrai`.
        mask: bool ``(*spatial)``.

    Raises:
        MapError: shapes that differ, or a region map that is not finite.
    """
    values = regions.detach().cpu().numpy() if isinstance(regions, Tensor) else np.asarray(regions)
    expert = as_mask(mask)
    if values.shape != expert.shape:
        raise MapError(f"mask of {expert.shape}, region map of {values.shape}: they must be the same")
    if not np.isfinite(values).all():
        raise MapError(f"region map: {int((~np.isfinite(values)).sum())} values are not finite")
    own_share = float(expert.mean())
    if not is_usable(expert):
        nothing = np.full(len(PERCENTAGES), np.nan)
        return RegionOverlap(PERCENTAGES, nothing, nothing, 100.0 * own_share, float("nan"), float("nan"))
    order = np.argsort(-values.ravel(), kind="stable")
    hits = np.concatenate([[0], np.cumsum(expert.ravel()[order])])
    # A region is kept whole: where a value ends is where all its pixels are in.
    descending = values.ravel()[order]
    wanted = [max(1, count_at(share, values.size)) for share in (*(PERCENTAGES / 100.0), own_share)]
    kept = np.searchsorted(-descending, -descending[np.array(wanted) - 1], side="right")
    dice = 2.0 * hits[kept] / (kept + hits[-1])
    area = 100.0 * kept / values.size
    return RegionOverlap(PERCENTAGES, dice[:-1], area[:-1], 100.0 * own_share, float(dice[-1]), float(area[-1]))


def measure_overlap(evaluand: Evaluand) -> Iterator[Reading]:
    """Dice and share kept at p = 1..100 % and at the mask's own share."""
    mask = evaluand.expert
    for key in evaluand.rankings:
        # Without a usable mask there is no region map, and every value is NaN whatever the map.
        regions = evaluand.region_maps.get(key, np.zeros(mask.shape))
        result = region_overlap(regions, mask)
        yield key, "dice_own_share", result.dice_own_share
        yield key, "kept_own_share", result.kept_own_share
        yield key, "dice", result.dice
        yield key, "kept", result.kept


OVERLAP = Metric(
    Declaration(
        "overlap",
        (
            Output(
                "dice_own_share",
                "Dice at the mask's share",
                view=View(
                    "dice",
                    "Dice",
                    "expert",
                    "by region",
                    heading="Region overlap: the expert's view, by region",
                    text="Dice of the top share of the region map (XRAI) and the mask, at the mask's own share of the "
                    "image.",
                ),
            ),
            Output("kept_own_share", "kept (%)", digits=1, better=None),
            Output("dice", "Dice", curve=True, intervals=True),
            Output("kept", "kept (%)", better=None, curve=True),
        ),
        (
            Chart(
                "dice",
                ("dice",),
                (1.0, 100.0),
                "top p % of the region map",
                "Dice",
                "Dice coefficient of the top p % of the region maps (XRAI) and the expert's masks against p; Dice at "
                "the mask's own share of the image beside each name.",
                "dice_own_share",
            ),
        ),
    ),
    measure_overlap,
    needs=frozenset({"mask"}),
    depends_on=frozenset({"regions"}),
)
