"""Parts of an image that do not overlap, for estimators that leave out a part at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .settings import RegionSettings
from .xrai import as_grey, labels_of, labels_of_volume, without_thin

SCALE = 250.0
"""Of Felzenszwalb's segments: about 50 of them in a slice."""
SHARES = tuple(150 / 224**2 * 2**doubled for doubled in (-4, -3, -2, -1, 0, 1, 2, 3))
"""Of a volume that its parts have at least: the first that leaves few, as the last does of any. That of segments of a
slice is in the middle."""
FEW = 64
"""Parts of a volume at most."""
MOST = 343
"""Parts at most: more than an image has segments of their least size."""


def parts(image: NDArray[np.floating], spacing: Sequence[float] | None = None) -> NDArray[np.int64]:
    """The number of the part of each pixel, int64 ``(*spatial)``, from 0 on without gaps.

    They are Felzenszwalb's segments of one scale. Each is masked, and the network asked, so there must be few: those of
    a volume are as large, at least, as it takes for `FEW`.

    Args:
        image: ``(C, *spatial)``; channels are averaged.
        spacing: of the voxels of a volume, mm; None takes cubes.

    Raises:
        MapError: values that are not finite, or other than two or three axes.

    Example:
        >>> int(parts(np.zeros((1, 10, 10, 10))).max()) + 1
        1
    """
    grey = as_grey(image)
    plane, sides = without_thin(grey, spacing)
    if plane.ndim == 2:
        (labels,) = labels_of(grey, RegionSettings(scales=(SCALE,)))
    else:
        settings = RegionSettings(scales=(SCALE,) * len(SHARES))
        found = labels_of_volume(plane, settings, sides, SHARES)
        labels = next(one for one in found if one.max() < FEW or one is found[-1])
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)
