"""Cases of arrays in memory: images, labels and what else is known of them, checked and brought into one form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from .anatomy import Anatomy, labels_of_names, unnamed
from .case import Case, CaseEntry, Cases, Split
from .entries import Texts, entries_of, numbered

LARGEST_LABEL = 2**53
"""That every kind of number tells from its neighbour."""


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """Takes the images of an entry from arrays.

    Attributes:
        images: float32 ``(N, C, *spatial)``.
        masks: bool ``(N, *spatial)``, or None where there are none.
        twins: float32 ``(N, C, *spatial)``, or None where there are none.
        anatomy: int64 ``(N, *spatial)`` with the label of each name, or None where there is none.
        places: of each case in these arrays, by its name.
        in_memory: that nothing is won by keeping what was read.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    twins: NDArray[np.float32] | None
    places: Mapping[str, int]
    anatomy: Anatomy | None = None
    in_memory: ClassVar[bool] = True

    def __call__(self, entry: CaseEntry) -> Case:
        """The case, in memory of its own: what a network does to its input in place is not done to the arrays."""
        place = self.places[entry.name]
        image = self.images[place].copy()
        mask = None if self.masks is None else self.masks[place].copy()
        found = self.anatomy
        anatomy = None if found is None else Anatomy(found.labels[place].copy(), found.names)
        case = Case(entry.name, image, entry.label, entry.patient, mask, anatomy=anatomy)
        if self.twins is None:
            return case
        twin = self.twins[place].copy()
        return replace(case, evidence=np.abs(image - twin).sum(axis=0), twin=twin)


def cases_of_arrays(
    images: Any,
    labels: Any,
    *,
    masks: Any,
    patients: Texts | None,
    names: Texts | None,
    classes: Sequence[str] | None,
    twins: Any,
    anatomy: Any,
    anatomy_names: Mapping[str, int] | None,
    split: Sequence[Split | None] | None,
    keep_patients: bool,
) -> Cases:
    """See `Cases.from_arrays`."""
    shown = as_array(images, "images", names)
    if shown.ndim not in (4, 5) or shown.size == 0:
        raise CaseError(
            f"images of shape {shown.shape}, expected (N, C, rows, columns) or (N, C, slices, rows, columns)"
        )
    given = as_array(labels, "labels", names)
    if given.shape != (len(shown),):
        raise CaseError(f"labels of shape {given.shape} for {len(shown)} images, expected one an image")
    entries, classes = entries_of(
        [str(label) for label in given],
        patients=patients,
        names=names,
        classes=classes,
        split=split,
        keep_patients=keep_patients,
    )
    called = tuple(entry.name for entry in entries)
    pixels = _pixels(shown, called, "image")
    others = None if twins is None else _pixels(as_array(twins, "twins", names), called, "twin")
    if others is not None:
        if others.shape != pixels.shape:
            raise CaseError(f"twins of shape {others.shape} for images of {pixels.shape}, expected the same")
        for name, image, twin in zip(called, pixels, others, strict=True):
            if np.array_equal(image, twin):
                raise CaseError(f"case {name}: its twin is the image itself, so that nothing tells the labels apart")
    expert = None if masks is None else _masks(as_array(masks, "masks", names), pixels.shape, called)
    if anatomy_names is not None and anatomy is None:
        raise CaseError("anatomy_names without anatomy: give the label maps too")
    given_maps = None if anatomy is None else as_array(anatomy, "anatomy", names)
    structures = None if given_maps is None else _anatomy(given_maps, pixels.shape, called, anatomy_names)
    reader = ArrayReader(pixels, expert, others, {name: place for place, name in enumerate(called)}, structures)
    return Cases(entries, reader, classes)


def as_array(values: Any, what: str, names: Texts | None = None) -> NDArray[Any]:
    """A tensor, an array or a sequence of them as one array; ``names`` are those of the cases, if they have any.

    Raises:
        CaseError: of several shapes, or of no numbers.
    """
    if isinstance(values, list | tuple) and values and hasattr(values[0], "shape"):
        parts = [as_array(one, what) for one in values]
        for place, part in enumerate(parts):
            if part.shape != parts[0].shape:
                called = names[place] if names is not None and place < len(names) else numbered(place, len(parts))
                raise CaseError(f"case {called}: {what} of shape {part.shape}, the first one has {parts[0].shape}")
        return np.stack(parts)
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        values = tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of several lengths
        raise CaseError(f"{what}: no array ({error})") from error
    if array.dtype == object and all(isinstance(one, str) for one in array.flat):
        return array.astype(str)
    if array.dtype == object:
        raise CaseError(f"{what} of type {type(values).__name__}, expected an array or a tensor of numbers")
    return array


