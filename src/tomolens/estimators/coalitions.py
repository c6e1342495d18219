"""Importance of whole parts of an image: leave them out one at a time, or many at once and fit a linear model.

Parts are those of `regions.parts` (segments of a slice or volume) or the structures of a label map. Each
pixel has the number of its part, divided by the pixels of the part and by the channels, so that a map adds up to the
sum of its parts.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import product
from math import comb
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingsError
from ..randomness import generator
from ..regions.parts import MOST, parts
from .estimator import Cost
from .questions import Asking, Round, Score
from .subject import Need, Subject, needed_by, require_fill_of_any_class

Parts = Literal["segments", "anatomy"]
NOTHING = 1e-6
"""Weight of LIME's samples together, that of the image itself being 1."""

Coalitions = NDArray[np.bool_]
"""Which parts are shown, ``(samples, parts)``."""


@dataclass(frozen=True, eq=False)
class Showing:
    """The image with some parts, and the others masked.

    Attributes:
        labels: number of each pixel's part, ``(*spatial)``.
        shown: which parts are, bool ``(parts,)``.
        fill: what the others become, see `Fill`.
    """

    labels: NDArray[np.int64]
    shown: NDArray[np.bool_]
    fill: float | str

    def image(self, subject: Subject) -> Tensor:
        """x where a part is shown."""
        hidden = torch.from_numpy(~self.shown[self.labels]).to(subject.image.device)
        return subject.imputer(self.fill).fill(hidden[None])[0]


def _of_parts(values: NDArray[np.float64], labels: NDArray[np.int64], subject: Subject) -> Tensor:
    """Numbers of parts as a map of the image that adds up to their sum."""
    sizes = np.bincount(labels.ravel(), minlength=len(values))
    spread = torch.from_numpy((values / np.maximum(sizes, 1))[labels] / len(subject.image))
    return spread.to(subject.zeros()).expand(subject.image.shape).clone()


def _asked(
    subject: Subject, labels: NDArray[np.int64], coalitions: Coalitions, fill: float | str
) -> Generator[Round, None, NDArray[np.float64]]:
    """The explained class's score of each coalition."""
    scores = np.zeros(len(coalitions))

    def take(k: int, answer: Tensor) -> None:
        scores[k] = float(answer[subject.target])

    yield Round([Score(Showing(labels, shown, fill)) for shown in coalitions], take)
    return scores


def _parts(subject: Subject, of: Parts) -> NDArray[np.int64]:
    """The number of the part of each pixel, from 0 on without gaps."""
    if of == "segments":
        return parts(subject.grey, subject.scene.spacing)
    anatomy = np.asarray(subject.scene.anatomy)
    found = np.unique(anatomy, return_inverse=True)[1].reshape(anatomy.shape).astype(np.int64)
    if found.max() >= MOST:
        raise SettingsError(f"the label map has {found.max() + 1} structures, expected at most {MOST}")
    return found


def _needed(of: Parts, fill: float | str) -> frozenset[Need]:
    told: frozenset[Need] = frozenset({"anatomy"}) if of == "anatomy" else frozenset()
    return told | needed_by(fill)


def _require(of: str, fill: float | str) -> None:
    if of not in get_args(Parts):
        raise SettingsError(f"parts {of!r}, expected one of {', '.join(get_args(Parts))}")
    require_fill_of_any_class(fill)


def _require_samples(samples: int) -> None:
    if samples < 2:
        raise SettingsError(f"samples {samples}, expected two or more")


@dataclass(frozen=True)
class FeatureAblation:
    """How far the score falls when a part is left out.

    Attributes:
        fill: what stands in its place, see `Fill`.
        parts: segments of the image, or the structures of its label map (``Scene.anatomy``).
    """

    fill: float | str = 0.0
    parts: Parts = "segments"
    name: str = field(default="feature-ablation", repr=False)
    title: str = field(default="Feature ablation", repr=False)
    source: ClassVar[str] = "Zeiler & Fergus 2014, arXiv 1311.2901, of segments"
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require(self.parts, self.fill)

    @property
    def needs(self) -> frozenset[Need]:
        """The label map where parts are its structures, and what the fill needs."""
        return _needed(self.parts, self.fill)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """The score of the image, and one without each part."""
        return Cost(scores=1 + MOST)

    def explain(self, subject: Subject) -> Asking:
        """Leave out one part after the other."""
        labels = _parts(subject, self.parts)
        count = int(labels.max()) + 1
        without, every = ~np.eye(count, dtype=bool), np.ones((1, count), dtype=bool)
        scores = yield from _asked(subject, labels, np.concatenate([without, every]), self.fill)
        return _of_parts(scores[-1] - scores[:-1], labels, subject)


