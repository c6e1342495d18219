"""Class-discriminative attention maps of vision transformers, by the authors of the protocol.

The importance of token i is the sum over its numbers T_ij of T_ij dS_c/dT_ij, where T are the tokens that enter the
last attention layer (Brocki, Binda & Chung, arXiv 2312.02364). No attention matrix is asked for. Tokens before those of
the image (class, distillation, registers) are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import NetworkError, SettingsError
from ..randomness import generator
from .estimator import Cost
from .planes import of_tokens, on_the_grid
from .points import AtInput
from .questions import LAST_TOKENS, Asking, Change, Features, LayerFeatures, Round
from .subject import Need, Subject


@dataclass(frozen=True)
class Shrunk:
    """Tokens on the straight line from 0 to what they are."""

    share: float

    def of(self, values: Tensor, subject: Subject) -> Tensor:
        """A share of them."""
        return self.share * values


@dataclass(frozen=True)
class NoisyTokens:
    """Tokens with Gaussian noise, ``sigma`` being a share of their range (max - min)."""

    sigma: float
    draw: int

    def of(self, values: Tensor, subject: Subject) -> Tensor:
        """T + N(0, (sigma (max T - min T))^2), from the generator (seed, case, "smooth-cdam", draw)."""
        noise = generator(subject.seed, subject.name, "smooth-cdam", self.draw).standard_normal(tuple(values.shape))
        return values + self.sigma * (values.max() - values.min()) * torch.from_numpy(noise).to(values)


def _mean_relevance(subject: Subject, layer: str, changes: Sequence[Change | None]) -> Asking:
    """Mean over changes of the tokens times the gradient by them; of shrunk tokens the whole ones count."""
    relevances: list[Tensor] = []
    kind = subject.zeros().dtype

    def take(k: int, answer: LayerFeatures) -> None:
        tokens, change = answer.values.to(kind), changes[k]
        if tokens.ndim != 2:
            raise NetworkError(f"layer '{layer}' puts out {tuple(tokens.shape)} for an image, expected tokens (T, D)")
        if isinstance(change, Shrunk):
            tokens = tokens / change.share
        relevances.append((tokens * answer.gradients.to(kind)).sum(dim=-1) / len(changes))

    yield Round([Features(AtInput(), layer or LAST_TOKENS, change=change) for change in changes], take)
    return on_the_grid(of_tokens(sum(relevances[1:], relevances[0]), subject), subject)


@dataclass(frozen=True)
class Cdam:
    """Tokens that enter the last attention layer, times the gradient by them.

    Attributes:
        layer: whose output the tokens are; that which enters the last attention unless told.
    """

    layer: str = ""
    name: str = field(default="cdam", repr=False)
    title: str = field(default="CDAM", repr=False)
    source: ClassVar[str] = "Brocki et al. 2023, arXiv 2312.02364"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One pass to the layer and back."""
        return Cost(features=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from _mean_relevance(subject, self.layer, [None]))


@dataclass(frozen=True)
class SmoothCdam:
    """Mean CDAM over noisy tokens.

    Attributes:
        samples: of noise.
        sigma: its standard deviation, as a share of the range of the tokens.
        layer: whose output the tokens are; that which enters the last attention unless told.
    """

    samples: int = 15
    sigma: float = 0.1
    layer: str = ""
    name: str = field(default="smooth-cdam", repr=False)
    title: str = field(default="Smooth CDAM", repr=False)
    source: ClassVar[str] = "Brocki et al. 2023, arXiv 2312.02364"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 1 or self.sigma < 0:
            raise SettingsError(f"samples {self.samples}, sigma {self.sigma:g}: expected at least one, and 0 or more")

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A pass for each sample."""
        return Cost(features=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Noisy tokens."""
        noises = [NoisyTokens(self.sigma, k) for k in range(self.samples)]
        return (yield from _mean_relevance(subject, self.layer, noises))


@dataclass(frozen=True)
class IntegratedCdam:
    """Tokens times the mean gradient by them on the way from 0.

    Attributes:
        steps: on the way.
        layer: whose output the tokens are; that which enters the last attention unless told.
    """

    steps: int = 25
    layer: str = ""
    name: str = field(default="integrated-cdam", repr=False)
    title: str = field(default="Integrated CDAM", repr=False)
    source: ClassVar[str] = "Brocki et al. 2023, arXiv 2312.02364"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingsError(f"steps {self.steps}, expected at least one")

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A pass for each step."""
        return Cost(features=self.steps)

    def explain(self, subject: Subject) -> Asking:
        """Tokens that grow to what they are."""
        way = [Shrunk((k + 1) / self.steps) for k in range(self.steps)]
        return (yield from _mean_relevance(subject, self.layer, way))
