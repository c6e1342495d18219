"""A study's folder: its description, its weights, and the measurements of each finished case, written atomically."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ..errors import SettingsError
from .description import FORMAT, Description
from .example import Example, read_example, write_example
from .gallery import GalleryCase, read_gallery_case
from .lock import FolderLock
from .rows import SCHEMA
from .shards import Shards, write_durably


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
    def gallery_folder(self) -> Path:
        """Where cases are kept small for the page."""
        return self.folder / "gallery"

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
        present = self.description().raw
        if present["identity"] != description["identity"]:
            differing = ", ".join(_differences(present.get("content", {}), description["content"])) or "its content"
            raise SettingsError(f"{self.folder} holds another study, which differs in {differing}: give another --out")

    def description(self) -> Description:
        """The content of ``study.json``.

        Raises:
            SettingsError: there is none, it is not JSON, or it is of another format.
        """
        try:
            content = json.loads(self.description_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.description_file}: no study to read ({error})") from error
        return Description.read(content, str(self.description_file))

    def write_description(self, description: Mapping[str, Any]) -> None:
        """Write ``study.json`` atomically."""
        content = {**description, "format": FORMAT}
        write_durably(self._partial_description, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
        os.replace(self._partial_description, self.description_file)

    @property
    def _partial_description(self) -> Path:
        return self.description_file.with_suffix(".partial")

    @property
    def survey_file(self) -> Path:
        """What a first look at the cases found, by stamps that say nothing of them."""
        return self.folder / "survey.json"

    def surveyed(self) -> dict[str, Any]:
        """What was found of the cases, by their stamps; nothing where it cannot be read."""
        try:
            content = json.loads(self.survey_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write_surveyed(self, found: Mapping[str, Any]) -> None:
        """Keep what was found of the cases, where it is not kept already.

        Raises:
            SettingsError: it cannot be written.
        """
        content = json.dumps(found, sort_keys=True).encode()
        try:
            if not self.survey_file.exists() or self.survey_file.read_bytes() != content:
                partial = self.survey_file.with_suffix(".partial")
                write_durably(partial, content)
                os.replace(partial, self.survey_file)
        except OSError as error:
            raise SettingsError(f"{self.folder} cannot be written ({error.strerror})") from error

    def measurements(self) -> pd.DataFrame:
        """All measurements in memory, one row for (case, estimator, form, metric), in the order of the cases.

        Raises:
            SettingsError: there are none, or a file is damaged.
        """
        rows = [block.cast(SCHEMA) for block in self.shards.blocks()]
        return pa.concat_tables(rows).to_pandas()  # type: ignore[no-any-return]

    def write_example(self, example: Example) -> None:
        """Keep a case whole."""
        write_example(self.folder / "examples", example)

    def examples(self) -> list[Example]:
        """The cases that were kept whole, by file name.

        Raises:
            SettingsError: a damaged file.
        """
        return [read_example(file) for file in sorted((self.folder / "examples").glob("*.npz"))]

    def gallery(self) -> Iterator[GalleryCase]:
        """The cases that were kept small, in the order of the study.

        Raises:
            SettingsError: a damaged file.
        """
        return map(read_gallery_case, sorted(self.gallery_folder.glob("*.npz")))


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
