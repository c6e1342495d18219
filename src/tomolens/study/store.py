"""A study's folder: its description, its weights, and the measurements of each finished case, written atomically."""

import hashlib
import json
import os
import string
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ..cases import Case
from ..errors import SettingsError
from .evaluate import Evaluation
from .lock import FolderLock
from .rows import SCHEMA
from .shards import Shards, write_durably
from .viewed import ViewedCase, read_viewed

SAFE = frozenset(string.ascii_lowercase + string.digits + "-_")


@dataclass(frozen=True)
class Example:
    """A case kept whole for the figures: what the network saw, the mask, every map and region map."""

    name: str
    label: int
    predicted: int
    image: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    maps: Mapping[str, NDArray[np.float32]]
    region_maps: Mapping[tuple[str, str], NDArray[np.float32]]


@dataclass(frozen=True)
class Store:
    """The folder of one study; as a context, it lets go of the folder at the end.

    Attributes:
        folder: made when the study is opened.
        lock: of the folder, held from `open` on.
    """

    folder: Path
    lock: FolderLock = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lock", FolderLock(self.folder))

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    @property
    def description_file(self) -> Path:
        """What the study is: settings, versions, seeds, hashes."""
        return self.folder / "study.json"

    @property
    def shards(self) -> Shards:
        """The rows of the finished cases."""
        return Shards(self.folder / "measurements")

    @property
    def viewed_folder(self) -> Path:
        """Where cases are kept small for the page."""
        return self.folder / "viewed"

    def weights_file(self, name: str) -> Path:
        """Where the weights of a network of this study lie."""
        return self.folder / "weights" / f"{name}.safetensors"

    def open(self, description: Mapping[str, Any]) -> None:
        """Begin a study in the folder, or go on with the same one; no other run can, until the store is left.

        Raises:
            SettingsError: the folder holds another study (naming what differs), or files that are none, cannot be
                written, or another run is writing there.
        """
        if self.description_file.exists():
            self._require_same(description)
        elif self.folder.exists() and (not self.folder.is_dir() or self._strangers()):
            raise SettingsError(f"{self.folder} holds files that are no study: give another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
            if self.description_file.exists():
                self._require_same(description)  # another run may have begun in between
            else:
                self.write_description(description)
        except OSError as error:
            raise SettingsError(f"{self.folder} cannot be written ({error.strerror})") from error

    def _strangers(self) -> list[Path]:
        """Files other than what a run that was killed at its beginning leaves."""
        own = {self.lock.file, self._partial_description}
        return [file for file in self.folder.iterdir() if file not in own]

    def _require_same(self, description: Mapping[str, Any]) -> None:
        present = self.description()
        if present.get("identity") != description["identity"]:
            differing = ", ".join(_differences(present.get("content", {}), description["content"])) or "its content"
            raise SettingsError(f"{self.folder} holds another study, which differs in {differing}: give another --out")

    def description(self) -> dict[str, Any]:
        """The content of ``study.json``.

        Raises:
            SettingsError: there is none, or it is not JSON.
        """
        try:
            content = json.loads(self.description_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.description_file}: no study to read ({error})") from error
        if not isinstance(content, dict):
            raise SettingsError(f"{self.description_file}: not a study's description")
        return content

    def write_description(self, description: Mapping[str, Any]) -> None:
        """Write ``study.json`` atomically."""
        write_durably(self._partial_description, (json.dumps(description, indent=2, sort_keys=True) + "\n").encode())
        os.replace(self._partial_description, self.description_file)

    @property
    def _partial_description(self) -> Path:
        return self.description_file.with_suffix(".partial")

    def measurements(self) -> pd.DataFrame:
        """All measurements in memory, one row for (case, estimator, signs, metric), in the order of the cases.

        Raises:
            SettingsError: there are none, or a file is damaged.
        """
        rows = [block.cast(SCHEMA) for block in self.shards.blocks()]
        return pa.concat_tables(rows).to_pandas()  # type: ignore[no-any-return]

    def write_example(self, case: Case, evaluation: Evaluation) -> None:
        """Keep a case whole."""
        folder = self.folder / "examples"
        folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {
            "image": case.image,
            "facts": np.array([case.label, evaluation.predicted]),
            "name": np.array(case.name),
        }
        if case.mask is not None:
            arrays["mask"] = case.mask
        arrays |= {f"map/{name}": tensor.cpu().numpy() for name, tensor in evaluation.maps.items()}
        arrays |= {
            f"regions/{'/'.join(key)}": regions.astype(np.float32) for key, regions in evaluation.region_maps.items()
        }
        name = file_name(case.name)
        partial = folder / f"{name}.partial"
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(partial, folder / f"{name}.npz")

    def examples(self) -> list[Example]:
        """The cases that were kept whole, by file name.

        Raises:
            SettingsError: a damaged file.
        """
        return [_read_example(file) for file in sorted((self.folder / "examples").glob("*.npz"))]

    def viewed(self) -> Iterator[ViewedCase]:
        """The cases that were kept small, in the order of the study.

        Raises:
            SettingsError: a damaged file.
        """
        return map(read_viewed, sorted(self.viewed_folder.glob("*.npz")))


def file_name(case: str) -> str:
    """What a case's file is called: its name, with a hash where that would not do, so that no two cases share a file.

    Letters outside ASCII and capitals are hashed too: some file systems take two spellings of them for one name.
    """
    safe = "".join(letter if letter in SAFE else "_" for letter in case)[:80]
    if safe == case:
        return safe
    return f"{safe}-{hashlib.blake2b(case.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"


def _read_example(file: Path) -> Example:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            maps = {key.removeprefix("map/"): arrays[key] for key in arrays.files if key.startswith("map/")}
            region_maps = {}
            for key in arrays.files:
                if key.startswith("regions/"):
                    _, estimator, signs = key.split("/")
                    region_maps[estimator, signs] = arrays[key]
            label, predicted = (int(value) for value in arrays["facts"])
            mask = arrays["mask"] if "mask" in arrays.files else None
            return Example(str(arrays["name"]), label, predicted, arrays["image"], mask, maps, region_maps)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{file}: damaged ({error}); run the study into another folder") from error


def _differences(present: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the settings in which two descriptions differ."""
    names = []
    for key in sorted({*present, *wanted}):
        ours, theirs = present.get(key), wanted.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            names += _differences(ours, theirs, f"{prefix}{key}.")
        elif ours != theirs:
            names.append(f"{prefix}{key}")
    return names
