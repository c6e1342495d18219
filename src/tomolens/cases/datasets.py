"""Cases of a torch or MONAI dataset, whose items are read when they are asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import CaseError
from .arrays import as_array, as_mask, as_pixels
from .case import Case, CaseEntry, Cases, Split
from .entries import entries_of, numbered, require_name
from .meta_tensor import grid_of_meta_tensor

IN_A_TUPLE = ("image", "label", "mask")
"""What an item that is no dictionary holds, in this order."""
PATH = re.compile(
    r"""(?<=')[^']*[/\\][^']*(?=')|(?<=")[^"]*[/\\][^"]*(?=")|(?<![\w.])(?:[A-Za-z]:)?[/\\][^:;,'"()<>]*"""
)
"""In what a dataset says of an item: it may name a patient, and reasons stand in results."""


@dataclass(frozen=True)
class Keys:
    """Where an item has what; None for what it does not have."""

    image: str
    label: str
    mask: str | None
    patient: str | None
    name: str | None


@dataclass(frozen=True, eq=False)
class DatasetReader:
    """Reads the item of an entry.

    Attributes:
        dataset: of torch or MONAI; for worker processes it is pickled.
        keys: of its items.
        places: of each case in the dataset, by its name.
        fingerprints: of each image as it was first, by its name.
    """

    dataset: Any
    keys: Keys
    places: Mapping[str, int]
    fingerprints: Mapping[str, str]

    def __call__(self, entry: CaseEntry) -> Case:
        """Read the item.

        Raises:
            CaseError: it cannot be read or used, or is another image than before.
        """
        where = f"case {entry.name}"
        item = read_item(self.dataset, self.places[entry.name], self.keys, where)
        case = case_of(item, entry.name, entry.label, entry.patient, where)
        if case.fingerprint != self.fingerprints[entry.name]:
            raise CaseError(
                f"{where}: its item is another image than when it was first read: give a dataset without random "
                "transforms"
            )
        return case


def cases_of_dataset(
    dataset: Any,
    keys: Keys,
    *,
    classes: Sequence[str] | None,
    split: Sequence[Split | None] | None,
    keep_patients: bool,
) -> Cases:
    """See `Cases.from_dataset`."""
    count = _length(dataset)
    names, labels, patients, fingerprints = [], [], [], []
    shape: tuple[int, ...] | None = None
    for place in range(count):
        item = read_item(dataset, place, keys, f"item {place}")
        name = str(_plain(item["name"])) if keys.name else numbered(place, count)
        require_name(name, f"item {place}")
        where = f"case {name} (item {place})"
        case = case_of(item, name, 0, "", where)
        shape = shape or case.image.shape
        if case.image.shape != shape:
            raise CaseError(
                f"{where}: image of shape {case.image.shape}, the first one has {shape}: bring all to one shape"
            )
        names.append(name)
        labels.append(_label(item["label"], where))
        patients.append(_plain(item["patient"]) if keys.patient else name)
        fingerprints.append(case.fingerprint)
    entries, known = entries_of(
        labels,
        patients=patients if keys.patient else None,
        names=names,
        classes=classes,
        split=split,
        keep_patients=keep_patients,
    )
    called = [entry.name for entry in entries]
    seen = dict(zip(called, fingerprints, strict=True))
    reader = DatasetReader(dataset, keys, {name: place for place, name in enumerate(called)}, seen)
    return Cases(entries, reader, known, dict(seen))


