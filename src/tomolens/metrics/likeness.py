"""How like two maps are: by ranks, by structure, and by the directions of their edges."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata
from torch import Tensor

BINS = 100
"""Of the histogram whose entropy says how complex a map is."""
SIDE = 7
"""Of the window of structural similarity."""
CELL, BLOCK, DIRECTIONS = 16, 3, 9
"""Of histograms of gradients: pixels along a cell, cells along a block, and directions that are told apart."""
Values = NDArray[np.float64]


def rank_correlation(one: Values, other: Values) -> float:
    """Spearman's correlation, ties by their mean rank; NaN where either is even."""
    return _correlation(*(rankdata(values.ravel()) for values in (one, other)))


def structural_similarity(one: Values, other: Values) -> float:
    """Structural similarity of two maps, each scaled from 0 to 1, in windows of 7 pixels along each axis.

    Wang et al. 2004, doi 10.1109/TIP.2003.819861, as scikit-image has it; narrower windows along shorter axes. NaN
    where either is even.
    """
    if not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return float("nan")
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


def gradient_similarity(one: Values, other: Values) -> float:
    """Pearson's correlation of the histograms of gradients of two maps, each scaled from 0 to 1.

    As Adebayo et al. 2018 (arXiv 1810.03292) compare maps; see `histograms_of_gradients`. NaN where either is even, or
    too small to have any.
    """
    return _correlation(*(histograms_of_gradients(_scaled(values)) for values in (one, other)))


def histograms_of_gradients(values: Values) -> Values:
    """Shares of the directions of edges in cells of 16 x 16 pixels, flat (Dalal & Triggs 2005).

    Nine directions, in blocks of 3 x 3 cells that are normalised, clipped and normalised again (L2-Hys), as
    scikit-image has it. Smaller images have smaller cells, at least three along each axis; of a volume it is all of its
    slices along all axes, as far as they have cells of two pixels.
    """
    stacks = [values[None]] if values.ndim == 2 else [np.moveaxis(values, axis, 0) for axis in range(values.ndim)]
    large = [stack for stack in stacks if min(stack.shape[1:]) >= 2 * BLOCK]
    return np.concatenate([_histograms(stack) for stack in large]) if large else np.empty(0)


def _histograms(slices: Values) -> Values:
    """Of slices ``(S, rows, columns)``."""
    sides = [min(CELL, length // BLOCK) for length in slices.shape[1:]]
    counts = [length // side for length, side in zip(slices.shape[1:], sides, strict=True)]
    across = np.zeros((2, *slices.shape))
    across[0][:, 1:-1] = slices[:, 2:] - slices[:, :-2]
    across[1][:, :, 1:-1] = slices[:, :, 2:] - slices[:, :, :-2]
    turned = np.rad2deg(np.arctan2(*across)) % 180
    which = np.minimum((turned / (180 / DIRECTIONS)).astype(np.intp), DIRECTIONS - 1)
    strength = np.hypot(*across)
    whole = tuple(slice(0, count * side) for count, side in zip(counts, sides, strict=True))
    cells = np.stack(
        [
            np.where(which == direction, strength, 0.0)[(slice(None), *whole)]
            .reshape(len(slices), counts[0], sides[0], counts[1], sides[1])
            .mean(axis=(2, 4))
            for direction in range(DIRECTIONS)
        ],
        axis=-1,
    )
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (BLOCK, BLOCK), axis=(1, 2))
    flat = np.moveaxis(blocks, 3, -1).reshape(*blocks.shape[:3], -1)
    clipped = np.minimum(_normalised(flat), 0.2)
    return _normalised(clipped).ravel()


def _normalised(blocks: Values) -> Values:
    return np.asarray(blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1e-5**2))


def complexity(values: Values) -> float:
    """Entropy of the histogram of a map scaled from 0 to 1 (Hedström et al. 2024, arXiv 2405.02383, section 4)."""
    shares = np.histogram(_scaled(values), BINS, (0.0, 1.0))[0] / values.size
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


LIKENESS: dict[str, Callable[[Values, Values], float]] = {
    "similarity": rank_correlation,
    "ssim": structural_similarity,
    "hog": gradient_similarity,
}
"""How likeness is told, by the ending of the outputs' names."""


def alike(begins: str, values: Values, others: Iterable[Values]) -> Iterator[tuple[str, float]]:
    """Mean likeness of a map to others by each of `LIKENESS`, with the name of the output."""
    compared = list(others)
    for ends, likeness in LIKENESS.items():
        yield f"{begins}_{ends}", float(np.mean([likeness(values, one) for one in compared]))


def alike_beyond(begins: str, values: Values, others: Iterable[Values], another: Values) -> Iterator[tuple[str, float]]:
    """`alike`, and by how much more the map is like these than like another image's, with the name of the output.

    To be unlike another image's is no merit: the least that is taken off is 0.
    """
    found = dict(alike(begins, values, others))
    yield from found.items()
    yield f"{begins}_margin", found[f"{begins}_similarity"] - max(rank_correlation(values, another), 0.0)


def magnitudes(maps: Mapping[str, Tensor]) -> dict[str, Values]:
    """Of each map, ``(*spatial)``: the sum over its channels."""
    return {name: one.detach().cpu().double().abs().sum(dim=0).numpy() for name, one in maps.items()}


def _scaled(values: Values) -> Values:
    reach = np.ptp(values)
    return (values - values.min()) / reach if reach > 0 else np.zeros_like(values)


def _correlation(one: Values, other: Values) -> float:
    """Pearson's correlation; NaN where either does not vary."""
    if not one.size:
        return float("nan")
    first, second = (values - values.mean() for values in (one, other))
    power = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / power) if power > 0 else float("nan")
