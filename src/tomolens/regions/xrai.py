"""XRAI region maps (Kapishnikov et al. 2019, arXiv 1906.02825) from any importance map.

Segments depend on the image alone and are computed once for all its maps. The growing of regions keeps
each segment's sum and count of pixels not yet covered and updates them for newly covered pixels only. Such a sum
carries rounding with it, so it only says which segments may be the best; their means are then taken afresh, rounded
once. A segment whose uncovered pixels are all equal has exactly their value, and ties stay ties.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ..errors import MapError
from .felzenszwalb import felzenszwalb

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class RegionSettings:
    """XRAI's published constants.

    Attributes:
        scales: of Felzenszwalb's segments.
        sigma: smoothing before segmenting, pixels.
        min_size: of a segment, pixels, at ``segmenting_size``.
        segmenting_size: the image is resized to this square for segmenting.
        value_range: to which the image's values are stretched.
        dilation: of each segment, pixels of the image.
        min_new_pixels: regions that would add fewer are dropped.
    """

    scales: tuple[float, ...] = (50, 100, 150, 250, 500, 1200)
    sigma: float = 0.8
    min_size: int = 150
    segmenting_size: int = 224
    value_range: tuple[float, float] = (-1.0, 1.0)
    dilation: int = 5
    min_new_pixels: int = 50


@dataclass(frozen=True)
class Segments:
    """The dilated segments of one image at all scales, overlapping, as lists of pixels.

    Attributes:
        shape: ``(H, W)`` of the image.
        starts: int64 ``(S + 1,)``; segment s covers ``pixels[starts[s]:starts[s + 1]]``.
        pixels: int32, flat pixel indices, ascending within a segment.
        owner_starts: int64 ``(H W + 1,)``; the segments that cover a pixel, likewise.
        owners: int32, segment numbers.
    """

    shape: tuple[int, int]
    starts: NDArray[np.int64]
    pixels: NDArray[np.int32]
    owner_starts: NDArray[np.int64]
    owners: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def masks(self) -> NDArray[np.bool_]:
        """Each segment as a mask, ``(S, H, W)``."""
        masks = np.zeros((len(self), self.shape[0] * self.shape[1]), dtype=bool)
        masks[np.repeat(np.arange(len(self)), np.diff(self.starts)), self.pixels] = True
        return masks.reshape(len(self), *self.shape)


def segment(image: "Tensor | NDArray[np.floating]", settings: RegionSettings | None = None) -> Segments:
    """The segments of an image, shared by all its maps.

    Args:
        image: ``(C, H, W)`` or ``(H, W)``; channels are averaged.
        settings: XRAI's published constants by default.

    Raises:
        MapError: not a finite two-dimensional image.
    """
    settings = settings or RegionSettings()
    grey = as_plane(image, "image", mean=True)
    reach = _half_widths(settings.dilation)
    dilated = [_dilated(plane, int(plane.max()) + 1, reach) for plane in labels_of(grey, settings)]
    lengths = np.concatenate([counts for _, counts in dilated])
    pixels = np.concatenate([covered for covered, _ in dilated])
    present = lengths > 0  # a segment may fall between the pixels of a small image
    starts = np.concatenate([[0], np.cumsum(lengths[present])]).astype(np.int64)
    owner_starts, owners = _owners(starts, pixels, grey.size)
    return Segments((grey.shape[0], grey.shape[1]), starts, pixels, owner_starts, owners)


def labels_of(grey: NDArray[np.float64], settings: RegionSettings) -> list[NDArray[np.int32]]:
    """Felzenszwalb's segment of each pixel ``(H, W)`` at each scale; a small image may have none of some of them."""
    labels = felzenszwalb(_stretched(grey, settings), settings.scales, settings.sigma, settings.min_size)
    rows, columns = (
        ((np.arange(length) + 0.5) * settings.segmenting_size / length).astype(np.intp) for length in grey.shape
    )
    return [plane[np.ix_(rows, columns)] for plane in labels]


