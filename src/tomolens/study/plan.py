"""What is done to every case: the words that evaluation and runner share."""

from dataclasses import dataclass, field
from typing import Literal

from ..estimators.cost import cost_of
from ..estimators.estimator import Cost, Estimator, is_blind
from ..estimators.given import Direction
from ..imputers.fills import Fill
from ..metrics.evaluand import MetricSettings
from ..metrics.registry import METRICS
from ..regions import RegionSettings


@dataclass(frozen=True)
class Variations:
    """Other options for the choices that the literature leaves open; each is tried with all others as in the study.

    Attributes:
        probability: whether maps of the class probability are tried beside those of the logit.
        other_direction: whether the other direction is tried.
        estimators: options by choice, e.g. ``("noise", "sigma 0.3")``, each with the estimators that it changes.
        fills: of masked pixels, by name.
        regions: constants of the region maps, by name.
        classes: other classes to explain, index by name.
    """

    probability: bool = False
    other_direction: bool = False
    estimators: dict[tuple[str, str], tuple[Estimator, ...]] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    regions: dict[str, RegionSettings] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is done to every case.

    Attributes:
        seed: of the study.
        estimators: to compare.
        direction: see `explain`.
        metrics: to compute.
        batch_size: images the network sees at a time, in every stage.
        baselines: maps that are measured beside the estimators': the blind ones and the truth.
        variations: other options to try; None for none.
        blur: standard deviation by which each estimator's map is blurred as a control, a share of the longest side; 0
            for none.
        calibration: the implant with which each case is measured once more; empty for none.
        explained: the class whose maps are made: ``predicted``, ``true``, or the index of one.
        structures: names of those that any case has, which number an anatomy.
    """

    seed: int
    estimators: tuple[Estimator, ...]
    direction: Direction
    metrics: MetricSettings
    batch_size: int
    baselines: tuple[Estimator, ...] = ()
    variations: Variations | None = None
    blur: float = 0.0
    calibration: str = ""
    explained: Literal["predicted", "true"] | int = "predicted"
    structures: tuple[str, ...] = ()

    @property
    def looks_at_places(self) -> bool:
        """Whether its numbers depend on where structures or tissues lie."""
        needs = [METRICS[name].needs for name in self.metrics.names]
        return any(need & {"anatomy", "tissue"} for need in needs) or self.of_anatomy != ()

    @property
    def of_anatomy(self) -> tuple[Estimator, ...]:
        """The estimators that take the image apart by its structures."""
        return tuple(one for one in self.estimators if "anatomy" in one.needs)

    def class_of(self, predicted: int, label: int) -> int:
        """The class that is explained of a case."""
        if isinstance(self.explained, int):
            return self.explained
        return predicted if self.explained == "predicted" else label

    @property
    def asking(self) -> tuple[Estimator, ...]:
        """The estimators that ask the network."""
        return tuple(one for one in self.estimators if not is_blind(one))

    @property
    def of_class_one(self) -> tuple[Estimator, ...]:
        """Those that always explain class 1 in the paper's direction."""
        return tuple(one for one in self.asking if not one.of_prediction)

    def beside(self, twins: bool) -> int:
        """Maps that are measured beside the estimators', where there are twins or not."""
        return sum(twins or "twin" not in one.needs for one in self.baselines)

    def maps(self, twins: bool = True) -> int:
        """Maps of a case: estimators as they are, absolute and blurred, and what is measured beside them."""
        blurred = len(self.asking) if self.blur else 0
        return 2 * len(self.estimators) + blurred + self.beside(twins)

    @property
    def explanations(self) -> list[tuple[Estimator, ...]]:
        """The estimators of each explanation of a case: the study's own first, then those of its variations."""
        explained: list[tuple[Estimator, ...]] = [self.estimators]
        if self.variations is not None:
            explained += [self.asking] if self.variations.probability else []
            explained += [self.of_class_one] if self.variations.other_direction else []
            explained += self.variations.estimators.values()
            explained += [self.asking for _ in self.variations.classes]
        return explained + ([self.estimators] if self.calibration else [])

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """What the estimators ask for a case ``(C, *spatial)``."""
        return sum((cost_of(estimators, shape, self.direction) for estimators in self.explanations), Cost())

    def images(self, twins: bool = True, *, exact: bool = False) -> int:
        """Altered images of a case that the metrics show the network for decisions, at most.

        Args:
            twins: whether the case has one.
            exact: count those for scores instead, which only the network as it is gives.
        """
        return sum(self.shown(twins, exact=exact).values())

    def shown(self, twins: bool = True, *, exact: bool = False) -> dict[Fill, int]:
        """The same by what masked pixels become."""
        varied = sum(map(len, self.explanations[1:])) - (len(self.estimators) if self.calibration else 0)
        fills = len(self.variations.fills) * (len(self.estimators) + self.beside(twins)) if self.variations else 0
        found: dict[Fill, int] = {}
        for metric in map(METRICS.__getitem__, self.metrics.names):
            if metric.exact != exact:
                continue
            own = self.maps(twins) + varied + (fills if "fill" in metric.depends_on else 0)
            measured = own if twins or "twin" not in metric.needs else 0
            maps = measured + (self.maps() if self.calibration else 0)
            fill = self.metrics.fill if metric.fill is None else metric.fill
            count = maps * metric.images(self.metrics) + metric.images_a_case(self.metrics)
            found[fill] = found.get(fill, 0) + count
        return found
