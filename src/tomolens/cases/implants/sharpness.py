"""How sharp a slice is: the width of its edges between air or lung and soft tissue."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from ...errors import CaseError
from ..phantom.scanner import Slice

Profiles = NDArray[np.float64]
REACH, STEP, PLATEAU = 8.0, 0.25, 4.0
"""Pixels: how far a profile across an edge goes, in which steps, and where its two plateaus begin."""
STEEP = 80.0
"""HU per pixel of the smoothed slice from which on there may be an edge between air and tissue."""
AIR, TISSUE, MOST_TISSUE, ROUGHEST = -650.0, -200.0, 300.0, 80.0
"""HU: plateaus below the first are air or lung, above the second tissue; they are rough by at most the last."""
FEWEST = 20
"""Edges from which a width is taken."""
MOST = 1500
"""Edges that are looked at, evenly spread."""
QUARTERS = 2 * 0.67449
"""Width of a Gaussian edge between a quarter and three quarters of its height, in standard deviations."""
PIXEL = 1 / 12
"""Variance of a pixel's own width, px^2: a share of a pixel has it already."""


def edge_width(hu: Slice) -> float:
    """Standard deviation of the Gaussian that blurs the slice's edges, in pixels, the pixel's own width included.

    Profiles are taken along the gradient at the steepest places; each runs from air or lung to soft tissue. Edges that
    the slice cuts at an angle are wider than its sharpness: the lower quartile of all is taken.

    Args:
        hu: float32 ``(H, W)``.

    Raises:
        CaseError: too few edges.

    Example:
        >>> disc = np.hypot(*np.mgrid[-64:64, -64:64]) < 40
        >>> round(edge_width(gaussian_filter(np.where(disc, 40.0, -1000.0), 1.5)), 1)
        1.5
    """
    profiles = _profiles(hu)
    steps = np.arange(-REACH, REACH + STEP / 2, STEP)
    low, high = profiles[:, steps <= -PLATEAU], profiles[:, steps >= PLATEAU]
    lower, upper = low.mean(axis=1), high.mean(axis=1)
    even = (low.std(axis=1) < ROUGHEST) & (high.std(axis=1) < ROUGHEST)
    edges = even & (lower < AIR) & (upper > TISSUE) & (upper < MOST_TISSUE)
    heights = (profiles[edges] - lower[edges, None]) / (upper - lower)[edges, None]
    widths = [_crossing(height, 0.75, steps) - _crossing(height, 0.25, steps) for height in heights]
    found = np.array([width for width in widths if width > 0])
    if len(found) < FEWEST:
        raise CaseError(
            f"{len(found)} edges between air or lung and soft tissue, expected at least {FEWEST} to tell its sharpness"
        )
    return float(np.percentile(found, 25)) / QUARTERS


def blur_of(hu: Slice) -> float:
    """Blur that a share of each pixel needs to have the slice's edges, in pixels.

    Raises:
        CaseError: see `edge_width`.
    """
    return float(np.sqrt(max(edge_width(hu) ** 2 - PIXEL, 0.0)))


def _profiles(hu: Slice) -> Profiles:
    """Values across the edges from dark to bright, ``(edges, steps)``."""
    down, along = np.gradient(gaussian_filter(hu, 1.0))
    slope = np.hypot(down, along)
    border = round(REACH) + 1
    steep = slope > STEEP
    steep[:border], steep[-border:], steep[:, :border], steep[:, -border:] = False, False, False, False
    rows, columns = np.nonzero(steep)
    down, along = down[steep] / slope[steep], along[steep] / slope[steep]
    ahead, behind = (
        map_coordinates(slope, [rows + sign * down, columns + sign * along], order=1) for sign in (1.0, -1.0)
    )
    crest = np.flatnonzero((slope[steep] >= ahead) & (slope[steep] > behind))
    crest = crest[np.linspace(0, len(crest) - 1, min(len(crest), MOST)).astype(np.intp)] if len(crest) else crest
    steps = np.arange(-REACH, REACH + STEP / 2, STEP)
    places = [start[crest, None] + way[crest, None] * steps for start, way in ((rows, down), (columns, along))]
    profiles: Profiles = map_coordinates(hu, places, order=3, output=np.float64)
    return profiles


def _crossing(height: Profiles, level: float, steps: Profiles) -> float:
    """Where a profile rises through a level, nearest to its middle; NaN where it does not."""
    rising = np.flatnonzero((height[:-1] < level) & (height[1:] >= level))
    if not len(rising):
        return float("nan")
    at = rising[np.argmin(np.abs(steps[rising]))]
    return float(steps[at] + STEP * (level - height[at]) / (height[at + 1] - height[at]))
