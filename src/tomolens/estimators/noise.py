"""Gradients times the image, and what their noise says."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from .estimator import Cost, mean_over, require_numbers
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

    def __post_init__(self) -> None:
        require_numbers(samples=self.samples, sigma=self.sigma)
        if self.samples < 2:
            raise SettingsError(f"samples {self.samples}: one has no variance, expected two or more")

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient for each sample; those of SmoothGrad serve."""
        return Cost(gradients=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Noisy images, shared with SmoothGrad."""
        mean, spread = subject.zeros(), subject.zeros()

        def take(k: int, gradient: Tensor) -> None:
            away = gradient.to(mean.dtype) - mean  # from the mean so far (Welford 1962): squares would cancel
            mean.add_(away / (k + 1))
            spread.add_(away * (gradient.to(mean.dtype) - mean))

        yield Round([Gradient(WithNoise(self.sigma, k)) for k in range(self.samples)], take)
        return spread / self.samples


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

    def __post_init__(self) -> None:
        require_numbers(samples=self.samples, sigma=self.sigma)

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
