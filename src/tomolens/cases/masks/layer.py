"""A layer is one named structure, one reader's view of it, or a map of labels, on a grid of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import CaseError
from ..geometry import Grid

Mask = NDArray[np.bool_]
Labels = NDArray[Any]
"""Bool, or whole numbers."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One structure, or several that do not overlap.

    Attributes:
        name: as the file calls it.
        mask: ``(slices, rows, columns)``, bool of one structure, labels from 0 (none) on of several.
        grid: where it lies.
        is_sparse: whether the file leaves out slices in which there is nothing (DICOM SEG).
    """

    name: str
    mask: Labels
    grid: Grid
    is_sparse: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which structures are asked for; None takes all."""

    names: tuple[str, ...] | None = None

    def __contains__(self, name: object) -> bool:
        return self.names is None or str(name).casefold() in {wanted.casefold() for wanted in self.names}

    def check(self, there: Iterable[str]) -> None:
        """Raise `CaseError` where none of the wanted structures is among those ``there``."""
        present = sorted(set(there))
        if self.names is not None and not any(name in self for name in present):
            held = ", ".join(present) or "nothing"
            raise CaseError(f"no structure named {' or '.join(self.names)}: it holds {held}")


def on_grid(layer: Layer, grid: Grid, *, resample: bool, what: str = "mask") -> Labels:
    """A layer on an image's grid, both turned upright.

    Args:
        layer: of any orientation.
        grid: of the image, upright: a volume, or one slice of the layer's volume.
        resample: whether another grid may be resampled to the nearest voxel.
        what: the layer is part of, in words.

    Raises:
        CaseError: another grid, with both geometries, unless it may be resampled.
    """
    # All is compared in the layer's own axes: near 45 degrees to the body, it may come upright by another turn.
    turn = grid.turn_onto(layer.grid)
    image, across = grid.turned(turn), turn.order.index(0)
    place = layer.grid.place_of(image) if _same_slices(layer.grid, image, across) else None
    if place is not None:
        first, count = place[across], image.shape[across]
        return turn.back(layer.mask.take(range(first, first + count), axis=across))
    found = _sparse(layer.mask, layer.grid, image) if layer.is_sparse and _is_stacked(layer.grid, image) else None
    if found is not None:
        return turn.back(found)
    if not resample:
        raise CaseError(
            f"the {what} lies on another grid: {layer.grid.upright()}, the image is {grid}; resample_masks = true "
            "brings it there"
        )
    return _nearest(layer.mask, layer.grid, grid)


def _same_slices(own: Grid, image: Grid, across: int) -> bool:
    """Whether an image has a layer's shape, or is one slice of it."""
    return all(
        length == there or (axis == across and length == 1)
        for axis, (length, there) in enumerate(zip(image.shape, own.shape, strict=True))
    )


def _is_stacked(own: Grid, image: Grid) -> bool:
    """Whether the slices of two grids of one direction lie over one another, or one's within the other's."""
    moved = Grid((1, *own.shape[1:]), own.affine.copy())
    along = np.linalg.inv(own.affine) @ image.affine[:, 3]
    moved.affine[:3, 3] += along[0] * own.affine[:3, 0]
    return moved.place_of(image.slab(0)) is not None


def _sparse(mask: Labels, own: Grid, image: Grid) -> Labels | None:
    """The slices of a sparse layer that the image has; slices that the layer leaves out are empty.

    None where a slice of the layer lies between two of the image.
    """
    found = np.zeros(image.shape, mask.dtype)
    to_image = np.linalg.inv(image.affine)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = own.slab(int(index))
        height = float((to_image @ plane.affine[:, 3])[0])
        place = _part_of(plane, image, round(height))
        if place is not None:
            rows, columns = (slice(first, first + length) for first, length in zip(place, image.shape[1:], strict=True))
            found[round(height)] |= mask[index][rows, columns]
        elif 0 < height < image.shape[0] - 1:
            return None
    return found


def _part_of(plane: Grid, image: Grid, index: int) -> tuple[int, int] | None:
    """Where slice ``index`` of an image begins in a layer's slice; None where it is no part of it."""
    if not 0 <= index < image.shape[0]:
        return None
    place = plane.place_of(image.slab(index))
    return None if place is None else place[1:]


def _nearest(mask: Labels, own: Grid, grid: Grid) -> Labels:
    relation = np.linalg.inv(own.affine) @ grid.affine
    numbers = mask.astype(np.uint8) if mask.dtype == np.bool_ else mask
    moved = ndimage.affine_transform(
        numbers, relation[:3, :3], relation[:3, 3], grid.shape, order=0, mode="constant", cval=0
    )
    return np.asarray(moved, dtype=mask.dtype)
