"""Contrast agent put into the blood of a slice, or taken out of it, within the expert's mask."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import CaseError
from ..files import Upright
from ..phantom.drawing import Coverage
from ..phantom.scanner import Slice, smooth
from .alteration import Alteration, Diameters
from .noise import noise_of
from .sharpness import blur_of
from .tissue import Region, find_soft_tissue, pixel_of

PLAIN, ENHANCED = (35.0, 50.0), (150.0, 400.0)
"""HU of blood without and with contrast agent."""
LIMIT = 80.0
"""HU between blood without contrast agent and blood with it."""
BLOOD = (0.0, 110.0)
"""HU of what may be blood without contrast agent, smoothed."""
FAT = -60.0
"""HU that blood without contrast agent is told apart from where it borders on nothing darker."""
LEAST_AREA = 50.0
"""mm^2 of blood that a mask must hold."""
NEAR = 3.0
"""mm within which an edge of the blood ends."""
EVEN, STEP = 3.0, 50.0
"""mm over which enhanced blood is averaged, and HU from one brightness that is told apart to the next."""
PLAQUE = 3.0
"""mm that calcium reaches from its middle."""
RIM = 2.0
"""mm that hand-drawn masks may be too small by: enhanced blood is taken away there too."""


def alter_contrast(
    slice: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
) -> Alteration:
    """Raise the blood in the mask to 150-400 HU, or bring it down to 35-50 HU where the label says it is enhanced.

    What is added or taken away is smooth, so that the noise stays, and soft-edged as the slice is sharp. At the blood's
    edge it goes by how much of a pixel is blood, told from what lies beyond. Parts of the mask that do not touch are
    enhanced a little differently, as vessels are. Blood outside of the mask stays as it is.

    Raises:
        CaseError: no mask, no blood in it, or blood that is not what the label says.
    """
    if slice.mask is None or not slice.mask.any():
        raise CaseError("no mask: contrast agent needs to know where blood is; give one in the column mask")
    pixel = pixel_of(slice.spacing)
    blur = max(blur_of(slice.hu), 0.3)
    smoothed = smooth(slice.hu, 1.0 / pixel)
    if label == 1:
        change, share = _removed(slice, smoothed, float(random.uniform(*PLAIN)))
    else:
        change, share = _added(slice, smoothed, random)
    altered = slice.hu + smooth(change, blur)
    coverage = np.clip(smooth(share, blur), 0.0, 1.0)
    if label == 1:
        altered = _without_streaks(slice, altered, blur, random)
    return Alteration(np.asarray(altered, dtype=np.float32), coverage)


def _added(slice: Upright, smoothed: Slice, random: np.random.Generator) -> tuple[Slice, Coverage]:
    """HU to add, and the share of each pixel that is blood."""
    mask = _mask(slice)
    found = float(np.median(smoothed[mask]))
    if found > BLOOD[1]:
        raise CaseError(
            f"labelled without contrast, and what its mask holds is at {found:.0f} HU, expected at most {BLOOD[1]:g}"
        )
    plain = _level(slice, mask & (smoothed > BLOOD[0]) & (smoothed < BLOOD[1]), "blood without contrast agent")
    beyond = np.minimum(_darkest_near(smoothed, slice.spacing), FAT)
    # Noise of what is smoothed must not show: three quarters of the way to blood is blood.
    share = np.clip((smoothed - beyond) / (0.75 * (plain - beyond)), 0.0, 1.0) * mask
    parts, count = ndimage.label(mask)
    target = float(random.uniform(*ENHANCED))
    each = np.clip(target * random.uniform(0.85, 1.15, size=count + 1), *ENHANCED)
    change = share * (each[parts] - plain)
    return np.asarray(change, dtype=np.float32), np.asarray(share, dtype=np.float32)


def _removed(slice: Upright, smoothed: Slice, target: float) -> tuple[Slice, Coverage]:
    """HU to add (below 0), and the share of each pixel that is enhanced blood."""
    mask = _mask(slice)
    local = np.maximum(_median(slice, mask), smoothed)  # of vessels thinner than the median only the mean is left
    core = mask & (local > LIMIT)
    _level(slice, core, "blood with contrast agent")
    nearest = ndimage.distance_transform_edt(~core, sampling=slice.spacing, return_distances=False, return_indices=True)
    even = _evened(slice, local, core)
    level = even[tuple(nearest)]
    reach = ndimage.distance_transform_edt(~mask, sampling=slice.spacing) <= RIM
    beyond = np.minimum(_darkest_near(smoothed, slice.spacing), target)
    share = np.clip((local - beyond) / (0.9 * (level - beyond)), 0.0, 1.0) * reach
    change = share * (target - level)
    return np.asarray(change, dtype=np.float32), np.asarray(share, dtype=np.float32)


def _evened(slice: Upright, local: Slice, core: Region) -> Slice:
    """The mean of enhanced blood over `EVEN` mm, of pixels whose own median is about the same.

    So no noise is in it, and chambers of different brightness keep their borders: a bilateral grid of hat functions.
    """
    sigma = EVEN / pixel_of(slice.spacing)
    guide = np.clip(local, LIMIT, ENHANCED[1])
    even = np.zeros_like(local)
    for level in np.arange(LIMIT, ENHANCED[1] + STEP, STEP):
        hat = np.asarray(np.clip(1 - np.abs(guide - level) / STEP, 0.0, 1.0) * core, dtype=np.float32)
        if hat.any():
            even += hat * smooth(hat * local, sigma) / np.maximum(smooth(hat, sigma), np.float32(1e-6))
    return even


def _without_streaks(slice: Upright, altered: Slice, blur: float, random: np.random.Generator) -> Slice:
    """Undiluted agent is streaky, which is no noise to keep: blood with fresh noise lies where it was."""
    bright = _median(slice, _mask(slice)) > ENHANCED[1]
    # Calcium is as bright, and smaller.
    dense = ndimage.binary_opening(bright & _mask(slice), iterations=max(1, round(PLAQUE / pixel_of(slice.spacing))))
    if not dense.any():
        return altered
    near = ndimage.distance_transform_edt(~dense, sampling=slice.spacing) <= RIM
    share = smooth(np.asarray(dense | (near & bright), dtype=np.float32), blur)
    noise = noise_of(slice.hu, find_soft_tissue(slice.hu, slice.spacing)).like(slice.hu.shape, random)
    blood = np.float32(np.mean(PLAIN)) + noise
    return np.asarray(altered + share * (blood - altered), dtype=np.float32)


def _mask(slice: Upright) -> Region:
    assert slice.mask is not None
    return slice.mask


def _level(slice: Upright, core: Region, what: str) -> float:
    """Median HU of blood.

    Raises:
        CaseError: too little of it.
    """
    area = float(core.sum()) * pixel_of(slice.spacing) ** 2
    if area < LEAST_AREA:
        inside = float(np.median(slice.hu[_mask(slice)]))
        raise CaseError(
            f"{area:.0f} mm2 of {what} in its mask, expected at least {LEAST_AREA:g}; the mask's median is "
            f"{inside:.0f} HU"
        )
    return float(np.median(slice.hu[core]))


def _darkest_near(smoothed: Slice, spacing: tuple[float, ...]) -> Slice:
    size = 2 * round(NEAR / pixel_of(spacing)) + 1
    return np.asarray(ndimage.minimum_filter(smoothed, size), dtype=np.float32)


def _median(slice: Upright, mask: Region) -> Slice:
    """Median over 5 mm around each pixel of the mask: it keeps edges. Elsewhere the slice itself."""
    size = max(3, 2 * round(2.5 / pixel_of(slice.spacing)) + 1)
    rows, columns = (
        np.arange(max(int(found.min()) - size, 0), int(found.max()) + size + 1)
        for found in map(np.asarray, np.nonzero(mask))
    )
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    local: NDArray[np.float32] = slice.hu.copy()
    local[box] = ndimage.median_filter(slice.hu[box], size)
    return local
