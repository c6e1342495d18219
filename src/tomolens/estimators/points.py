"""Where the network is asked: altered images, described by a few words and numbers and made when they are needed.

Frozen and hashable: equal points of one subject are one image.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..randomness import generator
from .subject import Subject


class Point(Protocol):
    """An altered image. Frozen and hashable."""

    def image(self, subject: Subject) -> Tensor:
        """The network's input there, ``(C, *spatial)``; depends on nothing but subject and point."""


@dataclass(frozen=True)
class AtInput:
    """The image itself."""

    def image(self, subject: Subject) -> Tensor:
        """x."""
        return subject.image


def seen_through(mask: Tensor, subject: Subject) -> Tensor:
    """The image where a mask ``(*spatial)`` is 1, black where it is 0, and a mixture of both between."""
    black = subject.intensity.at(0.0)
    return black + mask.to(subject.image.dtype) * (subject.image - black)


@dataclass(frozen=True)
class WithNoise:
    """The image with Gaussian noise, not clipped; ``sigma`` is a share of the image's range (max - min)."""

    sigma: float
    draw: int

    def image(self, subject: Subject) -> Tensor:
        """x + N(0, (sigma (max x - min x))^2), from the generator (seed, case, "smoothgrad", draw)."""
        image = subject.image
        noise = generator(subject.seed, subject.name, "smoothgrad", self.draw).standard_normal(tuple(image.shape))
        spread = self.sigma * (image.max() - image.min())
        return image + spread * torch.from_numpy(noise).to(image)


@dataclass(frozen=True)
class Constant:
    """A reference image of one value, from 0 (black) to 1 (white)."""

    share: float

    def of(self, subject: Subject) -> float:
        """Its value in the subject's range."""
        return subject.intensity.at(self.share)


@dataclass(frozen=True)
class Filled:
    """The image with every pixel masked as reference: its mean, its blur, a value; see `Fill`."""

    fill: float | str

    def of(self, subject: Subject) -> Tensor:
        """What is left, ``(C, *spatial)``."""
        everywhere = torch.ones(subject.image.shape[1:], dtype=torch.bool, device=subject.image.device)
        return subject.imputer(self.fill).fill(everywhere[None])[0]


@dataclass(frozen=True)
class Training:
    """A training image as reference, by its index."""

    index: int

    def of(self, subject: Subject) -> Tensor:
        """The image, ``(C, *spatial)``."""
        assert subject.references is not None  # `explain` refuses to start without
        image = subject.references.images[self.index]
        return (image if isinstance(image, Tensor) else torch.from_numpy(image.copy())).to(subject.image)


@dataclass(frozen=True)
class Twin:
    """The image's twin as reference: what differs on the way from it is what tells the two labels apart."""

    def of(self, subject: Subject) -> Tensor:
        """The twin, ``(C, *spatial)``."""
        assert subject.scene.twin is not None  # `explain` refuses to start without
        return torch.from_numpy(subject.scene.twin).to(subject.image)


@dataclass(frozen=True)
class OnPath:
    """A point on the straight line from a reference (position 0) to the image (position 1)."""

    reference: Constant | Filled | Training | Twin
    position: float

    def displacement(self, subject: Subject) -> Tensor:
        """x - x'."""
        return subject.image - self.reference.of(subject)

    def image(self, subject: Subject) -> Tensor:
        """x' + position (x - x')."""
        reference = self.reference.of(subject)
        return reference + self.position * (subject.image - reference)


Quadrature = Literal["right", "gauss-legendre"]


def path_nodes(count: int, quadrature: Quadrature) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions on a path in (0, 1] and their weights, which add up to 1.

    ``right`` is the protocol's right Riemann sum; the completeness error of Gauss-Legendre is about a tenth of it at
    25 steps.
    """
    if quadrature == "right":
        return np.arange(1, count + 1) / count, np.full(count, 1.0 / count)
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) / 2.0, weights / 2.0


def drawn_from_references(subject: Subject, k: int) -> OnPath:
    """The k-th random point on the lines from training images to the image: class k modulo the classes, without
    replacement until a class is used up; the position is U(0, 1) from (seed, case, "expected-gradients", k).
    """
    assert subject.references is not None
    classes = subject.references.members
    members = classes[k % len(classes)]
    turn, place = divmod(k // len(classes), len(members))
    shuffle = generator(subject.seed, subject.name, "expected-gradients", "order", k % len(classes), turn)
    position = float(generator(subject.seed, subject.name, "expected-gradients", k).uniform())
    return OnPath(Training(int(shuffle.permutation(members)[place])), position)
