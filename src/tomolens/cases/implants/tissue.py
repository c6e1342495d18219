"""Where lung and soft tissue are in a slice, told by Hounsfield units, size and depth."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import CaseError
from ..body import AIR, body_of
from ..phantom.scanner import Slice, smooth

Region = NDArray[np.bool_]
Spacing = tuple[float, ...]
LEAST_AREA, LEAST_DEPTH = 1000.0, 9.0
"""mm^2, and mm from the edge to its middle: a trachea is smaller, air under the skin is thinner than any lung."""
LUNG = (-950.0, -500.0)
"""Median HU of lung away from its edges: gas in bowel and trachea is near -1000."""
GAS, AIRWAY = -955.0, 3.0
"""HU of gas, and the radius in mm of airways that are no lung."""
SOFT = (10.0, 150.0)
"""HU of soft tissue and of organs that take up some contrast agent."""


def pixel_of(spacing: Spacing) -> float:
    """Side of a pixel in mm, of one that is square."""
    return float(np.sqrt(spacing[0] * spacing[1]))


def find_lungs(hu: Slice, spacing: Spacing) -> Region:
    """The lungs that hold air, with their vessels: bool ``(H, W)``.

    Args:
        hu: float32 ``(H, W)``.
        spacing: of its rows and columns, mm.

    Raises:
        CaseError: no lung in this slice.
    """
    pixel = pixel_of(spacing)
    body = body_of(hu[None], AIR)
    parts, count = ndimage.label(body & (smooth(hu, 1.0 / pixel) < AIR))
    lungs = np.zeros(body.shape, dtype=bool)
    for part in range(1, count + 1):
        inside = parts == part
        if inside.sum() * pixel**2 >= LEAST_AREA and _is_lung(hu, inside, spacing):
            lungs |= inside
    gas = ndimage.distance_transform_edt(smooth(hu, 2.0 / pixel) < GAS, sampling=spacing) > AIRWAY
    if gas.any():
        lungs &= ndimage.distance_transform_edt(~gas, sampling=spacing) > 2 * AIRWAY
    if not lungs.any():
        raise CaseError(
            f"no lung in this slice: no part within the body of at least {LEAST_AREA:g} mm2 and {LEAST_DEPTH:g} mm "
            f"deep at {LUNG[0]:g} to {LUNG[1]:g} HU"
        )
    closed = ndimage.binary_closing(lungs, iterations=max(1, round(4.0 / pixel)))
    return np.asarray(closed & body, dtype=bool)


def _is_lung(hu: Slice, inside: Region, spacing: Spacing) -> bool:
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    deepest = float(depth.max())
    middle = float(np.median(hu[depth > min(3.0, deepest / 2)]))
    return deepest >= LEAST_DEPTH and LUNG[0] < middle < LUNG[1]


def find_soft_tissue(hu: Slice, spacing: Spacing) -> Region:
    """Soft tissue, without fat, bone and most vessels with contrast agent: bool ``(H, W)``, may be empty."""
    smoothed = smooth(hu, 2.0 / pixel_of(spacing))
    return np.asarray((smoothed > SOFT[0]) & (smoothed < SOFT[1]) & body_of(hu[None], AIR), dtype=bool)


def draw_place(
    inside: Region, radius: float, least: float, margin: float, spacing: Spacing, random: np.random.Generator
) -> tuple[float, float, float]:
    """A random place within a region, in mm along the columns and rows, and the radius in mm that fits there.

    Args:
        inside: bool ``(H, W)``.
        radius: wanted; where there is no room for it, as large as there is.
        least: the smallest radius that will do.
        margin: mm that stay free around it.
        spacing: of the rows and columns, mm.
        random: of the place.

    Raises:
        CaseError: no room for the smallest.
    """
    # What lies beyond the slice's border is not inside.
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing)[1:-1, 1:-1]
    room = float(depth.max()) - margin
    if room < least:
        raise CaseError(f"room for a radius of {max(room, 0.0):.1f} mm, expected at least {least:g} mm")
    radius = min(radius, room)
    rows, columns = np.nonzero(depth >= radius + margin)
    chosen = int(random.integers(len(rows)))
    down, along = random.uniform(-0.5, 0.5, size=2)  # anywhere in the pixel: a grid of places would be a clue
    return float((columns[chosen] + along) * spacing[1]), float((rows[chosen] + down) * spacing[0]), radius
