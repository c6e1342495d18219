"""What an estimator may ask of a network. Frozen and hashable: equal questions of one subject are answered once."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from .backward_rules import GRADIENT, BackwardRule
from .points import Point
from .subject import Subject


@dataclass(frozen=True)
class Kind:
    """What can be asked in one batch: the same, under one rule and of one layer."""

    asks: Literal["gradients", "features", "scores", "attributions"]
    rule: BackwardRule = GRADIENT
    layer: str = ""


@dataclass(frozen=True)
class Gradient:
    """dS_c/dx at a point, under a backward rule. The answer: ``(C, *spatial)``."""

    point: Point
    rule: BackwardRule = GRADIENT

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("gradients", self.rule)


@dataclass(frozen=True)
class Score:
    """S of every class at a point. The answer: ``(classes,)``."""

    point: Point

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("scores")


LAST_PLANES = "(the last layer with planes)"
"""A layer that is found by what layers put out: the last one with spatial extent, of which maps of features are."""
LAST_TOKENS = "(the tokens that enter the last attention layer)"
"""Of a vision transformer, likewise."""
ATTENTION = "(every attention layer)"


class Change(Protocol):
    """What is done to a layer's output before the network goes on with it. Frozen and hashable."""

    def of(self, values: Tensor, subject: Subject) -> Tensor:
        """The output for one image, changed; it is not changed in place."""


@dataclass(frozen=True)
class Features:
    """The output of a layer at a point, and dS_c by it under a backward rule. The answer: `LayerFeatures`.

    Attributes:
        point: where.
        layer: by its name, or `LAST_PLANES` or `LAST_TOKENS`.
        rule: how rectifiers pass gradients back.
        change: what is done to the output first; the answer is of the changed one.
    """

    point: Point
    layer: str = LAST_PLANES
    rule: BackwardRule = GRADIENT
    change: Change | None = None

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("features", self.rule, self.layer)


@dataclass(frozen=True)
class ChangedScore:
    """S of every class at a point where a layer's output is changed. The answer: ``(classes,)``."""

    point: Point
    change: Change
    layer: str = LAST_PLANES

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("scores", layer=self.layer)


@dataclass(frozen=True)
class Attention:
    """The matrices of every attention layer at a point, and dS_c by them. The answer: `LayerFeatures` of each layer,
    ``(heads, tokens, tokens)``, in the order in which they run.
    """

    point: Point

    @property
    def kind(self) -> Kind:
        """See `Kind`."""
        return Kind("features", layer=ATTENTION)


@dataclass(frozen=True)
class LayerFeatures:
    """What a layer puts out for one image.

    Attributes:
        values: as the layer has them, without the batch axis.
        gradients: of the explained class's score by them, in the same shape.
    """

    values: Tensor
    gradients: Tensor


class Question(Protocol):
    """What an estimator asks; frozen and hashable."""

    @property
    def point(self) -> Point:
        """Where the network is asked."""

    @property
    def kind(self) -> Kind:
        """What can be asked in one batch with it."""


@dataclass(frozen=True)
class Round:
    """Questions that do not depend on each other's answers.

    Attributes:
        questions: to ask.
        take: called with the number of each question and its answer, once each, in the order of the questions of each
            kind. An answer is a view of a batch: what is to be kept must be copied.
    """

    questions: Sequence[Question]
    take: Callable[[int, Any], object]


@dataclass(frozen=True)
class Importance:
    """A map, and what an estimator knows of how good it is.

    Attributes:
        values: the map, ``(C, *spatial)``.
        completeness_error: what the sum of the map misses of S(x) - S(x'), as a share of it; None where the estimator
            promises no such sum, NaN where the two scores are the same.
        notes: what must be said beside the map.
    """

    values: Tensor
    completeness_error: float | None = None
    notes: tuple[str, ...] = ()


Asking = Generator[Round, None, Tensor | Importance]
"""An estimator at work: it yields rounds, each of which is answered before it goes on, and returns its map."""
