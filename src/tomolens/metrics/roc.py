"""Metric 2, the expert's view by pixel: ROC and precision of a map's scores against the mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MapError
from ..randomness import draw_names
from .ranked import RankedMap, count_at, rank_map

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class RocOfMap:
    """One map against one mask; all NaN where the mask is empty or full.

    Attributes:
        auc: exact area under the ROC curve (Mann-Whitney, ties half), 0..1.
        average_precision: as scikit-learn defines it, 0..1.
        quantile: (2, 101), true and false positive rate of the top q of the pixels, q = 0..1.
        linear: (2, 101), the same of scores above t, t = 0..1 on scores normalised to [0, 1].
    """

    auc: float
    average_precision: float
    quantile: Curve
    linear: Curve


@dataclass(frozen=True)
class Roc:
    """Maps of one estimator against masks (protocol, metric 2).

    Attributes:
        auc: exact, of each image, ``(N,)``; NaN where the mask is empty or full.
        average_precision: of each image, ``(N,)``.
        mean_auc: mean over the images where it is defined: the headline.
        quantile: the paper's averaged curve on the quantile grid, (2, points): true, false positive rate.
        linear: the same on the linear grid.
        areas: of both curves by both rules, keys ``quantile_trapezoid``, ``quantile_height``, ``linear_trapezoid``,
            ``linear_height``.
        undefined: positions of the images whose mask is empty or full.
    """

    auc: Curve
    average_precision: Curve
    mean_auc: float
    quantile: Curve
    linear: Curve
    areas: dict[str, float]
    undefined: tuple[int, ...]


def roc(
    maps: Tensor | NDArray[np.floating],
    masks: Tensor | NDArray[np.bool_],
    *,
    points: int = 101,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Roc:
    """ROC of one estimator's maps against the expert's masks.

    Args:
        maps: ``(N, C, *spatial)``, as they are or their absolute values.
        masks: bool ``(N, *spatial)``.
        points: of both threshold grids.
        seed: of the order of ties on the quantile grid.
        names: identifies each image in that order; its position by default.

    Raises:
        MapError: shapes that differ, or maps that are not finite.
    """
    if len(maps) != len(masks) or len(maps) == 0:
        raise MapError(f"{len(maps)} maps and {len(masks)} masks, expected as many of each and at least one")
    each = [
        roc_of_map(rank_map(importance, seed=seed, name=name), as_mask(mask), points)
        for importance, mask, name in zip(maps, masks, draw_names(names, len(maps)), strict=True)
    ]
    auc = np.array([one.auc for one in each])
    defined = np.flatnonzero(~np.isnan(auc))
    quantile, linear = (
        mean_curve([getattr(each[i], grid) for i in defined], points) for grid in ("quantile", "linear")
    )
    return Roc(
        auc=auc,
        average_precision=np.array([one.average_precision for one in each]),
        mean_auc=float(auc[defined].mean()) if len(defined) else float("nan"),
        quantile=quantile,
        linear=linear,
        areas=curve_areas(quantile, linear),
        undefined=tuple(int(i) for i in np.flatnonzero(np.isnan(auc))),
    )


def as_mask(mask: Tensor | NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask as a bool array.

    Raises:
        MapError: anything but bool, so that a label map is never taken for a mask by accident.
    """
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype != np.bool_:
        raise MapError(f"mask of type {array.dtype}, expected bool: compare the label map with the labels you mean")
    return array


def is_usable(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask has pixels on both sides: against an empty or full one nothing can be measured."""
    return bool(mask.any()) and not bool(mask.all())


def roc_of_map(ranked: RankedMap, mask: NDArray[np.bool_], points: int = 101) -> RocOfMap:
    """All of metric 2 for one map from its ranking.

    Raises:
        MapError: a mask on another grid than the map.
    """
    if mask.shape != ranked.shape:
        raise MapError(f"mask of {mask.shape}, importance map of {ranked.shape}: they must be the same")
    if not is_usable(mask):
        nothing = np.full((2, points), np.nan)
        return RocOfMap(float("nan"), float("nan"), nothing, nothing)
    descending = ranked.order[::-1]
    inside = mask.ravel()[descending]
    scores = ranked.scores[descending]
    hits = np.concatenate([[0], np.cumsum(inside)]).astype(np.float64)
    taken = np.arange(len(hits), dtype=np.float64)
    true_rate, false_rate = hits / hits[-1], (taken - hits) / (len(inside) - hits[-1])

    ends = np.concatenate([[0], np.flatnonzero(np.diff(scores)) + 1, [len(scores)]])  # between distinct scores
    auc = float(np.trapezoid(true_rate[ends], false_rate[ends]))
    precision = hits[ends[1:]] / taken[ends[1:]]
    average_precision = float(np.sum(np.diff(true_rate[ends]) * precision))

    at = [count_at(q, len(inside)) for q in np.linspace(0.0, 1.0, points)]
    extent = scores[0] - scores[-1]
    normalised = (scores - scores[-1]) / extent if extent > 0 else np.zeros_like(scores)
    above = np.searchsorted(-normalised, -np.linspace(0.0, 1.0, points), side="left")
    return RocOfMap(
        auc,
        average_precision,
        np.stack([true_rate[at], false_rate[at]]),
        np.stack([true_rate[above], false_rate[above]]),
    )


def mean_curve(curves: Sequence[Curve], points: int) -> Curve:
    """Both rates averaged over the images at each threshold; NaN where there is no image."""
    return np.mean(curves, axis=0) if len(curves) else np.full((2, points), np.nan)


def curve_areas(quantile: Curve, linear: Curve) -> dict[str, float]:
    """Areas of averaged curves: trapezoid (closed at (0, 0) and (1, 1)), and the paper's mean height."""
    areas = {}
    for grid, (true_rate, false_rate) in (("quantile", quantile), ("linear", linear)):
        rising = slice(None, None, 1 if grid == "quantile" else -1)
        heights = np.concatenate([[0.0], true_rate[rising], [1.0]])
        widths = np.concatenate([[0.0], false_rate[rising], [1.0]])
        areas[f"{grid}_trapezoid"] = float(np.trapezoid(heights, widths))
        areas[f"{grid}_height"] = float(true_rate.mean())
    return areas
