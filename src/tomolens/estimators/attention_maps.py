"""Attention of a vision transformer, followed through its layers to the tokens of the image.

Both ask for the matrices of every attention layer, ``(heads, tokens, tokens)``: networks that compute attention without
keeping them are refused, with how to get them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from .estimator import Cost
from .planes import grid_of, of_tokens, on_the_grid, readers
from .points import AtInput
from .questions import Asking, Attention, LayerFeatures, Round
from .subject import Need, Subject


def _followed(subject: Subject, step: Callable[[LayerFeatures, Tensor], Tensor]) -> Asking:
    """What the head reads of each token in the end, by what each layer makes of the flow before it."""
    found: list[Sequence[LayerFeatures]] = []
    yield Round([Attention(AtInput())], lambda _, answer: found.append(answer))
    kind = subject.zeros().dtype
    tokens = found[0][0].values.shape[-1]
    flow = torch.eye(tokens, dtype=kind, device=subject.image.device)
    for layer in found[0]:
        flow = step(LayerFeatures(layer.values.to(kind), layer.gradients.to(kind)), flow)
    _, prefix = grid_of(tokens, tuple(subject.image.shape[1:]))
    read = readers(tokens, prefix, flow) @ flow
    return on_the_grid(of_tokens(read, subject), subject)


@dataclass(frozen=True)
class AttentionRollout:
    """Product over the layers of half the mean attention of the heads and half the tokens themselves (section 3).

    It does not ask for a class."""

    name: str = field(default="attention-rollout", repr=False)
    title: str = field(default="Attention rollout", repr=False)
    source: ClassVar[str] = "Abnar & Zuidema 2020, arXiv 2005.00928"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the attention layers and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""

        def step(layer: LayerFeatures, flow: Tensor) -> Tensor:
            mixed = (layer.values.mean(dim=0) + torch.eye(len(flow), dtype=flow.dtype, device=flow.device)) / 2
            return (mixed / mixed.sum(dim=-1, keepdim=True)) @ flow

        return (yield from _followed(subject, step))


@dataclass(frozen=True)
class GradientAttention:
    """Sum over the layers of attention times its gradient, positive part, mean of the heads (equations 5 and 6)."""

    name: str = field(default="gradient-attention", repr=False)
    title: str = field(default="Gradient attention", repr=False)
    source: ClassVar[str] = "Chefer et al. 2021, arXiv 2103.15679"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the attention layers and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""

        def step(layer: LayerFeatures, flow: Tensor) -> Tensor:
            return flow + (layer.values * layer.gradients).clamp(min=0).mean(dim=0) @ flow

        return (yield from _followed(subject, step))
