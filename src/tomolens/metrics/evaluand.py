"""One case with all that metrics may read of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases.masks.usable import is_usable
from ..classifier import Classifier
from ..estimators.subject import Scene
from ..imputers.fills import Fill, Imputer, imputer
from ..randomness import generator
from ..regions import RegionSettings, segment, xrai
from .likeness import magnitudes
from .ranked import RankedMap

MapKey = tuple[str, str]
"""Estimator's name, and the form of its map: as it is, or its absolute values."""
OF_CASE: MapKey = ("", "")
"""In place of a map, where a number concerns the case alone."""
ANOTHER = "another image"
"""Whose random draws are its own: shared noise is no likeness."""
Explain = Callable[[Tensor, Classifier, str, int, Scene | None], Mapping[str, Tensor]]
"""From an image ``(C, *spatial)``, a classifier, a name for random draws of their own (empty for the case's), a class
and what may be seen beside the image (None for what is beside the case's) to the study's maps, ``(C, *spatial)`` by
estimator."""


@dataclass(frozen=True)
class MetricSettings:
    """Choices of the metrics; the defaults are the protocol's.

    Attributes:
        names: metrics to compute.
        fill: what masked pixels become, for fidelity; see `Fill`.
        steps: number of masking steps.
        roc_points: points of both threshold grids.
        channels: how the channels of a map become one score a pixel, see `CHANNEL_RULES`.
        tolerance: by how much the pointing game may miss the mask, in pixels, or in millimetres as ``"5 mm"``.
        regions: constants of the region maps.
    """

    names: tuple[str, ...] = ("fidelity", "fidelity-twin", "roc", "overlap", "evidence", "marker", "completeness")
    fill: Fill = "label"
    steps: int = 40
    roc_points: int = 101
    channels: str = "sum"
    tolerance: int | str = 0
    regions: RegionSettings = field(default_factory=RegionSettings)


@dataclass(frozen=True, eq=False)
class Other:
    """Another image, which has its own structures, body, twin and size of pixels.

    Attributes:
        image: ``(C, *spatial)``.
        scene: what may be seen beside it.
    """

    image: Tensor
    scene: Scene


@dataclass(frozen=True)
class Rival:
    """A network of another training on the same cases.

    Attributes:
        classifier: of it.
        name: by which it is told from others.
        architecture: of the network, where it is another one; empty where it differs in its seed alone.
    """

    classifier: Classifier
    name: str
    architecture: str = ""


