"""Where voxels lie in the patient: grids in millimetres, and one display convention for every storage."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError

Affine = NDArray[np.float64]
Values = TypeVar("Values", NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64])
SMALLEST_STEP, LARGEST_STEP = 1e-3, 1e3
"""mm between voxels: from micro-CT to what no scanner steps."""
FARTHEST = 1e6
"""mm; headers place patients oddly, but not in another town."""
SQUARE = 1.0
"""Degrees by which axes may be askew without a word: headers are rounded."""
MOST_TILT = 45.0
"""Degrees; a gantry tilts by 30."""
SAME_PLACE = 0.1
"""Voxel centres closer than this share of a voxel are the same place: headers are rounded to microns."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centres of an image in the patient.

    Attributes:
        shape: ``(slices, rows, columns)`` as stored.
        affine: float64 ``(4, 4)``, from ``(slice, row, column, 1)`` to LPS millimetres (left, posterior, superior),
            the patient coordinates of DICOM.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbours along each stored axis, in mm."""
        low, middle, high = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(low), float(middle), float(high)

    @property
    def position(self) -> float:
        """Distance of the first slice along the body (towards the head), in mm."""
        return float(self.affine[2, 3])

    @property
    def axes(self) -> str:
        """Where each stored axis leads, e.g. ``SPL``: to superior, posterior, left."""
        names = ("LR", "PA", "SI")
        return "".join(names[axis][0 if sign > 0 else 1] for axis, sign in self._directions())

    @property
    def is_axial(self) -> bool:
        """Whether slices lie across the body, within 45 degrees."""
        return self._directions()[0][0] == 2

    def _directions(self) -> list[tuple[int, int]]:
        """Patient axis (0 left, 1 posterior, 2 superior) and sign nearest to each stored axis; each used once."""
        return _nearest_axes(self._unit_axes(), (2, 1, 0))

    def _unit_axes(self) -> Affine:
        axes: Affine = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return axes

    def upright(self) -> "Grid":
        """The same voxels in the display convention: slices to the head, rows to the back, columns to the left."""
        return self.turned(self.upright_turn())

    def turn_upright(self, values: Values) -> Values:
        """``values`` on this grid as radiologists look at them: front up, the patient's right on the left."""
        return self.upright_turn().of(values)

    def upright_turn(self) -> "Turn":
        """What brings values on this grid into the display convention."""
        return _turn(self._directions(), (2, 1, 0))

    def turn_onto(self, other: "Grid") -> "Turn":
        """The turn by quarters that brings this grid's axes nearest to another's, whatever either's angle to the body.

        Near 45 degrees two grids in one place may come upright by different turns; onto one another they do not.
        """
        share = np.linalg.inv(other._unit_axes()) @ self._unit_axes()
        return _turn(_nearest_axes(share, (0, 1, 2)), (0, 1, 2))

    def turned(self, turn: "Turn") -> "Grid":
        """The same voxels after a turn."""
        moved = np.eye(4)
        moved[:3, :3] = 0.0
        for new, old in enumerate(turn.order):
            moved[old, new] = -1.0 if turn.flips[new] else 1.0
            moved[old, 3] = self.shape[old] - 1 if turn.flips[new] else 0
        low, middle, high = (self.shape[old] for old in turn.order)
        return Grid((low, middle, high), self.affine @ moved)

    def slab(self, first: int, count: int = 1) -> "Grid":
        """``count`` slices beginning at ``first``."""
        moved = np.eye(4)
        moved[0, 3] = first
        return Grid((count, *self.shape[1:]), self.affine @ moved)

    def place_of(self, part: "Grid") -> tuple[int, int, int] | None:
        """Where ``part`` begins in this grid, both upright; None where its voxels are not some of this grid's.

        A part may be the whole; with a single slice the distance to the next one does not matter.
        """
        try:
            relation = np.linalg.inv(self.affine) @ part.affine
        except np.linalg.LinAlgError:
            return None
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(part.shape) - 1)
        first = np.rint(relation[:3, 3])
        reached = corners @ relation[:3, :3].T + relation[:3, 3]
        if np.abs(reached - corners - first).max() > SAME_PLACE:
            return None
        if (first < 0).any() or (first + part.shape > self.shape).any():
            return None
        return int(first[0]), int(first[1]), int(first[2])

    def __str__(self) -> str:
        size = " x ".join(str(length) for length in self.shape)
        spacing = " x ".join(f"{step:.4g}" for step in self.spacing)
        origin = ", ".join(f"{place:.1f}" for place in self.affine[:3, 3])
        return f"{size} voxels of {spacing} mm to {self.axes} from ({origin})"


@dataclass(frozen=True)
class Turn:
    """Axes in another order, some of them the other way round.

    Attributes:
        order: the old axis that each new one is.
        flips: whether it runs the other way.
    """

    order: tuple[int, ...]
    flips: tuple[bool, ...]

    def of(self, values: Values) -> Values:
        """Values after the turn."""
        return np.flip(values.transpose(self.order), self._flipped)

    def back(self, values: Values) -> Values:
        """Values before it."""
        return np.flip(values, self._flipped).transpose(tuple(int(axis) for axis in np.argsort(self.order)))

    @property
    def _flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis, flipped in enumerate(self.flips) if flipped)


