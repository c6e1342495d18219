"""Layer-wise relevance propagation as a backward rule: each layer shares out what it got among what it saw.

While a network runs, its convolutions and dense layers are replaced by functions of the same value whose backward pass
is a rule; batch norm behind one is taken into it. All between them passes gradients as ever: with R = x dS/dx at every
tensor, a ReLU then hands on the relevance of what it lets through, a sum shares out in proportion, mean pooling
likewise, and maximum pooling gives all to the winner (Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.autograd.graph import Node
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import NetworkError
from .backward_rules import Coverage, nodes_of

Shared = Literal["epsilon", "gamma", "alpha-beta"]
TINY = 1e-12
"""Sums that are less of the largest one of an image are 0, and nothing is divided by them."""

_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
_NORMS = {
    functional.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
}

SCALING = frozenset(
    {"Mul", "Div", "Neg", "Sub", "Rsub", "Add", "NativeBatchNorm", "CudnnBatchNorm", "Relu", "LeakyRelu"}
)
"""What works on each number by itself, by the start of its node's name."""
_MOVING = (
    *("Alias", "AsStrided", "Cat", "Clone", "ConstantPadNd", "Copy", "Expand", "Flip", "Index", "Permute", "Repeat"),
    *("Reshape", "ReshapeAlias", "Select", "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "T", "ToCopy"),
    *("Transpose", "Unbind", "UnsafeView", "Unsqueeze", "View", "ReflectionPad", "ReplicationPad"),
)
_POOLING = (
    *("AdaptiveAvgPool", "MkldnnAdaptiveAvgPool", "AdaptiveMaxPool", "Amax", "AvgPool", "Max", "MaxPoolWithIndices"),
    *("MaxPool", "Mean", "Sum", "UpsampleBilinear", "UpsampleLinear", "UpsampleNearest", "UpsampleTrilinear"),
)
PASSING = SCALING | {*_MOVING, *_POOLING, "PreluKernel"}
"""What hands on relevance when it passes gradients as ever: sums, poolings, what moves numbers, and ReLUs."""


PREPARING = (PASSING - {"Sum"}) | {"Clamp"}
"""What may come before the first layer: a sum there would hand all of the relevance to each of what it adds."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or a dense layer, linear in its input.

    Attributes:
        run: of input, weight and bias.
        weight: ``(out, in, ...)``.
        bias: ``(out,)``, or None.
        dense: whether every output sees every input.
    """

    run: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    dense: bool

    def of(self, x: Tensor, change: Callable[[Tensor], Tensor] = lambda values: values, bias: bool = True) -> Tensor:
        """Its output, with weights and bias changed, or without bias."""
        shift = None if self.bias is None or not bias else change(self.bias)
        return self.run(x, change(self.weight), shift)

    def back(self, x: Tensor, shares: Tensor, change: Callable[[Tensor], Tensor] = lambda values: values) -> Tensor:
        """What outputs' shares are for its input: the transposed layer."""
        with torch.enable_grad():
            seen = x.detach().requires_grad_(True)
            (found,) = torch.autograd.grad(self.of(seen, change, bias=False), seen, shares)
        return found


@dataclass(frozen=True)
class SharedRelevance:
    """Convolutions share out by one rule, dense layers by epsilon, and the first layer evenly if told.

    Attributes:
        rule: of convolutions: ``epsilon`` x_i w_ij / (z_j + epsilon); ``gamma``, in which terms of the sign of z_j
            count 1 + gamma times (the paper's where that is above 0, and it holds below too); or ``alpha-beta``, which
            shares out what speaks for z_j alpha times and what speaks against it alpha - 1 times.
        epsilon: in units of the root mean square of an image's z in that layer.
        gamma: see there.
        alpha: see there, 1 or more.
        flat: whether the first layer shares out evenly among all pixels that it sees.
        partial: whether operations that no rule is known for may pass the plain gradient; otherwise they are refused.
    """

    rule: Shared
    epsilon: float
    gamma: float
    alpha: float
    flat: bool
    partial: bool = False
    name: ClassVar[str] = "LRP"

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """In it convolutions and dense layers have the rule for their backward pass."""
        return _Replacing(self)

    def lay(self, root: Node) -> Coverage:
        """See that every operation hands on relevance, and let what prepares the image pass it unscaled.

        Raises:
            NetworkError: an operation that no rule is known for, or an image that goes around the first layer.
        """
        after, before = _parts_of(root)
        layers = [node for node in after if _is_ruled(node)]
        if not layers:
            raise NetworkError(
                "LRP needs convolutions or dense layers, and sees none: an exported, scripted or compiled network "
                "hides them; give it as a plain module, or leave this estimator out"
            )
        if any(_kind(node) == "AccumulateGrad" for node in after):
            raise NetworkError("LRP: the image goes on beside the first layer: leave this estimator out")
        unknown = Counter(_kind(node) for node in after if not _is_ruled(node) and not _passes(node, PASSING))
        unknown.update(_kind(node) for node in before if not _passes(node, PREPARING) or _joins(node))
        if unknown and not self.partial:
            listed = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
            raise NetworkError(
                f"LRP has no rule for {listed}: leave this estimator out, or let these pass the plain gradient with "
                "partial = true"
            )
        for node in before:
            if _kind(node) in SCALING:
                node.register_hook(_unscaled)
        return Coverage(len(layers), dict(unknown), "operations")

    def shares(self, x: Tensor, layer: Layer, gradient: Tensor, first: bool) -> Tensor:
        """The gradient at a layer's input from that at its output; of the first layer the relevance itself."""
        z = layer.of(x)
        relevance = gradient * z
        if first and self.flat:
            return _evenly(x, layer, relevance)
        if layer.dense or self.rule == "epsilon":
            found = layer.back(x, _over(relevance, self._stable(z)))
        else:
            found = self._by_sign(x, layer, relevance)
        return x * found if first else found

    def _stable(self, z: Tensor) -> Tensor:
        size = (
            z.to(torch.promote_types(z.dtype, torch.float32))
            .flatten(1)
            .square()
            .mean(dim=1)
            .sqrt()
            .reshape(-1, *[1] * (z.ndim - 1))
        )
        return z + torch.where(z < 0, -1.0, 1.0).to(z) * (self.epsilon * size).to(z)

    def _by_sign(self, x: Tensor, layer: Layer, relevance: Tensor) -> Tensor:
        """Gamma and alpha-beta: terms above 0 and below 0 are shared out apart; divided by x."""
        above, below = x.clamp(min=0), x.clamp(max=0)
        gained = layer.of(above, _above_0) + layer.of(below, _below_0, bias=False)
        lost = layer.of(above, _below_0) + layer.of(below, _above_0, bias=False)
        if self.rule == "gamma":
            rises = gained + lost >= 0
            total = gained + lost + self.gamma * torch.where(rises, gained, lost)
            shares = _over(relevance, total)
            of_gained, of_lost = (shares * (1 + self.gamma * one) for one in (rises, ~rises))
        else:
            of_gained = _over(self.alpha * relevance, gained)
            of_lost = _over((1 - self.alpha) * relevance, lost)
        where_above = layer.back(x, of_gained, _above_0) + layer.back(x, of_lost, _below_0)
        where_below = layer.back(x, of_gained, _below_0) + layer.back(x, of_lost, _above_0)
        return torch.where(x < 0, where_below, where_above)


def _above_0(weights: Tensor) -> Tensor:
    return weights.clamp(min=0)


def _below_0(weights: Tensor) -> Tensor:
    return weights.clamp(max=0)


def _over(relevance: Tensor, total: Tensor) -> Tensor:
    """Relevance a unit of a sum; none where the sum is 0."""
    largest = total.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (total.ndim - 1))
    some = total.abs() > TINY * largest
    return torch.where(some, relevance / torch.where(some, total, 1.0), 0.0)


