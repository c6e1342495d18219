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
LEAST_VOLUME, VESSEL = 20_000.0, 4.0
"""mm^3 of a lung in a volume, and mm of vessels' radius in it, that are the lung's."""
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


def find_lungs_in_volume(hu: NDArray[np.float32], spacing: Spacing) -> Region:
    """The lungs of a volume, as `find_lungs` finds those of a slice: bool ``(D, H, W)``.

    Where a field of view cuts them open on all sides, they are told from the air around the body by their density.

    Raises:
        CaseError: no lung in it.
    """
    light = smooth(hu, [1.0 / step for step in spacing]) < AIR
    found = _like_lungs(hu, light & body_of(hu[None], AIR), spacing)
    if not found.any():
        found = _like_lungs(hu, light, spacing)
    if not found.any():
        raise CaseError(
            f"no lung in this volume: no part of it of at least {LEAST_VOLUME / 1000:g} ml and {LEAST_DEPTH:g} mm deep "
            f"at {LUNG[0]:g} to {LUNG[1]:g} HU"
        )
    box = _box_around(found, spacing)
    lungs, gas = found[box], smooth(hu[box], [2.0 / step for step in spacing]) < GAS

    def within(region: Region, mm: float) -> Region:
        return np.asarray(ndimage.distance_transform_edt(~region, sampling=spacing) <= mm, dtype=bool)

    airways = ndimage.distance_transform_edt(gas, sampling=spacing) > AIRWAY
    if airways.any():
        lungs = lungs & ~within(airways, 2 * AIRWAY)
    grown = within(lungs, VESSEL)
    found[box] = lungs | (grown if grown.all() else ~within(~grown, VESSEL))
    return found


def _like_lungs(hu: NDArray[np.float32], light: Region, spacing: Spacing) -> Region:
    """The parts of what is light that are as large, as deep and as dense as lungs."""
    parts, _ = ndimage.label(light)
    sizes, boxes = np.bincount(parts.ravel()) * float(np.prod(spacing)), ndimage.find_objects(parts)
    found = np.zeros(hu.shape, dtype=bool)
    for part in np.flatnonzero(sizes >= LEAST_VOLUME):
        box = boxes[part - 1] if part else None
        if box is not None and _is_lung(hu[box], parts[box] == part, spacing):
            found[box] |= parts[box] == part
    return found


def _box_around(region: Region, spacing: Spacing) -> tuple[slice, ...]:
    """The box of a region with what closing it needs around it."""
    box = []
    for axis, step in enumerate(spacing):
        there = np.flatnonzero(region.any(axis=tuple(other for other in range(region.ndim) if other != axis)))
        more = int(np.ceil(2 * VESSEL / step)) + 1
        box.append(slice(max(0, int(there[0]) - more), int(there[-1]) + 1 + more))
    return tuple(box)


def soft_tissue_in_volume(hu: NDArray[np.float32], spacing: Spacing) -> Region:
    """The same as `find_soft_tissue` of a volume: bool ``(D, H, W)``, may be empty."""
    smoothed = smooth(hu, [2.0 / step for step in spacing])
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
    (down, along), radius = draw_centre(inside, radius, least, margin, spacing, random)
    return along, down, radius


def draw_centre(
    inside: Region, radius: float, least: float, margin: float, spacing: Spacing, random: np.random.Generator
) -> tuple[tuple[float, ...], float]:
    """The same in any number of dimensions: a place in mm along each axis ``(*spatial)``, and the radius that fits.

    Raises:
        CaseError: no room for the smallest.
    """
    # What lies beyond the image's border is not inside.
    padded = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing)
    depth = padded[(slice(1, -1),) * inside.ndim]
    room = float(depth.max()) - margin
    if room < least:
        raise CaseError(f"room for a radius of {max(room, 0.0):.1f} mm, expected at least {least:g} mm")
    radius = min(radius, room)
    there = np.flatnonzero(depth >= radius + margin)
    voxel = np.unravel_index(int(there[int(random.integers(len(there)))]), depth.shape)
    moved = random.uniform(-0.5, 0.5, size=inside.ndim)  # anywhere in the pixel: a grid of places would be a clue
    return tuple(float((at + by) * step) for at, by, step in zip(voxel, moved, spacing, strict=True)), radius
