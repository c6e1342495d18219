"""Contours to masks, by voxel centres; of contours of one structure in a slice, the inner ones are holes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...errors import CaseError
from ..geometry import Grid, Volume
from .layer import Layer, Mask, Wanted

FARTHEST = 0.5
"""Slices: a contour belongs to the nearest slice, no farther than half way to the next."""


def fill(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies inside a polygon.

    Args:
        points: ``(K, 2)``, column and row of each corner; (0, 0) is the centre of the first pixel.
        shape: rows and columns.
    """
    from matplotlib.path import Path as Outline

    filled = np.zeros(shape, bool)
    low = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)), np.array(shape[::-1]) - 1).astype(int)
    if len(points) < 3 or (high < low).any():
        return filled
    columns, rows = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
    inside = Outline(points).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
    filled[low[1] : high[1] + 1, low[0] : high[0] + 1] = inside.reshape(rows.shape)
    return filled


def fill_contours(contours: Iterable[NDArray[np.float64]], grid: Grid) -> Mask:
    """Planar contours in the patient (LPS mm, ``(K, 3)`` each) as a mask on a grid.

    Raises:
        CaseError: a contour that runs across slices.
    """
    mask = np.zeros(grid.shape, bool)
    to_voxels = np.linalg.inv(grid.affine)
    for contour in contours:
        voxels = contour @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        if np.ptp(voxels[:, 0]) > FARTHEST:
            raise CaseError(f"a contour runs across {np.ptp(voxels[:, 0]):.1f} slices of the image {grid}")
        middle = float(voxels[:, 0].mean())
        index = int(np.rint(middle))
        if 0 <= index < grid.shape[0] and abs(middle - index) <= FARTHEST:
            mask[index] ^= fill(voxels[:, [2, 1]], grid.shape[1:])
    return mask


def read_structures(path: Path, dataset: Dataset, image: Volume, wanted: Wanted) -> list[Layer]:
    """The structures of an RTSTRUCT, filled on the image's grid.

    Raises:
        CaseError: damaged, none of the wanted structures, or contours across slices.
    """
    try:
        names = {int(item.ROINumber): str(item.ROIName) for item in dataset.StructureSetROISequence}
        wanted.check(names.values())
        return [
            Layer(name, fill_contours(_contours(item), image.grid), image.grid)
            for item in dataset.get("ROIContourSequence") or []
            if (name := names.get(int(item.ReferencedROINumber), "")) in wanted
        ]
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    except Exception as error:  # damaged values surface wherever they are first used
        raise CaseError(f"{path}: unreadable RTSTRUCT ({type(error).__name__}: {error})") from error


def _contours(item: Dataset) -> Iterable[NDArray[np.float64]]:
    for contour in item.get("ContourSequence") or []:
        if str(contour.get("ContourGeometricType", "")).startswith("CLOSED"):
            points = np.array([float(number) for number in contour.ContourData]).reshape(-1, 3)
            if not np.isfinite(points).all():
                raise CaseError("a contour with numbers that are not finite")
            yield points
