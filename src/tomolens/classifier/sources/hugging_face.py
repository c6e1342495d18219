"""An image classifier of Hugging Face's transformers in a local folder: safetensors, and none of the folder's code."""

import json
from pathlib import Path
from typing import Any

from ...errors import NetworkError, SettingsError
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
    forward_only = "it is quantised, and what was rounded has no gradient" if "quantization_config" in settings else ""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network, told = transformers.AutoModelForImageClassification.from_pretrained(
            source.place,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises errors of every kind
        reason = " ".join(str(error).split())[:300]
        raise NetworkError(f"{source.path}: no image classifier of transformers in safetensors ({reason})") from error
    wrong = {what: sorted(map(str, told[what])) for what in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    found = "; ".join(f"{what.replace('_', ' ')}: {', '.join(names[:4])}" for what, names in wrong.items() if names)
    if found:
        raise NetworkError(f"{source.path}: weights do not fit {type(network).__name__} ({found})")
    return Loaded(network.eval(), None, forward_only)


def config_of(folder: Path) -> dict[str, Any]:
    """The folder's ``config.json``.

    Raises:
        NetworkError: missing, or no JSON object.
    """
    file = folder / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworkError(f"{file}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise NetworkError(f"{file}: is {type(content).__name__}, expected a JSON object")
    return content
