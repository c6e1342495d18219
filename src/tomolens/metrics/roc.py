"""Metric 2, the expert's view by pixel: ROC and precision of a map's scores against the mask."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..cases.masks.usable import as_mask, is_usable
from ..declarations import Chart, Curve, CurveArea, Declaration, Output, View
from ..errors import MapError
from ..randomness import draw_names
from ..regions import count_at
from .evaluand import Evaluand
from .evidence import auc_among
from .metric import Metric, Reading
from .ranked import RankedMap, rank_map


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
    """Areas of averaged curves by both rules of `CurveArea`; the paper's is the mean height."""
    curves = [quantile, quantile, linear, linear]
    return {one.name.removeprefix("auc_"): one.area(*curve) for one, curve in zip(AREAS, curves, strict=True)}


def measure_roc(evaluand: Evaluand) -> Iterator[Reading]:
    """AUC, average precision and both curves, and the AUC within the body."""
    mask = evaluand.expert
    for key, ranked in evaluand.rankings.items():
        result = roc_of_map(ranked, mask, evaluand.settings.roc_points)
        yield key, "auc", result.auc
        yield key, "average_precision", result.average_precision
        yield key, "auc_body", auc_among(ranked, mask, evaluand.body)
        for grid, (true_rate, false_rate) in (("quantile", result.quantile), ("linear", result.linear)):
            yield key, f"true_positive_rate_{grid}", true_rate
            yield key, f"false_positive_rate_{grid}", false_rate


def _rates(grid: str) -> tuple[Output, Output]:
    return (
        Output(f"true_positive_rate_{grid}", "true positive rate", curve=True, intervals=grid == "quantile"),
        Output(f"false_positive_rate_{grid}", "false positive rate", curve=True),
    )


GRIDS: tuple[Literal["quantile", "linear"], ...] = ("quantile", "linear")
RULES: tuple[Literal["trapezoid", "height"], ...] = ("trapezoid", "height")


def _area(grid: str, rule: Literal["trapezoid", "height"]) -> CurveArea:
    words = f"{grid} grid" + (", mean height" if rule == "height" else "")
    rates = f"true_positive_rate_{grid}", f"false_positive_rate_{grid}"
    return CurveArea(f"auc_{grid}_{rule}", "auc", "ROC", words, *rates, rule)


AREAS = tuple(_area(grid, rule) for grid in GRIDS for rule in RULES)
ROC = Metric(
    Declaration(
        "roc",
        (
            Output(
                "auc",
                "AUC",
                view=View(
                    "auc",
                    "AUC",
                    "expert",
                    "by pixel",
                    heading="ROC: the expert's view, by pixel",
                    text="How well a map's scores separate the pixels of the expert's mask from all others; 0.5 is "
                    "chance. Within the body: without the air around the patient, which every map can tell from a "
                    "mask.",
                ),
            ),
            Output("average_precision", "average precision"),
            Output("auc_body", "AUC within the body"),
            *_rates("quantile"),
            *_rates("linear"),
        ),
        (
            Chart(
                "roc",
                ("true_positive_rate_quantile",),
                "false_positive_rate_quantile",
                "false positive rate",
                "true positive rate",
                "ROC curves of the importance scores against the expert's masks, averaged over the images at each "
                "quantile; the mean of the exact areas by image beside each name.",
                "auc",
                chance=True,
            ),
        ),
        AREAS,
    ),
    measure_roc,
    needs=frozenset({"mask"}),
)
