"""XRAI region maps (Kapishnikov et al. 2019, arXiv 1906.02825) from any importance map.

Segments depend on the image alone and are computed once for all its maps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ..errors import MapError
from ..lengths import Length
from .felzenszwalb import felzenszwalb
from .growing import dilated_pixels, grown, owners_of
from .settings import UNKNOWN, RegionSettings

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_SIDE = 128
"""Voxels along the longest side in which a volume is segmented; one of fewer is in its own."""


@dataclass(frozen=True)
class Segments:
    """The dilated segments of one image at all scales, overlapping, as lists of pixels.

    Attributes:
        shape: ``(*spatial)`` of the image.
        starts: int64 ``(S + 1,)``; segment s covers ``pixels[starts[s]:starts[s + 1]]``.
        pixels: int32, flat pixel indices, ascending within a segment.
        owner_starts: int64 ``(pixels + 1,)``; the segments that cover a pixel, likewise.
        owners: int32, segment numbers.
    """

    shape: tuple[int, ...]
    starts: NDArray[np.int64]
    pixels: NDArray[np.int32]
    owner_starts: NDArray[np.int64]
    owners: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def masks(self) -> NDArray[np.bool_]:
        """Each segment as a mask, ``(S, *spatial)``."""
        masks = np.zeros((len(self), math.prod(self.shape)), dtype=bool)
        masks[np.repeat(np.arange(len(self)), np.diff(self.starts)), self.pixels] = True
        return masks.reshape(len(self), *self.shape)


def segment(
    image: "Tensor | NDArray[np.floating]",
    settings: RegionSettings | None = None,
    spacing: Sequence[float] | None = None,
) -> Segments:
    """The segments of an image, shared by all its maps.

    Args:
        image: ``(C, H, W)`` or ``(H, W)``, a volume ``(C, D, H, W)``; channels are averaged.
        settings: XRAI's published constants by default.
        spacing: of the pixels, mm; None takes squares and cubes. In slices it is for settings in mm alone.

    Raises:
        MapError: not a finite image of two or three dimensions, or settings in mm of an image of unknown spacing.
    """
    settings = settings or RegionSettings()
    grey = as_grey(image)
    shape = grey.shape
    grey, spacing = without_thin(grey, spacing)
    reach = _reach(grey.shape, settings, spacing)
    labels = (one.reshape((1, *one.shape)[-3:]) for one in labels_of(grey, settings, spacing))
    dilated = [dilated_pixels(one, int(one.max()) + 1, reach) for one in labels]
    lengths = np.concatenate([counts for _, counts in dilated])
    pixels = np.concatenate([covered for covered, _ in dilated])
    present = lengths > 0  # a segment may fall between the pixels of a small image
    starts = np.concatenate([[0], np.cumsum(lengths[present])]).astype(np.int64)
    owner_starts, owners = owners_of(starts, pixels, grey.size)
    return Segments(shape, starts, pixels, owner_starts, owners)


def labels_of(
    grey: NDArray[np.float64],
    settings: RegionSettings,
    spacing: Sequence[float] | None = None,
) -> list[NDArray[np.int32]]:
    """Felzenszwalb's segment of each pixel ``(*spatial)`` at each scale; a small slice may have none of some of them.

    Args:
        grey: the slice or volume.
        settings: of regions.
        spacing: of the pixels, mm.
    """
    shape = grey.shape
    grey, spacing = without_thin(grey, spacing)
    if grey.ndim == 3:
        return labels_of_volume(grey, settings, spacing)
    return [one.reshape(shape) for one in _labels_of_slice(grey, settings, spacing)]


def labels_of_volume(
    grey: NDArray[np.float64],
    settings: RegionSettings,
    spacing: Sequence[float] | None = None,
    shares: Sequence[float] | None = None,
) -> list[NDArray[np.int32]]:
    """Those of a volume, in its own voxels, or in fewer where it has many.

    Args:
        grey: ``(D, H, W)``.
        settings: of regions.
        spacing: of the voxels, mm.
        shares: of the volume that a segment has at least, for each scale; by default that of the settings for all.
    """
    factor = max(grey.shape) / LARGEST_SIDE
    values = _in_range(grey, settings)
    if factor > 1:
        values = gaussian_filter(values, (factor - 1) / 2, mode="nearest")
        fewer = [max(1, round(side / factor)) / side for side in grey.shape]
        values = zoom(values, fewer, order=1, mode="nearest", grid_mode=True)
    smaller = [side / small for side, small in zip(grey.shape, values.shape, strict=True)]
    sides = None if spacing is None else [mm * times for mm, times in zip(spacing, smaller, strict=True)]
    least = [settings.voxels("min_size", values.shape, sides)] * len(settings.scales)
    least = least if shares is None else [math.ceil(share * values.size) for share in shares]
    of_slice = settings.pixels_of_slice("min_size", values.shape, sides)
    scales = [scale * size / of_slice for scale, size in zip(settings.scales, least, strict=True)]
    labels = felzenszwalb(values, scales, settings.sigma, least, neighbours=settings.neighbours, spacing=spacing)
    places = [
        ((np.arange(length) + 0.5) * small / length).astype(np.intp)
        for length, small in zip(grey.shape, values.shape, strict=True)
    ]
    return [one[np.ix_(*places)] for one in labels] if factor > 1 else labels


def without_thin(
    grey: NDArray[np.float64], spacing: Sequence[float] | None
) -> tuple[NDArray[np.float64], Sequence[float] | None]:
    """A volume of one slice as the slice: it has no third dimension to be cut along."""
    if grey.ndim == 2 or 1 not in grey.shape:
        return grey, spacing
    thin = grey.shape.index(1)
    return grey.squeeze(thin), None if spacing is None else [*spacing[:thin], *spacing[thin + 1 :]]


def _labels_of_slice(
    grey: NDArray[np.float64], settings: RegionSettings, spacing: Sequence[float] | None
) -> list[NDArray[np.int32]]:
    size = settings.segmenting_size
    sides = None if spacing is None else [mm * side / size for mm, side in zip(spacing, grey.shape, strict=True)]
    least = settings.pixels("min_size", sides)
    labels = felzenszwalb(_stretched(grey, settings), settings.scales, settings.sigma, least)
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
    spacing: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Region map: every pixel gets the mean importance of the region with which it was added.

    Starting from nothing, the segment whose uncovered pixels have the highest mean importance is added
    until none adds ``min_new_pixels``; what is left over gets its own mean.

    Args:
        image: ``(C, H, W)`` or ``(H, W)``, a volume ``(C, D, H, W)``, for the segments.
        importance: map of the same shape, or ``(*spatial)``; channels are summed.
        segments: of the image, where they are known already.
        settings: XRAI's published constants by default.
        spacing: of the pixels, mm, for the segments and for settings in mm; None takes squares and cubes.

    Returns:
        float64 ``(*spatial)``.

    Raises:
        MapError: shapes that differ, values that are not finite, more than three dimensions, or settings in mm of an
            image of unknown spacing.
    """
    settings = settings or RegionSettings()
    if segments is None:
        segments = segment(image, settings, spacing)
    scores = _plane(importance, "importance map", len(segments.shape), mean=False)
    if scores.shape != segments.shape:
        raise MapError(f"importance map of {scores.shape}, image of {segments.shape}: they must be the same")
    plane, sides = without_thin(scores, spacing)
    few = (
        settings.pixels("min_new_pixels", sides)
        if plane.ndim == 2
        else settings.voxels("min_new_pixels", plane.shape, sides)
    )
    regions = grown(scores.ravel(), segments.starts, segments.pixels, segments.owner_starts, segments.owners, few)
    return np.asarray(regions).reshape(segments.shape)


