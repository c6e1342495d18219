"""A layer is one named structure, or one reader's view of it, on a grid of its own."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import CaseError
from ..geometry import Grid

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Layer:
    """One structure.

    Attributes:
        name: as the file calls it.
        mask: bool ``(slices, rows, columns)``.
        grid: where it lies.
        is_sparse: whether the file leaves out slices in which there is nothing (DICOM SEG).
    """

    name: str
    mask: Mask
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


def on_grid(layer: Layer, grid: Grid, *, resample: bool) -> Mask:
    """A layer on an image's grid, both turned upright.

    Args:
        layer: of any orientation.
        grid: of the image, upright: a volume, or one slice of the layer's volume.
        resample: whether another grid may be resampled to the nearest voxel.

    Raises:
        CaseError: another grid, with both geometries, unless it may be resampled.
    """
    mask, own = layer.grid.turn_upright(layer.mask), layer.grid.upright()
    same_slices = own.shape[1:] == grid.shape[1:]
    place = own.place_of(grid) if same_slices and grid.shape[0] in (1, own.shape[0]) else None
    if place is not None:
        return mask[place[0] : place[0] + grid.shape[0]]
    if layer.is_sparse and same_slices and _is_stacked(own, grid):
        found = _sparse(mask, own, grid)
        if found is not None:
            return found
    if not resample:
        raise CaseError(
            f"the mask lies on another grid: {own}, the image is {grid}; resample_masks = true brings it there"
        )
    return _nearest(mask, own, grid)


def _is_stacked(own: Grid, grid: Grid) -> bool:
    """Whether the slices of two grids lie over one another, whatever their heights."""
    moved = Grid((1, *grid.shape[1:]), grid.affine.copy())
    along = np.linalg.inv(grid.affine) @ own.affine[:, 3]
    moved.affine[:3, 3] += along[0] * grid.affine[:3, 0]
    return moved.place_of(own.slab(0)) is not None


def _sparse(mask: Mask, own: Grid, grid: Grid) -> Mask | None:
    """The slices of a sparse layer that the image has; slices that the layer leaves out are empty.

    None where a slice of the layer lies between two of the image.
    """
    found = np.zeros(grid.shape, bool)
    to_image = np.linalg.inv(grid.affine)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = own.slab(int(index))
        place = grid.place_of(plane)
        if place is not None:
            found[place[0]] |= mask[index]
        elif 0 < (to_image @ plane.affine[:, 3])[0] < grid.shape[0] - 1:
            return None
    return found


def _nearest(mask: Mask, own: Grid, grid: Grid) -> Mask:
    relation = np.linalg.inv(own.affine) @ grid.affine
    moved = ndimage.affine_transform(
        mask.astype(np.uint8), relation[:3, :3], relation[:3, 3], grid.shape, order=0, mode="constant", cval=0
    )
    return np.asarray(moved, dtype=bool)
