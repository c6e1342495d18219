"""Which layers a map of features could be taken from: planes of an image, or tokens on a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

PREFIX_TOKENS = (0, 1, 2, 5)
"""Tokens that stand before those of the image: none, a class token, one of distillation beside it, four registers."""


@dataclass(frozen=True)
class LayerSeen:
    """What a layer put out for one image.

    Attributes:
        name: of the layer.
        shape: of its output, without the batch.
        grid: tokens along each axis, where its output is tokens; empty where it is planes.
        prefix: tokens that stand before them.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, ...] = ()
    prefix: int = 0


def layers_seen(network: nn.Module, run: nn.Module, image: Tensor) -> list[LayerSeen]:
    """The layers with spatial extent or tokens, in the order in which they ran last.

    Args:
        network: whose layers are asked.
        run: what is called: the network, or what wraps it.
        image: ``(1, C, *spatial)``.
    """
    axes = image.ndim - 2
    seen: dict[str, LayerSeen] = {}
    handles = []

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: object, output: object) -> None:
            found = _seen(name, output, axes, tuple(image.shape[2:]))
            if found is not None:
                seen.pop(name, None)
                seen[name] = found

        return hook

    for name, module in network.named_modules():
        if name:
            handles.append(module.register_forward_hook(keep(name)))
    try:
        with torch.no_grad():
            run(image)
    finally:
        for handle in handles:
            handle.remove()
    return list(seen.values())


def _seen(name: str, output: object, axes: int, size: Sequence[int]) -> LayerSeen | None:
    if not isinstance(output, Tensor) or len(output) != 1:
        return None
    shape = tuple(output.shape[1:])
    if output.ndim == axes + 2:
        return LayerSeen(name, shape) if prod(shape[1:]) > 1 else None
    if output.ndim == 3 and output.shape[1] > 1:
        for prefix in PREFIX_TOKENS:
            grid = token_grid(shape[0] - prefix, size)
            if grid:
                return LayerSeen(name, shape, grid, prefix)
    return None


def token_grid(tokens: int, size: Sequence[int]) -> tuple[int, ...]:
    """Tokens along each axis of an image, all of one patch size that divides it; empty where there is no such grid.

    Example:
        >>> token_grid(196, (224, 224)), token_grid(24, (32, 48)), token_grid(197, (224, 224))
        ((14, 14), (4, 6), ())
    """
    for patch in range(1, min(size) + 1):
        if all(side % patch == 0 for side in size) and prod(side // patch for side in size) == tokens:
            return tuple(side // patch for side in size)
    return ()


def last_spatial(layers: Sequence[LayerSeen]) -> LayerSeen | None:
    """The last layer with planes, where a class activation map is usually taken; None where there is none."""
    return next((one for one in reversed(layers) if not one.grid), None)


def last_tokens(layers: Sequence[LayerSeen]) -> LayerSeen | None:
    """The last layer with tokens on a grid; None where there is none."""
    return next((one for one in reversed(layers) if one.grid), None)