def as_grey(image: "Tensor | NDArray[np.floating]") -> NDArray[np.float64]:
    """An image ``(C, H, W)``, ``(H, W)`` or ``(C, D, H, W)`` as float64 ``(*spatial)``, channels averaged.

    Raises:
        MapError: another shape, or values that are not finite.
    """
    return _plane(image, "image", 3 if len(image.shape) == 4 else 2, mean=True)


def _plane(array: "Tensor | NDArray[np.floating]", what: str, axes: int, *, mean: bool) -> NDArray[np.float64]:
    """An array with or without channels as float64 ``(*spatial)``: channels averaged (an image) or summed (a map)."""
    values = np.asarray(array.detach().cpu().double().numpy() if hasattr(array, "detach") else array)
    values = values.astype(np.float64)
    if values.ndim == axes + 1:
        values = values.mean(axis=0) if mean else values.sum(axis=0)
    if values.ndim != axes:
        raise MapError(f"regions are made of slices and volumes, the {what} has shape {values.shape}")
    if not np.isfinite(values).all():
        raise MapError(f"{what}: {int((~np.isfinite(values)).sum())} values are not finite")
    return np.ascontiguousarray(values)


def _in_range(grey: NDArray[np.float64], settings: RegionSettings) -> NDArray[np.float64]:
    """Values stretched to the range; constant ones all at its lower limit."""
    low, high = settings.value_range
    extent = float(np.ptp(grey))
    return (grey - grey.min()) / extent * (high - low) + low if extent else np.full(grey.shape, low)


def _stretched(grey: NDArray[np.float64], settings: RegionSettings) -> NDArray[np.float64]:
    """Values stretched to the range and the image resized as the published code does; constant stays constant."""
    low, high = settings.value_range
    if not np.ptp(grey):
        return np.full((settings.segmenting_size,) * 2, low)
    values = _in_range(grey, settings)
    factors = [length / settings.segmenting_size for length in grey.shape]
    if max(factors) > 1:
        blur = [max(0.0, (factor - 1) / 2) for factor in factors]
        values = gaussian_filter(values, blur, mode="grid-constant")
    # Outside counts as 0, the middle of the range, as in the published code.
    resized = zoom(values, [1 / factor for factor in factors], order=3, mode="grid-constant", grid_mode=True)
    return np.asarray(np.clip(resized, low, high))


def _reach(shape: Sequence[int], settings: RegionSettings, spacing: Sequence[float] | None) -> NDArray[np.int64]:
    """How far the ball of dilation reaches to the left and right of its centre, in each of its slices and rows.

    -1 where it does not reach the row. A disk is of one slice; the ball of anisotropic voxels is an ellipsoid of them.
    """
    length = Length.of(settings.dilation)
    if len(shape) == 2 and not length.unit:
        radius = int(length.value)
        widths = [math.isqrt(radius**2 - row**2) for row in range(-radius, radius + 1)]
        return np.array([widths], dtype=np.int64)
    if length.unit and spacing is None:
        raise MapError(UNKNOWN.format("dilation", settings.dilation))
    sides = [1.0] * len(shape) if spacing is None else list(spacing)
    longest = max(extent * side for extent, side in zip(shape, sides, strict=True))
    radius_mm = length.value if length.unit else length.value * longest / settings.segmenting_size
    radii = [max(radius_mm / side, 1e-3) for side in sides]
    *others, along = ([1e-3] if len(shape) == 2 else []) + radii
    slices, rows = (np.arange(-math.floor(radius), math.floor(radius) + 1) / radius for radius in others)
    left = 1.0 - slices[:, None] ** 2 - rows**2
    return np.where(left < 0, -1, np.floor(along * np.sqrt(np.maximum(left, 0)) + 1e-9)).astype(np.int64)
