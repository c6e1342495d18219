"""The part of a scan that holds the body, or the lungs, for networks that are to see that part alone."""

from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from .body import AIR, body_of, opened

Crop = Literal["body", "lungs"]
Box = tuple[tuple[int, int], ...]
"""The first pixel and the one after the last, along each axis."""
FINEST = 160
"""Pixels along an axis in which it is looked for: what a box needs is seen in fewer than a scan has."""
MARGIN = 5.0
"""mm that the box is larger by on each side, so that skin and pleura are in it."""
LUNG = (-950.0, -500.0)
"""Median HU of lung: gas in bowel is near -1000."""
LEAST, LEAST_OF_ALL = 0.1, 0.0005
"""Share of the largest lung, and of the scan, that a part of them has at least."""
LEAST_SIZE = {2: 1000.0, 3: 20_000.0}
"""mm^2 of a slice or mm^3 of a volume that it has at least, where the size of the pixels is known."""


def box_of(hu: NDArray[np.floating], crop: Crop, spacing: tuple[float, ...] | None = None) -> Box:
    """The box around the body or the lungs of a scan, with a margin where its pixels' size is known.

    Args:
        hu: ``(*spatial)``.
        crop: what is looked for.
        spacing: of its pixels, mm.

    Raises:
        CaseError: there is none in it.

    Example:
        >>> hu = np.full((20, 40), -1000.0)
        >>> hu[4:16, 10:30] = 40.0
        >>> box_of(hu, "body"), box_of(hu, "body", (5.0, 2.5))
        (((4, 16), (10, 30)), ((3, 17), (8, 32)))
    """
    strides = [ceil(length / FINEST) for length in hu.shape]
    coarse = hu[tuple(slice(stride // 2, None, stride) for stride in strides)]
    found = body = body_of(coarse[None], AIR)
    if crop == "lungs":
        # A field of view may cut lungs open, which are no part of the body then; a table's foam is as light as they.
        least = LEAST_OF_ALL * coarse.size
        if spacing is not None:
            least = LEAST_SIZE[hu.ndim] / float(np.prod(spacing) * np.prod(strides))
        found = _lungs(coarse, body, least)
        found = found if found.any() else _lungs(coarse, np.ones_like(body), least)
    if not found.any():
        raise CaseError(f"no {crop} in it to crop to: cases.crop = '{crop}' is for scans that show it")
    box = []
    for axis, (length, stride) in enumerate(zip(hu.shape, strides, strict=True)):
        there = np.flatnonzero(found.any(axis=tuple(other for other in range(hu.ndim) if other != axis)))
        more = 0 if spacing is None else round(MARGIN / spacing[axis])
        low, high = int(there[0]) * stride - more, (int(there[-1]) + 1) * stride + more
        box.append((max(0, low), min(length, high)))
    return tuple(box)


def _lungs(hu: NDArray[np.floating], within: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """The parts within a region that hold air as lungs do, without those that are small beside the largest."""
    from scipy import ndimage  # here, because finding and listing cases does without it

    parts, count = ndimage.label(within & opened(hu < AIR))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    like_lung = [
        part
        for part in np.argsort(-sizes)[:8]
        if sizes[part] and LUNG[0] < float(np.median(hu[parts == part])) < LUNG[1]
    ]
    if not like_lung:
        return np.zeros(hu.shape, dtype=bool)
    least = max(LEAST * sizes[like_lung[0]], least)
    large = [part for part in like_lung if sizes[part] >= least]
    return np.isin(parts, large)
