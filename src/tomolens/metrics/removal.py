"""Deletion and insertion: the explained class's probability while a map's pixels go, or come, most important first."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..declarations import Chart, Declaration, Output
from ..imputers.fills import Fill, Imputer
from ..regions import count_at
from .evaluand import Evaluand, MetricSettings
from .fidelity import masked_fractions
from .metric import Metric, Reading
from .ranked import RankedMap

INSERTED_INTO: Fill = "blur"
"""What pixels are put into: a blurred image, as in the paper."""


def removal_curves(
    evaluand: Evaluand, rankings: list[RankedMap], fill: Imputer, *, inserting: bool
) -> list[NDArray[np.float64]]:
    """The explained class's probability at each step for each of several maps, ``(steps + 1,)`` each.

    Args:
        evaluand: of the case.
        rankings: of maps.
        fill: what pixels become, or are before they come.
        inserting: whether pixels come instead of going.
    """
    fractions = masked_fractions(evaluand.settings.steps)
    ends = _probabilities(evaluand, fill, torch.zeros(2, *fill.image.shape[1:], dtype=torch.bool), both=True)
    curves = []
    for ranked in rankings:
        ranks = torch.from_numpy(ranked.ranks.reshape(ranked.shape)).to(fill.image.device)
        pixels = ranks.numel()
        gone = [ranks >= pixels - count_at(fraction, pixels) for fraction in fractions[1:-1]]
        hidden = torch.stack([~one for one in gone] if inserting else gone)
        inner = _probabilities(evaluand, fill, hidden)
        first, last = ends[::-1] if inserting else ends
        curves.append(np.concatenate([[first], inner, [last]]))
    return curves


def _probabilities(evaluand: Evaluand, fill: Imputer, hidden: Tensor, *, both: bool = False) -> NDArray[np.float64]:
    """The explained class's probability of the image with each of some sets of pixels hidden."""
    if both:
        hidden[1] = True
    found = [
        evaluand.probabilities(fill.fill(hidden[at : at + evaluand.batch_size]))[:, evaluand.explained]
        for at in range(0, len(hidden), evaluand.batch_size)
    ]
    return np.concatenate(found).astype(np.float64)


def area_under(curve: NDArray[np.float64]) -> float:
    """Area under a curve over equally spaced points from 0 to 1, trapezoid rule."""
    return float(np.trapezoid(curve, dx=1.0 / (len(curve) - 1)))


def measure_removal(evaluand: Evaluand) -> Iterator[Reading]:
    """Deletion with the study's fill, insertion into the blurred image, and the areas under both."""
    distinct = list(dict.fromkeys(evaluand.rankings.values()))
    for name, fill in (("deletion", evaluand.settings.fill), ("insertion", INSERTED_INTO)):
        curves = removal_curves(evaluand, distinct, evaluand.imputer(fill), inserting=name == "insertion")
        for key, ranked in evaluand.rankings.items():
            curve = curves[distinct.index(ranked)]
            yield key, f"{name}_curve", curve
            yield key, name, area_under(curve)


def _images(settings: MetricSettings) -> int:
    return 2 * (settings.steps + 1)


REMOVAL = Metric(
    Declaration(
        "removal",
        (
            Output("deletion", "deletion AUC", better="lower"),
            Output("insertion", "insertion AUC"),
            Output("deletion_curve", "probability", curve=True, intervals=True),
            Output("insertion_curve", "probability", curve=True, intervals=True),
        ),
        tuple(
            Chart(
                name,
                (f"{name}_curve",),
                (0.0, 100.0),
                f"pixels {done} (%)",
                "probability of the explained class",
                f"Mean probability of the explained class while pixels are {done}, most important first.",
                name,
                limits=(0.0, 1.0),
            )
            for name, done in (("deletion", "deleted"), ("insertion", "inserted"))
        ),
    ),
    measure_removal,
    needs=frozenset({"probabilities"}),
    depends_on=frozenset({"fill"}),
    images=_images,
)
