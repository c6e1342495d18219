"""Cases kept whole for the figures: what the network saw, the mask, every map and region map."""

import hashlib
import os
import string
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError

SAFE = frozenset(string.ascii_lowercase + string.digits + "-_")


@dataclass(frozen=True)
class Example:
    """A case with all that was made of it.

    Attributes:
        name: of the case.
        label: true class.
        predicted: by the network.
        image: float32 ``(C, *spatial)``, 0 black and 1 white.
        mask: bool ``(*spatial)``, or None.
        maps: ``(*spatial)`` of each map, channels made one as for the metrics.
        region_maps: ``(*spatial)`` of each map; empty without a usable mask.
    """

    name: str
    label: int
    predicted: int
    image: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    maps: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)
    region_maps: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)


def write_example(folder: Path, example: Example) -> None:
    """Write a case into a folder, atomically."""
    folder.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {
        "image": example.image,
        "facts": np.array([example.label, example.predicted]),
        "name": np.array(example.name),
    }
    if example.mask is not None:
        arrays["mask"] = example.mask
    arrays |= {f"map/{'/'.join(key)}": importance for key, importance in example.maps.items()}
    arrays |= {f"regions/{'/'.join(key)}": regions.astype(np.float32) for key, regions in example.region_maps.items()}
    name = file_name(example.name)
    partial = folder / f"{name}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, folder / f"{name}.npz")


def read_example(file: Path) -> Example:
    """A case as `write_example` wrote it.

    Raises:
        SettingsError: a damaged file.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            planes: dict[str, dict[tuple[str, str], NDArray[np.float32]]] = {"map": {}, "regions": {}}
            for key in arrays.files:
                if "/" in key:
                    kind, estimator, form = key.split("/")
                    planes[kind][estimator, form] = arrays[key]
            label, predicted = (int(value) for value in arrays["facts"])
            mask = arrays["mask"] if "mask" in arrays.files else None
            return Example(
                str(arrays["name"]), label, predicted, arrays["image"], mask, planes["map"], planes["regions"]
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{file}: damaged ({error}); run the study into another folder") from error


def file_name(case: str) -> str:
    """What a case's file is called: its name, with a hash where that would not do, so that no two cases share a file.

    Letters outside ASCII and capitals are hashed too: some file systems take two spellings of them for one name.
    """
    safe = "".join(letter if letter in SAFE else "_" for letter in case)[:80]
    if safe == case:
        return safe
    return f"{safe}-{hashlib.blake2b(case.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"
