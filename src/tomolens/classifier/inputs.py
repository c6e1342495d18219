"""What a network's forward pass must be given: a network that is explained takes one image and nothing else."""

import inspect

from torch import nn

from ..errors import NetworkError
from .label import OneLabel
from .patches import PatchedNetwork
from .sourced import SourcedNetwork


def required_inputs(network: nn.Module) -> tuple[str, ...]:
    """Names of the inputs without a default, by the signature of ``forward``; empty where it cannot be read."""
    forward = unwrapped(network).forward
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # traced code has a schema in its place
        schema = getattr(forward, "schema", None)
        arguments = [] if schema is None else schema.arguments[1:]
        return tuple(argument.name for argument in arguments if not argument.has_default_value())
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(one.name for one in parameters if one.default is one.empty and one.kind not in open_ended)


def require_one_input(network: nn.Module) -> None:
    """Refuse a network that cannot be called with images alone.

    Raises:
        NetworkError: it needs several inputs; with their names.
    """
    names = required_inputs(network)
    # A hook of one's own before the pass may add what else is needed; torch's, as of exported networks, only check.
    hooks = [hook for hook in network._forward_pre_hooks.values() if not _of_torch(hook)]
    if len(names) > 1 and not hooks:
        raise NetworkError(
            f"the network takes {len(names)} inputs ({', '.join(names)}): wrap it in a module of one image"
        )


def _of_torch(hook: object) -> bool:
    module = getattr(hook, "__module__", None) or type(hook).__module__
    return module.split(".")[0] == "torch"


def unwrapped(network: nn.Module) -> nn.Module:
    """The network within what makes one label of it or shows it patches, a compiled or a parallel one of it."""
    while True:
        inner = (
            network.network
            if isinstance(network, OneLabel | PatchedNetwork | SourcedNetwork)
            else getattr(network, "_orig_mod", None)
        )
        inner = network.module if isinstance(network, nn.DataParallel) else inner
        if not isinstance(inner, nn.Module):
            return network
        network = inner
