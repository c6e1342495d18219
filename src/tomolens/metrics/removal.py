"""Deletion and insertion: the explained class's probability while a map's pixels go, or come, most important first."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ..declarations import Chart, Declaration, Output
from ..imputers.fills import Fill, Imputer
from ..regions import count_at
from .evaluand import Evaluand, MetricSettings
from .fidelity import area_under
from .masking import masked_fractions
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
    pixels = fill.image[0].numel()
    counts = [count_at(fraction, pixels) for fraction in masked_fractions(evaluand.settings.steps)]
    curves = []
    for ranked in rankings:
        ranks = torch.from_numpy(ranked.ranks.reshape(ranked.shape)).to(fill.image.device)
        moved = (ranks >= pixels - count for count in counts)
        curves.append(evaluand.probabilities_without(fill, (~one if inserting else one for one in moved)))
    return curves


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
