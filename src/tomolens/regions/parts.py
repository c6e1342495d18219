"""Parts of an image that do not overlap, for estimators that leave out a part at a time."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from .xrai import RegionSettings, as_plane, labels_of

SCALE = 250.0
"""Of Felzenszwalb's segments: about 50 of them in a slice."""
BLOCKS = 5
"""Along each axis of an image of other than two axes."""
MOST = 343
"""Parts at most: more than a slice has segments of their least size, and than a volume has blocks."""


def parts(image: NDArray[np.floating]) -> NDArray[np.int64]:
    """The number of the part of each pixel, int64 ``(*spatial)``, from 0 on without gaps.

    Slices are cut into Felzenszwalb's segments of one scale, and images of other numbers of axes into blocks.

    Args:
        image: ``(C, *spatial)``; channels are averaged.

    Raises:
        MapError: values that are not finite.

    Example:
        >>> int(parts(np.zeros((1, 10, 10, 10))).max()) + 1
        125
    """
    if image.ndim != 3:
        return _blocks(image.shape[1:])
    (labels,) = labels_of(as_plane(image, "image", mean=True), RegionSettings(scales=(SCALE,)))
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def _blocks(spatial: tuple[int, ...]) -> NDArray[np.int64]:
    counts = [min(BLOCKS, length) for length in spatial]
    along = [np.arange(length) * count // length for length, count in zip(spatial, counts, strict=True)]
    strides = [prod(counts[axis + 1 :]) for axis in range(len(counts))]
    grids = np.meshgrid(*along, indexing="ij")
    return np.asarray(sum(grid * stride for grid, stride in zip(grids, strides, strict=True)), dtype=np.int64)
