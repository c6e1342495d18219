"""F-Fidelity (Zheng et al. 2025, arXiv 2410.02970): fidelity by a network that was refined on randomly masked images.

A copy of the network goes on learning from images of which a random tenth of the pixels is the image's mean, whatever
any map says. Then it is asked about images of which no more than that is masked in the mean: of the pixels that a map
ranks highest (FFid+) or lowest (FFid-), each with a chance that keeps to it. What it is shown is not foreign to it.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..declarations import Declaration, Output
from ..errors import MapError
from ..randomness import generator
from ..regions import count_at
from .evaluand import Evaluand, MetricSettings
from .fidelity import are_right
from .metric import Metric, Reading
from .ranked import RankedMap

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the pixels among which some are masked; the authors take every twentieth."""
CHANCE = 0.5
"""Largest chance of each of these pixels to be masked: alpha."""
MOST = 0.1
"""Share of all pixels that may be masked in the mean: beta, and what the network was refined on."""
SAMPLES = 10
"""Random masks of each share; the authors take 50."""


def chance(count: int, pixels: int) -> float:
    """Of each of so many pixels to be masked, min(alpha, beta N / count)."""
    return min(CHANCE, MOST * pixels / count)


def right_without(evaluand: Evaluand, ranked: RankedMap, draws: NDArray[np.float32]) -> tuple[float, float]:
    """Share of right decisions of the refined network with most, and with least, important pixels masked at random.

    Mean over shares and samples of 1[y = f(x masked)]. Right is what fidelity takes for right: with two classes, that
    the true one is decided.

    Args:
        evaluand: of the case, with the refined network.
        ranked: the map.
        draws: from 0 to 1, ``(SAMPLES, P)``: which pixels are masked where they may be.
    """
    pixels = len(ranked.ranks)
    counts = [count_at(share, pixels) for share in SHARES]
    means = []
    for places in (pixels - 1 - ranked.ranks, ranked.ranks):  # from the most, or the least, important one on
        hidden = ((places < count) & (draw < chance(count, pixels)) for count in counts for draw in draws)
        means.append(float(_right(evaluand, (one.reshape(ranked.shape) for one in hidden)).mean()))
    return means[0], means[1]


def _right(evaluand: Evaluand, hidden: Iterator[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Whether the refined network is right about the image without each set of pixels."""
    refined = evaluand.refined
    if refined is None or isinstance(refined, str):
        raise MapError(f"no refined network: {refined}")
    fill = replace(evaluand, classifier=refined).imputer("mean")
    decided = []
    while masks := list(islice(hidden, evaluand.batch_size)):
        shown: Tensor = fill.fill(torch.from_numpy(np.stack(masks)).to(fill.image.device))
        decided.append(refined.predict(shown, evaluand.batch_size))
    return are_right(np.concatenate(decided), evaluand.label, evaluand.explained)


def measure_f_fidelity(evaluand: Evaluand) -> Iterator[Reading]:
    """How much a refined network misses the most, and the least, important pixels, a tenth of the image in the mean.

    FFid+ and FFid- are 1[y = f(x)] less the share of right decisions with them masked: `right_without`.
    """
    pixels = evaluand.image[0].numel()
    draws = np.stack(
        [
            generator(evaluand.seed, evaluand.name, "f-fidelity", k).random(pixels, dtype=np.float32)
            for k in range(SAMPLES)
        ]
    )
    whole = float(_right(evaluand, iter([np.zeros(evaluand.image.shape[1:], bool)]))[0])
    found = {ranked: right_without(evaluand, ranked, draws) for ranked in dict.fromkeys(evaluand.rankings.values())}
    for key, ranked in evaluand.rankings.items():
        most, least = found[ranked]
        yield key, "ffid_plus", whole - most
        yield key, "ffid_minus", whole - least


def _images(settings: MetricSettings) -> int:
    return 2 * len(SHARES) * SAMPLES


def _images_a_case(settings: MetricSettings) -> int:
    return 1


F_FIDELITY = Metric(
    Declaration(
        "f-fidelity",
        (Output("ffid_plus", "FFid+"), Output("ffid_minus", "FFid-", better="lower")),
    ),
    measure_f_fidelity,
    needs=frozenset({"refined", "probabilities"}),
    images=_images,
    images_a_case=_images_a_case,
)
