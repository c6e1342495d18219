"""Where the pixels of a case lie: in the patient, and in the scan that they were made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MapError
from .geometry import Affine, Turn
from .geometry import Grid as VoxelGrid
from .preprocessing import resized
from .sampling import Axis, to_scan

Part = tuple[slice, slice, slice]
"""Of an array ``(slices, rows, columns)``."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The pixel centres of a case's image.

    Indices are those of numpy, slowest axis first. Patient coordinates are DICOM's everywhere: LPS, millimetres to the
    left, to the back and to the head. (NIfTI counts to the right and to the front: its first two coordinates are the
    negatives.)

    Attributes:
        shape: spatial shape of the case's image, ``(rows, columns)`` or ``(slices, rows, columns)``.
        source: voxel centres of the scan's array ``(slices, rows, columns)`` as it is stored: its shape and affine.
            Frames and slices of DICOM are in the order of their places. A file of one slice does not know the distance
            to the next: its first step is 1 mm.
        turn: from the axes of the source to those of the case: front up, the patient's right on the left, feet first.
        slice: which slice of the turned source the case is; None where it is all of it.
        axes: where the case's pixels lie on that along each of its axes; empty where the whole is resized.
    """

    shape: tuple[int, ...]
    source: VoxelGrid
    turn: Turn
    slice: int | None = None
    axes: tuple[Axis, ...] = ()

    @classmethod
    def of(
        cls, shape: tuple[int, ...], source: VoxelGrid, slice: int | None = None, axes: tuple[Axis, ...] = ()
    ) -> "Grid":
        """The grid of a case that was turned upright, cut out, and resized or resampled along ``axes`` to ``shape``."""
        return cls(shape, source, source.upright_turn(), slice, axes)

    @property
    def affine(self) -> Affine:
        """Float64 ``(4, 4)``, from ``(slice, row, column, 1)`` of the case's image to LPS millimetres.

        In two dimensions the slice is 0, and the first column is the step to the scan's next slice.
        """
        turned = self._turned
        # As images are resized: the outer edges stay where they are, not the outer centres.
        scale = np.divide(turned.shape, self._shape)
        first = 0.5 * scale - 0.5
        if self.axes:
            scale, first = np.array([(axis.step, axis.first) for axis in self._axes]).T
        on_source = np.diag([*scale, 1.0])
        on_source[:3, 3] = first
        affine: Affine = turned.affine @ on_source
        return affine

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis of the case's image, in mm."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(step) for step in steps[-len(self.shape) :])

    @property
    def is_upright(self) -> bool:
        """Whether slices lead to the head, rows to the back and columns to the left, each within 45 degrees."""
        count = len(self.shape)
        return VoxelGrid(self.source.shape, self.affine).axes[-count:] == "SPL"[-count:]  # whatever the shape

    @property
    def within(self) -> Part:
        """The part of the source's array that the case is of: a slice, or all; of it the case may be cut out."""
        if self.slice is None:
            return slice(None), slice(None), slice(None)
        across = self.turn.order[0]
        place = self.source.shape[across] - 1 - self.slice if self.turn.flips[0] else self.slice
        low, middle, high = (slice(place, place + 1) if axis == across else slice(None) for axis in range(3))
        return low, middle, high

    def to_source(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """A map of the case on the voxels of its source, turned back as they are stored.

        Linear between pixel centres, constant beyond the outer ones; where the case has more pixels than the source,
        averaged with the same filter that made the case (`resize_image`). 0 where the case is cut: it knows nothing of
        what lies there.

        Args:
            values: ``(*spatial)`` of the case.

        Returns:
            Float32 values of the voxels ``source_array[grid.within]``, in their shape: one slice, or all.

        Raises:
            MapError: values of another shape.

        Example:
            >>> whole = np.zeros(grid.source.shape, np.float32)   # doctest: +SKIP
            >>> whole[grid.within] = grid.to_source(importance)   # doctest: +SKIP
        """
        if values.shape != self.shape:
            raise MapError(f"a map of shape {values.shape} for a case of {self.shape}")
        whole = values.reshape(self._shape)
        upright = to_scan(whole, self._axes) if self.axes else resized(whole, self._turned.shape)
        back: NDArray[np.floating] = self.turn.back(upright)
        return back

    @property
    def _shape(self) -> tuple[int, ...]:
        return (1, *self.shape)[-3:]

    @property
    def _axes(self) -> tuple[Axis, ...]:
        return (Axis(1, 1.0, 1), *self.axes)[-3:]

    @property
    def _turned(self) -> VoxelGrid:
        upright = self.source.turned(self.turn)
        return upright if self.slice is None else upright.slab(self.slice)
