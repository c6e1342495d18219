"""Felzenszwalb's graph-based segments of a grey slice or volume, at several scales from one sorted edge list.

Smoothing, edge weights and their order do not depend on the scale, so they are computed once. Of slices equal to
scikit-image's ``felzenszwalb`` up to the numbering of the segments.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import MapError

Labels = NDArray[np.int32]


Neighbours = Literal[6, 26]
"""Of a voxel: across its faces, or across edges and corners too. A pixel of a slice has its eight."""


def felzenszwalb(
    image: NDArray[np.floating],
    scales: Sequence[float],
    sigma: float = 0.8,
    min_size: int | Sequence[int] = 150,
    *,
    neighbours: Neighbours = 6,
    spacing: Sequence[float] | None = None,
) -> list[Labels]:
    """Segments at each scale (Felzenszwalb & Huttenlocher 2004).

    Args:
        image: ``(H, W)`` or ``(D, H, W)``, finite.
        scales: of observation; larger means larger segments.
        sigma: of the Gaussian smoothing before, in pixels, of a volume in the smallest of its voxel's sides.
        min_size: segments smaller than this are merged with the neighbour across the weakest edge; of each scale its
            own, or one for all.
        neighbours: of a voxel; slices have all of theirs.
        spacing: of a volume, in any unit: a difference counts by what it would be over the smallest of the sides, so
            that thick slices are not cut from one another for being thick. None takes cubes.

    Returns:
        For each scale int32 in the image's shape, segments numbered from 0 in raster order.

    Raises:
        MapError: not a finite image of two or three dimensions, or another number of neighbours.
    """
    if image.ndim not in (2, 3) or not np.isfinite(image).all():
        raise MapError(f"segments need a finite (H, W) or (D, H, W) image, got shape {image.shape}")
    if neighbours not in (6, 26):
        raise MapError(f"{neighbours} neighbours of a voxel, expected 6 or 26")
    sides = np.ones(image.ndim) if spacing is None or image.ndim == 2 else np.asarray(spacing, dtype=np.float64)
    sides = sides / sides.min()
    smoothed = gaussian_filter(np.asarray(image, dtype=np.float64), sigma / sides, mode="reflect")
    first, second, weights = _edges(smoothed, tuple(_steps(image.ndim, neighbours)), sides)
    least = [min_size] * len(scales) if isinstance(min_size, int) else min_size
    return [
        _segments(first, second, weights, image.size, float(scale) / 255.0, size).reshape(image.shape)
        for scale, size in zip(scales, least, strict=True)
    ]


def _steps(dimensions: int, neighbours: Neighbours) -> Iterator[tuple[int, ...]]:
    """From each pixel to half of its neighbours; of a volume within its slices first, in the order of a slice's."""
    if dimensions == 2:
        yield from ((0, 1), (1, 0), (1, 1), (-1, 1))
    elif neighbours == 6:
        yield from ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    else:
        yield from ((0, *step) for step in _steps(2, neighbours))
        yield from product((1,), (-1, 0, 1), (-1, 0, 1))


def _edges(
    image: NDArray[np.float64], steps: Sequence[tuple[int, ...]], sides: NDArray[np.float64]
) -> tuple[Labels, Labels, NDArray[np.float64]]:
    """Edges between neighbours, weakest first: the two pixels and the absolute difference of each.

    A difference is divided by how much longer the edge is than in pixels as long as the shortest side.
    """
    index = np.arange(image.size, dtype=np.int32).reshape(image.shape)
    ahead = {1: slice(1, None), 0: slice(None), -1: slice(None, -1)}
    pairs = [(tuple(ahead[one] for one in step), tuple(ahead[-one] for one in step)) for step in steps]
    longer = [float(np.linalg.norm(sides * step) / np.linalg.norm(step)) for step in steps]
    weights = np.concatenate(
        [np.abs(image[a] - image[b]).ravel() / length for (a, b), length in zip(pairs, longer, strict=True)]
    )
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
