"""Maps against what is known of the pixels beside the expert's mask: true evidence, the body, a planted marker."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..declarations import Declaration, Output, View
from ..errors import MapError
from .evaluand import Evaluand
from .metric import Metric, Reading
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


def measure_evidence(evaluand: Evaluand) -> Iterator[Reading]:
    """AUC against the true evidence."""
    assert evaluand.evidence is not None
    for key, ranked in evaluand.rankings.items():
        yield key, "evidence", evidence_auc(ranked, evaluand.evidence)


def measure_marker(evaluand: Evaluand) -> Iterator[Reading]:
    """AUC against the pixels of a planted shortcut."""
    assert evaluand.marker is not None
    for key, ranked in evaluand.rankings.items():
        yield key, "marker", auc_among(ranked, evaluand.marker, np.ones_like(evaluand.marker))


EVIDENCE = Metric(
    Declaration(
        "evidence",
        (
            Output(
                "evidence",
                "Evidence AUC",
                view=View(
                    "evidence",
                    "evidence AUC",
                    "truth",
                    heading="True evidence: who is right",
                    text="Every simulated case has a twin that differs in the label alone. The chance that a pixel, "
                    "drawn in proportion to how far the two differ, outranks one in which they do not; 0.5 is chance.",
                ),
            ),
        ),
    ),
    measure_evidence,
    needs=frozenset({"evidence"}),
)
MARKER = Metric(
    Declaration("marker", (Output("marker", "marker AUC", view=View("marker", "marker AUC", "shortcut")),)),
    measure_marker,
    needs=frozenset({"marker"}),
)
