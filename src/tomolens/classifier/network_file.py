"""``network.toml``, as `tomolens model check` writes it: whence a network comes, what it takes, what it returns."""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, with_config

from ..errors import NetworkError, SettingsError
from .classifier import Classifier, Output, Score, Task
from .contract import InputContract
from .sourced import SourcedNetwork, loaded_again
from .sources import KINDS, NetworkSource

DECLARED = "declared"
"""Under which name a file keeps the hash of what it declares."""
OUTPUT_NOTE = "output_note"
"""Under which name it keeps what was odd about the output."""


@dataclass(frozen=True)
class NetworkFile:
    """All that is declared of a network.

    Attributes:
        source: where it comes from.
        contract: what it takes.
        output: what it returns, see `Classifier`.
        key: name or number of the output that holds the scores, where there are several.
        task: of classes or of labels.
        classes: their names, in the order of the outputs.
        checked: what `model check` found, for people.
        notes: what a study must say of it, in words.
    """

    source: NetworkSource
    contract: InputContract = field(default_factory=InputContract)
    output: Output = "logits"
    key: str = ""
    task: Task = "classes"
    classes: tuple[str, ...] = ()
    checked: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_distinct(self.classes)

    @property
    def declared(self) -> str:
        """Hash of all that is declared, by which a file that was edited by hand is known."""
        source = self.source
        said = [source.kind, source.hash, source.name, source.arguments, self.contract.said(), self.output, self.key]
        text = json.dumps([*said, self.task, self.classes, self.checked.get(OUTPUT_NOTE, "")])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def classifier(self, score: Score = "logit") -> Classifier:
        """The classifier, its network loaded in this process.

        Raises:
            NetworkError: see `load_source`.
        """
        network: SourcedNetwork = loaded_again(self.source, self.contract, self.key, "cpu")
        network.notes += self.notes
        return Classifier(network, self.output, score, self.contract.intensity, self.task)


def load_classifier(path: str | Path, *, allow_code: bool = False) -> Classifier:
    """The classifier of a ``network.toml``, its network loaded; see `read_network_file` and `load_source`."""
    return read_network_file(Path(path), allow_code=allow_code).classifier()


def write_network_file(network: NetworkFile, path: Path) -> None:
    """Write ``network.toml``; the network's place is told from its folder.

    Raises:
        SettingsError: a place that cannot be written, or an argument of the architecture that is None.
    """
    source = network.source
    place = Path(os.path.relpath(source.path, path.resolve().parent)).as_posix()
    contract = {one.name: getattr(network.contract, one.name) for one in fields(InputContract)}
    usual = InputContract()
    sections: dict[str, dict[str, Any]] = {
        "network": {
            "kind": source.kind,
            "file": place,
            "hash": source.hash,
            **({"name": source.name} if source.name else {}),
            **({"arguments": json.loads(source.arguments)} if source.arguments != "{}" else {}),
        },
        "input": {name: value for name, value in contract.items() if value != getattr(usual, name)},
        "output": {
            "returns": network.output,
            **({"key": network.key} if network.key else {}),
            "task": network.task,
            **({"classes": network.classes} if network.classes else {}),
        },
        "checked": {**network.checked, DECLARED: network.declared},
    }
    text = "\n".join(
        f"[{name}]\n" + "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in content.items())
        for name, content in sections.items()
        if content
    )
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise SettingsError(f"{path}: cannot be written ({error.strerror})") from error


def _key(name: str) -> str:
    return name if name.replace("_", "a").isalnum() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    """A literal as TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        raise SettingsError("an argument is None, for which network.toml has no word: leave it out")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_network_file(path: Path, *, allow_code: bool = False) -> NetworkFile:
    """What a ``network.toml`` declares; nothing is loaded.

    Args:
        path: of the file.
        allow_code: whether the network may be a function of a Python file, which is run when it is loaded.

    Raises:
        NetworkError: missing, not TOML, a setting that cannot be, a network that is gone or has changed, or code that
            is not allowed.
    """
    try:
        content = _Content.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        network = content.network
        source = NetworkSource.of(network.kind, path.resolve().parent / network.file, network.name, network.arguments)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise NetworkError(f"{path}: cannot be read ({reason})") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise NetworkError(f"{path}: not TOML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            wanted = ".".join(map(str, first["loc"]))
            raise NetworkError(f"{path}: {wanted} is missing; `tomolens model check` writes it") from error
        place, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise NetworkError(f"{path}: {place}: {said} (given: {first.get('input')!r:.80})") from error
    except (ValueError, TypeError) as error:  # a place that can be none, or an argument that is no number or word
        raise NetworkError(f"{path}: network: {error}") from error
    if source.hash != network.hash:
        raise NetworkError(f"{path}: {source.path} has changed since it was checked: run `tomolens model check` again")
    if source.kind == "factory" and not allow_code:
        raise NetworkError(
            f"{path}: the network is made by running {source.path}: allow it with --allow-code if that is your own"
        )
    output = content.output
    checked = {name: said for name, said in content.checked.items() if name != DECLARED}
    try:
        found = NetworkFile(source, content.input, output.returns, output.key, output.task, output.classes, checked)
    except SettingsError as error:
        raise NetworkError(f"{path}: {error}") from error
    return replace(found, notes=_notes(path.name, found, content.checked.get(DECLARED)))


def _notes(name: str, found: NetworkFile, declared: str | None) -> tuple[str, ...]:
    """What a study must say: that a file is not as it was checked, and what was odd when it was."""
    notes = []
    if declared != found.declared:
        edited = "was edited" if declared else "was written by hand"
        notes.append(f"{name} {edited}, and `tomolens model check` has not tried what it says now")
    if odd := found.checked.get(OUTPUT_NOTE):
        notes.append(f"of the network's output: {odd}")
    return tuple(notes)


def require_distinct(classes: Sequence[str]) -> None:
    """Refuse two classes of one name.

    Raises:
        SettingsError: with the name.
    """
    if twice := next((one for place, one in enumerate(classes) if one in classes[:place]), None):
        raise SettingsError(f"classes {', '.join(classes)}: '{twice}' is named twice")


with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(InputContract)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Network(_Section):
    kind: str
    file: Annotated[str, Field(min_length=1)]
    hash: Annotated[str, Field(min_length=1)]
    name: str = ""
    arguments: dict[str, Any] = {}

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}")
        return kind


class _Output(_Section):
    returns: Output
    key: str = ""
    task: Task = "classes"
    classes: tuple[str, ...] = ()


class _Content(_Section):
    network: _Network
    input: InputContract = InputContract()
    output: _Output
    checked: dict[str, Any] = {}
