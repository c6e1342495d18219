"""``torch.export``'s ``.pt2``: a graph of torch's operators with its weights.

The format can carry more than that. A node may name any function of any module that torch imports, sizes are Python
expressions that are evaluated, trees of outputs may name modules to import, weights may be pickles, and a compiled
library is loaded where there is one. What is not one of torch's operators with plain weights is refused before anything
is loaded; and torch loads what was read here, written anew, for two readers of zip archives may see two archives in one
file.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ...errors import NetworkError, reason_of
from .source import Loaded, NetworkSource

ENTRIES = re.compile(
    r"[^/]+/(data/weights/(weight_\d+|[\w.\-]+_config\.json)|data/constants/(tensor_\d+|[\w.\-]+_config\.json)"
    r"|data/sample_inputs/[\w.\-]+\.pt|models/[\w.\-]+\.json|extra/[^/]+"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id)|\.format_version|\.storage_alignment)",
    re.ASCII,
)
"""Names of an archive's entries; compiled libraries, pickled objects and pickled weights have others."""
WEIGHTS = re.compile(r"(weight|tensor)_\d+", re.ASCII)
OPERATORS = re.compile(
    r"torch\.ops\.(aten|quantized_decomposed)\.((?!__)\w+|__i?(and|or|xor|lshift|rshift)__)(\.(?!__)\w+)?"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|torch\.sym_\w+|torch\._sym_sqrt"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)",
    re.ASCII,
)
TOUCH_FILES = re.compile(r"torch\.ops\.aten\.(from_file|save)\b")
WORDS = re.compile(
    r"Symbol|Integer|Rational|Float|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|FloatTrueDiv"
    r"|ToFloat|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt"
    r"|Max|Min|Abs|floor|ceiling|Piecewise|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|(Strict)?(Less|Greater)Than|And|Or|Not"
    r"|positive|nonnegative|integer|nonzero|real|evaluate|precision|true|false|True|False|oo|int_oo|None|[suz]\w{0,3}\d+",
    re.ASCII,
)
"""Of expressions of sizes; all else in them is numbers, brackets, commas and arithmetic."""
ARITHMETIC = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp),
    *(ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
LONGEST, LARGEST, HIGHEST = 2000, 2**63, 64
"""Letters of an expression, its numbers, and its exponents: those of more would be computed for days."""
NAME = re.compile(r"[\w.\-:#+]*", re.ASCII)
TEXT = re.compile(r"[\w.,:> \-]*", re.ASCII)
"""Words that operators are given, as the axes of a sum of products."""
TRAINING_ARGUMENT = {"batch_norm": "training", "dropout": "train", "native_dropout": "train", "instance_norm": "never"}


def read_exported(source: NetworkSource) -> Loaded:
    """The program of a ``.pt2`` file, once all of it was found to be torch's operators on plain weights."""
    content, quantised = _checked(source.path, source.path.read_bytes())
    try:
        program = torch.export.load(io.BytesIO(content))
        network = program.module(check_guards=False)
    except Exception as error:  # torch's loader raises errors of every kind
        raise NetworkError(f"{source.path}: no exported program of this torch ({reason_of(error)})") from error
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise NetworkError(f"{source.path}: takes {len(names)} inputs ({', '.join(map(str, names))}), expected one")
    given = next(node for node in program.graph.nodes if node.name == names[0])
    first = given.meta["val"].shape[0]
    for module in network.modules():
        module.training = False  # its eval() raises; what differs in training was refused
    forward_only = "it is quantised, and what was rounded has no gradient" if quantised else ""
    return Loaded(network, first if isinstance(first, int) else None, forward_only)


def _checked(path: Path, content: bytes) -> tuple[bytes, bool]:
    """The archive with its operators and weights alone, written anew, and whether it is quantised.

    Raises:
        NetworkError: it holds more than those; with the first thing found.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise NetworkError(f"{path}: no .pt2 archive ({error})") from error
    made, quantised = io.BytesIO(), False
    with archive, zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as anew:
        entries = archive.infolist()
        names = [one.filename for one in entries]
        if len(set(names)) < len(names) or any(one.compress_type != zipfile.ZIP_STORED for one in entries):
            raise NetworkError(f"{path}: is not as torch.export.save writes it (entries twice, or compressed)")
        if strange := next((name for name in names if not ENTRIES.fullmatch(name)), None):
            raise NetworkError(f"{path}: holds '{strange[:100]}', which is neither graph nor weights: it is not loaded")
        if not any("/models/" in name for name in names):
            raise NetworkError(f"{path}: holds no program")
        for name in names:
            inner = name.split("/", 1)[1]
            try:
                held = archive.read(name)
            except (zipfile.BadZipFile, OSError, EOFError) as error:
                raise NetworkError(f"{path}: {name} cannot be read ({error})") from error
            if inner.startswith("data/") and inner.endswith("_config.json"):
                held = json.dumps(_plain_tensors(path, _json(path, name, held))).encode()
            elif inner.startswith("data/sample_inputs/"):
                _require_tensors(path, held)
            elif inner.startswith("models/"):
                program = _json(path, name, held)
                quantised |= _check_program(path, program)
                held = json.dumps(program).encode()
            if not inner.startswith("extra/"):
                anew.writestr(f"network/{inner}", held)
    return made.getvalue(), quantised


def _json(path: Path, name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NetworkError(f"{path}: {name} is not JSON ({error})") from error


def _plain_tensors(path: Path, config: Any) -> Any:
    """The table of an archive's weights, each of which is plain."""
    held = config.get("config") if isinstance(config, dict) else None
    if not isinstance(held, dict):
        raise NetworkError(f"{path}: has no table of its weights")
    for name, one in held.items():
        if not isinstance(one, dict) or one.get("use_pickle") is not False:
            raise NetworkError(f"{path}: keeps weights as pickles, which could run anything: they are not loaded")
        if not NAME.fullmatch(name) or not WEIGHTS.fullmatch(str(one.get("path_name"))):
            raise NetworkError(f"{path}: weight '{name[:80]}' is in '{one.get('path_name')!s:.80}', expected a tensor")
    return {"config": held}


def _require_tensors(path: Path, content: bytes) -> None:
    """Example inputs are a pickle, which torch loads with all that it holds where it is more than tensors."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # torch's unpickler raises errors of every kind
        raise NetworkError(f"{path}: its example inputs are a pickle of more than tensors: it is not loaded") from error


def _check_program(path: Path, program: Any) -> bool:
    """Refuse a program of more than operators; whether it is quantised. What only describes it is taken out."""
    quantised = False
    for key, found in _walked(program):
        if isinstance(found, dict):
            _forget_descriptions(found)
            if "target" in found:
                quantised |= _check_node(path, found)
        if not isinstance(found, str) or key == "target":
            continue
        if key == "expr_str":
            if not _is_arithmetic(found):
                raise NetworkError(f"{path}: a size is '{found[:80]}', which is no arithmetic: it is not loaded")
        elif key in ("in_spec", "out_spec"):
            if not _is_tree(found):
                raise NetworkError(f"{path}: {key} is '{found[:80]}', expected a tree of plain containers")
        elif not (TEXT if key == "as_string" else NAME).fullmatch(found):
            raise NetworkError(f"{path}: {key} is '{found[:80]}', expected a name: it is not loaded")
    return quantised


def _forget_descriptions(table: dict[str, Any]) -> None:
    """Empty what a node and a graph say of the code that they were made of, and guards, which are code."""
    if ("target" in table and "inputs" in table) or "module_call_graph" in table:  # a node; a graph
        table.update({name: {} for name in ("metadata", "treespec_namedtuple_fields") if name in table})
    if "guards_code" in table and isinstance(table["guards_code"], list):
        table["guards_code"] = []


def _is_arithmetic(text: str) -> bool:
    """Whether an expression of a size is arithmetic of numbers and symbols; torch evaluates it as Python."""
    if len(text) > LONGEST or not text.isascii():
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, ARITHMETIC) and _is_term(node) for node in nodes)


def _is_term(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str):
            return bool(WORDS.fullmatch(value) or re.fullmatch(r"[-+\d.e]{1,40}", value))
        return value is None or (isinstance(value, bool | int | float) and abs(value) <= LARGEST)
    if isinstance(node, ast.Name):
        return bool(WORDS.fullmatch(node.id))
    if isinstance(node, ast.keyword):
        return bool(WORDS.fullmatch(node.arg or "")) and (node.arg != "precision" or _is_small(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small(node.right)
    if isinstance(node, ast.Call):
        power = isinstance(node.func, ast.Name) and node.func.id == "Pow"
        return isinstance(node.func, ast.Name) and (not power or (len(node.args) > 1 and _is_small(node.args[1])))
    return True


def _is_small(node: ast.AST) -> bool:
    """Whether an exponent is a small number that is written out."""
    if isinstance(node, ast.UnaryOp):
        return _is_small(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("Integer", "Rational", "Float") and all(map(_is_small, node.args))
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) <= HIGHEST


def _is_tree(text: str) -> bool:
    """Whether a tree of inputs or outputs is of containers with plain keys; others may name modules to import."""
    try:
        _, tree = json.loads(text)
        left = [tree]
        while left:
            one = left.pop()
            held = None if one["context"] is None else json.loads(one["context"])
            if any(isinstance(value, dict) for _, value in _walked(held)):
                return False
            left += one["children_spec"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return True


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
    """Every value of a JSON document with the key above it; keys are values too."""
    yield key, content
    if isinstance(content, dict):
        for name, value in content.items():
            yield "a key", name
            yield from _walked(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _walked(value, key)
