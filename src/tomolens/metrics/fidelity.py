"""Metric 1, the model's view: how masking pixels in the order of a map changes the network's decisions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..classifier import Classifier
from ..classifier.decisions import decide_together
from ..declarations import AUDIT, Chart, Declaration, Filled, Output, View
from ..errors import MapError
from ..imputers.fills import Fill, imputer
from ..randomness import draw_names, generator
from .evaluand import OF_CASE, Evaluand, MetricSettings
from .masking import Masked, masked_decisions, masked_fractions, masked_images
from .metric import Metric, Reading
from .ranked import rank_map

ASKED_AT_FIRST = 16
"""Masked images of a case that are decided at first, about; so many cases are decided together as fill a batch."""


@dataclass(frozen=True)
class Fidelity:
    """Perturbation curves of one estimator over some cases, and the area between them.

    Attributes:
        fractions: share of the pixels masked at each point, ``(41,)``.
        most_important_first: accuracy at each point, averaged over the classes, ``(41,)``.
        least_important_first: likewise.
        area: fidelity F, area from the first curve up to the second, -1..1; the paper prints 10 F.
        decisions: predicted classes, int64 ``(N, 2, 41)``: most important first, then least.
    """

    fractions: NDArray[np.float64]
    most_important_first: NDArray[np.float64]
    least_important_first: NDArray[np.float64]
    area: float
    decisions: NDArray[np.int64]


def fidelity(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor | NDArray[np.int64] | Sequence[int],
    maps: Tensor,
    *,
    explained: Tensor | NDArray[np.int64] | Sequence[int] | None = None,
    fill: Fill = "label",
    steps: int = 40,
    seed: int = 0,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
    twins: Tensor | None = None,
) -> Fidelity:
    """Fidelity of one estimator's maps (protocol, metric 1).

    Args:
        classifier: makes the decisions.
        images: ``(N, C, *spatial)``, within the classifier's `Intensity`.
        labels: true class of each image, ``(N,)``.
        maps: ``(N, C, *spatial)``, as they are or their absolute values.
        explained: class that each map explains; the true one by default. With two classes it makes no difference.
        fill: what masked pixels become.
        steps: the image is masked in so many equal steps.
        seed: of the order of ties, and of ROAD's noise.
        names: identifies each image in that order; its position by default.
        batch_size: images the network sees at a time.
        twins: ``(N, C, *spatial)``, for the fill of that name.

    Raises:
        MapError: shapes that differ, maps that are not finite, or images out of range.
        SettingsError: a fill that is none, by label with other than two classes, or in HU that are not known.
    """
    truth = _classes(labels)
    of_maps = truth if explained is None else _classes(explained)
    if maps.shape != images.shape or truth.shape != (len(images),) or of_maps.shape != truth.shape:
        raise MapError(
            f"maps of {tuple(maps.shape)}, labels of {truth.shape} and explained classes of {of_maps.shape} for images "
            f"of {tuple(images.shape)}: maps must have the images' shape, labels and classes one value an image"
        )
    classifier.intensity.require(images)
    names = draw_names(names, len(images))

    def masked(number: int) -> Masked:
        name, image = names[number], images[number].to(classifier.device)
        twin = None if twins is None else twins[number].float().cpu().numpy()
        masking = imputer(
            fill, image, int(truth[number]), seed=seed, name=name, intensity=classifier.intensity, twin=twin
        )
        ranked = rank_map(maps[number], seed=seed, name=name)
        return Masked.of([ranked], masking, steps, generator(seed, name, "audit"))

    decisions = np.empty((len(images), 2, steps + 1), dtype=np.int64)
    together = max(1, batch_size // ASKED_AT_FIRST)
    for start in range(0, len(images), together):
        several = [masked(number) for number in range(start, min(start + together, len(images)))]
        found = decide_together(classifier, [one.undecided for one in several], batch_size)
        for number, (one, decided) in enumerate(zip(several, found, strict=True), start):
            decisions[number] = one.at_each_point(decided).classes[0]
    correct = are_right(decisions, truth[:, None, None], of_maps[:, None, None])
    curves = np.mean([correct[truth == label].mean(axis=0) for label in np.unique(truth)], axis=0)
    fractions = masked_fractions(steps)
    return Fidelity(fractions, curves[0], curves[1], area_between(curves[0], curves[1]), decisions)


def _classes(given: Tensor | NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(given.cpu() if isinstance(given, Tensor) else given, dtype=np.int64)


def are_right(
    decisions: NDArray[np.int64], label: int | NDArray[np.int64], explained: int | NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether decisions are right about the explained class: it is decided where it is the true one, and only there.

    With two classes that is whether the true class is decided.
    """
    return np.asarray((decisions == explained) == (np.asarray(label) == explained))


def area_between(most_important_first: NDArray[np.floating], least_important_first: NDArray[np.floating]) -> float:
    """Area from the first curve up to the second over equally spaced points from 0 to 1, trapezoid rule."""
    return area_under(
        np.asarray(least_important_first, dtype=np.float64) - np.asarray(most_important_first, dtype=np.float64)
    )


def area_under(curve: NDArray[np.float64]) -> float:
    """Area under a curve over equally spaced points from 0 to 1, trapezoid rule."""
    return float(np.trapezoid(curve, dx=1.0 / (len(curve) - 1)))


def measure_fidelity(evaluand: Evaluand) -> Iterator[Reading]:
    """Whether each decision is right, 0 or 1, along both masking orders, the area between, and the `AUDIT`."""
    return _measured(evaluand, evaluand.settings.fill, "")