def read_item(dataset: Any, place: int, keys: Keys, where: str) -> dict[str, Any]:
    """What an item has, by our names for it, read with one thread of torch: more add up in another order.

    Raises:
        CaseError: it cannot be read, is neither a dictionary nor a tuple, lacks something, or is several.
    """
    try:
        with _one_thread():
            item = dataset[place]
    except Exception as error:  # a dataset of one's own may raise anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        told = PATH.sub("a file", " ".join(reason.split()))[:300]
        raise CaseError(f"{where}: the dataset cannot read it ({type(error).__name__}: {told})") from error
    if isinstance(item, Mapping):
        return _of_dictionary(item, keys, where)
    if not isinstance(item, list | tuple):
        raise CaseError(f"{where}: {type(item).__name__}, expected a dictionary or a tuple (image, label[, mask])")
    if item and all(isinstance(one, Mapping) for one in item):
        raise CaseError(
            f"{where}: a list of {len(item)} dictionaries, expected one (of a transform that crops several samples?)"
        )
    if len(item) not in (2, 3):
        raise CaseError(
            f"{where}: {type(item).__name__} of {len(item)}, expected (image, label) or (image, label, mask)"
        )
    wanted = [what for what in ("patient", "name") if getattr(keys, what)]
    if wanted or (keys.mask and len(item) < 3):
        lacking = wanted[0] if wanted else "mask"
        raise CaseError(f"{where}: a tuple (image, label[, mask]), which has no {lacking}: make items dictionaries")
    return dict(zip(IN_A_TUPLE, item, strict=False))


def _of_dictionary(item: Mapping[Any, Any], keys: Keys, where: str) -> dict[str, Any]:
    wanted = {what: key for what in ("image", "label", "mask", "patient", "name") if (key := getattr(keys, what))}
    for what, key in wanted.items():
        if key not in item:
            there = ", ".join(repr(one) for one in item) or "nothing"
            raise CaseError(f"{where}: no key '{key}' for its {what}; there are {there[:200]}")
    return {what: item[key] for what, key in wanted.items()}


def case_of(item: Mapping[str, Any], name: str, label: int, patient: str, where: str) -> Case:
    """The case of an item.

    Raises:
        CaseError: an image or a mask of no use.
    """
    image, mask = item["image"], item.get("mask")
    pixels = as_pixels(_one_image(image, where), where)
    spatial = pixels.shape[1:]
    grid, notes = grid_of_meta_tensor(image, spatial)
    expert = None if mask is None else as_mask(as_array(mask, f"{where}: mask"), spatial, where)
    elsewhere = None if mask is None else grid_of_meta_tensor(mask, spatial)[0]
    if grid is not None and elsewhere is not None and grid.source.place_of(elsewhere.source) != (0, 0, 0):
        raise CaseError(f"{where}: its mask lies elsewhere: {elsewhere.source}; the image: {grid.source}")
    # Memory of its own: datasets keep what they have read.
    return Case(name, pixels.copy(), label, patient, None if expert is None else expert.copy(), notes=notes, grid=grid)


def _one_image(image: Any, where: str) -> Any:
    if isinstance(image, list | tuple):
        raise CaseError(f"{where}: {len(image)} images in one item, expected one (C, *spatial)")
    if getattr(image, "pending_operations", None):
        raise CaseError(f"{where}: transforms of its image are pending: end them with MONAI's ApplyPendingd")
    pixels = as_array(image, f"{where}: image")
    several = bool(getattr(image, "is_batch", False)) or pixels.ndim == 5
    if several or pixels.ndim not in (3, 4) or pixels.size == 0:
        what = "several images in one item" if several else "image"
        raise CaseError(
            f"{where}: {what} of shape {pixels.shape}, expected (C, rows, columns) or (C, slices, rows, columns)"
        )
    return pixels


def _label(value: Any, where: str) -> str:
    label = _plain(value)
    if not isinstance(label, str | int | float):
        shape = np.shape(as_array(value, f"{where}: label"))
        raise CaseError(f"{where}: label of shape {shape}, expected one class")
    return str(label)


def _plain(value: Any) -> Any:
    """A number of an array or tensor with one; all else as it is."""
    return value.item() if hasattr(value, "item") and int(np.prod(np.shape(value))) == 1 else value


def _length(dataset: Any) -> int:
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise CaseError(
            f"{type(dataset).__name__} has no items by number, expected a dataset with len(dataset) and dataset[i]"
        )
    count = len(dataset)
    if count == 0:
        raise CaseError("the dataset has no items")
    return count


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch  # here, because finding and listing cases does without it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
