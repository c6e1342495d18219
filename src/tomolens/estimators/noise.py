"""Gradients times the image, and what their noise says."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from ..randomness import generator
from .estimator import Cost, mean_over
from .points import AtInput, Point, Training, WithNoise, drawn_from_references
from .questions import Asking, Gradient, Round
from .subject import Need, Subject


@dataclass(frozen=True)
class InputTimesGradient:
    """The gradient at the image times the image."""

    name: str = field(default="input-x-gradient", repr=False)
    title: str = field(default="Input x gradient", repr=False)
    source: ClassVar[str] = "Shrikumar et al. 2016, arXiv 1605.01713"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One gradient; that of backpropagation serves."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """At the image."""
        return (yield from mean_over(subject, [AtInput()], lambda _, gradient: subject.image * gradient))


@dataclass(frozen=True)
class VarGrad:
    """Variance of the gradient over noisy copies of the image, those of SmoothGrad."""

    samples: int = 15
    sigma: float = 0.15
    name: str = field(default="vargrad", repr=False)
    title: str = field(default="VarGrad", repr=False)
    source: ClassVar[str] = "Adebayo et al. 2018, arXiv 1810.03307"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = False

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample; those of SmoothGrad serve."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Noisy images, shared with SmoothGrad."""
        mean, square = subject.zeros(), subject.zeros()

        def take(k: int, gradient: Tensor) -> None:
            mean.add_(gradient / self.samples)
            square.add_(gradient.square() / self.samples)

        yield Round([Gradient(WithNoise(self.sigma, k)) for k in range(self.samples)], take)
        return (square - mean.square()).clamp(min=0)


@dataclass(frozen=True)
class NoisyOnPath:
    """A point on the line from a training image (position 0) to a noisy copy of the image (position 1)."""

    reference: Training
    position: float
    noise: WithNoise

    def displacement(self, subject: Subject) -> Tensor:
        """Noisy x - x'."""
        return self.noise.image(subject) - self.reference.of(subject)

    def image(self, subject: Subject) -> Tensor:
        """x' + position (noisy x - x')."""
        return self.reference.of(subject) + self.position * self.displacement(subject)


@dataclass(frozen=True)
class GradientShap:
    """Mean of (noisy x - x') dS_c/dx over training images x' and random points on the way from them to noisy x."""

    samples: int = 25
    sigma: float = 0.1
    name: str = field(default="gradient-shap", repr=False)
    title: str = field(default="GradientSHAP", repr=False)
    source: ClassVar[str] = "Lundberg & Lee 2017, arXiv 1705.07874, as in captum"
    needs: ClassVar[frozenset[Need]] = frozenset({"references"})
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Random points between training images and noisy images."""
        points = []
        for k in range(self.samples):
            drawn = drawn_from_references(subject, k)
            position = float(generator(subject.seed, subject.name, self.name, k).uniform())
            assert isinstance(drawn.reference, Training)
            points.append(NoisyOnPath(drawn.reference, position, WithNoise(self.sigma, k)))

        def term(point: Point, gradient: Tensor) -> Tensor:
            assert isinstance(point, NoisyOnPath)
            return point.displacement(subject) * gradient

        return (yield from mean_over(subject, points, term))
