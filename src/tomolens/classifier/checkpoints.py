"""Gradients in less memory: what a network computed is computed again when it is needed, a segment at a time."""

import operator
import warnings
from math import isqrt
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.split_module import split_module

from .following import followed, gradient, small_part
from .label import OneLabel
from .layout import as_channels_last
from .patches import PatchedNetwork
from .run_again import run_again
from .sourced import SourcedNetwork

IN_PLACE = {getattr(operator, name) for name in ("iadd", "isub", "imul", "itruediv", "ipow", "iand", "ior")}
"""Operations of Python that write into what they are given."""


class _Segment(nn.Module):
    """A part of a network that is run again for its gradients.

    Attributes:
        part: as `torch.fx` cut it off.
        writes: whether it writes into anything, which may be a view of what it is given: it then takes copies, for it
            is given the same again.
    """

    def __init__(self, part: fx.GraphModule) -> None:
        super().__init__()
        self.part = part
        self.writes = any(_writes(part, node) for node in part.graph.nodes)

    def forward(self, *given: Any) -> Any:
        """What the part makes."""
        if not torch.is_grad_enabled() or not any(isinstance(one, Tensor) and one.requires_grad for one in given):
            return self.part(*given)
        return run_again(self._run, *given)

    def _run(self, *given: Any) -> Any:
        return self.part(*(one.clone() if self.writes and isinstance(one, Tensor) else one for one in given))


def in_segments(network: nn.Module, example: Tensor) -> nn.Module | None:
    """A network of the same layers that keeps what goes from segment to segment and nothing within: it runs each again.

    There are about as many segments as there are operations in each, so that neither weighs most.

    Args:
        network: in eval mode; it is not changed, and its weights are shared.
        example: images ``(N, C, *spatial)`` on the network's device.

    Returns:
        None where `torch.fx` cannot follow the network with its gradients (`followed`), where other outputs come out
        for the example, or other gradients for a part of it. Where a part has none, for the network takes no other
        size or memory does not do, gradients are not compared: a whole image's may be what does not fit.
    """
    try:
        made = _in_segments(network)
        with torch.no_grad():
            own, others = network(as_channels_last(example)), made(as_channels_last(example))
        alike = torch.equal(own, others) and _gradients_are_equal(network, made, small_part(example))
    except Exception:  # tracing fails in as many ways as networks differ
        return None
    return made if alike else None


def _gradients_are_equal(network: nn.Module, made: nn.Module, images: Tensor) -> bool:
    try:
        own = gradient(network, images)
    except Exception:  # as networks have it of another size
        return True
    return torch.equal(own, gradient(made, images))


def _in_segments(network: nn.Module) -> nn.Module:
    if isinstance(network, SourcedNetwork | PatchedNetwork):
        return network.around(_in_segments(network.network))
    if isinstance(network, OneLabel):
        return OneLabel(_in_segments(network.network), network.index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = network if isinstance(network, fx.GraphModule) else followed(network)
        nodes = [node for node in traced.graph.nodes if node.op not in ("placeholder", "output")]
        length, places, part = max(1, isqrt(len(nodes))), {}, 0
        for number, node in enumerate(nodes):
            part += number > 0 and number % length == 0
            places[node] = part
        made: fx.GraphModule = split_module(traced, traced, lambda node: places[node])
    for name, child in made.named_children():
        if isinstance(child, fx.GraphModule):
            setattr(made, name, _Segment(child))
    return made


def _writes(part: nn.Module, node: fx.Node) -> bool:
    """Whether an operation writes into its first argument."""
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if node.op == "call_module":
        return bool(getattr(part.get_submodule(str(node.target)), "inplace", False))
    name = str(getattr(node.target, "__name__", node.target))
    named = node.op in ("call_function", "call_method") and name.endswith("_") and not name.endswith("__")
    return named or node.target in IN_PLACE or bool(node.kwargs.get("inplace", False))