def xrai(
    image: "Tensor | NDArray[np.floating]",
    importance: "Tensor | NDArray[np.floating]",
    *,
    segments: Segments | None = None,
    settings: RegionSettings | None = None,
) -> NDArray[np.float64]:
    """Region map: every pixel gets the mean importance of the region with which it was added.

    Starting from nothing, the segment whose uncovered pixels have the highest mean importance is added
    until none adds ``min_new_pixels``; what is left over gets its own mean.

    Args:
        image: ``(C, H, W)`` or ``(H, W)``, for the segments.
        importance: map of the same shape; channels are summed.
        segments: of the image, where they are known already.
        settings: XRAI's published constants by default.

    Returns:
        float64 ``(H, W)``.

    Raises:
        MapError: shapes that differ, values that are not finite, more than two dimensions.
    """
    settings = settings or RegionSettings()
    scores = as_plane(importance, "importance map")
    if segments is None:
        segments = segment(image, settings)
    if scores.shape != segments.shape:
        raise MapError(f"importance map of {scores.shape}, image of {segments.shape}: they must be the same")
    regions = _grow(
        scores.ravel(),
        segments.starts,
        segments.pixels,
        segments.owner_starts,
        segments.owners,
        settings.min_new_pixels,
    )
    return np.asarray(regions).reshape(segments.shape)


def as_plane(array: "Tensor | NDArray[np.floating]", what: str, mean: bool = False) -> NDArray[np.float64]:
    """An array as float64 ``(H, W)``: channels averaged (an image) or summed (a map)."""
    values = np.asarray(array.detach().cpu().double().numpy() if hasattr(array, "detach") else array)
    values = values.astype(np.float64)
    if values.ndim == 3:
        values = values.mean(axis=0) if mean else values.sum(axis=0)
    if values.ndim != 2:
        raise MapError(f"regions are made of two-dimensional slices, the {what} has shape {values.shape}")
    if not np.isfinite(values).all():
        raise MapError(f"{what}: {int((~np.isfinite(values)).sum())} values are not finite")
    return np.ascontiguousarray(values)


def _stretched(grey: NDArray[np.float64], settings: RegionSettings) -> NDArray[np.float64]:
    """Values stretched to the range and the image resized as the published code does; constant stays constant."""
    low, high = settings.value_range
    extent = float(np.ptp(grey))
    if extent == 0:
        return np.full((settings.segmenting_size,) * 2, low)
    values = (grey - grey.min()) / extent * (high - low) + low
    factors = [length / settings.segmenting_size for length in grey.shape]
    if max(factors) > 1:
        blur = [max(0.0, (factor - 1) / 2) for factor in factors]
        values = gaussian_filter(values, blur, mode="grid-constant")
    # Outside counts as 0, the middle of the range, as in the published code.
    resized = zoom(values, [1 / factor for factor in factors], order=3, mode="grid-constant", grid_mode=True)
    return np.asarray(np.clip(resized, low, high))


def _half_widths(radius: int) -> NDArray[np.int64]:
    """How far a disk reaches to the left and right of its centre, in each of its rows."""
    return np.array([math.isqrt(radius**2 - row**2) for row in range(-radius, radius + 1)], dtype=np.int64)


@njit(cache=True)
def _dilated(labels, count, reach):  # type: ignore[no-untyped-def]
    """Flat pixel indices of each segment dilated by a disk, one segment after the other, and how many each has.

    Every run of a segment's pixels in a row is widened into the rows around it; pixels are marked with the segment's
    number and collected from its own box.
    """
    height, width = labels.shape
    radius = len(reach) // 2
    top, bottom = np.full(count, height), np.full(count, -1)
    left, right = np.full(count, width), np.full(count, -1)
    for y in range(height):
        for x in range(width):
            s = labels[y, x]
            top[s], bottom[s] = min(top[s], y), max(bottom[s], y)
            left[s], right[s] = min(left[s], x), max(right[s], x)
    marks = np.full((height, width), -1, dtype=np.int32)
    lengths = np.zeros(count, dtype=np.int64)
    pixels = np.empty(labels.size * 2, dtype=np.int32)
    filled = 0
    for s in range(count):
        before = filled
        for y in range(top[s], bottom[s] + 1):
            x = left[s]
            while x <= right[s]:
                if labels[y, x] != s:
                    x += 1
                    continue
                first = x
                while x <= right[s] and labels[y, x] == s:
                    x += 1
                for row in range(-radius, radius + 1):
                    if 0 <= y + row < height:
                        wide = reach[row + radius]
                        marks[y + row, max(0, first - wide) : min(width, x + wide)] = s
        for y in range(max(0, top[s] - radius), min(height, bottom[s] + radius + 1)):
            for x in range(max(0, left[s] - radius), min(width, right[s] + radius + 1)):
                if marks[y, x] == s:
                    if filled == len(pixels):
                        longer = np.empty(2 * len(pixels), dtype=np.int32)
                        longer[:filled] = pixels
                        pixels = longer
                    pixels[filled] = y * width + x
                    filled += 1
        lengths[s] = filled - before
    return pixels[:filled], lengths


