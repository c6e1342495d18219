"""Weights alone, in safetensors or as torch's state dict, for a network that is built by name."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import NetworkError, SettingsError
from ..architectures import make
from ..weights import fill, read_weights
from .source import Loaded, NetworkSource, literal_arguments

PREFIXES = ("module.", "model.", "net.", "network.", "_orig_mod.")
"""How weights are called that were saved with the module around the network, as of DistributedDataParallel."""
WRAPPED = ("state_dict", "model")
"""Under which names checkpoints keep the weights beside other things."""


def read_safetensors(source: NetworkSource) -> Loaded:
    """A network by its architecture, with the weights of a safetensors file, all of them and no others."""
    return Loaded(built(source, read_weights(source.path)[0]))


def read_state_dict(source: NetworkSource) -> Loaded:
    """The same with the weights of a state dict, read by torch's unpickler for weights alone."""
    return Loaded(built(source, state_of(source.path)))


def built(source: NetworkSource, state: Mapping[str, Tensor]) -> nn.Module:
    """The network that a source names, in eval mode, filled with weights.

    Raises:
        NetworkError: an architecture that may not be built, or weights that do not fit it.
    """
    if not source.name:
        raise NetworkError(f"{source.path}: weights alone: which architecture are they of? Name it with --architecture")
    try:
        arguments = literal_arguments(source)
        with torch.device("meta"):  # what does not fit is refused before it takes memory
            wanted = {name: one.shape for name, one in make(source.name, arguments).state_dict().items()}
        if odd := [name for name in {**wanted, **state} if name not in state or state[name].shape != wanted.get(name)]:
            for prefix in PREFIXES:
                if set(state) == {prefix + name for name in wanted}:
                    raise NetworkError(
                        f"{source.path}: its weights are called '{prefix}*', as in a module around the network: save "
                        f"those of the network inside, network.{prefix.rstrip('.')}.state_dict()"
                    )
            found = f"{len(odd)} of {len(wanted)} are missing, more, or of another shape: {', '.join(odd[:3])}"
            raise NetworkError(f"{source.path}: weights do not fit {source.name} ({found})")
        network = make(source.name, arguments)
    except SettingsError as error:
        raise NetworkError(f"{source.path}: {error}") from error
    fill(network, state, f"{source.path}: ", source.name)
    return network.eval()


def state_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name; nothing else of the pickle is built and nothing of it is run.

    Raises:
        NetworkError: missing, a pickled module or anything else that is no state dict.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if not _is_pickled(path):
            raise NetworkError(f"{path}: is damaged, or no file that torch.save wrote") from error
        raise NetworkError(
            f"{path}: no weights alone, and what else a pickle holds is not read, for it could run anything: save "
            f"network.state_dict(), better as safetensors ({_reason(str(error))})"
        ) from error
    for name in WRAPPED:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(one, Tensor) for one in content.values()):
        raise NetworkError(f"{path}: holds {type(content).__name__}, expected weights by name: network.state_dict()")
    return {str(name): tensor for name, tensor in content.items()}


def _is_pickled(path: Path) -> bool:
    """Whether a file begins as torch.save's archives and pickles do, and an archive is whole."""
    if zipfile.is_zipfile(path):
        return True
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def _reason(text: str) -> str:
    """What torch's unpickler says, without its advice to load with less care."""
    found = [line.strip() for line in text.splitlines() if "Unsupported" in line or "GLOBAL" in line]
    first = (found or text.strip().splitlines() or ["unreadable"])[0]
    return " ".join(first.split(" was not an allowed")[0].split())[:200]
