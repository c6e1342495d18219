"""A MONAI bundle, read safely: its network and what it does to images, as far as both are literals.

MONAI's own loader builds whatever a configuration names and evaluates its ``$`` expressions. Here only the network
definition is read, by name from `ARCHITECTURES`, and nothing is evaluated.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...errors import NetworkError, reason_of
from ..architectures import ARCHITECTURES
from ..weights import read_weights
from .source import Loaded, NetworkSource
from .weights_files import built, state_of

CONFIGURATIONS = tuple(
    f"configs/{name}.{end}" for name in ("inference", "evaluate", "train") for end in ("json", "yaml", "yml")
)
WEIGHTS = ("models/model.safetensors", "models/model.pt")
NETWORK = "network_def"
DEEPEST, MOST = 20, 10_000
"""References that may lead to one another, and values that a definition may come to with all of them followed."""


@dataclass(frozen=True)
class Bundle:
    """What a bundle says of itself.

    Attributes:
        configuration: of its inference, as it stands in the file.
        metadata: as it stands in the file.
        name: of its network, in `ARCHITECTURES`.
        arguments: of its network, literals.
        file: of its weights.
    """

    configuration: Mapping[str, Any]
    metadata: Mapping[str, Any]
    name: str
    arguments: Mapping[str, Any]
    file: Path


def read_bundle(source: NetworkSource) -> Loaded:
    """The bundle's network in eval mode, all of its weights and no others."""
    found = bundle_of(source.path)
    named = NetworkSource("state-dict", str(found.file), source.hash, found.name, json.dumps(dict(found.arguments)))
    state = read_weights(found.file)[0] if found.file.suffix == ".safetensors" else state_of(found.file)
    return Loaded(built(named, state))


def bundle_of(folder: Path) -> Bundle:
    """What a bundle says, without running or building anything.

    Raises:
        NetworkError: files that are missing or cannot be read, a network that is not in `ARCHITECTURES`, or arguments
            that are no literals.
    """
    file = _first(folder, CONFIGURATIONS, "configuration")
    configuration = _read(file)
    if NETWORK not in configuration:
        raise NetworkError(f"{file}: has no {NETWORK}")
    definition = resolved(configuration, configuration[NETWORK], NETWORK, file)
    if not isinstance(definition, Mapping) or not isinstance(definition.get("_target_"), str):
        raise NetworkError(f"{file}: {NETWORK} has no _target_")
    target = str(definition["_target_"])
    name = f"monai:{target.rsplit('.', 1)[-1]}"
    if name not in ARCHITECTURES or not (target.startswith("monai.networks.nets.") or "." not in target):
        known = ", ".join(one.removeprefix("monai:") for one in ARCHITECTURES if one.startswith("monai:"))
        raise NetworkError(f"{file}: {NETWORK} is a '{target}', which is not built; known are {known}")
    arguments = {key: value for key, value in definition.items() if key not in ("_target_", "_desc_")}
    if odd := [key for key in arguments if key.startswith("_")]:
        raise NetworkError(f"{file}: {NETWORK} has {', '.join(odd)}, which is not followed")
    metadata = _read(_first(folder, ("configs/metadata.json",), "metadata"))
    return Bundle(configuration, metadata, name, arguments, _first(folder, WEIGHTS, "weights"))


def resolved(configuration: Mapping[str, Any], value: Any, where: str, file: Path) -> Any:
    """A value with its references followed, all of it literal.

    Raises:
        NetworkError: an expression, a reference to nothing or to another file, or references without end.
    """
    try:
        return _resolved(configuration, value, where, file, 0, iter(range(MOST)))
    except RecursionError as error:
        raise NetworkError(f"{file}: {where}: holds itself") from error


def _resolved(
    configuration: Mapping[str, Any], value: Any, where: str, file: Path, depth: int, left: Iterator[int]
) -> Any:
    if next(left, None) is None:
        raise NetworkError(f"{file}: {where}: comes to more than {MOST} values with its references followed")
    if isinstance(value, Mapping):
        return {
            str(key): _resolved(configuration, one, f"{where}#{key}", file, depth, left) for key, one in value.items()
        }
    if isinstance(value, list):
        return [_resolved(configuration, one, f"{where}#{place}", file, depth, left) for place, one in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value.startswith("$"):
        raise NetworkError(
            f"{file}: {where} is the expression '{value[:80]}', and none is evaluated: write what it gives"
        )
    if not value.startswith(("@", "%")):
        return value
    if depth >= DEEPEST:
        raise NetworkError(f"{file}: {where}: references lead in a circle")
    found: Any = configuration
    for part in value[1:].replace("::", "#").split("#"):
        if isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, Mapping) and part in found:
            found = found[part]
        else:
            raise NetworkError(f"{file}: {where} refers to '{value[:80]}', which is not there")
    return _resolved(configuration, found, where, file, depth + 1, left)


def _first(folder: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise NetworkError(f"{folder}: no bundle: its {what} is missing, expected {' or '.join(names)}")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise NetworkError(f"{file}: cannot be read ({reason_of(error)})") from error
    if not isinstance(content, dict):
        raise NetworkError(f"{file}: is {type(content).__name__}, expected a table")
    return content
