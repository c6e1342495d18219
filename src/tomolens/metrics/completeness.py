"""Completeness (Sundararajan et al. 2017, arXiv 1703.01365): a path's map adds up to the difference of the scores."""

from collections.abc import Iterator

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .metric import Metric, Reading


def measure_completeness(evaluand: Evaluand) -> Iterator[Reading]:
    """What the sum of each such map misses of S(x) - S(x'), as a share of it."""
    for estimator, error in (evaluand.completeness or {}).items():
        yield (estimator, "original"), "completeness_error", error


COMPLETENESS = Metric(
    Declaration("completeness", (Output("completeness_error", "completeness error", better="lower"),)),
    measure_completeness,
    needs=frozenset({"completeness"}),
)
