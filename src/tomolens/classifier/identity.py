"""What makes a classifier the one it is: two of one identity give the same numbers."""

import ast
import hashlib
import inspect
import textwrap
from typing import Any

from torch import nn

from .classifier import Classifier
from .weights import weights_hash


def identity_of(classifier: Classifier) -> dict[str, Any]:
    """Hashes of the weights and of the network's structure, what its output means, and the input contract.

    The structure is the tree of modules with their arguments, and the code of every module's class that is not
    torch's own, without its comments and layout. A scripted or exported network is its graph.
    """
    intensity = classifier.intensity
    return {
        "weights": weights_hash(classifier.network),
        "structure": hashlib.blake2b(_structure(classifier.network).encode(), digest_size=16).hexdigest(),
        "output": classifier.output,
        "score": classifier.score,
        "black": intensity.black,
        "white": intensity.white,
    }


def _structure(network: nn.Module) -> str:
    kinds = sorted({type(module) for module in network.modules()}, key=lambda kind: kind.__qualname__)
    parts = [repr(network), *(_code(kind) for kind in kinds if not kind.__module__.startswith("torch."))]
    graph = getattr(network, "graph", None)
    return "\n".join([*parts, *([str(graph)] if graph is not None else [])])


def _code(kind: type) -> str:
    """The class as it is written, comments and layout apart; its name alone where the source is not to be had."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        return f"{name}: {ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(kind))))}"
    except (OSError, TypeError, SyntaxError):
        return name
