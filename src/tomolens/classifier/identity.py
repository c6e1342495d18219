"""What makes a classifier the one it is: two of one identity give the same numbers."""

import ast
import hashlib
import inspect
import textwrap
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .classifier import Classifier
from .label import OneLabel
from .patches import PatchedNetwork
from .sourced import SourcedNetwork
from .weights import weights_hash


def identity_of(classifier: Classifier) -> dict[str, Any]:
    """Hashes of the weights and of the network's structure, what its output means, and the input contract.

    The structure is the tree of modules with their arguments, what each holds beside its weights (plain values,
    functions, buffers that are not saved, hooks), and the code of every class and function that is not torch's own,
    without its comments and layout. A scripted or exported network is its graph, and one with a source the content of
    its files. Functions that these call in turn are not followed.
    """
    intensity = classifier.intensity
    return {
        "weights": weights_hash(classifier.network),
        "structure": hashlib.blake2b(_structure(classifier.network).encode(), digest_size=16).hexdigest(),
        "output": classifier.output,
        "score": classifier.score,
        "task": classifier.task,
        "black": intensity.black,
        "white": intensity.white,
    }


def _structure(network: nn.Module) -> str:
    if isinstance(network, OneLabel):
        return f"label {network.index} of {_structure(network.network)}"
    if isinstance(network, PatchedNetwork):
        told = replace(network.patches, batch=1)  # which shows in the last bits alone
        return f"{told} {network.output} {network.black} {network.spacing} of {_structure(network.network)}"
    if isinstance(network, SourcedNetwork) and network.source is not None:
        source = network.source
        return f"{source.kind} {source.hash} {source.name} {source.arguments} {network.extra_repr()}"
    kinds = {kind for module in network.modules() for kind in type(module).__mro__ if not _of_torch(kind)}
    graphs = [str(module.graph) for module in network.modules() if hasattr(module, "graph")]
    return "\n".join(
        [
            repr(network),
            *sorted(map(_code, kinds)),
            *(f"{name}: {_held(module)}" for name, module in network.named_modules()),
            *(f"{name}: {_bytes(buffer)}" for name, buffer in network.named_buffers()),
            *graphs,
        ]
    )


def _held(module: nn.Module) -> str:
    """What a module holds beside weights, buffers and modules, and what hooks it."""
    own = set(vars(nn.Module()))
    plain = {name: _value(value) for name, value in sorted(vars(module).items()) if name not in own}
    hooks = [
        f"{kind}: {_value(hook)}"
        for kind in ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
        for hook in getattr(module, kind, {}).values()
    ]
    return f"{plain} {hooks}"


def _value(value: Any) -> str:
    if isinstance(value, Tensor):
        return _bytes(value)
    if isinstance(value, (list, tuple)):
        return str([_value(one) for one in value])
    if isinstance(value, dict):
        return str({str(name): _value(one) for name, one in value.items()})
    if value is None or isinstance(value, (bool, int, float, complex, str, torch.Size, torch.dtype)):
        return repr(value)
    return _code(value) if callable(value) else type(value).__qualname__


def _bytes(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return f"{tuple(tensor.shape)} {tensor.dtype} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _of_torch(kind: type) -> bool:
    return kind is object or kind.__module__.split(".")[0] == "torch"


def _code(written: Any) -> str:
    """A class or function as it is written, comments and layout apart; its name alone where there is no source."""
    name = f"{getattr(written, '__module__', '')}.{getattr(written, '__qualname__', type(written).__qualname__)}"
    try:
        return f"{name}: {ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(written))))}"
    except (OSError, TypeError, SyntaxError):
        return name