def _evenly(x: Tensor, layer: Layer, relevance: Tensor) -> Tensor:
    seen = layer.of(torch.ones_like(x), torch.ones_like, bias=False)
    return layer.back(x, _over(relevance, seen), torch.ones_like)


class _Ruled(torch.autograd.Function):
    """A layer whose backward pass is a rule."""

    @staticmethod
    def forward(context: FunctionCtx, x: Tensor, layer: Layer, rule: SharedRelevance, first: bool) -> Tensor:
        """The layer's output."""
        context.save_for_backward(x)
        context.layer, context.rule, context.first = layer, rule, first  # type: ignore[attr-defined]
        return layer.of(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The rule."""
        (x,) = context.saved_tensors
        return context.rule.shares(x, context.layer, gradient, context.first), None, None, None


class _Replacing(TorchFunctionMode):
    """While it is entered, layers have a rule for their backward pass."""

    def __init__(self, rule: SharedRelevance) -> None:
        super().__init__()
        self.rule = rule
        self.inputs: dict[Node, tuple[Tensor, Layer]] = {}
        """Of each layer that ran, by the node of its output."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a layer with the rule, and everything else as it is."""
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            return function(*args, **kwargs)
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            raise NetworkError("LRP: the network casts within itself (autocast): give it in one floating type")
        if function in CONVOLUTIONS or function is functional.linear:
            given = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
            x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
            if x.requires_grad:

                def run(values: Tensor, weights: Tensor, shift: Tensor | None) -> Tensor:
                    made: Tensor = function(values, weights, shift, **given)
                    return made

                return self._ruled(x, Layer(run, weight, bias, function is functional.linear))
        if function in _NORMS:
            given = {**dict(zip(_NORMS[function], args, strict=False)), **kwargs}
            known = self.inputs.get(given["input"].grad_fn)
            if (
                known is not None
                and not given.get("training", False)
                and (
                    given["input"].ndim == 2
                    or not known[1].dense  # of (N, L, F) a dense layer's features are the last axis
                )
            ):
                return self._ruled(known[0], _with_norm(known[1], given))
        return function(*args, **kwargs)

    def _ruled(self, x: Tensor, layer: Layer) -> Tensor:
        first = not (x.grad_fn is not None and any(_is_ruled(node) for node in nodes_of(x.grad_fn)))
        plain = x.as_subclass(Tensor)
        made: Tensor = _Ruled.apply(plain, layer, self.rule, first)  # type: ignore[no-untyped-call]
        assert made.grad_fn is not None
        self.inputs[made.grad_fn] = (x, layer)
        return made


def _is_ruled(node: Node) -> bool:
    return isinstance(getattr(node, "rule", None), SharedRelevance)


def _with_norm(layer: Layer, given: Mapping[str, Any]) -> Layer:
    """A layer and the batch norm behind it in one."""
    scale = (given["running_var"] + given.get("eps", 1e-5)).rsqrt()
    if given.get("weight") is not None:
        scale = scale * given["weight"]
    shift = -given["running_mean"] * scale
    if given.get("bias") is not None:
        shift = shift + given["bias"]
    if layer.bias is not None:
        shift = shift + layer.bias * scale
    return replace(layer, weight=layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1)), bias=shift)


