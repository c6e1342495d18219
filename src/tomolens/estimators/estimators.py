"""The importance estimators of the protocol.

To add an estimator, write one such class in a module of its own and put it in `ESTIMATORS`; the contract test then
covers it, and its map appears in tables, figures and page.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .backward_rules import PositiveGradients
from .estimator import Cost, mean_over, require_numbers
from .points import (
    AtInput,
    Constant,
    Filled,
    OnPath,
    Point,
    Quadrature,
    Twin,
    WithNoise,
    drawn_from_references,
    path_nodes,
)
from .questions import Asking, Gradient, Importance, Round, Score
from .subject import Need, Subject, needed_by, require_fill_of_any_class

NEUTRAL = "neutral"
GREYS = 33
"""Tried for a neutral reference, from black to white."""


def _require_path(steps: int, quadrature: str) -> None:
    require_numbers(steps=steps)
    if quadrature not in get_args(Quadrature):
        raise SettingsError(f"quadrature '{quadrature}', expected one of {', '.join(get_args(Quadrature))}")


def _displaced(subject: Subject, point: Point, gradient: Tensor) -> Tensor:
    assert isinstance(point, OnPath)
    return point.displacement(subject) * gradient


@dataclass(frozen=True)
class Backpropagation:
    """dS_c/dx."""

    name: str = field(default="backpropagation", repr=False)
    title: str = field(default="Backpropagation", repr=False)
    source: ClassVar[str] = "Simonyan et al. 2014, arXiv 1312.6034"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One gradient."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """The gradient at the image."""
        return (yield from mean_over(subject, [AtInput()]))


@dataclass(frozen=True)
class Deconvolution:
    """Backward pass in which each ReLU passes only the positive part of the incoming gradient.

    Attributes:
        partial: whether rectifiers other than ReLU pass the plain gradient; otherwise a network that has any is
            refused.
    """

    partial: bool = False
    name: str = field(default="deconvolution", repr=False)
    title: str = field(default="Deconvolution", repr=False)
    source: ClassVar[str] = "Zeiler & Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One gradient."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """The deconvolved gradient at the image."""
        return (yield from mean_over(subject, [AtInput()], rule=PositiveGradients(self.partial)))


def _integrated(
    subject: Subject, starts: Sequence[Constant | Filled | Twin], steps: int, quadrature: Quadrature
) -> Asking:
    """Mean of the integrated gradients from some references, with its completeness error."""
    positions, weights = path_nodes(steps, quadrature)
    points = [OnPath(start, float(position)) for start in starts for position in positions]
    shares = [1.0 / len(starts) * float(weight) for _ in starts for weight in weights]
    ends: list[Point] = [AtInput(), *(OnPath(start, 0.0) for start in starts)]
    total, scores = subject.zeros(), np.zeros(len(ends))

    def take(k: int, answer: Tensor) -> None:
        if k < len(points):
            total.add_(shares[k] * _displaced(subject, points[k], answer))
        else:
            scores[k - len(points)] = float(answer[subject.target])

    yield Round([*map(Gradient, points), *map(Score, ends)], take)
    gained = float(scores[0] - scores[1:].mean())
    missed = float(total.double().sum()) - gained
    return Importance(total, abs(missed / gained) if gained else float("nan"))


@dataclass(frozen=True)
class IntegratedGradients:
    """(x - x') times the mean gradient on the way from a reference x'.

    Attributes:
        steps: gradients on the way.
        reference: a value from 0 (black) to 1 (white) or another fill of the whole image, as ``"mean"``, ``"blur"`` or
            ``"40 HU"`` (see `Fill`); or ``"neutral"``: the grey, of `GREYS` between black and white, about which the
            network is least decided (Izzo et al. 2020, arXiv 2006.04896).
        quadrature: ``right`` Riemann sum, or ``gauss-legendre``.
    """

    steps: int = 25
    reference: float | str = 0.0
    quadrature: Quadrature = "right"
    name: str = field(default="integrated-gradients", repr=False)
    title: str = field(default="Integrated gradients", repr=False)
    source: ClassVar[str] = "Sundararajan et al. 2017, arXiv 1703.01365"
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_path(self.steps, self.quadrature)
        if self.reference != NEUTRAL:
            require_fill_of_any_class(self.reference)

    @property
    def needs(self) -> frozenset[Need]:
        """What the reference needs."""
        return needed_by(self.reference)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient at each step, the scores of both ends for the completeness error, and those of greys to try."""
        return Cost(gradients=self.steps, scores=2 + (GREYS if self.reference == NEUTRAL else 0))

    def explain(self, subject: Subject) -> Asking:
        """The path from the reference."""
        start: Constant | Filled
        if self.reference == NEUTRAL:
            start = yield from _neutral(subject)
        else:
            start = Filled(self.reference) if isinstance(self.reference, str) else Constant(self.reference)
        return (yield from _integrated(subject, [start], self.steps, self.quadrature))


def _neutral(subject: Subject) -> Generator[Round, None, Constant]:
    """The grey whose two highest scores are closest, of a label that whose own is nearest 0; the darkest of several."""
    greys = [Constant(k / (GREYS - 1)) for k in range(GREYS)]
    leads = np.zeros(GREYS)

    def take(k: int, answer: Tensor) -> None:
        if subject.task == "labels":
            leads[k] = abs(float(answer[subject.target]))
            return
        first, second = answer.topk(2).values.tolist()
        leads[k] = first - second

    yield Round([Score(OnPath(grey, 0.0)) for grey in greys], take)
    return greys[int(leads.argmin())]


@dataclass(frozen=True)
class IntegratedGradientsBlackWhite:
    """Mean of the integrated gradients from a black and from a white reference."""

    steps: int = 25
    quadrature: Quadrature = "right"
    name: str = field(default="integrated-gradients-bw", repr=False)
    title: str = field(default="Integrated gradients, b/w", repr=False)
    source: ClassVar[str] = "Kapishnikov et al. 2019, arXiv 1906.02825"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_path(self.steps, self.quadrature)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient at each step of both paths, and the scores of their ends."""
        return Cost(gradients=2 * self.steps, scores=3)

    def explain(self, subject: Subject) -> Asking:
        """Both paths; the black one is shared with integrated gradients."""
        return (yield from _integrated(subject, [Constant(0.0), Constant(1.0)], self.steps, self.quadrature))


@dataclass(frozen=True)
class IntegratedGradientsTwin:
    """Integrated gradients from the image's twin: what of their difference the network uses, and nothing else."""

    steps: int = 25
    quadrature: Quadrature = "right"
    name: str = field(default="integrated-gradients-twin", repr=False)
    title: str = field(default="Integrated gradients, twin", repr=False)
    source: ClassVar[str] = "Sundararajan et al. 2017, arXiv 1703.01365, with a counterfactual as reference"
    needs: ClassVar[frozenset[Need]] = frozenset({"twin"})
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_path(self.steps, self.quadrature)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient at each step, and the scores of both ends."""
        return Cost(gradients=self.steps, scores=2)

    def explain(self, subject: Subject) -> Asking:
        """The path from the twin."""
        return (yield from _integrated(subject, [Twin()], self.steps, self.quadrature))


@dataclass(frozen=True)
class ExpectedGradients:
    """Mean of (x - x') dS_c/dx over training images x' and random points on the way from them."""

    samples: int = 25
    name: str = field(default="expected-gradients", repr=False)
    title: str = field(default="Expected gradients", repr=False)
    source: ClassVar[str] = "Erion et al. 2021, arXiv 1906.10670"
    needs: ClassVar[frozenset[Need]] = frozenset({"references"})
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_numbers(samples=self.samples)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Random points between training images and the image."""
        points = [drawn_from_references(subject, k) for k in range(self.samples)]
        return (yield from mean_over(subject, points, lambda point, gradient: _displaced(subject, point, gradient)))


@dataclass(frozen=True)
class SmoothGrad:
    """Mean gradient at noisy copies of the image."""

    samples: int = 15
    sigma: float = 0.15
    name: str = field(default="smoothgrad", repr=False)
    title: str = field(default="SmoothGrad", repr=False)
    source: ClassVar[str] = "Smilkov et al. 2017, arXiv 1706.03825"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_numbers(samples=self.samples, sigma=self.sigma)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Noisy images."""
        return (yield from mean_over(subject, [WithNoise(self.sigma, k) for k in range(self.samples)]))


@dataclass(frozen=True)
class SmoothGradSquared:
    """Mean squared gradient at the same noisy copies."""

    samples: int = 15
    sigma: float = 0.15
    name: str = field(default="smoothgrad-squared", repr=False)
    title: str = field(default="SmoothGrad squared", repr=False)
    source: ClassVar[str] = "Hooker et al. 2019, arXiv 1806.10758"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_numbers(samples=self.samples, sigma=self.sigma)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample; those of SmoothGrad serve."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Noisy images, shared with SmoothGrad."""
        points = [WithNoise(self.sigma, k) for k in range(self.samples)]
        kind = subject.zeros().dtype  # squares of half precision are 0
        return (yield from mean_over(subject, points, lambda _, gradient: gradient.to(kind).square()))


@dataclass(frozen=True)
class Random:
    """Independent draws from U(0, 1): the baseline that any estimator must beat."""

    name: str = field(default="random", repr=False)
    title: str = field(default="Random", repr=False)
    source: ClassVar[str] = "baseline of Brocki et al. 2022, arXiv 2209.15398"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """Nothing."""
        return Cost()

    def explain(self, subject: Subject) -> Tensor:
        """U(0, 1) from the generator (seed, case, "random")."""
        values = generator(subject.seed, subject.name, "random").random(tuple(subject.image.shape))
        return torch.from_numpy(values).to(subject.image)
