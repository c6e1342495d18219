"""What is done to every case: the words that evaluation and runner share."""

from dataclasses import dataclass, field

from ..estimators.cost import cost_of
from ..estimators.estimator import Cost, Estimator, is_blind
from ..estimators.explain import Direction
from ..metrics.evaluand import MetricSettings
from ..metrics.fills import Fill
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
    """

    probability: bool = False
    other_direction: bool = False
    estimators: dict[tuple[str, str], tuple[Estimator, ...]] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    regions: dict[str, RegionSettings] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is done to every case.

    Attributes:
        seed: of the study.
        estimators: to compare.
        direction: see `explain`.
        metrics: to compute.
        batch_size: images the network sees at a time, in every stage.
        baselines: blind maps that are measured beside the estimators'.
        variations: other options to try; None for none.
    """

    seed: int
    estimators: tuple[Estimator, ...]
    direction: Direction
    metrics: MetricSettings
    batch_size: int
    baselines: tuple[Estimator, ...] = ()
    variations: Variations | None = None

    @property
    def asking(self) -> tuple[Estimator, ...]:
        """The estimators that ask the network."""
        return tuple(one for one in self.estimators if not is_blind(one))

    @property
    def of_class_one(self) -> tuple[Estimator, ...]:
        """Those that always explain class 1 in the paper's direction."""
        return tuple(one for one in self.asking if not one.of_prediction)

    @property
    def maps(self) -> int:
        """Maps of a case: estimators as they are and absolute, and blind baselines."""
        return 2 * len(self.estimators) + len(self.baselines)

    @property
    def explanations(self) -> list[tuple[Estimator, ...]]:
        """The estimators of each explanation of a case: the study's own first, then those of its variations."""
        explained: list[tuple[Estimator, ...]] = [self.estimators]
        if self.variations is not None:
            explained += [self.asking] if self.variations.probability else []
            explained += [self.of_class_one] if self.variations.other_direction else []
            explained += self.variations.estimators.values()
        return explained

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """What the estimators ask for a case ``(C, *spatial)``."""
        return sum((cost_of(estimators, shape, self.direction) for estimators in self.explanations), Cost())

    @property
    def images(self) -> int:
        """Altered images of a case that the metrics show the network, at most."""
        maps = self.maps + sum(map(len, self.explanations[1:]))
        varied = len(self.variations.fills) * (len(self.estimators) + len(self.baselines)) if self.variations else 0
        total = 0
        for metric in map(METRICS.__getitem__, self.metrics.names):
            total += (maps + (varied if "fill" in metric.depends_on else 0)) * metric.images(self.metrics)
        return total
