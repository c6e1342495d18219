"""The mask of a case: from one or several files, one or several structures or readers, to one boolean image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ...errors import CaseError
from ..dicom.headers import SEGMENTATION, STRUCTURES
from ..dicom.pixels import read_dataset
from ..geometry import Volume
from ..places import require_file, suffix
from .contours import read_structures
from .label_maps import SUFFIXES, read_label_map, stem
from .layer import Layer, Mask, Wanted, on_grid
from .lidc import read_lidc
from .polygons import read_polygons
from .segmentations import read_segmentation


@dataclass(frozen=True)
class MaskChoice:
    """What of a mask's files counts.

    Attributes:
        names: structures whose union is the mask; None takes all there are.
        numbers: label of each name, for label maps that do not say.
        resample: whether a mask on another grid is brought onto the image's (nearest voxel), or refused.
    """

    names: tuple[str, ...] | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    resample: bool = False


def read_mask(paths: Sequence[Path], image: Volume, choice: MaskChoice, consensus: int | None = None) -> Mask:
    """The mask of an image, upright.

    Args:
        paths: label maps, DICOM SEG or RTSTRUCT, polygons (JSON), LIDC readings (XML), or folders of label maps
            with one structure each.
        image: as stored.
        choice: of structures.
        consensus: least number of layers (readers) that must agree on a pixel; None takes any.

    Returns:
        Bool ``(slices, rows, columns)`` on ``image.grid.upright()``.

    Raises:
        CaseError: missing, unreadable, on another grid, or without the wanted structures.
    """
    wanted = Wanted(choice.names)
    layers = [layer for path in paths for layer in read_layers(path, image, wanted, choice.numbers)]
    grid = image.grid.upright()
    votes = np.zeros(grid.shape, np.uint8)
    for layer in layers:
        try:
            votes += on_grid(layer, grid, resample=choice.resample)
        except CaseError as error:
            raise CaseError(f"{', '.join(map(str, paths))}: {error}") from error
    mask: Mask = votes >= (consensus or 1)
    return mask


def label_maps_in(folder: Path, wanted: Wanted) -> list[Path]:
    """The wanted label maps of a folder with one structure a file.

    Raises:
        CaseError: none of them.
    """
    parts = [part for part in sorted(folder.iterdir()) if suffix(part) in SUFFIXES]
    chosen = [part for part in parts if stem(part) in wanted]
    if not chosen:
        Wanted(wanted.names or ("any label map",)).check(stem(part) for part in parts)
    return chosen


def read_layers(path: Path, image: Volume, wanted: Wanted, numbers: Mapping[str, int]) -> list[Layer]:
    """The wanted structures of a file or folder of any kind, see `read_mask`.

    Raises:
        CaseError: missing, unreadable, or without the wanted structures.
    """
    if path.is_dir():
        chosen = label_maps_in(path, wanted)
        return [layer for part in chosen for layer in read_label_map(part, image, wanted, numbers)]
    require_file(path)
    if suffix(path) in SUFFIXES:
        return read_label_map(path, image, wanted, numbers)
    if suffix(path) == ".json":
        return read_polygons(path, image, wanted)
    if suffix(path) == ".xml":
        return read_lidc(path, image)
    if suffix(path) not in ("", ".dcm"):
        raise CaseError(
            f"{path}: unknown mask format '{suffix(path)}', expected one of {', '.join(SUFFIXES)}, .dcm (SEG or "
            "RTSTRUCT), .json (polygons), .xml (LIDC readings)"
        )
    dataset = _dataset(path, path.stat().st_mtime_ns if path.is_file() else 0)
    try:
        kind, modality = str(dataset.get("SOPClassUID", "")), dataset.get("Modality", "an object of no modality")
    except Exception as error:  # pydicom parses a value when it is first asked for
        raise CaseError(f"{path}: unreadable DICOM ({type(error).__name__}: {error})") from error
    if kind == SEGMENTATION:
        return read_segmentation(path, dataset, wanted)
    if kind == STRUCTURES:
        return read_structures(path, dataset, image, wanted)
    raise CaseError(f"{path}: {modality}, expected SEG or RTSTRUCT as a mask")


@lru_cache(maxsize=1)
def _dataset(path: Path, _changed: int) -> Dataset:
    """A mask's file stays in memory for the other slices of its scan."""
    return read_dataset(path)
