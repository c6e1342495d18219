"""Integrated gradients along other paths: out of a blur, and along where gradients are small."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..errors import SettingsError
from .estimator import Cost, mean_over, require_numbers
from .points import Constant, Point
from .questions import Asking
from .subject import Need, Subject

SLOPE = 0.01
"""Pixels by which a blur is changed for the derivative of the image by it."""
NEAR = 1e-9
Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Blurred:
    """The image smoothed by a Gaussian of so many pixels, black beyond its edge."""

    sigma: float

    def image(self, subject: Subject) -> Tensor:
        """Each channel smoothed."""
        black = subject.intensity.at(0.0)
        above = (subject.image - black).cpu().double().numpy()
        smooth = gaussian_filter(above, [0.0] + [self.sigma] * (above.ndim - 1), mode="constant")
        return torch.from_numpy(smooth).to(subject.image) + black


@dataclass(frozen=True)
class BlurIntegratedGradients:
    """Gradient times the change of the image on the way out of a blur: no reference of one value.

    Attributes:
        steps: on the way.
        spread: standard deviation of the widest blur, as a share of the longest side.
    """

    steps: int = 25
    spread: float = 0.22
    name: str = field(default="blur-integrated-gradients", repr=False)
    title: str = field(default="Blur integrated gradients", repr=False)
    source: ClassVar[str] = "Xu et al. 2020, arXiv 2004.03383"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_numbers(steps=self.steps, spread=self.spread)
        if self.steps < 2 or self.spread == 0:
            raise SettingsError(f"steps {self.steps}, spread {self.spread:g}: expected two or more, and above 0")

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient at each step."""
        return Cost(gradients=self.steps)

    def explain(self, subject: Subject) -> Asking:
        """From the image to its widest blur."""
        widest = self.spread * max(subject.image.shape[1:])
        sigmas = [k * widest / self.steps for k in range(self.steps)]

        def term(point: Point, gradient: Tensor) -> Tensor:
            assert isinstance(point, Blurred)
            wider, here = (Blurred(sigma).image(subject) for sigma in (point.sigma + SLOPE, point.sigma))
            return -widest * (wider - here) / SLOPE * gradient

        return (yield from mean_over(subject, [Blurred(sigma) for sigma in sigmas], term))


@dataclass(frozen=True, eq=False)
class Altered:
    """An image that an estimator made."""

    pixels: NDArray[np.float64]

    def image(self, subject: Subject) -> Tensor:
        """As it was made."""
        return torch.from_numpy(self.pixels).to(subject.image)


@dataclass(frozen=True)
class GuidedIntegratedGradients:
    """Integrated gradients along a path that changes first what the score depends on least (algorithm 1).

    Attributes:
        steps: on the way.
        fraction: of the pixels that are changed at a time, those of the smallest gradients.
        reach: how far pixels may be ahead of the straight line or behind, as a share of it.
        reference: from 0 (black) to 1 (white).
    """

    steps: int = 25
    fraction: float = 0.25
    reach: float = 0.02
    reference: float = 0.0
    name: str = field(default="guided-integrated-gradients", repr=False)
    title: str = field(default="Guided integrated gradients", repr=False)
    source: ClassVar[str] = "Kapishnikov et al. 2021, arXiv 2106.09788"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_numbers(steps=self.steps)
        if not (0 < self.fraction <= 1 and 0 <= self.reach <= 1 and 0 <= self.reference <= 1):
            raise SettingsError(
                f"fraction {self.fraction:g}, reach {self.reach:g}, reference {self.reference:g}: expected a fraction "
                "above 0, and all of them from 0 to 1"
            )

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A gradient at each step, one after the other."""
        return Cost(gradients=self.steps)

    def explain(self, subject: Subject) -> Asking:
        """One step after the other from the reference to the image."""
        image = subject.image.cpu().double().numpy()
        start = np.full_like(image, Constant(self.reference).of(subject))
        at, made = start.copy(), np.zeros_like(image)
        for step in range(self.steps if np.abs(image - start).sum() >= NEAR else 0):
            slope = yield from mean_over(subject, [Altered(at.copy())])
            self._walk(step, at, image, start, slope.cpu().double().numpy(), made)
        return torch.from_numpy(made).to(subject.zeros())

    def _walk(self, step: int, at: Pixels, image: Pixels, start: Pixels, slope: Pixels, made: Pixels) -> None:
        """Move ``at`` by one step of the path, and add to ``made`` what that adds to the score; both in place."""
        share = (step + 1) / self.steps
        least, most = max(share - self.reach, 0.0), min(share + self.reach, 1.0)
        nearest, furthest = (start + one * (image - start) for one in (least, most))
        target = np.abs(image - start).sum() * (1 - share)
        left, gamma = slope.copy(), math.inf
        while gamma > 1.0:
            before = at.copy()
            with np.errstate(divide="ignore", invalid="ignore"):
                position = (at - start) / (image - start)
            position[image == start] = most
            behind = position < least
            at[behind] = nearest[behind]
            distance = np.abs(image - at).sum()
            if math.isclose(target, distance, rel_tol=NEAR, abs_tol=NEAR):
                made += (at - before) * slope
                return
            left[at == furthest] = np.inf
            threshold = np.quantile(np.abs(left), self.fraction, method="lower")
            chosen = (np.abs(left) <= threshold) & np.isfinite(left)
            reachable = (np.abs(at - furthest) * chosen).sum()
            gamma = (distance - target) / reachable if reachable > 0 else math.inf
            at[chosen] = furthest[chosen] if gamma > 1.0 else (at + gamma * (furthest - at))[chosen]
            made += (at - before) * slope
            if not chosen.any():
                return
