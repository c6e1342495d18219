"""TorchScript: deprecated by torch, and still what many have. Its code is read before it is loaded."""

import re
import zipfile

import torch

from ...errors import NetworkError
from .source import Loaded, NetworkSource

DEPRECATED = "TorchScript is deprecated by torch: export the network anew with torch.export"
WRITES = re.compile(r"\b(torch\.(save|from_file)|ops\.aten\.(save|from_file))\s*\(")
"""Calls of TorchScript that touch files."""
FOREIGN = re.compile(r"\bops\.(?!prim\b|aten\b|quantized\b)(\w+)|\b__torch__\.torch\.classes\.(?!quantized\b)(\w+)")
"""Operators and classes that torch does not bring."""
QUANTISED = re.compile(r"\bops\.quantized\b|\b__torch__\.torch\.classes\.quantized\b|quantize_per_(tensor|channel)\(")


def read_torchscript(source: NetworkSource) -> Loaded:
    """The program of a TorchScript file, in eval mode, once its code was found to touch no file."""
    code = _code(source)
    if found := WRITES.search(code):
        raise NetworkError(f"{source.path}: its program calls {found[1]}, which touches files: it is not loaded")
    if found := FOREIGN.search(code):
        raise NetworkError(f"{source.path}: its program asks for '{found[0]}', which torch does not bring")
    try:
        network = torch.jit.load(source.place, map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise NetworkError(
            f"{source.path}: no TorchScript that can be loaded ({' '.join(str(error).split())[:200]})"
        ) from error
    forward_only = "it is quantised, and what was rounded has no gradient" if QUANTISED.search(code) else ""
    return Loaded(network.eval(), None, forward_only, (DEPRECATED,))


def _code(source: NetworkSource) -> str:
    """All code that an archive brings."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            names = archive.namelist()
            if not any("/code/" in name for name in names) or not any(name.endswith("constants.pkl") for name in names):
                raise NetworkError(f"{source.path}: no TorchScript archive")
            return "\n".join(
                archive.read(name).decode("utf-8", "replace")
                for name in names
                if "/code/" in name and name.endswith(".py")
            )
    except (zipfile.BadZipFile, OSError) as error:
        raise NetworkError(f"{source.path}: no TorchScript archive ({error})") from error
