"""The top share of an image, in whole pixels."""

import numpy as np
from numpy.typing import NDArray


def count_at(fraction: float, pixels: int) -> int:
    """Whole pixels at a fraction of the image, rounded half up; fractions need not divide the image."""
    return int(np.floor(fraction * pixels + 0.5))


def top_regions(regions: NDArray[np.floating], percentage: float) -> NDArray[np.bool_]:
    """Mask of the top ``percentage`` % of a region map, at least one pixel, regions kept whole."""
    wanted = max(1, count_at(percentage / 100.0, regions.size))
    threshold = np.sort(regions, axis=None)[-wanted]
    return np.asarray(regions >= threshold)
