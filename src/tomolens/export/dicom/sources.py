"""The images that a map lies on: their headers, in the order of the map's slices; no pixel is decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...cases.dicom.frames import frame_groups, placed
from ...cases.dicom.pixels import read_dataset
from ...cases.dicom.series import Series
from ...cases.geometry import Grid
from ...cases.stored import find_series
from ...errors import CaseError, MapError, reason_of
from ..scan_map import ScanMap
from .planes import plane_headers

CLOSE = 1e-3
"""mm by which the voxels of map and scan may be apart: headers are rounded."""


@dataclass(frozen=True, eq=False)
class Sources:
    """The images of a scan.

    Attributes:
        place: file, folder or archive of the scan, for messages.
        grid: voxel centres of the scan's array, slices in the order of their places.
        images: a header of each slice in that order, or one of a multi-frame image: its UIDs and its place, nothing
            of the patient.
        identity: a header with the patient and study as they are to be written.
        frames: of a multi-frame image, which of its frames each slice of the array is, from 0; empty for slices.
    """

    place: Path
    grid: Grid
    images: tuple[Dataset, ...]
    identity: Dataset
    frames: tuple[int, ...] = ()

    def require(self, scan_map: ScanMap) -> None:
        """Raise where a map is not of this scan, or cannot be written.

        Raises:
            CaseError: another shape, or voxels more than 1e-3 mm from the map's.
            MapError: values that are not finite.
        """
        shape = scan_map.values.shape
        if not shape == scan_map.grid.shape == scan_map.explained.shape == self.grid.shape:
            raise CaseError(f"{self.place}: {_size(self.grid.shape)} voxels, the map has {_size(shape)}")
        # Of a single slice the distance to the next is not known, and nothing hangs on it.
        corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)]) * [*np.subtract(shape, 1), 1]
        apart = float(np.linalg.norm((corners @ (self.grid.affine - scan_map.grid.affine).T), axis=1).max())
        if not apart <= CLOSE:
            raise CaseError(f"{self.place}: its voxels are up to {apart:.4g} mm from the map's, expected {CLOSE:g} mm")
        if not np.isfinite(scan_map.values).all():
            missing = int(np.count_nonzero(~np.isfinite(scan_map.values)))
            raise MapError(f"{scan_map.title}: {missing} values of the map are not finite (NaN or infinite)")

    def stacked(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Slices in the order of ``images``, or of the frames as a multi-frame image holds them."""
        if not self.frames:
            return values
        stored = np.empty_like(values)
        stored[list(self.frames)] = values
        return stored

    def of_slice(self, index: int) -> tuple[Dataset, int | None]:
        """The image of a slice of the array, and which of its frames it is, from 1; None in a single-frame image.

        Raises:
            CaseError: no such slice.
        """
        if not 0 <= index < self.grid.shape[0]:
            raise CaseError(f"{self.place}: slice {index} of a scan with slices 0 to {self.grid.shape[0] - 1}")
        return (self.images[0], self.frames[index] + 1) if self.frames else (self.images[index], None)


def find_sources(path: Path, scan_map: ScanMap, series: str = "") -> Sources:
    """The images of the scan that a map was made of.

    Slices come in the order of their places, whatever their files are called. Each keeps its own place, which headers
    round, as it is; the map's grid is measured, as the scan's was, from the first slice to the last.

    Args:
        path: a DICOM file, or a folder or archive of slices.
        scan_map: a map on the voxels of that scan as it is stored.
        series: Series Instance UID or name, where there are several.

    Raises:
        CaseError: unreadable, not one scan, or of another shape or place than the map; a scan without the UIDs that
            a map needs to refer to it. The message names file and value.
        MapError: a map with values that are not finite.
    """
    if path.is_dir() or (path.suffix.lower() == ".zip" and path.is_file()):
        found = find_series(path, series)
        whole = found.is_multi_frame and found.patients == 1
        sources = _of_file(found.places[0]) if whole else _of_slices(path, found)
    else:
        sources = _of_file(path)
    sources.require(scan_map)
    return sources


def _of_slices(path: Path, series: Series) -> Sources:
    grid = series.grid()
    datasets = [read_dataset(place, pixels=False) for place in series.places]
    return _made(path, grid, datasets, series.places)


def _of_file(path: Path) -> Sources:
    dataset = read_dataset(path, pixels=False)
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        order, grid = placed(dataset, frame_groups(dataset, frames), frames)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    except Exception as error:  # damaged values surface wherever they are first used
        raise CaseError(f"{path}: unreadable DICOM ({reason_of(error)})") from error
    return _made(path, grid, [dataset], (path,), (0,) if order is None else tuple(int(index) for index in order))


def _made(
    path: Path, grid: Grid, datasets: list[Dataset], files: tuple[Path, ...], order: tuple[int, ...] = ()
) -> Sources:
    try:
        images = plane_headers(datasets, files, grid)
        datasets[0].decode()  # its texts are written in another character set
    except CaseError:
        raise
    except Exception as error:
        raise CaseError(f"{path}: unreadable DICOM ({reason_of(error)})") from error
    return Sources(path, grid, images, datasets[0], order if "NumberOfFrames" in images[0] else ())


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
