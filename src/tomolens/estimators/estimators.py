"""The importance estimators of the protocol, each as its probes and the term it averages over them.

A map is the mean, over an estimator's probes and their points, of ``term(gradient, displacement)``. To add an
estimator, write one such class and put it in `ESTIMATORS`; the contract test then covers it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .backward_rules import PositiveGradients
from .probes import AlongPath, AtInput, AtNoisyInputs, FromReferences, PathRule, Probe, Subject


@runtime_checkable
class Estimator(Protocol):
    """What `explain` needs to know of an estimator."""

    name: ClassVar[str]
    source: ClassVar[str]
    turned_to_prediction: ClassVar[bool]
    """In the paper's variant (``signs = "paper"``): of the target class (True) or always of class 1 (False)."""

    def probes(self) -> tuple[Probe, ...]:
        """Where gradients are needed; none for an estimator that does not look at the network."""

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """What is averaged, from the gradient at a point and x - x' there."""


@runtime_checkable
class BlindEstimator(Protocol):
    """An estimator that draws its map without the network."""

    name: ClassVar[str]
    source: ClassVar[str]

    def draw(self, subject: Subject) -> Tensor:
        """The map, in the shape of the image."""


def _displaced(gradient: Tensor, displacement: Tensor | None) -> Tensor:
    assert displacement is not None
    return displacement * gradient


@dataclass(frozen=True)
class Backpropagation:
    """dS_c/dx."""

    name: ClassVar[str] = "backpropagation"
    source: ClassVar[str] = "Simonyan et al. 2014, arXiv 1312.6034"
    turned_to_prediction: ClassVar[bool] = False

    def probes(self) -> tuple[Probe, ...]:
        """The image."""
        return (AtInput(),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """The gradient."""
        return gradient


@dataclass(frozen=True)
class Deconvolution:
    """Backward pass in which each ReLU passes only the positive part of the incoming gradient.

    Attributes:
        partial: whether rectifiers other than ReLU pass the plain gradient; otherwise a network that has any is
            refused.
    """

    partial: bool = False
    name: ClassVar[str] = "deconvolution"
    source: ClassVar[str] = "Zeiler & Fergus 2014, arXiv 1311.2901"
    turned_to_prediction: ClassVar[bool] = False

    def probes(self) -> tuple[Probe, ...]:
        """The image, with the deconvolution rule."""
        return (AtInput(rule=PositiveGradients(self.partial)),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """The deconvolved gradient."""
        return gradient


@dataclass(frozen=True)
class IntegratedGradients:
    """(x - x') times the mean gradient on the way from a black reference x' = 0."""

    steps: int = 25
    reference: float = 0.0
    quadrature: PathRule = "right"
    name: ClassVar[str] = "integrated-gradients"
    source: ClassVar[str] = "Sundararajan et al. 2017, arXiv 1703.01365"
    turned_to_prediction: ClassVar[bool] = True

    def probes(self) -> tuple[Probe, ...]:
        """The path from the reference."""
        return (AlongPath(self.reference, self.steps, self.quadrature),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """(x - x') times the gradient."""
        return _displaced(gradient, displacement)


@dataclass(frozen=True)
class IntegratedGradientsBlackWhite:
    """Mean of the integrated gradients from a black and from a white reference."""

    steps: int = 25
    quadrature: PathRule = "right"
    name: ClassVar[str] = "integrated-gradients-bw"
    source: ClassVar[str] = "Kapishnikov et al. 2019, arXiv 1906.02825"
    turned_to_prediction: ClassVar[bool] = True

    def probes(self) -> tuple[Probe, ...]:
        """Both paths; the black one is shared with integrated gradients."""
        return (AlongPath(0.0, self.steps, self.quadrature), AlongPath(1.0, self.steps, self.quadrature))

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """(x - x') times the gradient."""
        return _displaced(gradient, displacement)


@dataclass(frozen=True)
class ExpectedGradients:
    """Mean of (x - x') dS_c/dx over training images x' and random points on the way from them."""

    samples: int = 25
    name: ClassVar[str] = "expected-gradients"
    source: ClassVar[str] = "Erion et al. 2021, arXiv 1906.10670"
    turned_to_prediction: ClassVar[bool] = True

    def probes(self) -> tuple[Probe, ...]:
        """Random points between training images and the image."""
        return (FromReferences(self.samples),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """(x - x') times the gradient."""
        return _displaced(gradient, displacement)


@dataclass(frozen=True)
class SmoothGrad:
    """Mean gradient at noisy copies of the image."""

    samples: int = 15
    sigma: float = 0.15
    name: ClassVar[str] = "smoothgrad"
    source: ClassVar[str] = "Smilkov et al. 2017, arXiv 1706.03825"
    turned_to_prediction: ClassVar[bool] = False

    def probes(self) -> tuple[Probe, ...]:
        """Noisy images."""
        return (AtNoisyInputs(self.samples, self.sigma),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """The gradient."""
        return gradient


@dataclass(frozen=True)
class SmoothGradSquared:
    """Mean squared gradient at the same noisy copies."""

    samples: int = 15
    sigma: float = 0.15
    name: ClassVar[str] = "smoothgrad-squared"
    source: ClassVar[str] = "Hooker et al. 2019, arXiv 1806.10758"
    turned_to_prediction: ClassVar[bool] = False

    def probes(self) -> tuple[Probe, ...]:
        """Noisy images, shared with SmoothGrad."""
        return (AtNoisyInputs(self.samples, self.sigma),)

    def term(self, gradient: Tensor, displacement: Tensor | None) -> Tensor:
        """The squared gradient."""
        return gradient.square()


@dataclass(frozen=True)
class Random:
    """Independent draws from U(0, 1): the baseline that any estimator must beat."""

    name: ClassVar[str] = "random"
    source: ClassVar[str] = "baseline of Brocki et al. 2022, arXiv 2209.15398"

    def draw(self, subject: Subject) -> Tensor:
        """U(0, 1) from the generator (seed, case, "random")."""
        values = generator(subject.seed, subject.name, "random").random(tuple(subject.image.shape))
        return torch.from_numpy(values).to(subject.image)


ESTIMATORS: dict[str, Callable[..., Estimator | BlindEstimator]] = {
    estimator.name: estimator
    for estimator in (
        Backpropagation,
        Deconvolution,
        IntegratedGradients,
        IntegratedGradientsBlackWhite,
        ExpectedGradients,
        SmoothGrad,
        SmoothGradSquared,
        Random,
    )
}


def make_estimator(name: str, **parameters: object) -> Estimator | BlindEstimator:
    """An estimator by its registered name.

    Raises:
        SettingsError: an unknown name, with the nearest known one, or a parameter it does not have.
    """
    if name not in ESTIMATORS:
        near = get_close_matches(name, ESTIMATORS, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(f"unknown estimator '{name}': {hint}known are {', '.join(ESTIMATORS)}")
    try:
        return ESTIMATORS[name](**parameters)
    except TypeError as error:
        raise SettingsError(f"estimator '{name}': {error}") from error
