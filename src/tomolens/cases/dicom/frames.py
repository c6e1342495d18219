"""Where the frames of a DICOM image lie, and what its functional groups say of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...errors import CaseError
from ..geometry import Grid, grid_of_plane
from .series import EVEN


def frame_groups(dataset: Dataset, frames: int) -> list[list[Dataset]]:
    """For each frame where to look for its values: its own functional groups, the shared ones, the file.

    Raises:
        CaseError: fewer or more descriptions than frames.
    """
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    if frames > 1 and len(own) != frames:
        raise CaseError(f"{frames} frames with {len(own)} descriptions: each frame needs its place")
    return [[*([own[index]] if own else []), *shared] for index in range(frames)]


def macro(dataset: Dataset, groups: Sequence[Dataset], sequence: str, name: str) -> Any:
    """A value from the first of the frame's groups that has it, else from the file itself."""
    for group in groups:
        items = group.get(sequence)
        if items and name in items[0]:
            return items[0].get(name)
    return dataset.get(name)


def placed(dataset: Dataset, groups: Sequence[Sequence[Dataset]], frames: int) -> tuple[NDArray[np.intp] | None, Grid]:
    """The grid, and the order of the frames along it (None for a single one).

    Raises:
        CaseError: a frame without a place, or frames that form no volume.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    orientation = [
        _numbers(dataset, group, "PlaneOrientationSequence", "ImageOrientationPatient", 6) for group in groups
    ]
    positions = [_numbers(dataset, group, "PlanePositionSequence", "ImagePositionPatient", 3) for group in groups]
    spacing = [_numbers(dataset, group, "PixelMeasuresSequence", "PixelSpacing", 2) for group in groups]
    if frames == 1:
        return None, grid_of_plane(rows, columns, orientation[0], positions[0], spacing[0])
    if len(set(orientation)) > 1 or len(set(spacing)) > 1:
        raise CaseError("frames of several directions or spacings, which form no volume")
    along = np.cross(orientation[0][:3], orientation[0][3:]) @ np.array(positions).T
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    if steps.min() <= 0 or np.abs(steps - np.median(steps)).max() > EVEN * np.median(steps):
        raise CaseError(f"frames are {steps.min():.4g} to {steps.max():.4g} mm apart, which is no grid")
    first, last = np.array(positions[order[0]]), np.array(positions[order[-1]])
    step = (last - first) / (frames - 1)
    return order, grid_of_plane(rows, columns, orientation[0], tuple(first), spacing[0], step, frames)


def _numbers(dataset: Dataset, groups: Sequence[Dataset], sequence: str, name: str, count: int) -> tuple[float, ...]:
    value = macro(dataset, groups, sequence, name)
    if value is None or value == "":
        raise CaseError(f"no {name} in the header: where the image lies in the patient is not known")
    numbers = tuple(float(number) for number in value)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise CaseError(f"{name} {list(numbers)}, expected {count} finite numbers")
    return numbers