def _parts_of(root: Node) -> tuple[set[Node], set[Node]]:
    """The nodes of a graph up to the first layers, these among them, and those before them."""
    after, waiting, begins = {root}, [root], []
    while waiting:
        node = waiting.pop()
        children = [child for child, _ in node.next_functions if child is not None]
        if _is_ruled(node) and node.first:  # type: ignore[attr-defined]
            begins += children
            continue
        new = [child for child in children if child not in after]
        after.update(new)
        waiting += new
    return after, {node for begin in begins for node in nodes_of(begin)}


def _kind(node: Node) -> str:
    """An operation by its name without number and dimensions, as ``MaxPoolWithIndices``."""
    name = node.name().rpartition("::")[2]
    return re.sub(r"[123]D", "", name.partition("Backward")[0])


def _passes(node: Node, known: frozenset[str]) -> bool:
    kind = _kind(node)
    if getattr(node, "_saved_training", False):  # statistics of the image itself: no number passes by itself
        return False
    return kind == "AccumulateGrad" or (kind in known and not (kind in ("Mul", "Div") and _joins(node)))


def _joins(node: Node) -> bool:
    """Whether two ways from the image meet in one number."""
    return _kind(node) in SCALING and sum(child is not None for child, _ in node.next_functions) > 1


def _unscaled(outgoing: tuple[Tensor | None, ...], incoming: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """Relevance goes through what works on each number by itself as it is."""
    return tuple(None if one is None else incoming[0].sum_to_size(one.shape) for one in outgoing)
