"""Whether maps are repeatable: the same network and image, and other random draws of the estimator's own.

An estimator that draws nothing gives the same map again.
"""

from collections.abc import Iterator

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .likeness import alike_beyond, magnitudes
from .metric import Metric, Reading


def measure_repeatability(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's magnitudes to those with other draws, and how much more than to another image's."""
    own, again = magnitudes(evaluand.maps), magnitudes(evaluand.explain(draws="again"))
    pairs = evaluand.of_another_image
    for name, values in own.items():
        if name not in again or name not in pairs:
            continue  # an estimator that fails on one of these costs its own numbers alone
        for output, value in alike_beyond("draws", values, [again[name]], pairs[name]):
            yield (name, "original"), output, value


REPEATABILITY = Metric(
    Declaration(
        "repeatability",
        (
            Output("draws_similarity", "like itself with other draws (Spearman)", criterion="again"),
            Output("draws_ssim", "like itself with other draws (SSIM)"),
            Output("draws_hog", "like itself with other draws (HOG)"),
            Output("draws_margin", "margin of other draws over another image's", answers="draws"),
        ),
    ),
    measure_repeatability,
    needs=frozenset({"explanations", "other"}),
    explanations=2,
)