@dataclass(frozen=True)
class Evaluand:
    """One case with all that metrics may read; equal maps share one ranking.

    Attributes:
        name: of the case.
        seed: of the study.
        classifier: whose decisions count.
        image: ``(C, *spatial)``.
        label: true class.
        explained: the class whose maps these are.
        mask: of the expert, bool ``(*spatial)``, or None.
        rankings: the sorted maps.
        body: bool ``(*spatial)``, without the air around the patient.
        evidence: how far each pixel truly carries the class, ``(*spatial)``, or None where that is not known.
        twin: the same image with another label and all else equal, ``(C, *spatial)``; None where there is none, or
            where the network does not tell the two apart.
        spacing: millimetres from pixel to pixel along each axis; None where that is not known.
        other: a training image of the explained class; None where there is none.
        rivals: the networks of other trainings; None where there are none.
        anatomy: which of the structures each pixel is of, ``(*spatial)``: 1 is the first, 0 none; None where that is
            not known.
        structures: names of those that any case of the study has.
        tissue: which of the `BANDS` each pixel's density is in, ``(*spatial)``; None where that is not known.
        refined: the network after learning from randomly masked images, or why there is none; None where none was asked
            for.
        marker: bool ``(*spatial)``, pixels that a planted shortcut changes, or None.
        settings: of the metrics.
        batch_size: images the network sees at a time.
        maps: of the estimators, ``(C, *spatial)``, as they are.
        of_class_one: estimators whose maps are of class 1 whatever class is asked for, as in the paper's direction.
        completeness: see `Explained.completeness`.
        explanations: makes the study's maps of another image or by another network; None where nothing is explained.
        along: what fidelity leaves for the page beside its measurements: of each map the explained class's probability
            along both orders of masking, ``(2, steps + 1)``, NaN where it is not known.
    """

    name: str
    seed: int
    classifier: Classifier
    image: Tensor
    label: int
    explained: int
    mask: NDArray[np.bool_] | None
    rankings: Mapping[MapKey, RankedMap]
    body: NDArray[np.bool_]
    evidence: NDArray[np.float32] | None
    marker: NDArray[np.bool_] | None
    settings: MetricSettings
    batch_size: int
    maps: Mapping[str, Tensor] = field(default_factory=dict)
    completeness: Mapping[str, float] | None = None
    explanations: Explain | None = None
    along: dict[MapKey, NDArray[np.float32]] = field(default_factory=dict)
    twin: NDArray[np.float32] | None = None
    spacing: tuple[float, ...] | None = None
    other: Other | None = None
    rivals: Sequence[Rival] | None = None
    anatomy: NDArray[np.integer] | None = None
    structures: tuple[str, ...] = ()
    tissue: NDArray[np.uint8] | None = None
    refined: Classifier | str | None = None
    of_class_one: frozenset[str] = frozenset()

    @property
    def expert(self) -> NDArray[np.bool_]:
        """The mask, for metrics that need one."""
        assert self.mask is not None
        return self.mask

    @cached_property
    def region_maps(self) -> dict[MapKey, NDArray[np.float64]]:
        """Region map of each map, ``(*spatial)``, from one segmentation; none without a usable mask to compare with.

        Raises:
            MapError: an image that has no regions.
        """
        if self.mask is None or not is_usable(self.mask):
            return {}
        segments = segment(self.image, self.settings.regions, self.spacing)
        grown = {
            ranked: xrai(
                self.image,
                ranked.scores.reshape(ranked.shape),
                segments=segments,
                settings=self.settings.regions,
                spacing=self.spacing,
            )
            for ranked in dict.fromkeys(self.rankings.values())
        }
        return {key: grown[ranked] for key, ranked in self.rankings.items()}

    def imputer(self, fill: Fill) -> Imputer:
        """How the image is masked by a fill, on the network's device; see `imputer`."""
        return imputer(
            fill,
            self.image.to(self.classifier.device),
            self.label,
            seed=self.seed,
            name=self.name,
            intensity=self.classifier.intensity,
            twin=self.twin,
        )

    def scores(self, images: Tensor) -> NDArray[np.float32]:
        """Class scores of altered images, ``(N, classes)``, from the network itself."""
        return self.classifier.predicted_scores(images, self.batch_size)

    def probabilities(self, images: Tensor) -> NDArray[np.float32]:
        """Class probabilities of altered images, likewise."""
        return replace(self.classifier, score="probability", quick=None).predicted_scores(images, self.batch_size)

    def decided(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the explained class is what each row of `probabilities` decides, ``(N,)``."""
        classes = np.full(len(probabilities), self.explained, dtype=np.int64)
        return replace(self.classifier, score="probability", quick=None).decided(probabilities, classes)

    def probabilities_without(self, fill: Imputer, hidden: Iterable[Tensor]) -> NDArray[np.float64]:
        """The explained class's probability without each set of pixels, bool ``(*spatial)``, a batch at a time."""
        waiting, found = iter(hidden), []
        while masks := list(islice(waiting, self.batch_size)):
            found.append(self.probabilities(fill.fill(torch.stack(masks)))[:, self.explained])
        return np.concatenate(found).astype(np.float64)

    def explain(
        self,
        image: Tensor | None = None,
        classifier: Classifier | None = None,
        draws: str = "",
        target: int | None = None,
        scene: Scene | None = None,
    ) -> Mapping[str, Tensor]:
        """The study's maps of an altered or of another image, by another classifier, or of another class.

        Args:
            image: the case's own by default.
            classifier: the study's by default.
            draws: a name for random draws of their own; the case's by default.
            target: the class that is explained; the case's own by default.
            scene: what may be seen beside the image; what is beside the case's own by default.
        """
        assert self.explanations is not None
        shown, by = self.image if image is None else image, classifier or self.classifier
        with torch.inference_mode(False):
            return self.explanations(shown, by, draws, self.explained if target is None else target, scene)

    @cached_property
    def of_another_image(self) -> dict[str, NDArray[np.float64]]:
        """Magnitudes of the study's maps of the other image, ``(*spatial)``: what chance makes alike."""
        assert self.other is not None
        return magnitudes(self.explain(self.other.image, draws=ANOTHER, scene=self.other.scene))

    @cached_property
    def another_class(self) -> int | None:
        """One of the classes that are not explained, drawn for the case; None where no class has a score of its own.

        The score of one of two classes by one neuron, or by their probabilities or odds, is the other's turned around.
        """
        if self.classifier.output in ("logit", "probability"):
            return None
        with torch.no_grad(), self.classifier.frozen():
            scored = self.classifier.scored(self.image[None].to(self.classifier.device))
        count = scored.scores.shape[1]
        if count == 2 and (self.classifier.score == "probability" or scored.log_odds):
            return None
        others = [index for index in range(count) if index != self.explained]
        return int(generator(self.seed, self.name, "another class").choice(others))
