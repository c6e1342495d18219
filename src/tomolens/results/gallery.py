"""Cases kept small enough to look at by the hundred: a byte a pixel for each map, in the order of its values.

A map is stored by rank: 0 where its value is 0, and else its sign and the rank of its magnitude, in 127 steps. So the
order of the pixels survives, as they are and absolute; the mean of each step is kept beside it.
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declarations import FORMS, Filled, Output
from .arrays import Parts, read_arrays, write_whole
from .example import Example
from .rows import Measurement

STEPS = 127
MOST_CHANNELS = 8
MOST_VOXELS = 64**3
ORDERS = ("most important", "least important")
"""Which pixels are masked first along each of a case's two curves of decisions."""


@dataclass(frozen=True)
class GalleryCase:
    """What the page shows of a case; of a volume every so many voxels, at most `MOST_VOXELS`.

    Attributes:
        name: of the case.
        label: true class.
        predicted: by the network.
        fill: mean value of masked pixels in each channel, 0 (black) to 1 (white).
        image: uint8 ``(C, *spatial)``, 0..255 for [0, 1]; of more channels the first `MOST_CHANNELS`.
        mask: bool ``(*spatial)``, or None.
        height: the slice of a volume that is shown first, counted from the feet; 0 of a slice.
        maps: int8 ``(*spatial)`` by rank, for each estimator as it is, and absolute where that is more than its
            magnitude: of several channels it is the sum of theirs.
        values: float32 ``(128,)``: mean magnitude of each step of each of these, 0 first.
        regions: uint8 ``(*spatial)``, rank of each region map's values, 255 the most important.
        correct: for each map ``(2, steps + 1)``, 0 or 1: whether the decision is right, in both `ORDERS` of masking.
        numbers: for each map, by the name of the output: those that judge maps.
        explained: the class whose maps these are.
        twin: uint8 ``(*spatial)``, the first channel of the same image with the finding taken away or put in.
        beside: names of the maps that never look at the network, and of the truth: among ``maps``, as they are.
        steps: uint8 ``(*spatial)`` of each map, absolute ones where they differ: at which step of the masking a
            pixel goes, the most important first.
        along: float32 ``(2, steps + 1)`` of each map: the explained class's probability, in both `ORDERS`; NaN where it
            is not known.
        spacing: millimetres from pixel to pixel along each axis, where that is known.
        upright: whether the image is known to lie as a radiologist looks at it.
        strides: every how many of the image's own voxels are kept along each axis; empty where all are.
        full: the image's own ``(*spatial)``; empty where it is the one that is kept.
        filled: with what masked pixels were filled in ``correct`` and ``along``.
    """

    name: str
    label: int
    predicted: int
    fill: tuple[float, ...]
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    height: int
    maps: Mapping[tuple[str, str], NDArray[np.int8]]
    values: Mapping[tuple[str, str], NDArray[np.float32]]
    regions: Mapping[tuple[str, str], NDArray[np.uint8]]
    correct: Mapping[tuple[str, str], NDArray[np.uint8]]
    numbers: Mapping[tuple[str, str], Mapping[str, float]]
    explained: int = 0
    twin: NDArray[np.uint8] | None = None
    beside: Sequence[str] = ()
    steps: Mapping[tuple[str, str], NDArray[np.uint8]] = field(default_factory=dict)
    along: Mapping[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    spacing: tuple[float, ...] | None = None
    upright: bool = False
    strides: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    filled: Filled = "fill"

    @property
    def whole(self) -> tuple[int, ...]:
        """Shape of the image before it was thinned."""
        return self.full or self.image.shape[1:]

    @property
    def every(self) -> tuple[int, ...]:
        """Every how many voxels are kept along each axis."""
        return self.strides or (1,) * (self.image.ndim - 1)


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
    strides = _strides(example.image.shape[1:])
    maps = {
        key: _coarser(plane, strides)
        for key, plane in example.maps.items()
        if key[1] == "original" or not np.array_equal(plane, np.abs(original[key[0]]))
    }
    arrays: dict[str, Any] = {
        "name": np.array(example.name),
        "facts": np.array([example.label, example.predicted, _explained(example)]),
        "beside": np.array(list(example.beside), dtype=np.str_),
        "fill": np.array(fill[:MOST_CHANNELS]),
        "height": np.array(height_to_look_at(example) // strides[0] if len(strides) == 3 else 0),
        "image": np.stack([_bytes(_coarser(channel, strides)) for channel in example.image[:MOST_CHANNELS]]),
    }
    if example.mask is not None:
        arrays["mask"] = _coarser(example.mask, strides)
    if example.twin is not None:
        arrays["twin"] = _bytes(_coarser(example.twin[0], strides))
    if example.spacing is not None:
        arrays["spacing"] = np.array(example.spacing)[-len(strides) :] * strides
    arrays["upright"] = np.array(example.upright)
    if max(strides) > 1:
        arrays |= {"strides": np.array(strides), "full": np.array(example.image.shape[1:])}
    maps |= {(name, "original"): _coarser(plane, strides) for name, plane in example.beside.items()}
    arrays |= {f"steps/{'/'.join(key)}": _coarser(one, strides) for key, one in _distinct(example.steps).items()}
    shown = {name for name, _ in maps}
    arrays |= {
        f"along/{'/'.join(key)}": one.astype(np.float16)
        for key, one in example.along.items()
        if key[0] in shown and key[1] in FORMS
    }
    for key, importance in maps.items():
        name = "/".join(key)
        arrays[f"map/{name}"], arrays[f"values/{name}"] = by_rank(importance)
    for key, regions in example.region_maps.items():
        plane = _coarser(regions, strides)
        levels, position = np.unique(plane, return_inverse=True)
        ranks = position.reshape(plane.shape) * (255 / max(1, len(levels) - 1))
        arrays[f"regions/{'/'.join(key)}"] = np.round(ranks).astype(np.uint8)
    measured = [
        (one, outputs[one.metric])
        for one in measurements
        if one.metric in outputs and not one.choice and (one.estimator in original or one.estimator in example.beside)
    ]
    filled = _filled(outputs, {one.metric for one, _ in measured})
    arrays["filled"] = np.array(filled)
    for one, output in measured:
        if output.masked and one.curve is not None:
            if output.filled != filled:
                continue
            arrays[f"correct/{one.estimator}/{one.form}/{output.masked}"] = np.array(one.curve, dtype=np.uint8)
        elif output.view is not None:
            arrays[f"number/{one.estimator}/{one.form}/{one.metric}"] = np.array(one.value)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _filled(outputs: Mapping[str, Output], measured: Collection[str]) -> Filled:
    """Of several ways of masking the first that was measured is kept."""
    return next((one.filled for name, one in outputs.items() if one.masked and name in measured), "fill")


def _explained(example: Example) -> int:
    return example.predicted if example.explained is None else example.explained


def _distinct(steps: Mapping[tuple[str, str], NDArray[np.uint8]]) -> dict[tuple[str, str], NDArray[np.uint8]]:
    """Without absolute maps that go as their originals do."""
    return {
        (name, form): one
        for (name, form), one in steps.items()
        if form == "original" or not np.array_equal(one, steps.get((name, "original"), ()))
    }


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
    label, predicted, *explained = (int(value) for value in parts["facts"][()])
    image, maps = parts["image"][()], {(name, form): one for (name, form), one in parts.get("map", {}).items()}
    image = image[None] if image.ndim == 2 else image  # before there were channels to choose from, it was one
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
        int(parts["height"][()]) if "height" in parts and image.ndim == 4 else 0,  # older ones kept that slice alone
        maps,
        {key: parts["values"][key] for key in maps},
        {(estimator, form): one for (estimator, form), one in parts.get("regions", {}).items()},
        {key: np.stack([correct[*key, order] for order in ORDERS]) for key in measured if (*key, ORDERS[0]) in correct},
        {key: {name: float(one) for (*of, name), one in numbers.items() if tuple(of) == key} for key in measured},
        *_beside(parts, explained[0] if explained else predicted),
    )


def _beside(parts: Parts, explained: int) -> tuple[Any, ...]:
    """What stands beside the maps; older files have none of it."""
    steps = {(name, form): one for (name, form), one in parts.get("steps", {}).items()}
    along = {(name, form): one.astype(np.float32) for (name, form), one in parts.get("along", {}).items()}
    spacing = tuple(float(one) for one in parts["spacing"][()]) if "spacing" in parts else None
    beside = tuple(str(one) for one in parts["beside"][()]) if "beside" in parts else ()
    # Of older files it is not known how their images lie.
    upright = bool(parts["upright"][()]) if "upright" in parts else False
    thinned = (tuple(int(one) for one in parts[name][()]) if name in parts else () for name in ("strides", "full"))
    filled = str(parts["filled"][()]) if "filled" in parts else "fill"
    twin = parts["twin"][()] if "twin" in parts else None
    return explained, twin, beside, steps, along, spacing, upright, *thinned, filled


def _bytes(channel: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(255 * channel.clip(0, 1)).astype(np.uint8)


def _strides(spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Every how many voxels along each axis are kept of a volume; all of a slice."""
    strides = [1] * len(spatial)
    while len(spatial) == 3 and prod(ceil(one / by) for one, by in zip(spatial, strides, strict=True)) > MOST_VOXELS:
        longest = max(range(3), key=lambda axis: spatial[axis] / strides[axis])
        strides[longest] += 1
    return tuple(strides)


def _coarser(array: NDArray[Any], strides: tuple[int, ...]) -> NDArray[Any]:
    """Every so many voxels of ``(*spatial)``."""
    return array[tuple(slice(by // 2, None, by) for by in strides)]


def height_to_look_at(example: Example) -> int:
    """Which slice of a volume to look at, counted from the feet: that with most of its mask, or the middle one without.

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
