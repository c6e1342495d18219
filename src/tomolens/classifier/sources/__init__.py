"""Where networks come from: files of several kinds, none of which runs code of its own.

To add a kind, write a `Reader` and put it in `KINDS`.
"""

import zipfile
from pathlib import Path

from ...errors import NetworkError
from .bundle import read_bundle
from .exported import read_exported
from .factory import read_factory
from .hugging_face import read_hugging_face
from .onnx import read_onnx
from .source import Loaded, NetworkSource, Reader, content_hash, require_unchanged
from .torchscript import read_torchscript
from .weights_files import read_safetensors, read_state_dict

__all__ = ["KINDS", "Loaded", "NetworkSource", "Reader", "content_hash", "kind_of", "load_source"]

KINDS: dict[str, Reader] = {
    "safetensors": read_safetensors,
    "state-dict": read_state_dict,
    "bundle": read_bundle,
    "exported": read_exported,
    "torchscript": read_torchscript,
    "hugging-face": read_hugging_face,
    "onnx": read_onnx,
    "factory": read_factory,
}
"""By name: from a source to its network."""

ENDINGS = {".safetensors": "safetensors", ".onnx": "onnx", ".pt2": "exported", ".py": "factory"}


def load_source(source: NetworkSource) -> Loaded:
    """The network of a source, in this process.

    Raises:
        NetworkError: an unknown kind, files that have changed since, or see `Reader`.
        SettingsError: a library that is not installed.
    """
    if source.kind not in KINDS:
        raise NetworkError(f"{source.place}: kind '{source.kind}', known are {', '.join(KINDS)}")
    require_unchanged(source)
    return KINDS[source.kind](source)


def kind_of(path: Path) -> str:
    """The kind of a file or folder, by what lies there; nothing is loaded.

    Raises:
        NetworkError: nothing lies there, or nothing known.
    """
    if path.is_dir():
        if (path / "configs").is_dir():
            return "bundle"
        if (path / "config.json").is_file():
            return "hugging-face"
        raise NetworkError(f"{path}: neither a MONAI bundle (configs/) nor a Hugging Face folder (config.json)")
    if not path.is_file():
        raise NetworkError(f"{path}: no such file or folder")
    if path.suffix.lower() in ENDINGS:
        return ENDINGS[path.suffix.lower()]
    if not zipfile.is_zipfile(path):
        return "state-dict"  # of older versions of torch, or none: its reader tells
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/models/" in name and name.endswith(".json") for name in names):
        return "exported"
    return "torchscript" if any("/code/" in name for name in names) else "state-dict"
