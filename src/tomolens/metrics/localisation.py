"""How a map points at the expert's mask: its peak, its mass, its top, its parts."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..cases.masks.usable import is_usable
from ..declarations import Declaration, Output
from ..errors import MapError
from ..lengths import Length
from .evaluand import Evaluand
from .metric import Metric, Reading
from .ranked import RankedMap
from .roc import roc_of_map

TOP = 0.01
"""Share of the pixels that are a map's top."""
BINS = 256
"""Of the histogram from which Otsu's threshold is taken."""
NOTHING = float("nan")
Mask = NDArray[np.bool_]


def pointing_game(ranked: RankedMap, mask: Mask, tolerance: tuple[int, ...] | None = None) -> float:
    """Whether the largest value lies in the mask or near it, 0 or 1; of several equal ones the share that does.

    Zhang et al. 2016, arXiv 1608.00507 (there with a tolerance of 15 pixels).

    Args:
        ranked: the map.
        mask: of the expert.
        tolerance: by how many pixels it may lie beside the mask, along each axis.
    """
    if tolerance is not None and any(tolerance):
        axes = np.meshgrid(*(np.arange(-reach, reach + 1) / max(reach, 1) for reach in tolerance), indexing="ij")
        ball = np.asarray(sum(axis**2 for axis in axes)) <= 1.0
        mask = ndimage.binary_dilation(mask, ball)
    return float(mask.ravel()[ranked.scores == ranked.scores.max()].mean())


def relevance_mass(ranked: RankedMap, mask: Mask) -> float:
    """Share of what is above 0 that lies in the mask; NaN where nothing is.

    Arras et al. 2020, arXiv 2003.07258, with the positive part alone.
    """
    above = ranked.scores.clip(min=0)
    total = above.sum()
    return float(above[mask.ravel()].sum() / total) if total > 0 else NOTHING


def share_of_top(ranked: RankedMap, mask: Mask, count: int) -> float:
    """Share of the ``count`` most important pixels that lies in the mask."""
    return float(mask.ravel()[ranked.order[len(ranked.order) - count :]].mean())


def relevance_rank(ranked: RankedMap, mask: Mask) -> float:
    """Share of the most important pixels, as many as the mask has, that lies in it (Arras et al. 2020)."""
    return share_of_top(ranked, mask, int(mask.sum()))


def hit_rate(ranked: RankedMap, mask: Mask) -> float:
    """Share of the mask's connected parts that hold one of the top 1 % of the pixels, corners counted as touching."""
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    top = ranked.order[len(ranked.order) - _top(ranked) :]
    return float(np.count_nonzero(np.unique(parts.ravel()[top])) / count)


def otsu_iou(ranked: RankedMap, mask: Mask) -> float:
    """Intersection over union of the mask and what lies above Otsu's threshold of the map; NaN of an even map.

    Saporta et al. 2022, doi 10.1038/s42256-022-00536-x; Otsu 1979, doi 10.1109/TSMC.1979.4310076.
    """
    if np.ptp(ranked.scores) <= 1e-12 * np.abs(ranked.scores).max():
        return NOTHING
    chosen = ranked.scores > otsu_threshold(ranked.scores)
    inside = mask.ravel()
    return float((chosen & inside).sum() / (chosen | inside).sum())


def otsu_threshold(values: NDArray[np.float64]) -> float:
    """The threshold that parts values into the two groups whose means differ most, the middle of one of 256 bins."""
    counts, edges = np.histogram(values, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    weighted = counts * middles
    lower = np.cumsum(weighted)[:-1] / below
    upper = np.cumsum(weighted[::-1])[::-1][1:] / above
    return float(middles[np.argmax(below * above * (lower - upper) ** 2)])


def _top(ranked: RankedMap) -> int:
    return max(1, int(TOP * len(ranked.order) + 0.5))


def tolerance_of(evaluand: Evaluand) -> tuple[int, ...]:
    """The pointing game's tolerance in pixels along each axis.

    Raises:
        MapError: millimetres, of a case whose pixels' size is not known.
    """
    length, axes = Length.of(evaluand.settings.tolerance), evaluand.image.ndim - 1
    if length.unit and evaluand.spacing is None:
        raise MapError(f"a tolerance of {evaluand.settings.tolerance}, and the size of the case's pixels is not known")
    return tuple(length.pixels(size) for size in evaluand.spacing or (1.0,) * axes)


def measure_localisation(evaluand: Evaluand) -> Iterator[Reading]:
    """Pointing game, mass, rank, top, lesions, IoU and AUPRC against the mask; no numbers of an empty or full one."""
    mask, tolerance = evaluand.expert, tolerance_of(evaluand)
    usable = is_usable(mask)
    for key, ranked in evaluand.rankings.items():
        numbers = {
            "pointing_game": pointing_game(ranked, mask, tolerance) if usable else NOTHING,
            "relevance_mass": relevance_mass(ranked, mask) if usable else NOTHING,
            "relevance_rank": relevance_rank(ranked, mask) if usable else NOTHING,
            "top_in_mask": share_of_top(ranked, mask, _top(ranked)) if usable else NOTHING,
            "hit_rate": hit_rate(ranked, mask) if usable else NOTHING,
            "otsu_iou": otsu_iou(ranked, mask) if usable else NOTHING,
            "auprc": roc_of_map(ranked, mask).average_precision,
        }
        for name, value in numbers.items():
            yield key, name, value


LOCALISATION = Metric(
    Declaration(
        "localisation",
        (
            Output("pointing_game", "pointing game"),
            Output("relevance_mass", "relevance mass"),
            Output("relevance_rank", "relevance rank"),
            Output("top_in_mask", "top 1 % in mask"),
            Output("hit_rate", "lesions hit"),
            Output("otsu_iou", "IoU (Otsu)"),
            Output("auprc", "AUPRC"),
        ),
    ),
    measure_localisation,
    needs=frozenset({"mask"}),
)
