"""XRAI region maps (Kapishnikov et al. 2019, arXiv 1906.02825) from any importance map.

Segments depend on the image alone and are computed once for all its maps. The growing of regions keeps
each segment's sum and count of pixels not yet covered and updates them for newly covered pixels only.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, gaussian_filter, zoom
from torch import Tensor

from ..errors import MapError
from .felzenszwalb import felzenszwalb


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


def segment(image: Tensor | NDArray[np.floating], settings: RegionSettings | None = None) -> Segments:
    """The segments of an image, shared by all its maps.

    Args:
        image: ``(C, H, W)`` or ``(H, W)``; channels are averaged.
        settings: XRAI's published constants by default.

    Raises:
        MapError: not a finite two-dimensional image.
    """
    settings = settings or RegionSettings()
    grey = _plane(image, "image", mean=True)
    labels = felzenszwalb(_stretched(grey, settings), settings.scales, settings.sigma, settings.min_size)
    rows, columns = (
        ((np.arange(length) + 0.5) * settings.segmenting_size / length).astype(np.intp) for length in grey.shape
    )
    footprint = _disk(settings.dilation)
    pieces = [piece for plane in labels for piece in _dilated(plane[np.ix_(rows, columns)], footprint)]
    starts = np.cumsum([0, *(len(piece) for piece in pieces)]).astype(np.int64)
    pixels = np.concatenate(pieces).astype(np.int32)
    segment_of = np.repeat(np.arange(len(pieces), dtype=np.int32), np.diff(starts))
    order = np.argsort(pixels, kind="stable")
    owner_starts = np.searchsorted(pixels[order], np.arange(grey.size + 1)).astype(np.int64)
    return Segments((grey.shape[0], grey.shape[1]), starts, pixels, owner_starts, segment_of[order])


def xrai(
    image: Tensor | NDArray[np.floating],
    importance: Tensor | NDArray[np.floating],
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
    scores = _plane(importance, "importance map")
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


def _plane(array: Tensor | NDArray[np.floating], what: str, mean: bool = False) -> NDArray[np.float64]:
    """An array as float64 ``(H, W)``: channels averaged (an image) or summed (a map)."""
    values = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
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


def _disk(radius: int) -> NDArray[np.bool_]:
    ticks = np.arange(-radius, radius + 1)
    return np.asarray(ticks[:, None] ** 2 + ticks[None, :] ** 2 <= radius**2)


def _dilated(labels: NDArray[np.int32], footprint: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Flat pixel indices of each segment after dilation, worked out in the segment's own box."""
    margin = footprint.shape[0] // 2
    pieces = []
    for number, box in enumerate(find_objects(labels + 1)):
        if box is None:
            continue
        wide = tuple(
            slice(max(0, side.start - margin), min(length, side.stop + margin))
            for side, length in zip(box, labels.shape, strict=True)
        )
        mask = labels[wide] == number
        if margin:
            mask = binary_dilation(mask, footprint)
        rows, columns = np.nonzero(mask)
        pieces.append((rows + wide[0].start) * labels.shape[1] + columns + wide[1].start)
    return pieces


@njit(cache=True)
def _grow(scores, starts, pixels, owner_starts, owners, min_new_pixels):  # type: ignore[no-untyped-def]
    count = len(starts) - 1
    sums, left = np.zeros(count), np.zeros(count, dtype=np.int64)
    alive = np.ones(count, dtype=np.bool_)
    for s in range(count):
        for at in range(starts[s], starts[s + 1]):
            sums[s] += scores[pixels[at]]
        left[s] = starts[s + 1] - starts[s]
    covered = np.zeros(len(scores), dtype=np.bool_)
    regions = np.empty(len(scores))
    while True:
        best, gain = -1, -np.inf
        for s in range(count):
            if alive[s]:
                if left[s] < min_new_pixels:
                    alive[s] = False
                elif sums[s] / left[s] > gain:
                    best, gain = s, sums[s] / left[s]
        if best < 0:
            break
        alive[best] = False
        for at in range(starts[best], starts[best + 1]):
            pixel = pixels[at]
            if not covered[pixel]:
                covered[pixel] = True
                regions[pixel] = gain
                for owner in range(owner_starts[pixel], owner_starts[pixel + 1]):
                    sums[owners[owner]] -= scores[pixel]
                    left[owners[owner]] -= 1
    rest, total = 0, 0.0
    for pixel in range(len(scores)):
        if not covered[pixel]:
            rest += 1
            total += scores[pixel]
    if rest > 0:
        for pixel in range(len(scores)):
            if not covered[pixel]:
                regions[pixel] = total / rest
    return regions
