"""The anatomy of a case from its files: every structure by its name, as one map of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import CaseError
from ..anatomy import Anatomy, require_structure, unnamed
from ..geometry import Grid, Volume
from ..places import require_file, suffix
from .label_maps import SUFFIXES, read_labels, stem
from .layer import Labels, Layer, Wanted, on_grid
from .mask import MaskChoice, label_maps_in, read_layers

OVERLAP = "structures of its anatomy overlap: pixels of several are the smallest one's"
"""A note of such a case."""


def read_anatomy(paths: Sequence[Path], image: Volume, choice: MaskChoice) -> tuple[Anatomy, tuple[str, ...]]:
    """The structures of an image, upright, with notes on what is odd.

    Args:
        paths: of the kinds that `read_mask` reads. A label map of several structures names them as there; one in a
            folder, or one of several files without names, is one structure and is called as its file. Labels of one
            name are one structure.
        image: as stored.
        choice: of structures.

    Returns:
        Labels ``(slices, rows, columns)`` on ``image.grid.upright()``.

    Raises:
        CaseError: missing, unreadable, on another grid, without the wanted structures, or with names that structures
            cannot have.
    """
    grid, found = image.grid.upright(), []
    for path in paths:
        for layer, names in _named(path, image, choice, alone=len(paths) == 1):
            try:
                found.append((on_grid(layer, grid, resample=choice.resample, what="anatomy"), names))
            except CaseError as error:
                raise CaseError(f"{path}: {error}") from error
    if len(found) == 1:
        labels, names = found[0]
        return Anatomy(np.where(np.isin(labels, list(names.values())), labels, 0).astype(np.int64), names), ()
    return _together(found, grid)


def _named(path: Path, image: Volume, choice: MaskChoice, *, alone: bool) -> list[tuple[Layer, dict[str, int]]]:
    """Layers of a file or folder, with the label of each of their structures."""
    wanted = Wanted(choice.names)
    if path.is_dir():
        return [_of_one(part, image) for part in label_maps_in(path, wanted)]
    require_file(path)
    if suffix(path) not in SUFFIXES:
        return [_checked(path, layer) for layer in read_layers(path, image, wanted, choice.numbers)]
    layer, names = read_labels(path, image, choice.numbers)
    if not names and not alone:
        return [_of_one(path, image)] if stem(path) in wanted else []
    there = [label for label in np.unique(layer.mask).tolist() if label]
    chosen = _chosen(names or {label: unnamed(label) for label in there}, there, wanted)
    if not chosen and wanted.names is not None:
        try:
            wanted.check([*names.values(), *map(str, there)])
        except CaseError as error:
            raise CaseError(f"{path}: {error}; cases.anatomy_names can name its labels") from error
    for label, name in chosen.items():
        require_structure(name, label, str(path))
    return [_joined(layer, chosen)]


def _of_one(path: Path, image: Volume) -> tuple[Layer, dict[str, int]]:
    layer, _ = read_labels(path, image, {})
    return _checked(path, replace(layer, mask=layer.mask > 0))


def _checked(path: Path, layer: Layer) -> tuple[Layer, dict[str, int]]:
    """A layer of one structure, which is called as itself."""
    require_structure(layer.name, None, str(path))
    return layer, {layer.name: 1}


def _chosen(names: Mapping[int, str], there: Sequence[int], wanted: Wanted) -> dict[int, str]:
    """Of the names those that are wanted, and labels that are asked for as such."""
    chosen = {label: name for label, name in names.items() if name in wanted}
    if wanted.names is not None:
        chosen |= {label: unnamed(label) for label in there if str(label) in wanted and label not in chosen}
    return chosen


def _joined(layer: Layer, chosen: Mapping[int, str]) -> tuple[Layer, dict[str, int]]:
    """Labels of one name as one of them, the smallest."""
    names: dict[str, int] = {}
    labels = layer.mask.copy()
    for label, name in sorted(chosen.items()):
        pixels = layer.mask == label
        if names.setdefault(name, label) != label and pixels.any():
            labels[pixels] = names[name]
    return replace(layer, mask=labels), {name: names[name] for name in dict.fromkeys(chosen.values())}


def _together(found: Sequence[tuple[Labels, Mapping[str, int]]], grid: Grid) -> tuple[Anatomy, tuple[str, ...]]:
    """One map of several: where structures overlap, the smaller one lies over the larger one."""
    parts: dict[str, Labels] = {}
    for labels, names in found:
        for name, label in names.items():
            own = labels == label
            parts[name] = parts[name] | own if name in parts else own
    numbers = {name: number for number, name in enumerate(parts, start=1)}
    joined, filled = np.zeros(grid.shape, np.int64), 0
    for name in sorted(parts, key=lambda name: -int(parts[name].sum())):
        joined[parts[name]] = numbers[name]
        filled += int(parts[name].sum())
    overlap = filled > int((joined > 0).sum())
    return Anatomy(joined, numbers), (OVERLAP,) if overlap else ()