def _nearest_axes(share: Affine, usual: tuple[int, int, int]) -> list[tuple[int, int]]:
    """For each column of a matrix of cosines the row that it is nearest to, each used once, and the sign.

    Of two that are as near, the ``usual`` one: what was turned once is not turned again.
    """
    order = sorted(np.ndindex(3, 3), key=lambda at: (-round(abs(float(share[at])), 6), usual[at[1]] != at[0]))
    found: dict[int, tuple[int, int]] = {}
    for axis, own in order:
        if own not in found and axis not in {taken for taken, _ in found.values()}:
            found[own] = (axis, 1 if share[axis, own] > 0 else -1)
    return [found[own] for own in range(3)]


def _turn(directions: list[tuple[int, int]], wanted: tuple[int, int, int]) -> Turn:
    order = tuple([axis for axis, _ in directions].index(axis) for axis in wanted)
    return Turn(order, tuple(directions[own][1] < 0 for own in order))


@dataclass(frozen=True, eq=False)
class Volume:
    """Hounsfield units on a grid.

    Attributes:
        hu: float32 ``(slices, rows, columns)``.
        grid: where they lie.
        notes: what was odd about the file and mended, in words.
        instance: SOP Instance UID of a single DICOM slice, by which polygons find it.
        sized: whether the file says how large its voxels are; where it does not they are taken for 1 mm.
    """

    hu: NDArray[np.float32]
    grid: Grid
    notes: tuple[str, ...] = ()
    instance: str = ""
    sized: bool = True

    def upright(self) -> "Volume":
        """The same volume in the display convention."""
        return replace(self, hu=self.grid.turn_upright(self.hu), grid=self.grid.upright())

    def slice(self, index: int) -> "Volume":
        """One axial slice, counted from the feet in an upright volume.

        Raises:
            CaseError: no such slice.
        """
        if not 0 <= index < self.grid.shape[0]:
            raise CaseError(f"slice {index} of a scan with slices 0 to {self.grid.shape[0] - 1}")
        return replace(self, hu=self.hu[index : index + 1], grid=self.grid.slab(index))


def check_affine(affine: Affine) -> None:
    """Raise `CaseError` where an affine places no scan: not finite, flat, of absurd spacing or place, or askew."""
    if not np.isfinite(affine).all():
        raise CaseError("numbers that are not finite")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() < SMALLEST_STEP or spacing.max() > LARGEST_STEP:
        sizes = " x ".join(f"{step:.4g}" for step in spacing)
        raise CaseError(f"voxels of {sizes} mm, expected {SMALLEST_STEP} to {LARGEST_STEP:g} mm")
    if np.abs(affine[:3, 3]).max() > FARTHEST:
        raise CaseError(f"it begins {np.abs(affine[:3, 3]).max():.4g} mm from the scanner's middle")
    share = affine[:3, :3] / spacing
    between = float(np.degrees(np.arccos(np.clip(share[:, 1] @ share[:, 2], -1, 1))))
    if abs(between - 90) > SQUARE:
        raise CaseError(f"rows and columns at {between:.1f} degrees, expected 90")
    if _shear(affine) > MOST_TILT:
        raise CaseError(
            f"slices stacked at {_shear(affine):.1f} degrees to their normal, expected at most {MOST_TILT:g}"
        )


def shear_in_words(affine: Affine) -> tuple[str, ...]:
    """What to tell of slices that are not stacked along their normal."""
    return (
        (f"slices sheared by {_shear(affine):.1f} degrees, as of a tilted gantry",) if _shear(affine) > SQUARE else ()
    )


def _shear(affine: Affine) -> float:
    """Degrees between the way slices are stacked and their normal."""
    share = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(share[:, 1], share[:, 2])
    return float(np.degrees(np.arccos(np.clip(abs(share[:, 0] @ normal) / np.linalg.norm(normal), 0, 1))))


def grid_of_plane(
    rows: int,
    columns: int,
    orientation: tuple[float, ...],
    position: tuple[float, ...],
    spacing: tuple[float, ...],
    step: NDArray[np.float64] | None = None,
    slices: int = 1,
) -> Grid:
    """The grid of DICOM slices.

    Args:
        rows: of a slice.
        columns: of a slice.
        orientation: direction along a row and along a column (0020,0037).
        position: of the first pixel of the first slice (0020,0032), mm.
        spacing: between rows and between columns (0028,0030), mm.
        step: from a slice to the next, mm; 1 mm along the normal for a single slice.
        slices: how many.

    Raises:
        CaseError: numbers that span no grid.
    """
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_row, along_column)
    step = normal if step is None else step
    affine = np.eye(4)
    affine[:3, :3] = np.stack([step, along_column * spacing[0], along_row * spacing[1]], axis=1)
    affine[:3, 3] = position
    what = f"orientation {list(orientation)} with spacing {list(spacing)} mm is no grid"
    if not np.isfinite(affine).all() or min(spacing) <= 0 or abs(normal @ normal - 1) > 0.01:
        raise CaseError(what)
    try:
        check_affine(affine)
    except CaseError as error:
        raise CaseError(f"{what}: {error}") from error
    return Grid((slices, rows, columns), affine)