@dataclass(frozen=True)
class Lime:
    """A linear model of the score by which parts are shown, fitted near the image (equation 1, with a ridge).

    Attributes:
        samples: of parts, each shown with probability 1/2.
        width: of the kernel exp(-(d / width)^2) over the cosine distance d to the whole image.
        ridge: penalty on the squared coefficients.
        fill: what stands in place of parts, see `Fill`.
        parts: segments of the image, or the structures of its label map (``Scene.anatomy``).
    """

    samples: int = 500
    width: float = 0.25
    ridge: float = 1.0
    fill: float | str = 0.0
    parts: Parts = "segments"
    name: str = field(default="lime", repr=False)
    title: str = field(default="LIME", repr=False)
    source: ClassVar[str] = "Ribeiro et al. 2016, arXiv 1602.04938"
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require(self.parts, self.fill)
        _require_samples(self.samples)
        if self.width <= 0 or self.ridge <= 0:
            raise SettingsError(f"width {self.width:g} and ridge {self.ridge:g}, expected numbers above 0")

    @property
    def needs(self) -> frozenset[Need]:
        """The label map where parts are its structures, and what the fill needs."""
        return _needed(self.parts, self.fill)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A score for each sample."""
        return Cost(scores=self.samples)

    def explain(self, subject: Subject) -> Asking:
        """Random halves of the parts."""
        labels = _parts(subject, self.parts)
        random = generator(subject.seed, subject.name, self.name)
        coalitions = random.random((self.samples, int(labels.max()) + 1)) < 0.5
        coalitions[0] = True
        scores = yield from _asked(subject, labels, coalitions, self.fill)
        distance = 1.0 - np.sqrt(coalitions.mean(axis=1))  # of cosines to the whole image
        weights = np.exp(-((distance / self.width) ** 2))
        if weights[1:].sum() < NOTHING:
            raise SettingsError(f"{self.name}: width {self.width:g} leaves no sample near the image, expected more")
        return _of_parts(ridge_regression(coalitions, scores, weights, self.ridge), labels, subject)


def ridge_regression(
    shown: Coalitions, scores: NDArray[np.float64], weights: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Coefficients of a weighted linear fit with an intercept, their squares penalised and it not."""
    x = shown.astype(np.float64)
    share = weights / weights.sum()
    centred, risen = x - share @ x, scores - share @ scores
    normal = (centred * weights[:, None]).T @ centred + ridge * np.eye(x.shape[1])
    return np.linalg.solve(normal, (centred * weights[:, None]).T @ risen)


@dataclass(frozen=True)
class KernelShap:
    """Shapley values of the parts, by a weighted linear fit over coalitions (theorem 2).

    They are exact where all coalitions fit into the samples.

    Attributes:
        samples: coalitions; all of them where there are no more.
        fill: what stands in place of parts, see `Fill`.
        parts: segments of the image, or the structures of its label map (``Scene.anatomy``).
    """

    samples: int = 500
    fill: float | str = 0.0
    parts: Parts = "segments"
    name: str = field(default="kernel-shap", repr=False)
    title: str = field(default="KernelSHAP", repr=False)
    source: ClassVar[str] = "Lundberg & Lee 2017, arXiv 1705.07874"
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require(self.parts, self.fill)
        _require_samples(self.samples)

    @property
    def needs(self) -> frozenset[Need]:
        """The label map where parts are its structures, and what the fill needs."""
        return _needed(self.parts, self.fill)

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """A score for each coalition, that of all parts and that of none."""
        return Cost(scores=self.samples + 2)

    def explain(self, subject: Subject) -> Asking:
        """Coalitions of parts."""
        labels = _parts(subject, self.parts)
        count = int(labels.max()) + 1
        coalitions, weights = coalitions_of(count, self.samples, generator(subject.seed, subject.name, self.name))
        drawn = len(weights) == self.samples and count >= 2  # all of them have other weights, and are enough
        if (
            drawn and not np.ptp(weights) and self.samples < 2 * (count - 1)
        ):  # a coalition and its complement say the same
            raise SettingsError(
                f"{self.name}: {self.samples} samples cannot tell {count} parts apart, expected at least "
                f"{2 * (count - 1)}"
            )
        ends = np.repeat([[False], [True]], coalitions.shape[1], axis=1)
        scores = yield from _asked(subject, labels, np.concatenate([ends, coalitions]), self.fill)
        values = shapley_regression(coalitions, scores[2:], weights, float(scores[0]), float(scores[1]))
        return _of_parts(values, labels, subject)


def coalitions_of(count: int, samples: int, random: np.random.Generator) -> tuple[Coalitions, NDArray[np.float64]]:
    """Coalitions of some parts, neither none nor all, and their weights in the fit.

    All, weighted by Shapley's kernel, where they fit into the samples; else drawn with it, each with its complement.
    """
    if count < 2:
        return np.zeros((0, count), bool), np.zeros(0)
    if count < 20 and 2**count - 2 <= samples:
        every = np.array(list(product([False, True], repeat=count))[1:-1])
        sizes = every.sum(axis=1)
        kernel = [(count - 1) / (comb(count, int(size)) * size * (count - size)) for size in sizes]
        return every, np.asarray(kernel)
    sizes = np.arange(1, count)
    chances = 1.0 / (sizes * (count - sizes))
    drawn = np.zeros((samples, count), bool)
    for k in range(0, samples, 2):
        members = random.permutation(count)[: int(random.choice(sizes, p=chances / chances.sum()))]
        drawn[k, members] = True
        drawn[k + 1 : k + 2] = ~drawn[k]
    return drawn, np.ones(samples)


def shapley_regression(
    shown: Coalitions, scores: NDArray[np.float64], weights: NDArray[np.float64], none: float, whole: float
) -> NDArray[np.float64]:
    """The weighted fit whose values add up to what all parts add to the score; the last one is what others leave."""
    count, gained = shown.shape[1], whole - none
    if count < 2:
        return np.full(count, gained)
    x = shown.astype(np.float64)
    left, wanted = x[:, :-1] - x[:, -1:], scores - none - x[:, -1] * gained
    root = np.sqrt(weights)
    found = np.linalg.lstsq(left * root[:, None], wanted * root, rcond=None)[0]
    return np.append(found, gained - found.sum())
