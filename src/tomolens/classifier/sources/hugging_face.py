"""An image classifier of Hugging Face's transformers in a local folder: safetensors, and none of the folder's code."""

import json
from pathlib import Path
from typing import Any

import torch

from ...errors import NetworkError, SettingsError, reason_of
from .source import Loaded, NetworkSource


def read_hugging_face(source: NetworkSource) -> Loaded:
    """The folder's image classifier in eval mode, built by transformers' own classes."""
    try:
        import transformers
    except ImportError as error:
        raise SettingsError(f"{source.path}: needs transformers: pip install 'tomolens[hf]'") from error
    settings = config_of(source.path)
    if "auto_map" in settings:
        raise NetworkError(f"{source.path}: its config.json names code of its own (auto_map), which is not run")
    if leading := [
        name for name in ("adapter_config.json", "model.safetensors.index.json") if _leads_elsewhere(source, name)
    ]:
        raise NetworkError(f"{source.path}: {leading[0]} names weights outside of this folder, which are not loaded")
    if odd := [name for name in settings if name.endswith("_implementation") and settings[name] not in OWN_CODE]:
        raise NetworkError(
            f"{source.path}: config.json asks for {odd[0]} = '{settings[odd[0]]!s:.80}', which is code from elsewhere"
        )
    forward_only = "it is quantised, and what was rounded has no gradient" if "quantization_config" in settings else ""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network, told = transformers.AutoModelForImageClassification.from_pretrained(
            source.place,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,  # as images are; of weights in half precision nothing is lost
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises errors of every kind
        raise NetworkError(
            f"{source.path}: no image classifier of transformers in safetensors ({reason_of(error)})"
        ) from error
    wrong = {what: sorted(map(str, told[what])) for what in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    found = "; ".join(f"{what.replace('_', ' ')}: {', '.join(names[:4])}" for what, names in wrong.items() if names)
    if found:
        raise NetworkError(f"{source.path}: weights do not fit {type(network).__name__} ({found})")
    return Loaded(network.eval(), None, forward_only)


OWN_CODE = (None, "eager", "sdpa")
"""Of attention: those of transformers and of torch; others would be fetched as kernels."""


def _leads_elsewhere(source: NetworkSource, name: str) -> bool:
    """Whether a file of the folder names weights that do not lie in it, and that its hash does not hold."""
    file = source.path / name
    if not file.exists() or name == "adapter_config.json":
        return file.exists()
    weights = _table(file).get("weight_map")
    places = weights.values() if isinstance(weights, dict) else [""]
    return not all(isinstance(place, str) and Path(place).name == place and place not in ("", "..") for place in places)


def config_of(folder: Path) -> dict[str, Any]:
    """The folder's ``config.json``.

    Raises:
        NetworkError: missing, or no JSON object.
    """
    return _table(folder / "config.json")


def _table(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworkError(f"{file}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise NetworkError(f"{file}: is {type(content).__name__}, expected a JSON object")
    return content