@njit(cache=True)
def _owners(starts, pixels, count):  # type: ignore[no-untyped-def]
    """The segments that cover each pixel, in the order of their numbers: where each pixel's begin, and all of them."""
    owner_starts = np.zeros(count + 1, dtype=np.int64)
    for pixel in pixels:
        owner_starts[pixel + 1] += 1
    owner_starts = np.cumsum(owner_starts)
    free = owner_starts[:-1].copy()
    owners = np.empty(len(pixels), dtype=np.int32)
    for s in range(len(starts) - 1):
        for at in range(starts[s], starts[s + 1]):
            owners[free[pixels[at]]] = s
            free[pixels[at]] += 1
    return owner_starts, owners


@njit(cache=True)
def _mean(scores, pixels, covered):  # type: ignore[no-untyped-def]
    """Mean of the scores of the pixels that are not covered, rounded once: that of equal numbers is the number."""
    high, low, count = 0.0, 0.0, 0
    for pixel in pixels:
        if not covered[pixel]:
            value = scores[pixel]
            total = high + value  # two-sum (Knuth): what rounding leaves out is kept in `low`
            part = total - high
            low += (high - (total - part)) + (value - part)
            high = total
            count += 1
    if count == 0:
        return 0.0
    total = high + low
    low -= total - high
    mean = total / count
    # mean * count in two floats (Veltkamp's split of the 53 bits), so that the remainder of the division is exact.
    split = 134217729.0 * mean
    top = split - (split - mean)
    product = mean * count
    left_out = (top * count - product) + (mean - top) * count
    return mean + (((total - product) - left_out) + low) / count


@njit(cache=True)
def _grow(scores, starts, pixels, owner_starts, owners, min_new_pixels):  # type: ignore[no-untyped-def]
    count = len(starts) - 1
    sums, sizes, left = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    for s in range(count):
        for at in range(starts[s], starts[s + 1]):
            sums[s] += scores[pixels[at]]
            sizes[s] += abs(scores[pixels[at]])
        left[s] = starts[s + 1] - starts[s]
    alive = np.ones(count, dtype=np.bool_)
    means, fresh = np.empty(count), np.zeros(count, dtype=np.int64)  # `fresh`: pixels left when the mean was taken
    roundings = 2 * left  # less the pixels left: additions that the running sum has seen, each of which may round
    covered = np.zeros(len(scores), dtype=np.bool_)
    regions = np.empty(len(scores))
    while True:
        best, gain = -1, -np.inf
        for s in range(count):
            if not alive[s]:
                continue
            if left[s] < min_new_pixels:
                alive[s] = False
                continue
            if fresh[s] == left[s]:
                most = means[s]
            else:
                most = (sums[s] + 2 * EPSILON * sizes[s] * (roundings[s] - left[s])) / left[s]
            # At a tie what is not fresh goes first, to be taken afresh; then the lowest number, as in PAIR's code.
            if most > gain or (most == gain and fresh[best] == left[best] and fresh[s] != left[s]):
                best, gain = s, most
        if best < 0:
            break
        members = pixels[starts[best] : starts[best + 1]]
        if fresh[best] != left[best]:
            means[best], fresh[best] = _mean(scores, members, covered), left[best]
            sums[best], roundings[best] = means[best] * left[best], left[best] + 2
            continue
        alive[best] = False
        for pixel in members:
            if not covered[pixel]:
                covered[pixel] = True
                regions[pixel] = gain
                for owner in range(owner_starts[pixel], owner_starts[pixel + 1]):
                    sums[owners[owner]] -= scores[pixel]
                    left[owners[owner]] -= 1
    rest = _mean(scores, np.arange(len(scores)), covered)
    for pixel in range(len(scores)):
        if not covered[pixel]:
            regions[pixel] = rest
    return regions
