"""A scan as it is stored, from a file, folder or archive; the last one stays in memory for its other slices."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import CaseError
from .dicom.pixels import read_series
from .dicom.series import Series, group_series
from .dicom.tree import read_tree
from .formats import IMAGE_SUFFIXES, read_grid, read_volume
from .geometry import Volume
from .places import LARGEST_RATIO, suffix

SMALL = 1 << 24
"""Voxels that an image may have however well it is packed."""


def read_source(path: Path, series: str = "") -> Volume:
    """A volume or slice from a file, or from a folder or archive of DICOM slices.

    Args:
        path: where it lies.
        series: Series Instance UID, where there are several.

    Raises:
        CaseError: unreadable, or not one scan.
    """
    if path.is_dir() or (path.suffix.lower() == ".zip" and path.is_file()):
        return _series_volume(path, series, path.stat().st_mtime_ns)
    return _volume(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _volume(path: Path, _changed: int) -> Volume:
    """The last file stays in memory for the other slices of its scan."""
    if path.is_file() and suffix(path) in IMAGE_SUFFIXES:
        shape, size = read_grid(path).shape, max(path.stat().st_size, 1)
        if suffix(path) != ".mhd" and int(np.prod(shape)) > max(LARGEST_RATIO * size, SMALL):
            raise CaseError(
                f"{path}: {' x '.join(map(str, shape))} voxels in a file of {size} bytes: no CT image packs so well"
            )
    return read_volume(path)


@lru_cache(maxsize=1)
def _series_volume(path: Path, series: str, _changed: int) -> Volume:
    volume = read_series(find_series(path, series))
    if not np.isfinite(volume.hu).all():
        raise CaseError(f"{path}: {int((~np.isfinite(volume.hu)).sum())} pixels are not finite (NaN or infinite)")
    return volume


def find_series(path: Path, series: str = "") -> Series:
    """The one series of a folder or archive, or the one of this UID or name.

    Raises:
        CaseError: none, or several to choose from.
    """
    tree = read_tree(path, lambda patient: patient, cached=False)
    found, left_out = group_series(tree.headers)
    chosen = [one for one in found if not series or series in (one.uid, one.name)]
    if len(chosen) == 1:
        return chosen[0]
    if not found:
        seen = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
        seen = seen or (tree.unusable[0].reason if tree.unusable else "no DICOM files")
        raise CaseError(f"{path}: no CT series ({seen})")
    listed = ", ".join(f"{one.name} ({one.frames} slices)" for one in found[:6])
    raise CaseError(f"{path}: {len(found)} CT series: {listed}; name one in the column series")
