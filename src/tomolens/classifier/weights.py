"""Weights as safetensors: numbers and a few words about them, never code."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import NetworkError, SettingsError
from .architectures import ARCHITECTURES, build, built_with, output_of
from .classifier import Classifier

USUAL = {"channels": 1, "classes": 2, "dimensions": 2}
"""Of a header that does not say."""


def save_weights(network: nn.Module, path: Path, architecture: str, notes: dict[str, object] | None = None) -> None:
    """Write the weights with their architecture and ``notes`` (plain JSON values) in the header, atomically.

    The header also has the channels, classes and dimensions of the network, see `build`.

    Raises:
        NetworkError: see `built_with`.
        SettingsError: a place that cannot be written, or no space left; what was there before still is.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    numbers = {name: str(number) for name, number in built_with(network).items()}
    metadata = {"architecture": architecture, **numbers, "notes": json.dumps(notes or {}, sort_keys=True)}
    require_writable(path)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(state, str(partial), metadata=metadata)
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

    A file that does not say otherwise is of one channel, two classes (one neuron) and two dimensions.

    Raises:
        NetworkError: missing, not safetensors, without a known architecture, of numbers that make no network, notes
            that are no JSON object, or weights that do not fit it, are of another type or not finite.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise NetworkError(f"{path}: not a safetensors file ({error})") from error
    architecture = metadata.get("architecture", "")
    if architecture not in ARCHITECTURES:
        raise NetworkError(
            f"{path}: header names the architecture '{architecture}', known are {', '.join(ARCHITECTURES)}"
        )
    notes = _notes(metadata.get("notes", "{}"), path)
    numbers = [_whole(metadata, name, usual, path) for name, usual in USUAL.items()]
    try:
        network = build(architecture, *numbers)
    except SettingsError as error:
        raise NetworkError(f"{path}: {error}") from error
    for name, wanted in network.state_dict().items():
        _require_usable(state.get(name, wanted), wanted, f"{path}: weight '{name}'")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise NetworkError(
            f"{path}: weights do not fit {architecture} ({str(error).splitlines()[-1].strip()})"
        ) from error
    return Classifier(network.eval(), output_of(numbers[1])), notes


def _whole(metadata: dict[str, str], name: str, usual: int, path: Path) -> int:
    text = metadata.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise NetworkError(f"{path}: header says {name} '{text[:40]}', expected a whole number")
    return int(text)


def _notes(text: str, path: Path) -> dict[str, object]:
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NetworkError(f"{path}: the notes in its header are not JSON ({error})") from error
    if not isinstance(notes, dict):
        raise NetworkError(f"{path}: the notes in its header are {type(notes).__name__}, expected a JSON object")
    return notes


def _require_usable(found: Tensor, wanted: Tensor, what: str) -> None:
    if found.dtype != wanted.dtype:
        kinds = (str(one.dtype).removeprefix("torch.") for one in (found, wanted))
        raise NetworkError("{} is {}, expected {}".format(what, *kinds))
    if not torch.isfinite(found).all():
        count = int((~torch.isfinite(found)).sum())
        raise NetworkError(f"{what}: {count} of {found.numel()} values are not finite")


def weights_hash(network: nn.Module) -> str:
    """Hash of all weights and buffers by name, shape and value."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
