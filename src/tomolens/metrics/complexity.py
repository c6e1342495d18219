"""How simple a map is: whether a few pixels hold it, or all of them a little."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .metric import Metric, Reading

NEGLIGIBLE = 1e-5
"""Share of the largest magnitude from which on a pixel counts."""
Magnitudes = NDArray[np.float64]


def gini(magnitudes: Magnitudes) -> float:
    """The Gini index, from 0 of an even map to nearly 1 of a single pixel; NaN of nothing.

    Chalasani et al. 2020, arXiv 1810.06583.
    """
    total, count = magnitudes.sum(), len(magnitudes)
    if total == 0:
        return float("nan")
    ranks = np.arange(1, count + 1)
    return float(1 - 2 * (np.sort(magnitudes) / total * (count - ranks + 0.5) / count).sum())


def entropy(magnitudes: Magnitudes) -> float:
    """Entropy of the shares of the whole, as a share of an even map's, 0 to 1; NaN of nothing.

    Bhatt et al. 2020, arXiv 2005.00631, equation 4, divided by the logarithm of the number of pixels.
    """
    total = magnitudes.sum()
    if total == 0:
        return float("nan")
    shares = magnitudes[magnitudes > 0] / total
    return float(-(shares * np.log(shares)).sum() / np.log(len(magnitudes)))


def effective_complexity(magnitudes: Magnitudes) -> float:
    """Share of the pixels above a hundred-thousandth of the largest (Nguyen & Martinez 2020, arXiv 2007.07584)."""
    return float((magnitudes > NEGLIGIBLE * magnitudes.max()).mean())


def measure_complexity(evaluand: Evaluand) -> Iterator[Reading]:
    """Gini index, entropy and share of the pixels that count, of each map's magnitudes."""
    for key, ranked in evaluand.rankings.items():
        magnitudes = np.abs(ranked.scores)
        yield key, "gini", gini(magnitudes)
        yield key, "entropy", entropy(magnitudes)
        yield key, "effective_complexity", effective_complexity(magnitudes)


COMPLEXITY = Metric(
    Declaration(
        "complexity",
        (
            Output("gini", "Gini index", better=None),
            Output("entropy", "entropy", better=None),
            Output("effective_complexity", "pixels that count", better=None),
        ),
    ),
    measure_complexity,
)
