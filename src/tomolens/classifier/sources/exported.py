"""``torch.export``'s ``.pt2``: a graph of torch's operators with its weights.

The format can carry more than that. A node may name any function of any module that torch imports, sizes are Python
expressions that are evaluated, weights may be pickles, and a compiled library is loaded where there is one. What is not
one of torch's operators with plain weights is refused before anything is loaded.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ...errors import NetworkError
from .source import Loaded, NetworkSource

ENTRIES = re.compile(
    r"[^/]+/(data/(weights|constants)/[\w.\-]+|data/sample_inputs/[\w.\-]+\.pt|models/[\w.\-]+\.json|extra/[^/]+"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id)|\.format_version|\.storage_alignment)"
)
"""Names of an archive's entries; compiled libraries and pickled objects have others."""
OPERATORS = re.compile(
    r"torch\.ops\.(aten|quantized_decomposed)\.\w+(\.\w+)?|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|torch\.sym_\w+|torch\._sym_sqrt"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
)
TOUCH_FILES = re.compile(r"torch\.ops\.aten\.(from_file|save)\b")
WORDS = re.compile(
    r"Symbol|Integer|Rational|Float|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|FloatTrueDiv"
    r"|Max|Min|Abs|floor|ceiling|Piecewise|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|(Strict)?(Less|Greater)Than|And|Or|Not"
    r"|positive|nonnegative|integer|nonzero|real|evaluate|precision|true|false|True|False|oo|int_oo|None|[suz]\w{0,3}\d+"
)
"""Of expressions of sizes; all else in them is numbers, quotes, brackets, commas and arithmetic."""
NAME = re.compile(r"[\w.\-:#+]*")
TEXT = re.compile(r"[\w.,:> \-]*")
"""Words that operators are given, as the axes of a sum of products."""
TRAINING_ARGUMENT = {"batch_norm": "training", "dropout": "train", "native_dropout": "train", "instance_norm": "never"}
DESCRIBING = ("metadata", "in_spec", "out_spec", "treespec_namedtuple_fields")
"""Keys of words for people, and of the trees of inputs and outputs, which name no code."""


def read_exported(source: NetworkSource) -> Loaded:
    """The program of a ``.pt2`` file, once all of it was found to be torch's operators on plain weights."""
    content = source.path.read_bytes()
    quantised = _check(source.path, content)
    try:
        program = torch.export.load(io.BytesIO(content))
        network = program.module(check_guards=False)
    except Exception as error:  # torch's loader raises errors of every kind
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise NetworkError(f"{source.path}: no exported program of this torch ({reason})") from error
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise NetworkError(f"{source.path}: takes {len(names)} inputs ({', '.join(map(str, names))}), expected one")
    given = next(node for node in program.graph.nodes if node.name == names[0])
    first = given.meta["val"].shape[0]
    for module in network.modules():
        module.training = False  # its eval() raises; what differs in training was refused
    forward_only = "it is quantised, and what was rounded has no gradient" if quantised else ""
    return Loaded(network, first if isinstance(first, int) else None, forward_only)


def _check(path: Path, content: bytes) -> bool:
    """Refuse an archive that holds more than operators and weights; whether it is quantised.

    Raises:
        NetworkError: with the first thing found.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise NetworkError(f"{path}: no .pt2 archive ({error})") from error
    with archive:
        entries = archive.infolist()
        names = [one.filename for one in entries]
        if len(set(names)) < len(names) or any(one.compress_type != zipfile.ZIP_STORED for one in entries):
            raise NetworkError(f"{path}: is not as torch.export.save writes it (entries twice, or compressed)")
        if strange := next((name for name in names if not ENTRIES.fullmatch(name)), None):
            raise NetworkError(f"{path}: holds '{strange[:100]}', which is neither graph nor weights: it is not loaded")
        if not any("/models/" in name for name in names):
            raise NetworkError(f"{path}: holds no program")
        quantised = False
        for name in names:
            inner = name.split("/", 1)[1]
            if inner.startswith("data/") and inner.endswith("_config.json"):
                _require_plain_tensors(path, _json(path, name, archive.read(name)))
            elif inner.startswith("data/sample_inputs/"):
                _require_tensors(path, archive.read(name))
            elif inner.startswith("models/"):
                quantised |= _check_program(path, _json(path, name, archive.read(name)))
    return quantised


def _json(path: Path, name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NetworkError(f"{path}: {name} is not JSON ({error})") from error


def _require_plain_tensors(path: Path, config: Any) -> None:
    if any(found for key, found in _walked(config) if key == "use_pickle"):
        raise NetworkError(f"{path}: keeps weights as pickles, which could run anything: they are not loaded")
    for key, found in _walked(config):
        if isinstance(found, str) and not NAME.fullmatch(found):
            raise NetworkError(f"{path}: {key} of its weights is '{found[:80]}', expected a name")


def _require_tensors(path: Path, content: bytes) -> None:
    """Example inputs are a pickle, which torch loads with all that it holds where it is more than tensors."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # torch's unpickler raises errors of every kind
        raise NetworkError(f"{path}: its example inputs are a pickle of more than tensors: it is not loaded") from error


def _check_program(path: Path, program: Any) -> bool:
    quantised = False
    for key, found in _walked(program):
        if isinstance(found, dict) and "target" in found:
            quantised |= _check_node(path, found)
        if not isinstance(found, str) or key in ("target", "guards_code"):  # guards are left out when it is made
            continue
        if key == "expr_str":
            words = re.findall(r"[A-Za-z_]\w*", found)
            if not re.fullmatch(r"[\w\s()'\",=+*/\-<>.%!]*", found) or not all(map(WORDS.fullmatch, words)):
                raise NetworkError(f"{path}: a size is '{found[:80]}', which is no arithmetic: it is not loaded")
        elif not (TEXT if key == "as_string" else NAME).fullmatch(found):
            raise NetworkError(f"{path}: {key} is '{found[:80]}', expected a name: it is not loaded")
    return quantised


def _check_node(path: Path, node: dict[str, Any]) -> bool:
    """Refuse a node that is none of torch's operators, or one of a network in training; whether it is quantised."""
    target = str(node.get("target", ""))
    if not OPERATORS.fullmatch(target) or TOUCH_FILES.match(target):
        raise NetworkError(
            f"{path}: its graph calls '{target[:100]}', which is no operator of a network: it is not loaded"
        )
    operator = target.split(".")[3] if target.startswith("torch.ops.aten.") else ""
    wanted = TRAINING_ARGUMENT.get(operator.removeprefix("_native_").removesuffix("_legit"))
    for given in node.get("inputs", ()):
        if wanted and given.get("name") == wanted and given.get("arg", {}).get("as_bool"):
            raise NetworkError(
                f"{path}: was exported in training mode ({operator}): call network.eval() before torch.export.export"
            )
    return "quantized" in target or "fake_quant" in target


def _walked(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with the key above it, but for those that only describe; keys are values too."""
    yield key, content
    if isinstance(content, dict):
        for name, value in content.items():
            yield "a key", name
            if name not in DESCRIBING:
                yield from _walked(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _walked(value, key)
