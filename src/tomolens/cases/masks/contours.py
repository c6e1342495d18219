"""Contours to masks, by voxel centres; of contours of one structure in a slice, the inner ones are holes.

The rule: a pixel whose centre lies on a contour is inside; any other is inside where an odd number of the structure's
contours in the slice goes round it. Contours through the centres of boundary pixels (rt-utils, OpenCV: of holes too)
and contours along the edges of pixels both come back as the mask that they were made of.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...errors import CaseError
from ..geometry import Grid, Volume
from .layer import Layer, Mask, Wanted

ON = 0.02
"""Pixels: closer to a contour than this is on it, for files round to hundredths of a millimetre."""
AT_ONCE = 1 << 22
"""Pixels on outlines that are looked at together, which bounds memory."""
FARTHEST = 0.5
"""Slices: a contour belongs to the nearest slice, no farther than half way to the next."""


BODY_NAMES = ("body", "external", "skin", "outer contour", "patient", "patient outline", "body contour")
"""What structures that outline the whole body are called where their type is not given."""


def fill(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies inside a polygon or on it.

    Args:
        points: ``(K, 2)``, column and row of each corner; (0, 0) is the centre of the first pixel.
        shape: rows and columns.
    """
    return enclosed(points, shape) | touched(points, shape)


def enclosed(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre a polygon goes round an odd number of times; of centres on it nothing is promised."""
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


def touched(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies on a polygon's outline, to `ON` of a pixel."""
    way = np.roll(points, -1, axis=0) - points
    on = np.zeros(shape, bool)
    flat = np.abs(way[:, 0]) >= np.abs(way[:, 1])
    for axis, chosen in ((0, flat), (1, ~flat)):  # step along the axis in which a segment is longer
        first, step = points[chosen], way[chosen]
        ends = np.sort(np.stack([first[:, axis], first[:, axis] + step[:, axis]]), axis=0)
        limits = (0, shape[1 - axis])
        low = np.clip(np.ceil(ends[0] - ON), *limits).astype(int)
        counts = (np.clip(np.floor(ends[1] + ON) + 1, *limits).astype(int) - low).clip(0)
        for part in np.array_split(np.arange(len(first)), 1 + int(counts.sum()) // AT_ONCE):
            segment = np.repeat(part, counts[part])
            begun = np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
            along = np.arange(len(segment)) - begun + low[segment]
            length = np.where(step[:, axis] == 0, 1.0, step[:, axis])[segment]
            share = np.clip((along - first[segment, axis]) / length, 0.0, 1.0)
            across = first[segment, 1 - axis] + share * step[segment, 1 - axis]
            nearest = np.clip(np.rint(across), -1, shape[axis])
            hit = (np.abs(across - nearest) <= ON) & (nearest >= 0) & (nearest < shape[axis])
            place = (along[hit], nearest[hit].astype(int))
            on[place[1 - axis], place[axis]] = True
    return on


def fill_contours(contours: Iterable[NDArray[np.float64]], grid: Grid) -> Mask:
    """Planar contours in the patient (LPS mm, ``(K, 3)`` each) as a mask on a grid.

    Raises:
        CaseError: a contour that runs across slices.
    """
    inside, on = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    to_voxels = np.linalg.inv(grid.affine)
    for contour in contours:
        voxels = contour @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        if np.ptp(voxels[:, 0]) > FARTHEST:
            raise CaseError(f"a contour runs across {np.ptp(voxels[:, 0]):.1f} slices of the image {grid}")
        middle = float(voxels[:, 0].mean())
        index = int(np.rint(middle))
        if 0 <= index < grid.shape[0] and abs(middle - index) <= FARTHEST:
            inside[index] ^= enclosed(voxels[:, [2, 1]], grid.shape[1:])
            on[index] |= touched(voxels[:, [2, 1]], grid.shape[1:])
    return inside | on


def read_structures(path: Path, dataset: Dataset, image: Volume, wanted: Wanted) -> list[Layer]:
    """The structures of an RTSTRUCT, filled on the image's grid.

    Raises:
        CaseError: damaged, none of the wanted structures, contours across slices, or an outline of the whole body
            among the structures where none is asked for by name.
    """
    try:
        names = {int(item.ROINumber): str(item.ROIName) for item in dataset.StructureSetROISequence}
        wanted.check(names.values())
        if wanted.names is None:
            _refuse_body(dataset, names)
        return [
            Layer(name, fill_contours(_contours(item), image.grid), image.grid)
            for item in dataset.get("ROIContourSequence") or []
            if (name := names.get(int(item.ReferencedROINumber), "")) in wanted
        ]
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    except Exception as error:  # damaged values surface wherever they are first used
        raise CaseError(f"{path}: unreadable RTSTRUCT ({type(error).__name__}: {error})") from error


def _refuse_body(dataset: Dataset, names: dict[int, str]) -> None:
    """All structures count where none is named: with the body's outline the mask would be the whole body."""
    external = {
        int(item.ReferencedROINumber)
        for item in dataset.get("RTROIObservationsSequence") or []
        if str(item.get("RTROIInterpretedType") or "").strip().upper() == "EXTERNAL"
    }
    body = [name for number, name in names.items() if number in external or name.strip().casefold() in BODY_NAMES]
    if body:
        others = ", ".join(sorted(set(names.values()) - set(body))) or "nothing else"
        raise CaseError(
            f"{', '.join(body)} outlines the whole body: name the structures that are the mask (mask in [cases] of "
            f"the study file, --structures for an index); it also holds {others}"
        )


def _contours(item: Dataset) -> Iterable[NDArray[np.float64]]:
    for contour in item.get("ContourSequence") or []:
        if str(contour.get("ContourGeometricType", "")).startswith("CLOSED"):
            points = np.array([float(number) for number in contour.ContourData]).reshape(-1, 3)
            if not np.isfinite(points).all():
                raise CaseError("a contour with numbers that are not finite")
            yield points
