"""Performance information curves (Kapishnikov et al. 2019, arXiv 1906.02825): how soon what maps show is enough.

An image is revealed from a blurred one, most important pixels first, and what the network makes of it is drawn against
how much information was revealed. The choices are those of the authors' package ``saliency`` (`saliency.metrics.pic`):
one pixel in a hundred is known from the start, and so are the corners; pixels that are not known are those of the
nearest one that is (its option ``nearest``: ``linear``, its default, is not for volumes). Its default leaves out images
whose class has a probability below 0.8; here they count.
"""

import bz2
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ..classifier.intensity import Intensity
from ..declarations import Chart, Declaration, Output
from ..randomness import generator
from .evaluand import Evaluand, MetricSettings
from .metric import Metric, Reading
from .ranked import RankedMap

THRESHOLDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.13, 0.21, 0.34, 0.5, 0.75)
"""Shares of the pixels that are revealed, most important first."""
KNOWN = 0.01
"""Share of the pixels that are known from the start."""
POINTS = 1000
"""Steps of a curve along the axis of information, over which its area is taken."""
KEPT = 10
"""Of so many points of a curve one is kept."""
Values = NDArray[np.float64]


def known_pixels(shape: Sequence[int], random: np.random.Generator) -> NDArray[np.bool_]:
    """Random pixels that are known from the start, and the corners, bool ``(*spatial)``."""
    known = np.zeros(shape, dtype=bool)
    known.flat[random.choice(known.size, int(known.size * KNOWN), replace=False)] = True
    known[tuple(np.array(list(product(*((0, length - 1) for length in shape)))).T)] = True
    return known


def spread(image: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.floating]:
    """The image where every pixel is that of the nearest known one, ``(C, *spatial)``."""
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(image[(slice(None), *nearest)])


def information_of(image: NDArray[np.floating], intensity: Intensity) -> int:
    """Bytes of an image in 256 steps from black to white, compressed without loss (bzip2, the same on any machine).

    The authors' package compresses to WebP, which has no volumes and at most four channels.
    """
    steps = np.round(np.clip(intensity.share(image), 0.0, 1.0) * 255).astype(np.uint8)
    return len(bz2.compress(steps.tobytes()))


def curve_of(shares: Values, values: Values, first: float, last: float) -> Values:
    """A performance information curve, ``(POINTS + 1,)``; NaN where the image does no better than the blurred one.

    Args:
        shares: of the information that each image has more than the blurred one, in the order of `THRESHOLDS`.
        values: what the network makes of each.
        first: what it makes of the blurred image.
        last: what it makes of the image itself.
    """
    if not last > first:
        return np.full(POINTS + 1, np.nan)
    best = np.maximum.accumulate(np.clip((values - first) / (last - first), 0.0, 1.0))
    along, height = np.append(np.clip(shares, 0.0, 1.0), [0.0, 1.0]), np.append(best, [0.0, 1.0])
    order = np.argsort(along, kind="stable")
    drawn = np.interp(np.arange(POINTS) / POINTS, along[order], height[order])
    return np.append(drawn, 1.0)


def information_curves(evaluand: Evaluand, rankings: Sequence[RankedMap]) -> list[dict[str, Values]]:
    """The curves ``sic`` (of the probability) and ``aic`` (of the decision) of each of several maps.

    NaN where the blurred image has as much information as the image.
    """
    image, intensity = evaluand.image.cpu().numpy(), evaluand.classifier.intensity
    known = known_pixels(image.shape[1:], generator(evaluand.seed, evaluand.name, "information"))
    blurred = spread(image, known)
    least, most = (information_of(one, intensity) for one in (blurred, image))
    if least >= most:
        return [dict.fromkeys(("sic", "aic"), np.full(POINTS + 1, np.nan)) for _ in rankings]
    ends, found = _performance(evaluand, iter([blurred, image]))[1], []
    for ranked in rankings:
        scores = ranked.scores.reshape(ranked.shape)
        revealed = (scores >= np.quantile(scores, 1 - threshold) for threshold in THRESHOLDS)
        sizes, made = _performance(evaluand, (spread(image, one | known) for one in revealed))
        shares = (sizes - least) / (most - least)
        found.append({name: curve_of(shares, values, *ends[name]) for name, values in made.items()})
    return found


def _performance(evaluand: Evaluand, images: Iterator[NDArray[np.floating]]) -> tuple[Values, Mapping[str, Values]]:
    """Of each image its information, and the explained class's probability and whether it is decided."""
    sizes, told = [], []
    while batch := list(islice(images, evaluand.batch_size)):
        sizes += [information_of(one, evaluand.classifier.intensity) for one in batch]
        shown: Tensor = torch.from_numpy(np.stack(batch)).to(evaluand.image.dtype)
        told.append(evaluand.probabilities(shown))
    probabilities = np.concatenate(told)
    return np.array(sizes, dtype=np.float64), {
        "sic": probabilities[:, evaluand.explained].astype(np.float64),
        "aic": evaluand.decided(probabilities).astype(np.float64),
    }


def measure_information(evaluand: Evaluand) -> Iterator[Reading]:
    """Areas under the softmax and the accuracy information curve, and both curves."""
    distinct = list(dict.fromkeys(evaluand.rankings.values()))
    found = information_curves(evaluand, distinct)
    for key, ranked in evaluand.rankings.items():
        for name, curve in found[distinct.index(ranked)].items():
            yield key, name, float(np.trapezoid(curve, dx=1 / POINTS))
            yield key, f"{name}_curve", curve[::KEPT]


def _images(settings: MetricSettings) -> int:
    return len(THRESHOLDS)


def _images_a_case(settings: MetricSettings) -> int:
    return 2


INFORMATION = Metric(
    Declaration(
        "information",
        (
            Output("sic", "SIC AUC"),
            Output("aic", "AIC AUC"),
            Output("sic_curve", "probability", curve=True, intervals=True),
            Output("aic_curve", "decisions", curve=True, intervals=True),
        ),
        tuple(
            Chart(
                f"{name}-information",
                (f"{name}_curve",),
                (0.0, 100.0),
                "information revealed (%)",
                height,
                f"{what}, from that of a blurred image to that of the image, against the information revealed, most "
                "important pixels first.",
                name,
                limits=(0.0, 1.0),
            )
            for name, height, what in (
                ("sic", "share of the probability", "The explained class's probability"),
                ("aic", "share of the decisions", "How often the explained class is decided"),
            )
        ),
    ),
    measure_information,
    needs=frozenset({"probabilities"}),
    images=_images,
    images_a_case=_images_a_case,
)
