"""Whether maps are repeatable: the same image by networks of other trainings (Arun et al. 2021).

"Reproducible" in Arun et al., doi 10.1148/ryai.2021200267, is a map that another trained network makes again; here the
networks differ in the seed of their training alone, and share what they were pretrained to where they were.
"""

from collections.abc import Iterator

import numpy as np

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .metric import Metric, Reading
from .randomisation import ANOTHER, magnitudes, rank_correlation, structural_similarity


def measure_reproducibility(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's magnitudes to those by other trainings, and to those of another image."""
    assert evaluand.rivals is not None
    assert evaluand.other is not None
    own, pairs = magnitudes(evaluand.maps), magnitudes(evaluand.explain(evaluand.other, draws=ANOTHER))
    others = [
        magnitudes(evaluand.explain(classifier=rival, draws=f"rival {number}"))
        for number, rival in enumerate(evaluand.rivals)
    ]
    for name, values in own.items():
        if any(name not in one for one in (*others, pairs)):
            continue
        key = (name, "original")
        alike = float(np.mean([rank_correlation(values, one[name]) for one in others]))
        yield key, "repeat_similarity", alike
        yield key, "repeat_ssim", float(np.mean([structural_similarity(values, one[name]) for one in others]))
        yield key, "repeat_margin", alike - max(rank_correlation(values, pairs[name]), 0.0)


REPRODUCIBILITY = Metric(
    Declaration(
        "reproducibility",
        (
            Output("repeat_similarity", "like another training's (Spearman)"),
            Output("repeat_ssim", "like another training's (SSIM)"),
            Output("repeat_margin", "margin over another image's", answers="repeatable"),
        ),
    ),
    measure_reproducibility,
    needs=frozenset({"explanations", "other", "rivals"}),
    explanations=1,
)
