"""Nodules in the lung and lesions in soft tissue, with the slice's own sharpness and noise.

Sizes and densities are those of the phantom's findings: solid nodules 20 to 60 HU, ground glass -700 to -400 HU,
lesions 40 to 80 HU below the tissue around them.
"""

import numpy as np

from ...errors import CaseError
from ..files import Upright
from ..phantom.drawing import Blob, Coverage, coverage_of
from ..phantom.measures import waves
from ..phantom.scanner import smooth
from .alteration import Alteration, Diameters
from .noise import noise_of
from .sharpness import blur_of
from .tissue import Spacing, draw_place, find_lungs, find_soft_tissue, pixel_of

NODULE_MM, LESION_MM = (4.0, 20.0), (8.0, 24.0)
"""Least and largest diameter, mm."""
SOLID, GLASS, DEPTH = (20.0, 60.0), (-700.0, -400.0), (40.0, 80.0)
"""HU of solid nodules and of ground glass, and by how much a lesion is darker than what is around it."""
WATER = 40.0
"""HU of what ground glass puts in the place of air."""
LEAST_DENSER = 100.0
"""HU by which ground glass is denser than the lung that it lies in."""


def implant_nodule(
    slice: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
) -> Alteration:
    """A round thing in the lung, 4 to 20 mm across by default: solid, or one time in three ground glass.

    Both put a share of soft tissue in the place of what is there, all of it where the nodule is solid: vessels within
    ground glass stay what they are. The noise is the slice's own in its soft tissue, and as strong at the edges, where
    the noise of the lung fades as much as the nodule's sets in.

    Raises:
        CaseError: no lung, or too little of what its sharpness and noise are told from.
    """
    hu = slice.hu
    lungs = find_lungs(hu, slice.spacing)
    blur, noise = blur_of(hu), noise_of(hu, find_soft_tissue(hu, slice.spacing))
    margin = 1.0 + 2 * blur * pixel_of(slice.spacing)
    least, largest = diameters or NODULE_MM
    wanted = float(random.uniform(least / 2, largest / 2))
    x, y, radius = draw_place(lungs, wanted, least / 2, margin, slice.spacing, random)
    round_off = random.uniform(0.75, 1.0)
    blob = Blob(x, y, radius, radius * round_off, random.uniform(0, np.pi), waves(random, 0.1))
    coverage = smooth(_coverage(blob, hu.shape, slice.spacing), blur)
    if random.uniform() < 1 / 3:
        lung = float(np.median(hu[_mostly(coverage)]))
        dense = min(max(float(random.uniform(*GLASS)), lung + LEAST_DENSER), GLASS[1])
        share = coverage * np.float32(max(dense - lung, 0.0) / (WATER - lung))
        change = share * np.maximum(np.float32(WATER) - hu, 0)  # never darker than what is there
    else:
        share = coverage
        change = share * (np.float32(random.uniform(*SOLID)) - hu)
    fresh = np.sqrt(1 - np.square(1 - share)) * noise.like(hu.shape, random)
    return Alteration(np.asarray(hu + change + fresh, dtype=np.float32), coverage)


def implant_lesion(
    slice: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
) -> Alteration:
    """A darker place in soft tissue, 8 to 24 mm by default; the noise stays: a smooth amount is taken away.

    Raises:
        CaseError: no soft tissue that is large enough, or too few edges to tell the sharpness from.
    """
    hu = slice.hu
    blur = blur_of(hu)
    least, largest = diameters or LESION_MM
    wanted = float(random.uniform(least / 2, largest / 2))
    try:
        place = draw_place(find_soft_tissue(hu, slice.spacing), wanted, least / 2, 0.0, slice.spacing, random)
    except CaseError as error:
        raise CaseError(f"no soft tissue in this slice that is large enough for a lesion: {error}") from error
    x, y, radius = place
    blob = Blob(x, y, radius, radius * random.uniform(0.75, 1.0), random.uniform(0, np.pi), waves(random, 0.08))
    coverage = smooth(_coverage(blob, hu.shape, slice.spacing), blur)
    return Alteration(np.asarray(hu - coverage * np.float32(random.uniform(*DEPTH)), dtype=np.float32), coverage)


def _coverage(blob: Blob, shape: tuple[int, ...], spacing: Spacing) -> Coverage:
    """A blob's share of each pixel of a slice, whose first pixel is at 0, 0 mm."""
    rows, columns = ((np.arange(count) * step).astype(np.float32) for count, step in zip(shape, spacing, strict=True))
    x, y = np.meshgrid(columns, rows)
    return coverage_of(blob, x, y, pixel_of(spacing))


def _mostly(coverage: Coverage) -> np.ndarray:
    return np.asarray(coverage >= min(0.5, float(coverage.max())))
