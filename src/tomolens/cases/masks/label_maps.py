"""Label maps: a number a voxel, in NIfTI, NRRD, MetaImage or PNG."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import CaseError
from ..formats import IMAGE_SUFFIXES, read_png, read_volume
from ..geometry import Grid, Volume
from ..places import suffix
from .layer import Layer, Wanted

SUFFIXES = (".png", *IMAGE_SUFFIXES)
LARGEST_LABEL = 2**24 - 1
"""Files are read as float32, which cannot tell larger whole numbers from their neighbours."""


def stem(path: Path) -> str:
    """The file's name without its suffix, which names the structure in collections of one file each."""
    name = path.name
    for ending in (".seg.nrrd", ".nii.gz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def read_label_map(path: Path, image: Volume, wanted: Wanted, numbers: Mapping[str, int]) -> list[Layer]:
    """The structures of a label map; all labels but 0 where none is asked for by name.

    Args:
        path: the file; 3D Slicer's ``.seg.nrrd`` brings its names, ``<file>.json`` beside any other may give
            ``{"labels": {"1": "aorta"}}``.
        image: that a PNG, which has no place of its own, lies on.
        wanted: names, or labels as text.
        numbers: label of each name, as the study file gives it; they come before the file's own.

    Raises:
        CaseError: unreadable, fractions, or none of the wanted structures.
    """
    values, grid = _values(path, image)
    if wanted.names is None or stem(path) in wanted:
        return [Layer(stem(path), values != 0, grid)]
    own = [(name, label) for label, name in _own_names(path).items() if name not in numbers]
    names = [*own, *numbers.items()]
    labels = {int(label) for label in np.unique(values)} - {0}
    named = names or [(str(label), label) for label in labels]
    chosen = {label: name for name, label in named if name in wanted}
    chosen |= {label: str(label) for label in labels if str(label) in wanted}
    if not chosen:
        try:
            wanted.check([*(name for name, _ in names), *map(str, sorted(labels))])
        except CaseError as error:
            raise CaseError(f"{path}: {error}; cases.mask_names can name its labels") from error
    return [Layer(name, values == label, grid) for label, name in chosen.items()]


def read_labels(path: Path, image: Volume, numbers: Mapping[str, int]) -> tuple[Layer, dict[int, str]]:
    """All labels of a label map as one layer, and the name of each label that has one; several may share a name.

    Of a label that the study file names, the file's own name gives way.

    Raises:
        CaseError: unreadable, fractions, or a name that the study file gives to another label than the file.
    """
    values, grid = _values(path, image, "anatomy")
    given = {label: name for name, label in numbers.items()}
    own = {label: name for label, name in _own_names(path).items() if label > 0 and label not in given}
    for label, name in own.items():
        if name in numbers:
            raise CaseError(
                f"{path}: it calls label {label} '{name}', which is label {numbers[name]} in cases.anatomy_names: "
                f"leave it out there, or give label {label} another name"
            )
    return Layer(stem(path), values.astype(np.min_scalar_type(int(values.max()))), grid), own | given


def _values(path: Path, image: Volume, what: str = "mask") -> tuple[np.ndarray, Grid]:
    values, grid = _stored(path, image, what)
    if not np.array_equal(values, np.rint(values)) or values.min() < 0:
        raise CaseError(f"{path}: values from {values.min()} to {values.max()}, expected whole labels from 0 on")
    if values.max() > LARGEST_LABEL:
        raise CaseError(f"{path}: label {values.max():.0f}, expected at most {LARGEST_LABEL}")
    return values, grid


def _stored(path: Path, image: Volume, what: str) -> tuple[np.ndarray, Grid]:
    if suffix(path) != ".png":
        volume = read_volume(path)
        return volume.hu, volume.grid
    if not path.is_file():
        raise CaseError(f"{path}: no such file")
    plane = read_png(path)
    if (1, *plane.shape) != image.grid.shape:
        raise CaseError(
            f"{path}: {what} of {plane.shape} pixels on an image of {image.grid.shape[1:]} pixels "
            f"({image.grid.shape[0]} slices): they must share one grid"
        )
    return plane[None], image.grid


def _own_names(path: Path) -> dict[int, str]:
    """Names of labels that come with a file.

    Raises:
        CaseError: unreadable, or two names of one label.
    """
    names: dict[int, str] = {}
    for label, name in _told_names(path):
        if names.setdefault(label, name) != name:
            raise CaseError(f"{path}: label {label} is called '{names[label]}' and '{name}', expected one name")
    return names


def _told_names(path: Path) -> list[tuple[int, str]]:
    beside = path.with_name(path.name + ".json")
    if beside.is_file():
        try:
            labels = json.loads(beside.read_text(encoding="utf-8"))["labels"]
            return [(int(label), str(name)) for label, name in labels.items()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CaseError(f'{beside}: expected {{"labels": {{"1": "name", ...}}}} ({error})') from error
    if suffix(path) != ".nrrd":
        return []
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    keys = sorted(reader.GetMetaDataKeys())
    segments = [key.removesuffix("_Name") for key in keys if key.endswith("_Name")]
    try:
        return [
            (int(reader.GetMetaData(f"{segment}_LabelValue")), reader.GetMetaData(f"{segment}_Name"))
            for segment in segments
            if f"{segment}_LabelValue" in keys
        ]
    except ValueError as error:
        raise CaseError(f"{path}: a segment's label is no whole number ({error})") from error
