"""Whether maps depend on the network's weights: model parameter randomisation (Adebayo et al. 2018, arXiv 1810.03292).

A map of a network whose weights are in random order must be no more like the map of the network itself than that is
like the map of another image: what both share then is the image, not what was learned (the null of random pairs is that
of Arun et al. 2021, doi 10.1148/ryai.2021200267).
"""

from collections.abc import Iterator

import numpy as np

from ..classifier.shuffled import with_shuffled_weights
from ..declarations import Chart, Declaration, Output
from .evaluand import Evaluand
from .likeness import Values, alike, complexity, magnitudes, rank_correlation
from .metric import Metric, Reading

PARTS = 3
"""Of the layers, from the last one on: weights are put in random order one part after the other, and in each alone."""
DRAWS = 2
"""Networks in which all of them are."""
TOLERANCE = 0.1
"""Correlation by which a map may be more like that of a shuffled network than the null, and still depend on weights."""
MOST = 0.9
"""Correlation from which on a map does not depend on them, however alike maps of other images are."""


def measure_randomisation(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's magnitudes to those by shuffled networks, and to those of another image."""
    own, pairs = magnitudes(evaluand.maps), evaluand.of_another_image
    cascade = [shuffled(evaluand, 0, 0.0, (part + 1) / PARTS) for part in range(PARTS)]
    alone = [cascade[0], *(shuffled(evaluand, 0, part / PARTS, (part + 1) / PARTS) for part in range(1, PARTS))]
    whole = [cascade[-1], *(shuffled(evaluand, draw) for draw in range(1, DRAWS))]
    for name, values in own.items():
        if any(name not in one for one in (*cascade, *alone, *whole, pairs)):
            continue  # an estimator that fails on one of these costs its own numbers alone
        key, others = (name, "original"), [one[name] for one in whole]
        found = dict(alike("weights", values, others)) | dict(alike("pair", values, [pairs[name]]))
        for output, value in found.items():
            yield key, output, value
        yield key, "weights_margin", margin(found["pair_similarity"], found["weights_similarity"])
        yield key, "weights_cascade", np.array([1.0, *(rank_correlation(values, one[name]) for one in cascade)])
        yield key, "weights_independent", np.array([rank_correlation(values, one[name]) for one in alone])
        before, after = complexity(values), float(np.mean([complexity(one) for one in others]))
        yield key, "complexity_rise", (after - before) / before if before > 0 else float("nan")


def margin(null: float, likeness: float) -> float:
    """How much less like a shuffled network's map a map is than may be; above 0 where it depends on the weights."""
    return min(max(null, 0.0) + TOLERANCE, MOST) - likeness


def shuffled(evaluand: Evaluand, draw: int, after: float = 0.0, until: float = 1.0) -> dict[str, Values]:
    """Magnitudes of the maps by a network with shuffled weights; see `with_shuffled_weights`."""
    network = with_shuffled_weights(evaluand.classifier, evaluand.seed, draw, after, until)
    return magnitudes(evaluand.explain(classifier=network, draws=f"shuffled {draw}, {after:g} to {until:g}"))


RANDOMISATION = Metric(
    Declaration(
        "randomisation",
        (
            Output("weights_similarity", "like shuffled weights' (Spearman)", better="lower", criterion="weights"),
            Output("weights_ssim", "like shuffled weights' (SSIM)", better="lower"),
            Output("weights_hog", "like shuffled weights' (HOG)", better="lower"),
            Output("pair_similarity", "like another image's (Spearman)", better=None),
            Output("pair_ssim", "like another image's (SSIM)", better=None),
            Output("pair_hog", "like another image's (HOG)", better=None),
            Output("weights_margin", "margin over shuffled weights", answers="weights"),
            Output("complexity_rise", "rise of complexity (eMPRT)"),
            Output("weights_cascade", "Spearman's correlation", curve=True, intervals=True),
            Output("weights_independent", "Spearman's correlation", curve=True, intervals=True),
        ),
        (
            Chart(
                "cascade",
                ("weights_cascade",),
                (0.0, 100.0),
                "layers with shuffled weights, from the last (%)",
                "Spearman's correlation",
                "How like each map stays to itself while the weights of more layers are put in random order, from the "
                "last one on.",
                "weights_similarity",
            ),
            Chart(
                "independent",
                ("weights_independent",),
                (1.0, float(PARTS)),
                "third of the layers with shuffled weights (1: the last)",
                "Spearman's correlation",
                "How like each map stays to itself while the weights of one third of the layers alone are put in "
                "random order.",
                "weights_similarity",
            ),
        ),
    ),
    measure_randomisation,
    needs=frozenset({"explanations", "other"}),
    explanations=2 * PARTS - 1 + DRAWS,
)
