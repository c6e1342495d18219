"""XRAI's constants: of slices as published, and what they are in volumes and in millimetres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import MapError
from ..lengths import Length
from .felzenszwalb import Neighbours

Size = Literal["min_size", "min_new_pixels"]
UNKNOWN = "regions: {} '{}' of an image whose pixels have no known size in mm: give pixels"


@dataclass(frozen=True)
class RegionSettings:
    """XRAI's published constants, which are of slices.

    In volumes lengths keep their share of the longest side and sizes that of the whole, to the power of 3/2: of
    `min_size` the same diameter is left. Scales grow with `min_size`, so that the smallest segments take as much
    contrast as in a slice. Where the spacing of the voxels is known, lengths are told in mm.

    ``min_size``, ``dilation`` and ``min_new_pixels`` may be told in millimetres as ``"5 mm"``, in slices and volumes
    alike: of the two sizes that is the diameter of the disk or ball that is as large, of the dilation its radius.

    Attributes:
        scales: of Felzenszwalb's segments.
        sigma: smoothing before segmenting, pixels.
        min_size: of a segment, pixels, at ``segmenting_size``.
        segmenting_size: the image is resized to this square for segmenting.
        value_range: to which the image's values are stretched.
        dilation: of each segment, pixels of the image.
        min_new_pixels: regions that would add fewer are dropped.
        neighbours: of a voxel in a volume, 6 or 26.
    """

    scales: tuple[float, ...] = (50, 100, 150, 250, 500, 1200)
    sigma: float = 0.8
    min_size: int | str = 150
    segmenting_size: int = 224
    value_range: tuple[float, float] = (-1.0, 1.0)
    dilation: int | str = 5
    min_new_pixels: int | str = 50
    neighbours: Neighbours = 6

    def pixels(self, name: Size, spacing: Sequence[float] | None) -> int:
        """A size of a slice, in its pixels.

        Args:
            name: of the setting.
            spacing: of these pixels, mm, where it is known.

        Raises:
            MapError: a size in mm where the spacing is not known.
        """
        told = Length.of(getattr(self, name))
        return _whole(self._ball(name, spacing)) if told.unit else int(told.value)

    def voxels(self, name: Size, shape: Sequence[int], spacing: Sequence[float] | None) -> int:
        """A size of a volume of this shape, in its voxels; see `pixels`."""
        told = Length.of(getattr(self, name))
        return _whole(self._ball(name, spacing)) if told.unit else self.in_volume(told.value, math.prod(shape))

    def pixels_of_slice(self, name: Size, shape: Sequence[int], spacing: Sequence[float] | None) -> float:
        """The pixels at ``segmenting_size`` of which `voxels` would make a size of a volume as large."""
        told = Length.of(getattr(self, name))
        if not told.unit:
            return told.value
        share = self._ball(name, spacing) / math.prod(shape)
        return float(self.segmenting_size**2 * share ** (2 / 3))

    def in_volume(self, pixels: float, voxels: int) -> int:
        """A number of pixels at ``segmenting_size`` as a number of a volume's voxels."""
        share = pixels / self.segmenting_size**2
        return max(1, round(voxels * share * math.sqrt(share)))

    def _ball(self, name: Size, spacing: Sequence[float] | None) -> float:
        told = getattr(self, name)
        if spacing is None:
            raise MapError(UNKNOWN.format(name, told))
        radius = Length.of(told).value / 2
        whole = math.pi * radius**2 if len(spacing) == 2 else 4 / 3 * math.pi * radius**3
        return whole / math.prod(spacing)


def _whole(pixels: float) -> int:
    return max(1, round(pixels))
