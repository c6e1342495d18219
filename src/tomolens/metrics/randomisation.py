"""Whether maps depend on the network's weights: model parameter randomisation (Adebayo et al. 2018, arXiv 1810.03292).

A map of a network whose weights are in random order must be no more like the map of the network itself than that is
like the map of another image: what both share then is the image, not what was learned (the null of random pairs is that
of Arun et al. 2021, doi 10.1148/ryai.2021200267).
"""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata
from torch import Tensor

from ..classifier.shuffled import with_shuffled_weights
from ..declarations import Chart, Declaration, Output
from .evaluand import Evaluand
from .metric import Metric, Reading

STAGES = (1 / 3, 2 / 3, 1.0)
"""Share of the layers, from the last one on, whose weights are put in random order."""
DRAWS = 2
"""Networks in which all of them are."""
TOLERANCE = 0.1
"""Correlation by which a map may be more like that of a shuffled network than the null, and still depend on weights."""
MOST = 0.9
"""Correlation from which on a map does not depend on them, however alike maps of other images are."""
ANOTHER = "another image"
"""Whose random draws are its own: shared noise is no likeness."""
BINS = 100
"""Of the histogram whose entropy says how complex a map is."""
SIDE = 7
"""Of the window of structural similarity."""
Values = NDArray[np.float64]


def rank_correlation(one: Values, other: Values) -> float:
    """Spearman's correlation, ties by their mean rank; NaN where either is even."""
    first, second = (rankdata(values) - (values.size + 1) / 2 for values in (one.ravel(), other.ravel()))
    power = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / power) if power > 0 else float("nan")


def structural_similarity(one: Values, other: Values) -> float:
    """Structural similarity of two maps, each scaled from 0 to 1, in windows of 7 pixels along each axis.

    Wang et al. 2004, doi 10.1109/TIP.2003.819861, as scikit-image has it; narrower windows along shorter axes.
    """
    scaled = [_scaled(values) for values in (one, other)]
    sides = tuple(min(SIDE, length - (length + 1) % 2) for length in one.shape)
    means = [uniform_filter(values, sides) for values in scaled]
    unbiased = prod(sides) / max(prod(sides) - 1, 1)
    spreads = [
        unbiased * (uniform_filter(a * b, sides) - m * n)
        for a, b, m, n in (
            (scaled[0], scaled[0], means[0], means[0]),
            (scaled[1], scaled[1], means[1], means[1]),
            (scaled[0], scaled[1], means[0], means[1]),
        )
    ]
    light, contrast = 0.01**2, 0.03**2
    above = (2 * means[0] * means[1] + light) * (2 * spreads[2] + contrast)
    below = (means[0] ** 2 + means[1] ** 2 + light) * (spreads[0] + spreads[1] + contrast)
    inner = tuple(slice(side // 2, length - side // 2) for side, length in zip(sides, one.shape, strict=True))
    return float((above / below)[inner].mean())


def complexity(values: Values) -> float:
    """Entropy of the histogram of a map scaled from 0 to 1 (Hedström et al. 2024, arXiv 2405.02383, section 4)."""
    shares = np.histogram(_scaled(values), BINS, (0.0, 1.0))[0] / values.size
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _scaled(values: Values) -> Values:
    reach = np.ptp(values)
    return (values - values.min()) / reach if reach > 0 else np.zeros_like(values)


def measure_randomisation(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's magnitudes to those by shuffled networks, and to those of another image."""
    assert evaluand.other is not None
    own = magnitudes(evaluand.maps)
    networks = (*((0, share) for share in STAGES), *((draw, 1.0) for draw in range(1, DRAWS)))
    shuffled = [
        magnitudes(
            evaluand.explain(
                classifier=with_shuffled_weights(evaluand.classifier, evaluand.seed, draw, share),
                draws=f"shuffled {draw}, {share:g}",
            )
        )
        for draw, share in networks
    ]
    pairs = magnitudes(evaluand.explain(evaluand.other, draws=ANOTHER))
    whole = shuffled[len(STAGES) - 1 :]
    for name, values in own.items():
        if any(name not in one for one in (*shuffled, pairs)):
            continue  # an estimator that fails on one of these costs its own numbers alone
        key = (name, "original")
        alike = float(np.mean([rank_correlation(values, one[name]) for one in whole]))
        null = rank_correlation(values, pairs[name])
        stages = [rank_correlation(values, one[name]) for one in shuffled[: len(STAGES)]]
        before, after = complexity(values), float(np.mean([complexity(one[name]) for one in whole]))
        yield key, "weights_similarity", alike
        yield key, "weights_ssim", float(np.mean([structural_similarity(values, one[name]) for one in whole]))
        yield key, "pair_similarity", null
        yield key, "pair_ssim", structural_similarity(values, pairs[name])
        yield key, "weights_margin", min(max(null, 0.0) + TOLERANCE, MOST) - alike
        yield key, "weights_cascade", np.array([1.0, *stages])
        yield key, "complexity_rise", (after - before) / before if before > 0 else float("nan")


def magnitudes(maps: Mapping[str, Tensor]) -> dict[str, Values]:
    """Of each map, ``(*spatial)``: the sum over its channels."""
    return {name: one.detach().cpu().double().abs().sum(dim=0).numpy() for name, one in maps.items()}


RANDOMISATION = Metric(
    Declaration(
        "randomisation",
        (
            Output("weights_similarity", "like shuffled weights' (Spearman)", better="lower"),
            Output("weights_ssim", "like shuffled weights' (SSIM)", better="lower"),
            Output("pair_similarity", "like another image's (Spearman)", better=None),
            Output("pair_ssim", "like another image's (SSIM)", better=None),
            Output("weights_margin", "margin over shuffled weights", answers="weights"),
            Output("complexity_rise", "rise of complexity (eMPRT)"),
            Output("weights_cascade", "Spearman's correlation", curve=True, intervals=True),
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
        ),
    ),
    measure_randomisation,
    needs=frozenset({"explanations", "other"}),
    explanations=len(STAGES) + DRAWS,
)
