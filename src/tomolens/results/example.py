"""Cases kept whole for the figures: what the network saw, the mask, every map and region map."""

import hashlib
import io
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Parts, read_arrays, write_whole

KINDS = ("map", "regions")
"""First word of the names of a map's arrays."""
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
        explained: the class whose maps these are; the predicted one where it is not known.
        twin: like the image, with the finding taken away or put in; None where there is none.
        beside: ``(*spatial)`` of each map that never looks at the network, and of the truth where that is known.
        steps: uint8 ``(*spatial)`` of each map: at which step of the masking a pixel goes, the most important first.
        along: of each map the explained class's probability along both orders of masking, ``(2, steps + 1)``.
        spacing: millimetres from pixel to pixel along each axis, of an image whose place in the patient is known; None
            of others.
        upright: whether it is known to lie with the front up, the patient's right on the left and the feet first.
    """

    name: str
    label: int
    predicted: int
    image: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    maps: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)
    region_maps: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)
    explained: int | None = None
    twin: NDArray[np.float32] | None = None
    beside: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    steps: Mapping[tuple[str, str], NDArray[np.uint8]] = field(default_factory=dict)
    along: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)
    spacing: tuple[float, ...] | None = None
    upright: bool = False


def write_example(folder: Path, example: Example) -> None:
    """Write what figures need of a case into a folder, atomically."""
    arrays: dict[str, Any] = {
        "image": example.image,
        "facts": np.array([example.label, example.predicted]),
        "name": np.array(example.name),
    }
    if example.mask is not None:
        arrays["mask"] = example.mask
    arrays |= {f"map/{'/'.join(key)}": importance for key, importance in example.maps.items()}
    arrays |= {f"regions/{'/'.join(key)}": regions.astype(np.float32) for key, regions in example.region_maps.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(folder / f"{file_name(example.name)}.npz", content.getvalue())


def read_example(file: Path) -> Example:
    """A case as `write_example` wrote it.

    Raises:
        SettingsError: a damaged file.
    """
    return read_arrays(file, _example)


def _example(parts: Parts) -> Example:
    label, predicted = (int(value) for value in parts["facts"][()])
    maps, regions = ({(name, form): one for (name, form), one in parts.get(kind, {}).items()} for kind in KINDS)
    mask = parts["mask"][()] if "mask" in parts else None
    return Example(str(parts["name"][()]), label, predicted, parts["image"][()], mask, maps, regions)


def file_name(case: str) -> str:
    """What a case's file is called: its name, with a hash where that would not do, so that no two cases share a file.

    Letters outside ASCII and capitals are hashed too: some file systems take two spellings of them for one name.
    """
    safe = "".join(letter if letter in SAFE else "_" for letter in case)[:80]
    if safe == case:
        return safe
    return f"{safe}-{hashlib.blake2b(case.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"
