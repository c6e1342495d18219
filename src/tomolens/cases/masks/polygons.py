"""Polygons in JSON, in pixels of the stored image; with a range of HU they outline where to look, not what to keep.

``{"slices": {"<SOP Instance UID>": {"rows": .., "columns": .., "regions": [..]}}}`` for many slices, or one such
``{"rows": .., "columns": .., "regions": [..]}`` for one image. A region is ``{"label": "heart",
"points": [[column, row], ..], "hu_range": [95, 700]}``, where ``hu_range`` may be left out.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import CaseError
from ..geometry import Volume
from .contours import fill
from .layer import Layer, Wanted

LARGEST_FILE = 1 << 28
SMALLEST_SHARE, SMALLEST_PART = 0.03, 15
"""Parts below this share of the largest part, or of fewer pixels, are specks of the threshold."""


def read_polygons(path: Path, image: Volume, wanted: Wanted) -> list[Layer]:
    """The regions of one slice; a later region takes pixels from an earlier one.

    Raises:
        CaseError: not such a file, no polygons for this slice, or another size of image.
    """
    content = _content(path, path.stat().st_mtime_ns)
    drawn = content.get("slices", {}).get(image.instance) if "slices" in content else content
    if image.grid.shape[0] != 1:
        raise CaseError(f"{path}: polygons are of one slice, the image has {image.grid.shape[0]}")
    if drawn is None:
        raise CaseError(f"{path}: no polygons for the slice {image.instance or 'without SOP Instance UID'}")
    try:
        size = (int(drawn["rows"]), int(drawn["columns"]))
        regions = [(str(region["label"]), _region(region, image.hu[0])) for region in drawn["regions"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaseError(f"{path}: damaged polygons ({type(error).__name__}: {error})") from error
    if size != image.grid.shape[1:]:
        raise CaseError(f"{path}: polygons on {size} pixels, the image has {image.grid.shape[1:]}")
    try:
        wanted.check(label for label, _ in regions)
    except CaseError:
        if "slices" not in content:
            raise
    layers: dict[str, NDArray[np.bool_]] = {}
    for label, region in regions:
        for earlier in layers.values():
            earlier &= ~region
        layers[label] = layers.get(label, np.zeros_like(region)) | region
    return [Layer(label, mask[None], image.grid) for label, mask in layers.items() if label in wanted]


@lru_cache(maxsize=1)
def _content(path: Path, _changed: int) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_FILE:
        raise CaseError(f"{path}: {path.stat().st_size} bytes, expected at most {LARGEST_FILE}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CaseError(f"{path}: not JSON ({type(error).__name__})") from error
    if not isinstance(content, dict) or not isinstance(content.get("slices", {}), dict):
        raise CaseError(f"{path}: expected an object with slices or regions")
    return content


def _region(region: dict[str, Any], hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    points = np.array(region["points"], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("corners that are not finite")
    rows, columns = hu.shape
    mask = fill(points, (rows, columns))
    if region.get("hu_range") is None:
        return mask
    low, high = (float(limit) for limit in region["hu_range"])
    smooth = ndimage.gaussian_filter(hu, 1.0)
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask & (smooth >= low) & (smooth <= high)))
    parts, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, parts, np.arange(1, count + 1))
    kept = 1 + np.flatnonzero((sizes >= SMALLEST_PART) & (sizes >= SMALLEST_SHARE * sizes.max(initial=0)))
    return np.isin(parts, kept)
