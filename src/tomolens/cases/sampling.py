"""Pixels of a given size in place of a scan's own, cut or padded about its middle: where each lies on the scan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
TIE = 6
"""Decimals of a pixel to which places are taken: sizes in files are rounded, and must not turn a tie."""


@dataclass(frozen=True)
class Axis:
    """One axis of a case whose pixels have a given size.

    The whole scan becomes `whole` pixels with the same middle: as many as fit, to the nearest. The case is `count` of
    them, cut or padded as MONAI's ``ResizeWithPadOrCrop`` does, or, where it has a `middle` of its own, about that.

    Attributes:
        length: pixels of the scan.
        step: size of a new pixel in pixels of the scan.
        count: pixels of the case.
        middle: where the middle of the case lies on the scan; None puts it at the scan's own.

    Example:
        >>> axis = Axis(length=10, step=2.0, count=7)
        >>> axis.whole, axis.start, axis.shown, axis.first
        (5, -1, (1, 6), -1.5)
    """

    length: int
    step: float
    count: int
    middle: float | None = None

    @property
    def whole(self) -> int:
        """New pixels of the whole scan; of two that are as near the smaller number."""
        return max(1, ceil(round(self.length / self.step - 0.5, TIE)))

    @property
    def start(self) -> int:
        """Which pixel of the whole scan is the first of the case; before 0 there is padding."""
        if self.whole > self.count:
            return self.whole // 2 - self.count // 2
        return -((self.count - self.whole) // 2)

    @property
    def first(self) -> float:
        """Where the centre of the case's first pixel lies on the scan, whose own first one lies at 0."""
        if self.middle is not None:
            return self.middle - self.step * (self.count - 1) / 2
        return (self.length - 1) / 2 - self.step * ((self.whole - 1) / 2 - self.start)

    @property
    def shown(self) -> tuple[int, int]:
        """The range of the case's pixels that show the scan; the others are padding."""
        if self.middle is not None:
            low, high = ((edge - self.first) / self.step for edge in (-0.5, self.length - 0.5))
            return max(0, ceil(round(low, TIE))), min(self.count, ceil(round(high, TIE)))
        return max(0, -self.start), min(self.count, self.whole - self.start)

    @property
    def seen(self) -> tuple[int, int]:
        """The range of the scan's pixels whose centres the case shows: all of them towards a side that is not cut."""
        low, high = (self.first + self.step * (edge - 0.5) for edge in (0, self.count))
        if self.middle is None:
            is_whole = self.start <= 0, self.start + self.count >= self.whole
        else:
            # No pixel beyond the case's would show more of the scan.
            before, after = self.first - self.step, self.first + self.step * self.count
            is_whole = round(before + 0.5, TIE) < 0, round(after - self.length + 0.5, TIE) >= 0
        return (
            0 if is_whole[0] else ceil(round(low, TIE)),
            self.length if is_whole[1] else ceil(round(high, TIE)),
        )

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the centres of the pixels that show the scan lie on it."""
        return np.asarray(self.first + self.step * np.arange(*self.shown), dtype=np.float64)

    @property
    def uncut(self) -> "Axis":
        """The same for the whole scan."""
        return replace(self, count=self.whole, middle=None)

    def on(self, other: "Axis") -> "Axis":
        """The same pixels, seen from those of another axis of the same scan, as if these were the scan."""
        middle = None if self.middle is None else (self.middle - other.first) / other.step
        return replace(self, length=other.count, step=self.step / other.step, middle=middle)


def resampled(values: NDArray[np.floating], axes: Sequence[Axis], padding: float = 0.0) -> NDArray[np.float32]:
    """Antialiased linear resampling, by the filter of `resized`.

    Args:
        values: ``(*spatial)`` of the scan.
        axes: of the case.
        padding: what pixels beyond the scan become.

    Returns:
        Float32 ``(*counts)``.
    """
    made = np.asarray(values, dtype=np.float32)
    for position, axis in enumerate(axes):
        made = _filtered(made, position, axis.places, axis.step)
    return _set_into([axis.count for axis in axes], [axis.shown for axis in axes], made, padding)


def nearest(mask: NDArray[Scalar], axes: Sequence[Axis]) -> NDArray[Scalar]:
    """The scan's pixel in which the centre of each of the case's lies, False or 0 beyond the scan: ``(*counts)``."""
    for position, axis in enumerate(axes):
        index = np.floor(np.round(axis.places + 0.5, TIE)).astype(np.intp).clip(0, axis.length - 1)
        mask = np.take(mask, index, axis=position)
    return _set_into([axis.count for axis in axes], [axis.shown for axis in axes], mask, False)


def to_scan(values: NDArray[np.floating], axes: Sequence[Axis]) -> NDArray[np.float32]:
    """Values of the case's pixels on those of the scan, by the same filter: 0 beyond what the case shows.

    Linear between the centres of the case's pixels that show the scan, constant beyond the outer ones; what is padding
    has no part in it.

    Args:
        values: ``(*counts)`` of the case.
        axes: of the case.

    Returns:
        Float32 ``(*spatial)`` of the scan.
    """
    made = np.asarray(values[tuple(slice(*axis.shown) for axis in axes)], dtype=np.float32)
    for position, axis in enumerate(axes):
        places = np.asarray((np.arange(*axis.seen) - axis.first) / axis.step - axis.shown[0], dtype=np.float64)
        made = _filtered(made, position, places, 1.0 / axis.step)
    return _set_into([axis.length for axis in axes], [axis.seen for axis in axes], made, 0.0)


def is_cut(mask: NDArray[np.bool_], axes: Sequence[Axis]) -> bool:
    """Whether a part of a mask of the scan lies beyond what the case shows."""
    inside = mask[tuple(slice(*axis.seen) for axis in axes)]
    return int(inside.sum()) < int(mask.sum())


def _filtered(values: NDArray[np.float32], axis: int, places: NDArray[np.float64], step: float) -> NDArray[np.float32]:
    """Values at other places along an axis: means under a triangle that reaches a step, or a pixel, to each side."""
    from scipy import sparse  # here, because finding and listing cases does without it

    reach, length = max(step, 1.0), values.shape[axis]
    columns = np.floor(places - reach).astype(np.intp)[:, None] + np.arange(1, 2 * floor(reach) + 3)
    weights = np.clip(1.0 - np.abs(columns - places[:, None]) / reach, 0.0, None)
    weights *= (columns >= 0) & (columns < length)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(places)), columns.shape[1])
    entries = (weights.ravel().astype(np.float32), (rows, columns.clip(0, length - 1).ravel()))
    matrix = sparse.csr_matrix(entries, shape=(len(places), length))
    moved = np.moveaxis(values, axis, 0)
    made = matrix @ np.ascontiguousarray(moved.reshape(length, -1))
    return np.moveaxis(made.reshape(len(places), *moved.shape[1:]), 0, axis)


def _set_into(shape: Sequence[int], ranges: Sequence[tuple[int, int]], inner: NDArray[Any], outer: Any) -> NDArray[Any]:
    """An array of one value with another set into it."""
    whole = np.full(tuple(shape), outer, dtype=inner.dtype)
    whole[tuple(slice(*one) for one in ranges)] = inner
    return whole
