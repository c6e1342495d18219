"""Maps against what is known of the pixels beside the expert's mask: true evidence, the body, a planted marker."""

import numpy as np
from numpy.typing import NDArray

from ..errors import MapError
from .ranked import RankedMap

NO_EVIDENCE = 1e-3
"""Differences between a case and its twin up to this are rounding, and no evidence."""


def evidence_auc(ranked: RankedMap, evidence: NDArray[np.floating]) -> float:
    """Chance that a pixel drawn in proportion to its evidence outranks one drawn among those without any, ties half.

    The area under the ROC curve with the evidence as weight of the positive pixels.

    Args:
        ranked: the map.
        evidence: ``(*spatial)``, at least 0.

    Returns:
        0..1, 0.5 by chance; NaN where no pixel has evidence or all have.

    Raises:
        MapError: evidence on another grid than the map.
    """
    _same_grid(ranked, evidence.shape)
    weights = evidence.ravel().astype(np.float64)
    return _weighted_auc(ranked, np.where(weights > NO_EVIDENCE, weights, 0.0), weights <= NO_EVIDENCE)


def auc_among(ranked: RankedMap, mask: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """AUC of a map against a mask among some of the pixels only; NaN where they do not lie on both sides.

    Raises:
        MapError: a mask on another grid than the map.
    """
    _same_grid(ranked, mask.shape)
    _same_grid(ranked, among.shape)
    inside = (mask & among).ravel()
    return _weighted_auc(ranked, inside.astype(np.float64), (among & ~mask).ravel())


def _weighted_auc(ranked: RankedMap, positive: NDArray[np.float64], negative: NDArray[np.bool_]) -> float:
    scores = ranked.scores[ranked.order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(scores)) + 1])
    weight = np.add.reduceat(positive[ranked.order], starts)
    count = np.add.reduceat(negative[ranked.order].astype(np.float64), starts)
    total = weight.sum() * count.sum()
    below = np.cumsum(count) - 0.5 * count
    return float((weight * below).sum() / total) if total > 0 else float("nan")


def _same_grid(ranked: RankedMap, shape: tuple[int, ...]) -> None:
    if shape != ranked.shape:
        raise MapError(f"mask or evidence of {shape}, importance map of {ranked.shape}: they must be the same")
