"""What an importance estimator is: it asks a network, in one or several rounds, and makes its map of the answers."""

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from ..errors import SettingsError
from .backward_rules import GRADIENT, BackwardRule
from .points import Point
from .questions import Asking, Gradient, Importance, Round
from .subject import Need, Subject


@dataclass(frozen=True)
class Cost:
    """What an estimator asks for one map, in all its rounds, at most: `explain` refuses more.

    Attributes:
        gradients: passes forward and back to the image.
        features: passes forward and back to a layer.
        scores: passes forward.
    """

    gradients: int = 0
    features: int = 0
    scores: int = 0

    @property
    def questions(self) -> int:
        """Of all kinds."""
        return self.gradients + self.features + self.scores

    def __add__(self, other: "Cost") -> "Cost":
        """Of both."""
        return Cost(self.gradients + other.gradients, self.features + other.features, self.scores + other.scores)


@runtime_checkable
class Estimator(Protocol):
    """What `explain` needs to know of an estimator. Frozen and hashable."""

    @property
    def name(self) -> str:
        """In results; two estimators of one study have two names."""

    @property
    def title(self) -> str:
        """As it is printed."""

    @property
    def source(self) -> str:
        """The paper that it is from."""

    @property
    def needs(self) -> frozenset[Need]:
        """What must be known beside the image and the network's answers."""

    @property
    def of_prediction(self) -> bool:
        """In the paper's variant (``direction = "paper"``): of the target class (True) or always of class 1 (False)."""

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """At most so much is asked for the map of an image ``(C, *spatial)``."""

    def explain(self, subject: Subject) -> Asking | Tensor | Importance:
        """Ask, and return the map in the image's shape; one that asks nothing may return it at once."""


def is_blind(estimator: Estimator) -> bool:
    """Whether an estimator never looks at the network: it asks nothing, and `explain` holds it to that."""
    for shape in ((1, 64, 64), (1, 64, 64, 64)):
        with suppress(IndexError, ValueError):  # it is of images with another number of axes
            return estimator.cost(shape) == Cost()
    return False


def parameters_of(estimator: Any) -> dict[str, Any]:
    """The parameters of an estimator, without what it is called."""
    every = fields(estimator) if is_dataclass(estimator) else ()
    return {one.name: getattr(estimator, one.name) for one in every if one.name not in ("name", "title")}


def spelled(estimator: Any) -> str:
    """An estimator's name with the parameters that differ from their defaults, as ``smoothgrad(sigma=0.3)``."""
    defaults = {one.name: one.default for one in fields(estimator)} if is_dataclass(estimator) else {}
    changed = [
        f"{name}={value!r}"
        for name, value in parameters_of(estimator).items()
        if defaults[name] is MISSING or value != defaults[name]
    ]
    return f"{estimator.name}({', '.join(changed)})" if changed else str(estimator.name)


def require_numbers(**given: float) -> None:
    """Refuse counts (``steps``, ``samples``, ...) below 1, and other numbers below 0 or not finite.

    Raises:
        SettingsError: naming it.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not 0 <= value < float("inf"):
            raise SettingsError(f"{name} {value:g}, expected a number of 0 or more")
        if name in ("steps", "samples") and (value < 1 or value != int(value)):
            raise SettingsError(f"{name} {value:g}, expected a whole number of 1 or more")


def mean_over(
    subject: Subject,
    points: Sequence[Point],
    term: Callable[[Point, Tensor], Tensor] = lambda point, gradient: gradient,
    rule: BackwardRule = GRADIENT,
) -> Generator[Round, None, Tensor]:
    """The mean of ``term(point, gradient)`` over some points, added up as the gradients come.

    Args:
        subject: that is explained.
        points: where gradients are taken.
        term: what is made of each gradient; the gradient itself by default.
        rule: how rectifiers pass gradients back.
    """
    total, share = subject.zeros(), 1.0 / len(points)
    yield Round(
        [Gradient(point, rule) for point in points], lambda k, gradient: total.add_(share * term(points[k], gradient))
    )
    return total
