"""TorchScript: deprecated by torch, and still what many have. Its code is read before it is loaded."""

import io
import pickletools
import re
import zipfile
import zlib
from pathlib import Path

import torch

from ...errors import NetworkError, reason_of
from .source import Loaded, NetworkSource

DEPRECATED = "TorchScript is deprecated by torch: export the network anew with torch.export"
TOKENS = re.compile(r"""#[^\n]*|\\\r?\n|(?P<token>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\w+|[^\s\w])""", re.DOTALL)
"""Of code, without what may stand between them: blanks, comments, lines that go on."""
TOUCH_FILES = ("save", "from_file", "rpc_async", "rpc_sync", "rpc_remote")
"""Operators of torch that write or read files, or call other machines, by whatever name they are reached."""
OF_TORCH = ("prim", "aten", "quantized")
"""Where torch keeps its operators and classes."""
CLASSES = "__torch__.torch.classes."
QUANTISED = re.compile(r"\bops\.quantized\b|\b__torch__\.torch\.classes\.quantized\b|quantize_per_(tensor|channel)\(")


def read_torchscript(source: NetworkSource) -> Loaded:
    """The program of a TorchScript file, in eval mode, once its code was found to touch no file."""
    entries = _entries(source.path)
    code = "\n".join(held.decode("utf-8", "replace") for name, held in entries.items() if name.endswith(".py"))
    _require_harmless(source.path, code)
    for name, held in entries.items():
        if name.endswith(".pkl"):
            _require_classes_of_torch(source.path, name, held)
    try:
        anew = _archive(entries)  # two readers of zip archives may see two archives in one file: this is what was read
        network = torch.jit.load(anew, map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # torch's loader raises errors of every kind
        raise NetworkError(f"{source.path}: no TorchScript that can be loaded ({reason_of(error)})") from error
    forward_only = "it is quantised, and what was rounded has no gradient" if QUANTISED.search(code) else ""
    return Loaded(network.eval(), None, forward_only, (DEPRECATED,))


def _entries(path: Path) -> dict[str, bytes]:
    """The content of an archive by name, without its first folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any("/code/" in name for name in names) or not any(name.endswith("constants.pkl") for name in names):
                raise NetworkError(f"{path}: no TorchScript archive")
            entries = {name.split("/", 1)[-1]: archive.read(name) for name in names}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise NetworkError(f"{path}: no TorchScript archive ({error})") from error
    if len(entries) < len(names):
        raise NetworkError(f"{path}: no TorchScript archive (entries twice)")
    return entries


def _archive(entries: dict[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, held in entries.items():
            archive.writestr(f"network/{name}", held)
    made.seek(0)
    return made


def _require_harmless(path: Path, code: str) -> None:
    """Refuse a program with words of operators that touch files, or of operators and classes that torch does not bring.

    Raises:
        NetworkError: with the word.
    """
    tokens = ["", *(found["token"] for found in TOKENS.finditer(code) if found["token"]), "", "", ""]
    for place, token in enumerate(tokens):
        before, after = tokens[max(place - 1, 0)], tokens[place + 1 : place + 4]
        if token.strip("\"'") in TOUCH_FILES:
            raise NetworkError(f"{path}: its program calls {token}, which touches files: it is not loaded")
        if token == "ops" and before != "." and (after[0] != "." or after[1] not in OF_TORCH):
            raise NetworkError(
                f"{path}: its program asks for '{''.join(tokens[place : place + 5])}', which torch does not bring"
            )
        if token == "classes" and before == "." and (after[0] != "." or after[1] not in OF_TORCH):
            raise NetworkError(
                f"{path}: its program asks for '{''.join(tokens[place : place + 3])}', which torch does not bring"
            )
        quoted = token[:1] in ("'", '"')
        if quoted and (after[0][:1] in ("'", '"') or (before == "," and after[0] == ")" and "\\" in token)):
            raise NetworkError(
                f"{path}: its program spells a name as {token}{after[0]}, which is not read: it is not loaded"
            )


def _require_classes_of_torch(path: Path, name: str, held: bytes) -> None:
    try:
        words = [str(argument) for operator, argument, _ in pickletools.genops(held) if operator.name == "GLOBAL"]
    except Exception as error:  # pickletools raises errors of every kind
        raise NetworkError(f"{path}: {name} cannot be read ({error})") from error
    for word in words:
        found = word.replace(" ", ".")
        if found.startswith(CLASSES) and found.removeprefix(CLASSES).split(".")[0] not in OF_TORCH:
            raise NetworkError(f"{path}: {name} holds '{found[:100]}', which torch does not bring: it is not loaded")
