"""IROF (Rieger & Hansen 2020, arXiv 2003.08747): the area over the probability while whole parts go, best first."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..declarations import Declaration, Output
from ..imputers.fills import Imputer
from ..regions.parts import MOST, parts
from .evaluand import Evaluand, MetricSettings
from .metric import Metric, Reading
from .ranked import RankedMap


def irof(evaluand: Evaluand, rankings: Sequence[RankedMap], fill: Imputer) -> list[float]:
    """Mean over j of 1 - p(without the j parts of the largest mean importance) / p(image), of each of several maps.

    Parts are those of `regions.parts`; of equal ones the first by number goes first. At most 1; NaN where another class
    than the explained one is predicted: its probability may be nearly 0, and nothing can be a share of that.
    """
    labels = parts(evaluand.classifier.intensity.share(evaluand.image.cpu().numpy()), evaluand.spacing)
    sizes = np.bincount(labels.ravel())
    every = evaluand.probabilities(fill.image[None])[0]
    whole = float(every[evaluand.explained])
    if whole < every.max():
        return [float("nan")] * len(rankings)
    found = []
    for ranked in rankings:
        means = np.bincount(labels.ravel(), ranked.scores) / sizes
        turn = np.empty(len(sizes), np.int64)
        turn[np.argsort(-means, kind="stable")] = np.arange(len(sizes))
        goes = torch.from_numpy(turn[labels]).to(fill.image.device)
        left = evaluand.probabilities_without(fill, (goes <= step for step in range(len(sizes))))
        found.append(float(1 - (left / whole).mean()))
    return found


def measure_irof(evaluand: Evaluand) -> Iterator[Reading]:
    """Area over the probability while whole parts become the image's mean, most important first."""
    distinct = list(dict.fromkeys(evaluand.rankings.values()))
    found = irof(evaluand, distinct, evaluand.imputer("mean"))
    for key, ranked in evaluand.rankings.items():
        yield key, "irof", found[distinct.index(ranked)]


def _images(settings: MetricSettings) -> int:
    return MOST + 1


IROF = Metric(
    Declaration("irof", (Output("irof", "IROF"),)),
    measure_irof,
    needs=frozenset({"probabilities"}),
    images=_images,
)
