"""What is done to every case, and what comes out: the words that evaluation, runner and store share."""

from dataclasses import dataclass, field

from ..estimators.estimators import BlindEstimator, Estimator
from ..estimators.schedule import Signs, passes
from ..metrics.fidelity import masked_images
from ..metrics.fills import Fill
from ..metrics.metric import MetricSettings
from ..regions import RegionSettings


@dataclass(frozen=True)
class Variations:
    """Other options for the choices that the literature leaves open; each is tried with all others as in the study.

    Attributes:
        probability: whether maps of the class probability are tried beside those of the logit.
        other_signs: whether the other rule for signs is tried.
        estimators: options by choice, e.g. ``("noise", "sigma 0.3")``, each with the estimators that it changes.
        fills: of masked pixels, by name.
        regions: constants of the region maps, by name.
    """

    probability: bool = False
    other_signs: bool = False
    estimators: dict[tuple[str, str], tuple[Estimator, ...]] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    regions: dict[str, RegionSettings] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is done to every case.

    Attributes:
        seed: of the study.
        estimators: to compare.
        signs: see `explain`.
        metrics: to compute.
        batch_size: images the network sees at a time, in every stage.
        baselines: blind maps that are measured beside the estimators'.
        variations: other options to try; None for none.
    """

    seed: int
    estimators: tuple[Estimator | BlindEstimator, ...]
    signs: Signs
    metrics: MetricSettings
    batch_size: int
    baselines: tuple[str, ...] = ()
    variations: Variations | None = None

    @property
    def looking(self) -> tuple[Estimator, ...]:
        """The estimators that look at the network."""
        return tuple(one for one in self.estimators if not isinstance(one, BlindEstimator))

    @property
    def turned(self) -> tuple[Estimator, ...]:
        """Those whose sign depends on the rule for signs."""
        return tuple(one for one in self.looking if not one.turned_to_prediction)

    @property
    def maps(self) -> int:
        """Maps of a case: estimators as they are and absolute, and blind baselines."""
        return 2 * len(self.estimators) + len(self.baselines)

    @property
    def explanations(self) -> list[tuple[Estimator | BlindEstimator, ...]]:
        """The estimators of each explanation of a case: the study's own first, then those of its variations."""
        explained: list[tuple[Estimator | BlindEstimator, ...]] = [self.estimators]
        if self.variations is not None:
            explained += [self.looking] if self.variations.probability else []
            explained += [self.turned] if self.variations.other_signs else []
            explained += self.variations.estimators.values()
        return explained

    @property
    def passes(self) -> int:
        """Forward-backward passes of a case."""
        return sum(passes({one.name: one for one in estimators}, self.signs) for estimators in self.explanations)

    @property
    def images(self) -> int:
        """Masked images of a case, at most."""
        orders = self.maps + sum(map(len, self.explanations[1:]))
        if self.variations is not None:
            orders += len(self.variations.fills) * (len(self.estimators) + len(self.baselines))
        return orders * masked_images(self.metrics.steps)


@dataclass(frozen=True)
class Measurement:
    """One value or curve of one map of one case; estimator and signs are empty where it is of the case alone.

    Attributes:
        estimator: whose map.
        signs: ``original`` or ``absolute``.
        metric: what was measured; `NOT_ASSESSED` or `REMARK` where there is only a note.
        value: the number, where it is one.
        curve: the curve, where it is one.
        note: why there is no number, or what must be said beside the estimator's.
    """

    estimator: str
    signs: str
    metric: str
    value: float | None = None
    curve: tuple[float, ...] | None = None
    note: str = ""


NOT_ASSESSED, REMARK = "not assessed", "remark"
SAME = "same_as_original"
"""Whether a map is the same as its absolute values, 0 or 1; measured of the absolute one."""
