"""Whether what `torch.fx` makes of a network is the same network: to outputs, and to gradients."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from .layout import as_channels_last

SMALL = 64
"""Voxels along an axis of the part of an image on which gradients are compared: a whole volume's fill the memory."""


class _Tracer(fx.Tracer):
    """A graph does not keep where gradients were off, or how a `torch.autograd.Function` passes them: both are so."""

    def create_node(self, *given: Any, **named: Any) -> fx.Node:
        if not torch.is_grad_enabled():
            raise fx.proxy.TraceError("a part of the network has no gradients, or some of its own")
        return super().create_node(*given, **named)


def followed(network: nn.Module) -> fx.GraphModule:
    """The network as `torch.fx` has it, of the same layers.

    Raises:
        TraceError: it cannot be followed, or a part of it is run without gradients or with gradients of its own.
        Exception: tracing fails in as many ways as networks differ.
    """
    tracer = _Tracer()
    with torch.enable_grad():
        graph = tracer.trace(network)
    return fx.GraphModule(tracer.root, graph)


def gradient(network: nn.Module, images: Tensor) -> Tensor:
    """Gradient of a sum of the outputs by the images, no two of which count the same; 0 where there is none."""
    with torch.enable_grad():
        given = images.detach().clone().requires_grad_(True)
        outputs: Tensor = network(as_channels_last(given))
        if not outputs.requires_grad:
            return torch.zeros_like(given)
        weights = torch.linspace(1, 2, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
        (found,) = torch.autograd.grad((outputs.flatten() * weights).sum(), given, allow_unused=True)
    return torch.zeros_like(given) if found is None else found


def small_part(images: Tensor) -> Tensor:
    """The middle of the first image, at most `SMALL` along each axis."""
    part = images[:1]
    for axis, side in enumerate(images.shape[2:], start=2):
        length = min(side, SMALL)
        part = part.narrow(axis, (side - length) // 2, length)
    return part
