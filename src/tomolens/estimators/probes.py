"""Probes: where an estimator needs gradients. Equal probes are run once for all estimators that share them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier.intensity import Intensity
from ..randomness import generator
from .backward_rules import GRADIENT, BackwardRule


@dataclass(frozen=True)
class References:
    """Training images from which expected gradients draws.

    Attributes:
        images: ``(R, C, *spatial)``, within the classifier's `Intensity`.
        labels: class of each, int64 ``(R,)``; draws are balanced over the classes.
    """

    images: Tensor
    labels: Tensor

    @cached_property
    def members(self) -> tuple[NDArray[np.intp], ...]:
        """Indices of the images of each class that has any."""
        labels = self.labels.cpu().numpy()
        return tuple(np.flatnonzero(labels == label) for label in np.unique(labels))


@dataclass(frozen=True)
class Subject:
    """The image that is explained, and all that its random draws may depend on.

    Attributes:
        image: ``(C, *spatial)``.
        name: of the case.
        seed: of the study.
        references: for probes that draw training images.
        intensity: which values of the image are black and white.
    """

    image: Tensor
    name: str
    seed: int
    references: References | None = None
    intensity: Intensity = Intensity()


@dataclass(frozen=True)
class Point:
    """One place where a gradient is taken.

    Attributes:
        image: ``(C, *spatial)``, the network's input there.
        displacement: x - x', from the reference to the image; None where there is no reference.
        weight: share of this point in the probe's mean; the weights of a probe sum to 1.
    """

    image: Tensor
    displacement: Tensor | None
    weight: float


class Probe(Protocol):
    """Says where gradients are taken. Frozen and hashable: equal probes are one probe."""

    @property
    def rule(self) -> BackwardRule:
        """How rectifiers pass gradients back."""

    @property
    def count(self) -> int:
        """Number of points."""

    def point(self, subject: Subject, k: int) -> Point:
        """The k-th point; depends on nothing but subject and k."""


@dataclass(frozen=True)
class AtInput:
    """The image itself."""

    rule: BackwardRule = GRADIENT
    count: int = 1

    def point(self, subject: Subject, k: int) -> Point:
        """The image."""
        return Point(subject.image, None, 1.0)


@dataclass(frozen=True)
class AtNoisyInputs:
    """The image with Gaussian noise, not clipped; ``sigma`` is a share of the image's range (max - min)."""

    count: int
    sigma: float
    rule: BackwardRule = GRADIENT

    def point(self, subject: Subject, k: int) -> Point:
        """x + N(0, (sigma (max x - min x))^2), from the generator (seed, case, "smoothgrad", k)."""
        image = subject.image
        noise = generator(subject.seed, subject.name, "smoothgrad", k).standard_normal(tuple(image.shape))
        spread = self.sigma * (image.max() - image.min())
        return Point(image + spread * torch.from_numpy(noise).to(image), None, 1.0 / self.count)


PathRule = Literal["right", "gauss-legendre"]


@dataclass(frozen=True)
class AlongPath:
    """The straight line from a constant reference image, 0 (black) to 1 (white), to the image.

    ``quadrature`` is the protocol's right Riemann sum, or Gauss-Legendre, whose completeness error is
    about a tenth of it at 25 steps.
    """

    reference: float
    count: int
    quadrature: PathRule = "right"
    rule: BackwardRule = GRADIENT

    @cached_property
    def nodes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions on the path in (0, 1] and their weights."""
        if self.quadrature == "right":
            return np.arange(1, self.count + 1) / self.count, np.full(self.count, 1.0 / self.count)
        nodes, weights = np.polynomial.legendre.leggauss(self.count)
        return (nodes + 1.0) / 2.0, weights / 2.0

    def point(self, subject: Subject, k: int) -> Point:
        """x' + a_k (x - x')."""
        positions, weights = self.nodes
        reference = subject.intensity.at(self.reference)
        displacement = subject.image - reference
        return Point(reference + float(positions[k]) * displacement, displacement, float(weights[k]))


@dataclass(frozen=True)
class FromReferences:
    """Random points on the lines from training images to the image, the classes taken in turn."""

    count: int
    rule: BackwardRule = GRADIENT

    def point(self, subject: Subject, k: int) -> Point:
        """x' + a (x - x') with x' the k-th draw and a ~ U(0, 1) from (seed, case, "expected-gradients", k)."""
        references = subject.references
        assert references is not None  # `explain` refuses to start without
        reference = references.images[self.draw(subject, k)].to(subject.image)
        position = float(generator(subject.seed, subject.name, "expected-gradients", k).uniform())
        displacement = subject.image - reference
        return Point(reference + position * displacement, displacement, 1.0 / self.count)

    @staticmethod
    def draw(subject: Subject, k: int) -> int:
        """Index of the k-th reference: class k modulo the classes, without replacement until a class is used up."""
        assert subject.references is not None
        classes = subject.references.members
        members = classes[k % len(classes)]
        turn, place = divmod(k // len(classes), len(members))
        shuffle = generator(subject.seed, subject.name, "expected-gradients", "order", k % len(classes), turn)
        return int(shuffle.permutation(members)[place])
