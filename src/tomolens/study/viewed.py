"""Cases kept small enough to look at by the hundred: a byte a pixel for each map, in the order of its values.

A map is stored by rank: 0 where its value is 0, and else its sign and the rank of its magnitude, in 127 steps. So the
order of the pixels survives, as they are and absolute; the mean of each step is kept beside it.
"""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from ..errors import SettingsError
from .evaluate import Evaluation

STEPS = 127
SHOWN = ("fidelity", "auc", "dice_own_share", "evidence")
"""Numbers of a case's maps that are shown beside them."""
CORRECT = ("most_important_first", "least_important_first")


@dataclass(frozen=True)
class ViewedCase:
    """What a viewer shows of a case; of a volume, its middle slice.

    Attributes:
        name: of the case.
        label: true class.
        predicted: by the network.
        image: uint8 ``(rows, columns)``, channels averaged, 0..255 for [0, 1].
        mask: bool ``(rows, columns)``, or None.
        maps: int8 ``(rows, columns)`` by rank, for each estimator, channels summed.
        values: float32 ``(128,)``: mean magnitude of each step of each map, 0 first.
        regions: uint8 ``(rows, columns)``, rank of each region map's values, 255 the most important.
        correct: for each map ``(2, steps + 1)``, 0 or 1: most important first, then least.
        numbers: for each map, see `SHOWN`.
    """

    name: str
    label: int
    predicted: int
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    maps: Mapping[str, NDArray[np.int8]]
    values: Mapping[str, NDArray[np.float32]]
    regions: Mapping[tuple[str, str], NDArray[np.uint8]]
    correct: Mapping[tuple[str, str], NDArray[np.uint8]]
    numbers: Mapping[tuple[str, str], Mapping[str, float]]


def by_rank(importance: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Sign and rank of each value, and the mean magnitude of each rank, see `ViewedCase`."""
    magnitude = np.abs(importance).ravel()
    there = magnitude > 0
    ranks = np.zeros(magnitude.size, dtype=np.int64)
    levels, position, counts = np.unique(magnitude[there], return_inverse=True, return_counts=True)
    if len(levels):
        middle = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        ranks[there] = (1 + np.floor(middle * STEPS)).astype(np.int64)[position]
    totals, members = np.bincount(ranks, magnitude, STEPS + 1), np.bincount(ranks, minlength=STEPS + 1)
    values = np.divide(totals, members, out=np.zeros(STEPS + 1), where=members > 0)
    signed = np.sign(importance).ravel() * ranks
    return signed.reshape(importance.shape).astype(np.int8), values.astype(np.float32)


def encode(case: Case, evaluation: Evaluation) -> bytes:
    """The file of a case."""
    maps = {name: to_look_at(importance.cpu().numpy().sum(axis=0)) for name, importance in evaluation.maps.items()}
    arrays: dict[str, Any] = {
        "name": np.array(case.name),
        "facts": np.array([case.label, evaluation.predicted]),
        "image": np.round(255 * to_look_at(case.image.mean(axis=0)).clip(0, 1)).astype(np.uint8),
    }
    if case.mask is not None:
        arrays["mask"] = to_look_at(case.mask)
    for name, importance in maps.items():
        arrays[f"map/{name}"], arrays[f"values/{name}"] = by_rank(importance)
    for key, regions in evaluation.region_maps.items():
        plane = to_look_at(regions)
        levels, position = np.unique(plane, return_inverse=True)
        ranks = position.reshape(plane.shape) * (255 / max(1, len(levels) - 1))
        arrays[f"regions/{'/'.join(key)}"] = np.round(ranks).astype(np.uint8)
    for one in evaluation.measurements:
        if one.estimator in maps and one.metric in CORRECT and one.curve is not None:
            arrays[f"correct/{one.estimator}/{one.signs}/{one.metric}"] = np.array(one.curve, dtype=np.uint8)
        elif one.estimator in maps and one.metric in SHOWN:
            arrays[f"number/{one.estimator}/{one.signs}/{one.metric}"] = np.array(one.value)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def write_viewed(folder: Path, index: int, content: bytes) -> None:
    """Keep the file of the case at a place in the study, atomically."""
    folder.mkdir(exist_ok=True)
    partial = folder / f"{index:08d}.partial"
    partial.write_bytes(content)
    os.replace(partial, folder / f"{index:08d}.npz")


def read_viewed(file: Path) -> ViewedCase:
    """A case as `encode` wrote it.

    Raises:
        SettingsError: a damaged file.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            parts: dict[str, dict[tuple[str, ...], NDArray[Any]]] = {}
            for key in arrays.files:
                kind, *rest = key.split("/")
                parts.setdefault(kind, {})[tuple(rest)] = arrays[key]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{file}: damaged ({error}); run the study into another folder") from error
    correct, numbers = parts.get("correct", {}), parts.get("number", {})
    measured = dict.fromkeys((estimator, signs) for estimator, signs, _ in (*correct, *numbers))
    label, predicted = (int(value) for value in parts["facts"][()])
    return ViewedCase(
        str(parts["name"][()]),
        label,
        predicted,
        parts["image"][()],
        parts["mask"][()] if "mask" in parts else None,
        {name: one for (name,), one in parts.get("map", {}).items()},
        {name: one for (name,), one in parts.get("values", {}).items()},
        {(estimator, signs): one for (estimator, signs), one in parts.get("regions", {}).items()},
        {key: np.stack([correct[*key, way] for way in CORRECT]) for key in measured if (*key, CORRECT[0]) in correct},
        {key: {name: float(numbers[*key, name]) for name in SHOWN if (*key, name) in numbers} for key in measured},
    )


def to_look_at(array: NDArray[Any]) -> NDArray[Any]:
    """A slice to look at: the array itself, or the middle of a volume."""
    while array.ndim > 2:
        array = array[array.shape[0] // 2]
    return array
