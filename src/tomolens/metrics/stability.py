"""How far maps move with the image: sensitivity, stability against input, representation and output, and prediction.

The same noisy and shifted copies of the image serve all estimators, which explain the same class of each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, jit, nn

from ..declarations import Declaration, Output
from ..randomness import generator
from .evaluand import Evaluand, MetricSettings
from .metric import Metric, Reading

COPIES = 6
"""Noisy copies of an image; each costs a map of every estimator."""
RADIUS = 0.02
"""Largest change of a pixel, as a share from black to white, as captum's."""
LEAST = 1e-6
"""In place of what is divided by where that is nearly 0, as in the paper."""
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moved:
    """An altered image and what became of it.

    Attributes:
        image: ``(C, *spatial)``.
        maps: of each estimator.
        scores: of every class.
        representation: what the last layer with weights that runs is given; empty where that cannot be seen, or is
            the image.
    """

    image: Tensor
    maps: Mapping[str, Tensor]
    scores: NDArray[np.float32]
    representation: Values


def sensitivity(importance: Values, others: list[Values]) -> float:
    """Largest distance of a map to those of noisy copies, over its own length (Yeh et al. 2019, arXiv 1901.09392).

    NaN of a map that is 0 everywhere.
    """
    length = float(np.linalg.norm(importance))
    return max(float(np.linalg.norm(importance - one)) for one in others) / length if length > 0 else float("nan")


def stability(importance: Values, other: Values, before: Values, after: Values) -> float:
    """Relative change of a map over the relative change of what went in or came out, both as Euclidean lengths.

    Agarwal et al. 2022, arXiv 2203.06877, equations 2 to 4, with changes taken relative to the whole map's and image's
    length where the paper divides pixel by pixel: most pixels of a map, and of air, are 0.
    """
    changed = np.linalg.norm(importance - other) / max(float(np.linalg.norm(importance)), LEAST)
    moved = np.linalg.norm(before - after) / max(float(np.linalg.norm(before)), LEAST)
    return float(changed / max(float(moved), LEAST))


def followed(changes: Values, moved: Values) -> float:
    """Pearson's correlation of how far the prediction and the map change over copies; NaN where either does not."""
    if len(changes) < 3 or changes.std() == 0 or moved.std() == 0:
        return float("nan")
    return float(np.corrcoef(changes, moved)[0, 1])


def measure_stability(evaluand: Evaluand) -> Iterator[Reading]:
    """Max-sensitivity, relative stability, and how maps follow the prediction, over noisy copies of the image.

    Of each estimator's map as it is; stability over the copies that are decided as the image is.
    """
    scores, representation = _looked_at(evaluand, evaluand.image)
    own = Moved(evaluand.image, evaluand.maps, scores, representation)
    copies = [_seen(evaluand, image) for image in noisy(evaluand)]
    made = [name for name in own.maps if all(name in one.maps for one in copies)]
    alike = [one for one in copies if one.scores.argmax() == own.scores.argmax()]
    image = _flat(own.image)
    for name in made:  # an estimator that fails on one of these costs its own numbers alone
        importance, key = _flat(own.maps[name]), (name, "original")
        yield key, "max_sensitivity", sensitivity(importance, [_flat(one.maps[name]) for one in copies])
        against_input = [stability(importance, _flat(one.maps[name]), image, _flat(one.image)) for one in alike]
        against_output = [
            stability(importance, _flat(one.maps[name]), own.scores.astype(float), one.scores.astype(float))
            for one in alike
        ]
        yield key, "input_stability", max(against_input, default=float("nan"))
        yield key, "output_stability", max(against_output, default=float("nan"))
        inside = [
            stability(importance, _flat(one.maps[name]), own.representation, one.representation)
            for one in alike
            if own.representation.size and one.representation.shape == own.representation.shape
        ]
        yield key, "representation_stability", max(inside, default=float("nan"))
        moved = [np.linalg.norm(importance - _flat(one.maps[name])) for one in copies]
        changes = [abs(one.scores[evaluand.explained] - own.scores[evaluand.explained]) for one in copies]
        yield key, "follows_prediction", followed(np.array(changes, float), np.array(moved))


def noisy(evaluand: Evaluand) -> list[Tensor]:
    """Copies with uniform noise of up to `RADIUS`, kept from black to white."""
    intensity, image = evaluand.classifier.intensity, evaluand.image
    black, white = sorted((float(intensity.at(0.0)), float(intensity.at(1.0))))
    found = []
    for k in range(COPIES):
        random = generator(evaluand.seed, evaluand.name, "stability", k)
        reach = RADIUS * (white - black)
        noise = torch.from_numpy(random.uniform(-reach, reach, tuple(image.shape))).to(image)
        found.append((image + noise).clamp(black, white))
    return found


def _seen(evaluand: Evaluand, image: Tensor) -> Moved:
    return Moved(image, evaluand.explain(image), *_looked_at(evaluand, image))


def _looked_at(evaluand: Evaluand, image: Tensor) -> tuple[NDArray[np.float32], Values]:
    """Scores of an image, and what the last layer with weights that runs is given; empty where that is the image."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
        kept[:] = [one for one in given[:1] if isinstance(one, Tensor)]

    layers = [one for one in evaluand.classifier.network.modules() if _can_be_watched(one)]
    handles = [one.register_forward_pre_hook(keep) for one in layers]
    try:
        scores = evaluand.scores(image[None])[0]
    finally:
        for handle in handles:
            handle.remove()
    inside = _flat(kept[0]) if kept else np.empty(0)
    return scores, np.empty(0) if np.array_equal(inside, _flat(image)) else inside


def _can_be_watched(module: nn.Module) -> bool:
    """Whether a module has weights of its own, and takes hooks."""
    return not isinstance(module, jit.ScriptModule) and any(True for _ in module.parameters(recurse=False))


def _flat(values: Tensor) -> Values:
    flat: Values = values.detach().cpu().double().numpy().ravel()
    return flat


def _images(settings: MetricSettings) -> int:
    return COPIES + 1


STABILITY = Metric(
    Declaration(
        "stability",
        (
            Output("max_sensitivity", "max-sensitivity", better="lower", criterion="robust"),
            Output("input_stability", "relative input stability", better="lower", criterion="robust"),
            Output("representation_stability", "relative representation stability", better="lower", criterion="robust"),
            Output("output_stability", "relative output stability", better="lower", criterion="robust"),
            Output("follows_prediction", "prediction-saliency correlation", criterion="confidence"),
        ),
    ),
    measure_stability,
    needs=frozenset({"explanations", "scores"}),
    images_a_case=_images,
    explanations=COPIES,
)
