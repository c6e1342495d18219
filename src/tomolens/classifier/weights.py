"""Weights as safetensors: numbers and a few words about them, never code."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import NetworkError
from .architectures import ARCHITECTURES, build


def save_weights(network: nn.Module, path: Path, architecture: str, notes: dict[str, object] | None = None) -> None:
    """Write the weights with their architecture and ``notes`` (plain JSON values) in the header, atomically."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"architecture": architecture, "notes": json.dumps(notes or {}, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(state, str(partial), metadata=metadata)
    os.replace(partial, path)


def load_weights(path: Path) -> tuple[nn.Module, dict[str, object]]:
    """The network of a file that `save_weights` wrote, in eval mode, and the notes with it.

    Raises:
        NetworkError: missing, not safetensors, without a known architecture, or weights that do not fit it.
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
    network = build(architecture)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise NetworkError(
            f"{path}: weights do not fit {architecture} ({str(error).splitlines()[-1].strip()})"
        ) from error
    return network.eval(), json.loads(metadata.get("notes", "{}"))


def weights_hash(network: nn.Module) -> str:
    """Hash of all weights and buffers by name, shape and value."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
