"""Felzenszwalb's graph-based segments of a grey image, at several scales from one sorted edge list.

Smoothing, edge weights and their order do not depend on the scale, so they are computed once. Equal to
scikit-image's ``felzenszwalb`` up to the numbering of the segments.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import MapError

Labels = NDArray[np.int32]


def felzenszwalb(
    image: NDArray[np.floating], scales: Sequence[float], sigma: float = 0.8, min_size: int = 150
) -> list[Labels]:
    """Segments at each scale (Felzenszwalb & Huttenlocher 2004).

    Args:
        image: ``(H, W)``, finite.
        scales: of observation; larger means larger segments.
        sigma: of the Gaussian smoothing before, in pixels.
        min_size: segments smaller than this are merged with the neighbour across the weakest edge.

    Returns:
        For each scale int32 ``(H, W)``, segments numbered from 0 in raster order.

    Raises:
        MapError: not a finite two-dimensional image.
    """
    if image.ndim != 2 or not np.isfinite(image).all():
        raise MapError(f"segments need a finite (H, W) image, got shape {image.shape}")
    smoothed = gaussian_filter(np.asarray(image, dtype=np.float64), sigma, mode="reflect")
    first, second, weights = _edges(smoothed)
    return [
        _segments(first, second, weights, image.size, float(scale) / 255.0, min_size).reshape(image.shape)
        for scale in scales
    ]


def _edges(image: NDArray[np.float64]) -> tuple[Labels, Labels, NDArray[np.float64]]:
    """Edges between the eight neighbours, weakest first: the two pixels and the absolute difference of each."""
    index = np.arange(image.size, dtype=np.int32).reshape(image.shape)
    pairs = [
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[1:, 1:], np.s_[:-1, :-1]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
    ]
    weights = np.concatenate([np.abs(image[a] - image[b]).ravel() for a, b in pairs])
    order = np.argsort(weights, kind="stable")  # equal edges fall alike on every processor
    first = np.concatenate([index[a].ravel() for a, _ in pairs])[order]
    second = np.concatenate([index[b].ravel() for _, b in pairs])[order]
    return first, second, weights[order]


@njit(cache=True)
def _root(parent, pixel):  # type: ignore[no-untyped-def]
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@njit(cache=True)
def _segments(first, second, weights, pixels, scale, min_size):  # type: ignore[no-untyped-def]
    parent = np.arange(pixels).astype(np.int32)
    size = np.ones(pixels, dtype=np.int64)
    inner = np.zeros(pixels)
    for edge in range(len(weights)):
        a, b = _root(parent, first[edge]), _root(parent, second[edge])
        if a == b:
            continue
        if weights[edge] < min(inner[a] + scale / size[a], inner[b] + scale / size[b]):
            low, high = min(a, b), max(a, b)
            parent[high] = low
            size[low] += size[high]
            inner[low] = weights[edge]
    for edge in range(len(weights)):
        a, b = _root(parent, first[edge]), _root(parent, second[edge])
        if a != b and (size[a] < min_size or size[b] < min_size):
            low, high = min(a, b), max(a, b)
            parent[high] = low
            size[low] += size[high]
    # The root is the segment's first pixel, so numbering roots as they come is raster order.
    labels = np.empty(pixels, dtype=np.int32)
    count = 0
    for pixel in range(pixels):
        root = _root(parent, pixel)
        if root == pixel:
            labels[pixel] = count
            count += 1
        else:
            labels[pixel] = labels[root]
    return labels
