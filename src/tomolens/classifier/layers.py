"""Which layers a map of features can be taken from: planes of an image, or tokens on a grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

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
        times: how often it ran.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, ...] = ()
    prefix: int = 0
    times: int = 1


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
    lasts: list[Tensor] = []

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: tuple[object, ...], output: object) -> None:
            if _is_channels_last(module, given, output, lasts):
                assert isinstance(output, Tensor)
                lasts.append(output)
                if output.ndim == axes + 2:
                    return
            found = _seen(name, output, axes, tuple(image.shape[2:]))
            if found is not None:
                before = seen.pop(name, None)
                seen[name] = replace(found, times=1 if before is None else before.times + 1)

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


def _is_channels_last(module: nn.Module, given: tuple[object, ...], output: object, lasts: Sequence[Tensor]) -> bool:
    """Whether a layer puts out numbers whose last axis is that of features, as ``(N, H, W, C)`` and ``(N, T, C)``.

    Linear layers and layer norms do, and so does what works on each number by itself after one that did.

    Args:
        lasts: what layers put out for which that is so; kept, so that no other tensor takes their place in memory.
    """
    if not isinstance(output, Tensor):
        return False
    if isinstance(module, nn.Linear):
        return True
    if type(module) is nn.LayerNorm:  # others by that name may move axes
        return tuple(module.normalized_shape) == output.shape[-1:]
    entered = given[0] if given else None
    if not isinstance(entered, Tensor) or entered.shape != output.shape or any(True for _ in module.parameters()):
        return False
    return any(entered.data_ptr() == one.data_ptr() and entered.shape == one.shape for one in lasts)


def _seen(name: str, output: object, axes: int, size: Sequence[int]) -> LayerSeen | None:
    if not isinstance(output, Tensor) or len(output) != 1:
        return None
    shape = tuple(output.shape[1:])
    if output.ndim == axes + 2:
        return LayerSeen(name, shape) if prod(shape[1:]) > 1 else None
    if output.ndim == 3 and output.shape[1] > 1:
        grid, prefix = grid_and_prefix(shape[0], size)
        return LayerSeen(name, shape, grid, prefix) if grid else None
    return None


def grid_and_prefix(tokens: int, size: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Tokens along each axis of an image, and how many stand before them; an empty grid where they make none.

    Example:
        >>> grid_and_prefix(197, (224, 224)), grid_and_prefix(23, (16, 16))
        (((14, 14), 1), ((), 0))
    """
    for prefix in PREFIX_TOKENS:
        if grid := token_grid(tokens - prefix, size):
            return grid, prefix
    return (), 0


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
    """The last layer with planes that runs once, where a class activation map is usually taken; None without any."""
    return next((one for one in reversed(layers) if not one.grid and one.times == 1), None)


def last_tokens(layers: Sequence[LayerSeen]) -> LayerSeen | None:
    """The last layer with tokens on a grid; None where there is none."""
    return next((one for one in reversed(layers) if one.grid), None)


class _WatchingAttention(TorchFunctionMode):
    """Tells when attention is computed: where a softmax is taken over tokens, or by torch's own function."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self.told = told

    def __torch_function__(self, function, types, arguments=(), named=None):  # type: ignore[no-untyped-def]
        of_tokens = function in _SOFTMAX and arguments[0].ndim >= 3 and arguments[0].shape[-1] == arguments[0].shape[-2]
        if of_tokens or function in _ATTENTION:
            self.told()
        return function(*arguments, **(named or {}))


_SOFTMAX = (torch.softmax, functional.softmax, Tensor.softmax)
_ATTENTION = (functional.scaled_dot_product_attention, functional.multi_head_attention_forward)


def before_last_attention(network: nn.Module, run: nn.Module, image: Tensor) -> str:
    """The layer that puts out the tokens that enter the last attention layer; empty where there is none.

    It is the last norm of tokens that ran before the last attention did, and after any attention before that: the norm
    at the beginning of a block, and not those of queries and keys, which are of what a linear layer puts out.

    Args:
        network: whose layers are asked.
        run: what is called: the network, or what wraps it.
        image: ``(1, C, *spatial)``.
    """
    since: list[str] = []
    entering = [""]
    projected: list[Tensor] = []
    size = tuple(image.shape[2:])

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: tuple[object, ...], output: object) -> None:
            if isinstance(module, nn.Linear) and isinstance(output, Tensor):
                projected.append(output)
            found = _seen(name, output, len(size), size)
            if found is None or not found.grid or not isinstance(module, nn.LayerNorm):
                return
            entered = given[0] if given else None
            of_linear = isinstance(entered, Tensor) and any(
                entered.untyped_storage().data_ptr() == one.untyped_storage().data_ptr() for one in projected
            )
            if not of_linear:
                since.append(name)

        return hook

    def told() -> None:
        if since:
            entering[0] = since[-1]
            since.clear()

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad(), _WatchingAttention(told):
            run(image)
    finally:
        for handle in handles:
            handle.remove()
    return entering[0]
