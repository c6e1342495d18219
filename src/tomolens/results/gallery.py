"""Cases kept small enough to look at by the hundred: a byte a pixel for each map, in the order of its values.

A map is stored by rank: 0 where its value is 0, and else its sign and the rank of its magnitude, in 127 steps. So the
order of the pixels survives, as they are and absolute; the mean of each step is kept beside it.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declarations import Output
from .arrays import Parts, read_arrays, write_whole
from .example import Example
from .rows import Measurement

STEPS = 127
MOST_CHANNELS = 8
ORDERS = ("most important", "least important")
"""Which pixels are masked first along each of a case's two curves of decisions."""


@dataclass(frozen=True)
class GalleryCase:
    """What the page shows of a case; of a volume, the slice with most of its mask, or the middle one without.

    Attributes:
        name: of the case.
        label: true class.
        predicted: by the network.
        fill: mean value of masked pixels in each channel, 0 (black) to 1 (white).
        image: uint8 ``(C, rows, columns)``, 0..255 for [0, 1]; of more channels the first `MOST_CHANNELS`.
        mask: bool ``(rows, columns)``, or None.
        planes: of the volume that the image is a slice of; 1 for a slice.
        height: which of them it is, counted from the feet.
        maps: int8 ``(rows, columns)`` by rank, for each estimator as it is, and absolute where that is more than its
            magnitude: of several channels it is the sum of theirs.
        values: float32 ``(128,)``: mean magnitude of each step of each of these, 0 first.
        regions: uint8 ``(rows, columns)``, rank of each region map's values, 255 the most important.
        correct: for each map ``(2, steps + 1)``, 0 or 1: whether the decision is right, in both `ORDERS` of masking.
        numbers: for each map, by the name of the output: those that judge maps.
    """

    name: str
    label: int
    predicted: int
    fill: tuple[float, ...]
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    planes: int
    height: int
    maps: Mapping[tuple[str, str], NDArray[np.int8]]
    values: Mapping[tuple[str, str], NDArray[np.float32]]
    regions: Mapping[tuple[str, str], NDArray[np.uint8]]
    correct: Mapping[tuple[str, str], NDArray[np.uint8]]
    numbers: Mapping[tuple[str, str], Mapping[str, float]]


def by_rank(importance: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Sign and rank of each value, and the mean magnitude of each rank, see `GalleryCase`."""
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


def encode(
    example: Example, measurements: Iterable[Measurement], outputs: Mapping[str, Output], fill: Sequence[float]
) -> bytes:
    """The file of a case.

    Args:
        example: the case with its maps.
        measurements: of its maps.
        outputs: what was measured, by name.
        fill: mean value of masked pixels in each channel, 0 (black) to 1 (white).
    """
    original = {name: plane for (name, form), plane in example.maps.items() if form == "original"}
    height = height_to_look_at(example)
    maps = {
        key: to_look_at(plane, height)
        for key, plane in example.maps.items()
        if key[1] == "original" or not np.array_equal(plane, np.abs(original[key[0]]))
    }
    arrays: dict[str, Any] = {
        "name": np.array(example.name),
        "facts": np.array([example.label, example.predicted]),
        "fill": np.array(fill[:MOST_CHANNELS]),
        "planes": np.array(1 if example.image.ndim < 4 else example.image.shape[1]),
        "height": np.array(height),
        "image": np.stack([_bytes(to_look_at(channel, height)) for channel in example.image[:MOST_CHANNELS]]),
    }
    if example.mask is not None:
        arrays["mask"] = to_look_at(example.mask, height)
    for key, importance in maps.items():
        name = "/".join(key)
        arrays[f"map/{name}"], arrays[f"values/{name}"] = by_rank(importance)
    for key, regions in example.region_maps.items():
        plane = to_look_at(regions, height)
        levels, position = np.unique(plane, return_inverse=True)
        ranks = position.reshape(plane.shape) * (255 / max(1, len(levels) - 1))
        arrays[f"regions/{'/'.join(key)}"] = np.round(ranks).astype(np.uint8)
    for one in measurements:
        output = outputs.get(one.metric)
        if output is None or one.choice or one.estimator not in original:
            continue
        if output.masked and one.curve is not None:
            arrays[f"correct/{one.estimator}/{one.form}/{output.masked}"] = np.array(one.curve, dtype=np.uint8)
        elif output.view is not None:
            arrays[f"number/{one.estimator}/{one.form}/{one.metric}"] = np.array(one.value)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def write_gallery_case(folder: Path, index: int, content: bytes) -> None:
    """Keep the file of the case of that index in the study, atomically."""
    write_whole(folder / f"{index:08d}.npz", content)


def read_gallery_case(file: Path) -> GalleryCase:
    """A case as `encode` wrote it.

    Raises:
        SettingsError: a damaged file.
    """
    return read_arrays(file, _gallery_case)


def _gallery_case(parts: Parts) -> GalleryCase:
    correct, numbers = parts.get("correct", {}), parts.get("number", {})
    measured = dict.fromkeys((estimator, form) for estimator, form, _ in (*correct, *numbers))
    label, predicted = (int(value) for value in parts["facts"][()])
    image, maps = parts["image"][()], {(name, form): one for (name, form), one in parts.get("map", {}).items()}
    image = image.reshape(-1, *image.shape[-2:])  # before there were channels to choose from, it was one
    fill = tuple(float(one) for one in np.atleast_1d(parts["fill"][()]))
    if len(fill) != len(image) or any(one.shape != image.shape[1:] for one in maps.values()):
        raise ValueError(f"maps or fill of another shape than the image's {image.shape}")
    return GalleryCase(
        str(parts["name"][()]),
        label,
        predicted,
        fill,
        image,
        parts["mask"][()] if "mask" in parts else None,
        int(parts["planes"][()]),
        int(parts["height"][()]) if "height" in parts else int(parts["planes"][()]) // 2,
        maps,
        {key: parts["values"][key] for key in maps},
        {(estimator, form): one for (estimator, form), one in parts.get("regions", {}).items()},
        {key: np.stack([correct[*key, order] for order in ORDERS]) for key in measured if (*key, ORDERS[0]) in correct},
        {key: {name: float(one) for (*of, name), one in numbers.items() if tuple(of) == key} for key in measured},
    )


def _bytes(channel: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(255 * channel.clip(0, 1)).astype(np.uint8)


def height_to_look_at(example: Example) -> int:
    """Which slice of a volume is shown, counted from the feet: that with most of its mask, or the middle one without.

    0 for a slice.
    """
    if example.image.ndim < 4:
        return 0
    areas = np.zeros(example.image.shape[1]) if example.mask is None else example.mask.sum(axis=(1, 2))
    most = np.flatnonzero(areas == areas.max())  # all of them without a mask
    return int(most[len(most) // 2])


def to_look_at(array: NDArray[Any], height: int) -> NDArray[Any]:
    """A slice to look at: the array ``(*spatial)`` itself, or that slice of a volume."""
    plane: NDArray[Any] = array if array.ndim == 2 else array[height]
    return plane


def projected(importance: NDArray[np.floating]) -> NDArray[np.floating]:
    """A map to look at: itself, or of a volume the value of the largest magnitude along the scan, with its sign.

    Example:
        >>> projected(np.array([[[1.0, 0.0]], [[-3.0, 2.0]]])).tolist()
        [[-3.0, 2.0]]
    """
    if importance.ndim == 2:
        return importance
    largest = np.abs(importance).argmax(axis=0)
    found: NDArray[np.floating] = np.take_along_axis(importance, largest[None], axis=0)[0]
    return found
