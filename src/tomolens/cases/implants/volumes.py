"""Nodules and lesions in whole volumes: ellipsoids, with the sharpness and noise of the scan's axial slices.

Sizes and densities are those of slices. Along the scan a voxel's own share is all that softens an edge, and the noise
of each slice is its own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import CaseError
from ..files import Upright
from ..phantom.drawing import Coverage
from ..phantom.ellipsoids import Ellipsoid
from ..phantom.scanner import smooth
from .alteration import Alteration, Diameters
from .findings import DEPTH, GLASS, LEAST_DENSER, LESION_MM, NODULE_MM, SOLID, WATER
from .noise import Noise, noise_of
from .sharpness import blur_of
from .tissue import Region, draw_centre, find_lungs_in_volume, find_soft_tissue, pixel_of, soft_tissue_in_volume

FINEST = 1.5
"""mm of the voxels in which lungs and tissue are looked for, where the scan's are smaller."""
PLANES = 5
"""Axial slices of the scan that its sharpness and noise are taken from."""


def implant_nodule_in_volume(
    volume: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
) -> Alteration:
    """A round thing in the lung, 4 to 20 mm across by default, as `implant_nodule` puts it into a slice.

    Raises:
        CaseError: no lung, or too little of what its sharpness and noise are told from.
    """
    hu = volume.hu
    coarse, spacing, first = _coarser(volume)
    lungs = find_lungs_in_volume(coarse, spacing)
    blur, noise = _look_of(volume, lungs)
    margin = 1.0 + 2 * blur * pixel_of(volume.spacing[1:])
    least, largest = diameters or NODULE_MM
    wanted = float(random.uniform(least / 2, largest / 2))
    centre, radius = draw_centre(lungs, wanted, least / 2, margin, spacing, random)
    box, share = _covered(Ellipsoid.drawn(_add(centre, first), radius, 0.75, random), volume, blur)
    there = hu[box]
    if random.uniform() < 1 / 3:
        lung = float(np.median(there[share >= min(0.5, float(share.max()))]))
        dense = min(max(float(random.uniform(*GLASS)), lung + LEAST_DENSER), GLASS[1])
        change = share * np.float32(max(dense - lung, 0.0) / (WATER - lung)) * np.maximum(np.float32(WATER) - there, 0)
        share_of_noise = share * np.float32(max(dense - lung, 0.0) / (WATER - lung))
    else:
        change, share_of_noise = share * (np.float32(random.uniform(*SOLID)) - there), share
    drawn = np.stack([noise.like(there.shape[1:], random) for _ in range(len(there))])
    fresh = np.sqrt(1 - np.square(1 - share_of_noise)) * drawn
    return _altered(hu, box, change + fresh, share)


def implant_lesion_in_volume(
    volume: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
) -> Alteration:
    """A darker place in soft tissue, 8 to 24 mm by default; the noise stays: a smooth amount is taken away.

    Raises:
        CaseError: no soft tissue that is large enough, or too few edges to tell the sharpness from.
    """
    coarse, spacing, first = _coarser(volume)
    soft = soft_tissue_in_volume(coarse, spacing)
    blur, _ = _look_of(volume, soft)
    least, largest = diameters or LESION_MM
    wanted = float(random.uniform(least / 2, largest / 2))
    try:
        centre, radius = draw_centre(soft, wanted, least / 2, 0.0, spacing, random)
    except CaseError as error:
        raise CaseError(f"no soft tissue in this volume that is large enough for a lesion: {error}") from error
    box, share = _covered(Ellipsoid.drawn(_add(centre, first), radius, 0.75, random), volume, blur)
    return _altered(volume.hu, box, -share * np.float32(random.uniform(*DEPTH)), share)


def _coarser(volume: Upright) -> tuple[NDArray[np.float32], tuple[float, ...], tuple[float, ...]]:
    """The volume in as few voxels as its parts can be told in, their size, and where the first lies, mm."""
    strides = [max(1, int(FINEST / step)) for step in volume.spacing]
    chosen = tuple(slice(stride // 2, None, stride) for stride in strides)
    spacing = tuple(step * stride for step, stride in zip(volume.spacing, strides, strict=True))
    first = tuple(step * (stride // 2) for step, stride in zip(volume.spacing, strides, strict=True))
    return volume.hu[chosen], spacing, first


def _look_of(volume: Upright, region: Region) -> tuple[float, Noise]:
    """Blur in pixels and noise of the axial slices in which there is most of a region: the middle ones of some.

    Raises:
        CaseError: none of them tells.
    """
    areas = region.sum(axis=(1, 2))
    heights = np.flatnonzero(areas >= areas.max() / 2) * (len(volume.hu) / len(region))
    blurs, noises, reason = [], [], CaseError("no slice of it tells its sharpness")
    for height in np.linspace(heights[0], heights[-1], PLANES):
        plane = volume.hu[min(round(float(height)), len(volume.hu) - 1)]
        try:
            blur, noise = blur_of(plane), noise_of(plane, find_soft_tissue(plane, volume.spacing[1:]))
        except CaseError as error:
            reason = error
            continue
        blurs.append(blur)
        noises.append(noise)
    if not blurs:
        raise reason
    return float(np.median(blurs)), sorted(noises, key=lambda one: one.std)[len(noises) // 2]


def _covered(ellipsoid: Ellipsoid, volume: Upright, blur: float) -> tuple[tuple[slice, ...], Coverage]:
    """Its share of each voxel as sharp as the slices are, in the box that holds it."""
    inner, share = ellipsoid.coverage(volume.hu.shape, volume.spacing)
    more = int(np.ceil(3 * blur)) + 1
    box = tuple(
        part if axis == 0 else slice(max(0, part.start - more), min(length, part.stop + more))
        for axis, (part, length) in enumerate(zip(inner, volume.hu.shape, strict=True))
    )
    widths = [(part.start - whole.start, whole.stop - part.stop) for part, whole in zip(inner, box, strict=True)]
    return box, smooth(np.pad(share, widths), (0.0, blur, blur))


def _altered(
    hu: NDArray[np.float32], box: tuple[slice, ...], change: NDArray[np.floating], share: Coverage
) -> Alteration:
    altered, coverage = hu.copy(), np.zeros_like(hu)
    altered[box] += np.asarray(change, dtype=np.float32)
    coverage[box] = share
    return Alteration(altered, coverage)


def _add(one: Sequence[float], other: Sequence[float]) -> tuple[float, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
