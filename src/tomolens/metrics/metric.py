"""What a metric of a study is, and the registry of them.

A metric reads one case with its ranked maps and yields named values and curves for each map. To add one, write
such a function and put it in `METRICS`; the contract test then covers it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..randomness import generator
from ..regions import RegionSettings, segment, xrai
from .evidence import auc_among, evidence_auc
from .fidelity import area_between, masked_decisions
from .fills import Fill, filler
from .overlap import region_overlap
from .ranked import RankedMap
from .roc import is_usable, roc_of_map

MapSigns = Literal["original", "absolute"]
SIGNS: tuple[MapSigns, ...] = get_args(MapSigns)
MapKey = tuple[str, str]
"""Estimator's name, and whether the map is as it is or its absolute values."""
OF_CASE: MapKey = ("", "")
"""In place of a map, where a number concerns the case alone."""
AUDIT = ("decisions", "decisions_asked", "decisions_audited", "decisions_differ", "decisions_quick")
"""Distinct masked images, and of the decisions on them: made by the network itself to compare or for doubt, made again
by chance, of these come out otherwise, and left to the quick way in the end. Only where one was tried."""
Measured = tuple[MapKey, str, float | NDArray[np.float64]]


@dataclass(frozen=True)
class MetricSettings:
    """Choices of the metrics; the defaults are the protocol's.

    Attributes:
        names: metrics to compute.
        fill: what masked pixels become, for fidelity; see `Fill`.
        steps: number of masking steps.
        roc_points: points of both threshold grids.
        regions: constants of the region maps.
    """

    names: tuple[str, ...] = ("fidelity", "roc", "overlap", "evidence", "marker")
    fill: Fill = "label"
    steps: int = 40
    roc_points: int = 101
    regions: RegionSettings = field(default_factory=RegionSettings)


@dataclass(frozen=True)
class Evaluand:
    """One case with all that metrics may read; equal maps share one ranking.

    Attributes:
        name: of the case.
        seed: of the study.
        classifier: whose decisions count.
        image: ``(C, *spatial)``.
        label: true class.
        mask: of the expert, bool ``(*spatial)``, or None.
        rankings: the sorted maps.
        body: bool ``(*spatial)``, without the air around the patient.
        evidence: how far each pixel truly carries the class, ``(*spatial)``, or None where that is not known.
        marker: bool ``(*spatial)``, pixels that a planted shortcut changes, or None.
        settings: of the metrics.
        batch_size: images the network sees at a time.
    """

    name: str
    seed: int
    classifier: Classifier
    image: Tensor
    label: int
    mask: NDArray[np.bool_] | None
    rankings: Mapping[MapKey, RankedMap]
    body: NDArray[np.bool_]
    evidence: NDArray[np.float32] | None
    marker: NDArray[np.bool_] | None
    settings: MetricSettings
    batch_size: int

    @cached_property
    def region_maps(self) -> dict[MapKey, NDArray[np.float64]]:
        """Region map of each map, ``(*spatial)``, from one segmentation; none without a usable mask to compare with.

        Raises:
            MapError: an image that has no regions.
        """
        if self.mask is None or not is_usable(self.mask):
            return {}
        segments = segment(self.image, self.settings.regions)
        grown = {
            ranked: xrai(
                self.image, ranked.scores.reshape(ranked.shape), segments=segments, settings=self.settings.regions
            )
            for ranked in dict.fromkeys(self.rankings.values())
        }
        return {key: grown[ranked] for key, ranked in self.rankings.items()}


def measure_fidelity(evaluand: Evaluand) -> Iterator[Measured]:
    """Whether each decision is right, 0 or 1, along both masking orders, the area between, and the `AUDIT`."""
    distinct = list(dict.fromkeys(evaluand.rankings.values()))
    settings, classifier = evaluand.settings, evaluand.classifier
    image, seed, name = evaluand.image.to(classifier.device), evaluand.seed, evaluand.name
    decided = masked_decisions(
        classifier,
        distinct,
        filler(settings.fill, image, evaluand.label, seed=seed, name=name, intensity=classifier.intensity),
        settings.steps,
        evaluand.batch_size,
        generator(seed, name, "audit"),
    )
    if classifier.quick is not None:
        counts = (decided.images, decided.asked, decided.audited, decided.differed, decided.quick)
        for metric, count in zip(AUDIT, counts, strict=True):
            yield OF_CASE, metric, float(count)
    correct = (decided.classes == evaluand.label).astype(np.float64)
    for key, ranked in evaluand.rankings.items():
        most, least = correct[distinct.index(ranked)]
        yield key, "fidelity", area_between(most, least)
        yield key, "most_important_first", most
        yield key, "least_important_first", least


def measure_roc(evaluand: Evaluand) -> Iterator[Measured]:
    """AUC, average precision and both curves, and the AUC within the body, where there is a mask."""
    if evaluand.mask is None:
        return
    for key, ranked in evaluand.rankings.items():
        result = roc_of_map(ranked, evaluand.mask, evaluand.settings.roc_points)
        yield key, "auc", result.auc
        yield key, "average_precision", result.average_precision
        yield key, "auc_body", auc_among(ranked, evaluand.mask, evaluand.body)
        for grid, (true_rate, false_rate) in (("quantile", result.quantile), ("linear", result.linear)):
            yield key, f"true_positive_rate_{grid}", true_rate
            yield key, f"false_positive_rate_{grid}", false_rate


def measure_overlap(evaluand: Evaluand) -> Iterator[Measured]:
    """Dice and share kept at p = 1..100 % and at the mask's own share, where there is a mask."""
    if evaluand.mask is None:
        return
    for key in evaluand.rankings:
        # Without a usable mask there is no region map, and every value is NaN whatever the map.
        regions = evaluand.region_maps.get(key, np.zeros(evaluand.mask.shape))
        result = region_overlap(regions, evaluand.mask)
        yield key, "dice", result.dice
        yield key, "kept", result.kept
        yield key, "dice_own_share", result.dice_own_share
        yield key, "kept_own_share", result.kept_own_share


def measure_evidence(evaluand: Evaluand) -> Iterator[Measured]:
    """AUC against the true evidence, where that is known."""
    if evaluand.evidence is None:
        return
    for key, ranked in evaluand.rankings.items():
        yield key, "evidence", evidence_auc(ranked, evaluand.evidence)


def measure_marker(evaluand: Evaluand) -> Iterator[Measured]:
    """AUC against the pixels of a planted shortcut, where one was planted."""
    if evaluand.marker is None:
        return
    for key, ranked in evaluand.rankings.items():
        yield key, "marker", auc_among(ranked, evaluand.marker, np.ones_like(evaluand.marker))


METRICS: dict[str, Callable[[Evaluand], Iterator[Measured]]] = {
    "fidelity": measure_fidelity,
    "roc": measure_roc,
    "overlap": measure_overlap,
    "evidence": measure_evidence,
    "marker": measure_marker,
}
