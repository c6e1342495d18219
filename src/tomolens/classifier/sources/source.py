"""Where a network comes from: a description that is hashed and small, and is loaded in the process that uses it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import NetworkError, SettingsError


@dataclass(frozen=True)
class NetworkSource:
    """A network by its files: workers are sent this, and load it themselves.

    Attributes:
        kind: how it is read, in `KINDS`.
        place: its file or folder; of ``factory`` the file of the code.
        hash: of the content of its files, see `content_hash`; what is loaded must still have it.
        name: the architecture of ``safetensors`` and ``state-dict``, the function of ``factory``; empty for others.
        arguments: of the architecture, as JSON.
    """

    kind: str
    place: str
    hash: str
    name: str = ""
    arguments: str = "{}"

    @classmethod
    def of(
        cls, kind: str, place: str | Path, name: str = "", arguments: Mapping[str, Any] | None = None
    ) -> "NetworkSource":
        """The source of what lies at ``place`` now.

        Raises:
            NetworkError: nothing lies there.
        """
        path = Path(place).resolve()
        return cls(kind, str(path), content_hash(path, kind), name, json.dumps(arguments or {}, sort_keys=True))

    @property
    def path(self) -> Path:
        """Its file or folder."""
        return Path(self.place)

    def __str__(self) -> str:
        return f"{self.kind} {self.path.name}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Loaded:
    """A network as it was read.

    Attributes:
        network: maps what it is given to its outputs, which may be several.
        batch: images that it takes at a time, where its file has fixed that; None takes any number.
        forward_only: why it gives no gradients; empty where it does.
        notes: what is odd about it and no reason to refuse it, in words.
    """

    network: nn.Module
    batch: int | None = None
    forward_only: str = ""
    notes: tuple[str, ...] = field(default=())


Reader = Callable[[NetworkSource], Loaded]
"""Reads a source of one kind; raises `NetworkError` naming the file, and runs nothing that the file brings."""


def content_hash(path: Path, kind: str) -> str:
    """Hash of a file, or of all files of a folder with their names.

    Raises:
        NetworkError: nothing lies there, or it cannot be read.
    """
    if not path.exists():
        raise NetworkError(f"{path}: no such {'folder' if kind in FOLDERS else 'file'}")
    if not (path.is_file() or path.is_dir()):
        raise NetworkError(f"{path}: is neither file nor folder")
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    digest = hashlib.blake2b(digest_size=16)
    try:
        for file in files:
            if path.is_dir():
                digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as opened:
                while part := opened.read(1 << 20):
                    digest.update(part)
    except OSError as error:
        raise NetworkError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


FOLDERS = ("bundle", "hugging-face")
"""Kinds that are a folder."""


def require_unchanged(source: NetworkSource) -> None:
    """Refuse what is no longer as it was when the source was described.

    Raises:
        NetworkError: gone, or of another content.
    """
    if content_hash(source.path, source.kind) != source.hash:
        raise NetworkError(f"{source.path}: has changed since it was described: run `tomolens model check` again")


def literal_arguments(source: NetworkSource) -> dict[str, Any]:
    """The arguments of a source's architecture.

    Raises:
        SettingsError: no JSON object.
    """
    try:
        content = json.loads(source.arguments)
    except ValueError as error:
        raise SettingsError(f"{source}: arguments are not JSON ({error})") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{source}: arguments are {type(content).__name__}, expected a table")
    return content