def measure_fidelity_twin(evaluand: Evaluand) -> Iterator[Reading]:
    """The same where a masked pixel takes the twin's value: the image stays one that a scanner could have made."""
    return _measured(evaluand, "twin", "_twin")


def measure_road(evaluand: Evaluand) -> Iterator[Reading]:
    """The same where masked pixels are imputed from their neighbours, degree by degree (Rong et al. 2022)."""
    return _measured(evaluand, "road", "_road")


def _measured(evaluand: Evaluand, fill: Fill, ending: str) -> Iterator[Reading]:
    distinct = list(dict.fromkeys(evaluand.rankings.values()))
    classifier = evaluand.classifier
    random = generator(evaluand.seed, evaluand.name, f"audit{ending}")
    masking = evaluand.imputer(fill)
    decided = masked_decisions(classifier, distinct, masking, evaluand.settings.steps, evaluand.batch_size, random)
    if classifier.quick is not None or classifier.sparing:
        for metric, of_decided in AUDIT.items():
            yield OF_CASE, f"{metric}{ending}", float(getattr(decided, of_decided))
    correct = are_right(decided.classes, evaluand.label, evaluand.explained).astype(np.float64)
    for key, ranked in evaluand.rankings.items():
        most, least = correct[distinct.index(ranked)]
        yield key, f"fidelity{ending}", area_between(most, least)
        yield key, f"most_important_first{ending}", most
        yield key, f"least_important_first{ending}", least
        if key not in evaluand.along:  # the page shows the first way of masking that is measured
            scores = decided.scores[distinct.index(ranked)]
            evaluand.along[key] = classifier.probability_of(scores, evaluand.explained)


def _images(settings: MetricSettings) -> int:
    return masked_images(settings.steps)


ORDERS: tuple[tuple[str, Literal["most important", "least important"]], ...] = (
    ("most", "most important"),
    ("least", "least important"),
)
PLATEAU = (
    "Where one class is always decided, all masked or none, its accuracy is 1 and that of the other 0: the mean of two "
    "classes then rests at 0.5, however far a map is right, so each class stands beside the mean."
)


def _declaration(name: str, ending: str, label: str, view: View, caption: str, filled: Filled = "fill") -> Declaration:
    curves = tuple(f"{first}_important_first{ending}" for first, _ in ORDERS)
    accuracy = "accuracy, mean of the classes"
    return Declaration(
        name,
        (
            Output(f"fidelity{ending}", label, factor=10.0, digits=2, balanced=True, view=view),
            *(
                Output(curve, accuracy, balanced=True, curve=True, intervals=True, masked=masked, filled=filled)
                for curve, (_, masked) in zip(curves, ORDERS, strict=True)
            ),
        ),
        (
            Chart(
                f"perturbation{ending}",
                curves,
                (0.0, 100.0),
                "pixels masked (%)",
                accuracy,
                caption,
                f"fidelity{ending}",
                line_labels=("most important first", "least important first"),
                limits=(0.0, 1.0),
            ),
        ),
    )


FIDELITY = Metric(
    _declaration(
        "fidelity",
        "",
        "Fidelity F × 10",
        View(
            "fidelity",
            "fidelity",
            "model",
            sentence="F × 10 = {}",
            heading="Fidelity: the model's view",
            text="Pixels are masked in the order of a map, most or least important first, with a value that removes "
            "the evidence. F is the area between the two accuracy curves; larger is better. With three classes or more "
            "a decision counts as right where the explained class is decided if it is the true one, and not decided if "
            f"it is not. {PLATEAU}",
        ),
        "Accuracy while the pixels of the images are masked, averaged over the classes. For each estimator the most "
        "important pixels first and the least important first, for maps as they are and for their absolute values; the "
        "area between the two curves is the fidelity F. At 0.5 one of two classes is always right and the other always "
        "wrong.",
    ),
    measure_fidelity,
    depends_on=frozenset({"fill"}),
    images=_images,
)
FIDELITY_TWIN = Metric(
    _declaration(
        "fidelity-twin",
        "_twin",
        "Fidelity by the twin, F × 10",
        View(
            "fidelity_twin",
            "fidelity by the twin",
            "model",
            "filling from the twin",
            sentence="F × 10 = {}",
            heading="Fidelity by the twin: the model's view",
            text="As fidelity, but a masked pixel takes the value that it has in the twin, which differs in the label "
            "alone: every image stays one that a scanner could have made, and all masked is the twin itself, about "
            "which the network decides otherwise. Measured where the network tells a case from its twin, and the image "
            "itself shows what tells them apart: nothing tells where a finding would be that is not there.",
        ),
        "Accuracy while the pixels of the images take the values of their twins, averaged over the classes; the area "
        "between the two curves of a map is its fidelity by the twin.",
        "twin",
    ),
    measure_fidelity_twin,
    needs=frozenset({"twin", "evidence"}),
    images=_images,
    fill="twin",
)
FIDELITY_ROAD = Metric(
    _declaration(
        "road",
        "_road",
        "ROAD, F × 10",
        View(
            "road",
            "ROAD",
            "model",
            "imputing",
            sentence="F × 10 = {}",
            heading="ROAD: the model's view",
            text="As fidelity, but a masked pixel becomes the noisy mean of its neighbours (Rong et al. 2022), so that "
            f"its place tells the network little. {PLATEAU}",
        ),
        "Accuracy while masked pixels are imputed from their neighbours, averaged over the classes; the area between "
        "the two curves of a map is its fidelity by ROAD.",
        "neighbours",
    ),
    measure_road,
    images=_images,
    fill="road",
)
