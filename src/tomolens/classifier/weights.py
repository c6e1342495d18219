"""Weights as safetensors: numbers and a few words about them, never code."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import NetworkError, SettingsError
from .architectures import ARCHITECTURES, arguments_for, classes_of, make, output_of
from .classifier import Classifier

USUAL = {"channels": 1, "classes": 2, "dimensions": 2}
"""Of a header that says neither these nor its arguments."""


def save_weights(
    network: nn.Module,
    path: Path,
    architecture: str,
    notes: dict[str, object] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights with their architecture, its arguments and ``notes`` in the header, atomically.

    Args:
        network: whose weights are written.
        path: safetensors file.
        architecture: in `ARCHITECTURES`.
        notes: plain JSON values.
        arguments: with which `make` makes such a network; by default those of one channel and two classes in two
            dimensions.

    Raises:
        NetworkError: weights that are not those of such a network.
        SettingsError: a place that cannot be written, or no space left; what was there before still is.
    """
    given = dict(arguments_for(architecture) if arguments is None else arguments)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with torch.device("meta"):
        wanted = make(architecture, given).state_dict()
    if {name: tensor.shape for name, tensor in state.items()} != {name: one.shape for name, one in wanted.items()}:
        raise NetworkError(f"{path}: {type(network).__name__} is no {architecture} with {given}: it is not written")
    metadata = {
        "architecture": architecture,
        "arguments": json.dumps(given, sort_keys=True),
        "notes": json.dumps(notes or {}, sort_keys=True),
    }
    _write(state, path, metadata)


def save_state(network: nn.Module, path: Path, notes: Mapping[str, object]) -> None:
    """Write the weights of a network of any making, with ``notes`` in the header and no architecture, atomically.

    Raises:
        SettingsError: see `save_weights`.
    """
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}
    _write(state, path, {"notes": json.dumps(notes, sort_keys=True)})


def load_state(network: nn.Module, path: Path) -> dict[str, object]:
    """Put the weights that `save_state` wrote into a network of the same making; returns the notes with them.

    Raises:
        NetworkError: see `load_weights`.
    """
    state, metadata = read_weights(path)
    fill(network, state, f"{path}: ", type(network).__name__)
    return _object(metadata.get("notes", "{}"), "notes", path)


def _write(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    require_writable(path)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(dict(state), str(partial), metadata=metadata)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise SettingsError(f"{path}: cannot be written ({error})") from error


def require_writable(path: Path) -> None:
    """Make the folder of a file that is to be written, and try it; before training, so that none is lost.

    Raises:
        SettingsError: the path is a folder, or its folder cannot be made or written.
    """
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder, expected a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written ({error.strerror})") from error


def load_weights(path: Path) -> tuple[Classifier, dict[str, object]]:
    """The classifier of a file that `save_weights` wrote, its network in eval mode, and the notes with it.

    Raises:
        NetworkError: see `read_weights`; a header without a known architecture, with arguments that make no network or
            notes that are no JSON object; or weights that do not fit it, are of another type or not finite.
    """
    state, metadata = read_weights(path)
    architecture = metadata.get("architecture", "")
    if architecture not in ARCHITECTURES:
        raise NetworkError(
            f"{path}: header names the architecture '{architecture}', known are {', '.join(ARCHITECTURES)}"
        )
    notes = _object(metadata.get("notes", "{}"), "notes", path)
    try:
        arguments = _arguments(metadata, architecture, path)
        network, classes = make(architecture, arguments), classes_of(architecture, arguments)
    except SettingsError as error:
        raise NetworkError(f"{path}: {error}") from error
    fill(network, state, f"{path}: ", architecture)
    return Classifier(network.eval(), output_of(classes)), notes


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and what its header says.

    Raises:
        NetworkError: missing, or not safetensors.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise NetworkError(f"{path}: not a safetensors file ({error})") from error
    return state, metadata


def fill(network: nn.Module, state: Mapping[str, Tensor], where: str, architecture: str) -> None:
    """Put weights into a network, all of them and no others.

    Args:
        network: to be filled.
        state: by name.
        where: how an error begins.
        architecture: as what an error calls the network.

    Raises:
        NetworkError: weights that do not fit it, are of another type or not finite.
    """
    for name, wanted in network.state_dict().items():
        _require_usable(state.get(name, wanted), wanted, f"{where}weight '{name}'")
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise NetworkError(f"{where}weights do not fit {architecture} ({_misfit(str(error))})") from error


def _misfit(text: str) -> str:
    """What torch says of weights that do not fit, without its long lists."""
    lines = [" ".join(line.split()) for line in text.splitlines()[1:]] or [text]
    return "; ".join(line if len(line) < 200 else f"{line[:200]} ..." for line in lines[:3])


def _arguments(metadata: Mapping[str, str], architecture: str, path: Path) -> dict[str, Any]:
    if "arguments" in metadata:
        return _object(metadata["arguments"], "arguments", path)
    channels, classes, dimensions = (_whole(metadata, name, usual, path) for name, usual in USUAL.items())
    return arguments_for(architecture, channels, classes, dimensions)


def _whole(metadata: Mapping[str, str], name: str, usual: int, path: Path) -> int:
    text = metadata.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise NetworkError(f"{path}: header says {name} '{text[:40]}', expected a whole number")
    return int(text)


def _object(text: str, what: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NetworkError(f"{path}: the {what} in its header are not JSON ({error})") from error
    if not isinstance(content, dict):
        raise NetworkError(f"{path}: the {what} in its header are {type(content).__name__}, expected a JSON object")
    return content


def _require_usable(found: Tensor, wanted: Tensor, what: str) -> None:
    if found.dtype != wanted.dtype:
        kinds = (str(one.dtype).removeprefix("torch.") for one in (found, wanted))
        raise NetworkError("{} is {}, expected {}".format(what, *kinds))
    if not torch.isfinite(found).all():
        count = int((~torch.isfinite(found)).sum())
        raise NetworkError(f"{what}: {count} of {found.numel()} values are not finite")


def weights_hash(network: nn.Module) -> str:
    """Hash of all weights and buffers by name, shape and value."""
    return state_hash(network.state_dict())


def state_hash(state: Mapping[str, Tensor]) -> str:
    """`weights_hash` of tensors by name."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