def as_pixels(values: NDArray[Any], where: str, what: str = "image") -> NDArray[np.float32]:
    """Values of one image as float32.

    Raises:
        CaseError: whole numbers, or values that are not finite in float32.
    """
    if not np.issubdtype(values.dtype, np.floating):
        raise CaseError(
            f"{where}: {what} of {values.dtype}, expected floating numbers, as the network takes them (within [0, 1], "
            "or the range that its Intensity declares)"
        )
    with np.errstate(over="ignore"):
        pixels = np.asarray(values, dtype=np.float32)
    wrong = int((~np.isfinite(pixels)).sum())
    if wrong:
        raise CaseError(f"{where}: {wrong} values of its {what} are not finite")
    return pixels


def as_mask(values: NDArray[Any], spatial: tuple[int, ...], where: str) -> NDArray[np.bool_]:
    """A mask ``(*spatial)`` or ``(1, *spatial)``, bool or 0 and 1, as bool ``(*spatial)``.

    Raises:
        CaseError: another shape, or other values.
    """
    if values.shape not in (spatial, (1, *spatial)):
        raise CaseError(f"{where}: mask of shape {values.shape}, expected {spatial} or {(1, *spatial)}")
    mask = values.reshape(spatial)
    if mask.dtype == np.bool_:
        return mask
    if not ((mask == 0) | (mask == 1)).all():
        found = ", ".join(f"{value:g}" for value in np.unique(mask)[:6])
        raise CaseError(
            f"{where}: its mask has the values {found}, expected bool or 0 and 1: compare a label map with the labels "
            "that are meant"
        )
    return np.asarray(mask == 1)


def as_labels(values: NDArray[Any], spatial: tuple[int, ...], where: str) -> NDArray[np.int64]:
    """A label map ``(*spatial)`` or ``(1, *spatial)`` of whole numbers from 0 on, as int64 ``(*spatial)``.

    Raises:
        CaseError: another shape, or other values.
    """
    if values.shape not in (spatial, (1, *spatial)):
        raise CaseError(f"{where}: anatomy of shape {values.shape}, expected {spatial} or {(1, *spatial)}")
    expected = "is no label map, expected whole numbers from 0 (no structure) on"
    if values.dtype.kind not in "biuf":
        raise CaseError(f"{where}: its anatomy of {values.dtype} {expected}")
    numbers = (
        values.astype(np.int64 if values.dtype.kind == "b" else np.float64) if values.dtype.kind in "bf" else values
    )
    with np.errstate(invalid="ignore"):
        wrong = (numbers < 0) | (numbers > LARGEST_LABEL)
    if values.dtype.kind == "f":
        wrong |= ~np.isfinite(numbers) | (numbers != np.rint(numbers))
    if wrong.any():
        raise CaseError(f"{where}: its anatomy with the value {numbers[wrong][0]} {expected}, {LARGEST_LABEL} at most")
    return numbers.reshape(spatial).astype(np.int64)


def _anatomy(
    values: NDArray[Any], shape: tuple[int, ...], names: Sequence[str], structures: Mapping[str, int] | None
) -> Anatomy:
    if values.shape[:1] != (len(names),):
        raise CaseError(f"anatomy of shape {values.shape} for {len(names)} images, expected one label map an image")
    spatial = tuple(shape[2:])
    labels = np.stack([as_labels(one, spatial, f"case {name}") for name, one in zip(names, values, strict=True)])
    if structures is None:
        return Anatomy(labels, {unnamed(label): label for label in np.unique(labels).tolist() if label})
    return Anatomy(labels, labels_of_names(structures, "anatomy_names"))


def _pixels(values: NDArray[Any], names: Sequence[str], what: str) -> NDArray[np.float32]:
    if values.shape[:1] != (len(names),):
        raise CaseError(f"{what}s of shape {values.shape} for {len(names)} images, expected one an image")
    if values.dtype == np.float32 and bool(np.isfinite(values).all()):
        return values
    return np.stack([as_pixels(one, f"case {name}", what) for name, one in zip(names, values, strict=True)])


def _masks(values: NDArray[Any], shape: tuple[int, ...], names: Sequence[str]) -> NDArray[np.bool_]:
    count, spatial = len(names), tuple(shape[2:])
    if values.shape not in ((count, *spatial), (count, 1, *spatial)):
        raise CaseError(
            f"masks of shape {values.shape} for images of {shape}, expected (N, *spatial) or (N, 1, *spatial)"
        )
    if values.dtype == np.bool_:
        return values.reshape(count, *spatial)
    return np.stack([as_mask(one, spatial, f"case {name}") for name, one in zip(names, values, strict=True)])
