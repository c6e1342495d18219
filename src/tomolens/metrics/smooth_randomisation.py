"""Whether maps depend on the weights once their noise is averaged out: smooth MPRT (Hedström et al. 2024).

Maps of single images are noisy, and noise that weights change is easily taken for dependence on them
(arXiv 2405.02383, section 4: smooth MPRT). So maps are means over noisy copies of the image here: by the network, by
one whose weights are in random order, and of another image.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ..classifier import Classifier
from ..classifier.shuffled import with_shuffled_weights
from ..declarations import Declaration, Output
from ..estimators.subject import Scene
from ..randomness import generator
from .evaluand import ANOTHER, Evaluand
from .likeness import alike, magnitudes, rank_correlation
from .metric import Metric, Reading
from .randomisation import margin

COPIES = 8
"""Noisy copies of an image over which maps are averaged."""
NOISE = 0.1
"""Standard deviation of the noise, as a share from black to white."""


def measure_smooth_randomisation(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of the magnitudes of each estimator's averaged map to those by a shuffled network."""
    other = evaluand.other
    assert other is not None
    own = magnitudes(_averaged(evaluand, evaluand.image, evaluand.classifier, "smooth"))
    network = with_shuffled_weights(evaluand.classifier, evaluand.seed)
    shuffled = magnitudes(_averaged(evaluand, evaluand.image, network, "smooth shuffled"))
    pairs = magnitudes(_averaged(evaluand, other.image, evaluand.classifier, f"smooth {ANOTHER}", other.scene))
    for name, values in own.items():
        if name not in shuffled or name not in pairs:
            continue  # an estimator that fails on one of these costs its own numbers alone
        key = (name, "original")
        found = dict(alike("smooth_weights", values, [shuffled[name]]))
        for output, value in found.items():
            yield key, output, value
        null = rank_correlation(values, pairs[name])
        yield key, "smooth_margin", margin(null, found["smooth_weights_similarity"])


def _averaged(
    evaluand: Evaluand, image: Tensor, classifier: Classifier, draws: str, scene: Scene | None = None
) -> Mapping[str, Tensor]:
    """Mean of each estimator's maps over noisy copies of an image, which are kept from black to white."""
    intensity = evaluand.classifier.intensity
    reach = NOISE * (intensity.white - intensity.black)
    totals: dict[str, Tensor] = {}
    for k in range(COPIES):
        random = generator(evaluand.seed, evaluand.name, draws, k)
        noise = torch.from_numpy(random.normal(0.0, reach, tuple(image.shape))).to(image)
        copy = (image + noise).clamp(intensity.black, intensity.white)
        made = evaluand.explain(copy, classifier, f"{draws} {k}", scene=scene)
        totals = {name: one / COPIES + totals.get(name, 0.0) for name, one in made.items() if not k or name in totals}
    return totals


SMOOTH_RANDOMISATION = Metric(
    Declaration(
        "smooth-randomisation",
        (
            Output("smooth_weights_similarity", "averaged, like shuffled weights' (Spearman)", better="lower"),
            Output("smooth_weights_ssim", "averaged, like shuffled weights' (SSIM)", better="lower"),
            Output("smooth_weights_hog", "averaged, like shuffled weights' (HOG)", better="lower"),
            Output("smooth_margin", "averaged, margin over shuffled weights (sMPRT)"),
        ),
    ),
    measure_smooth_randomisation,
    needs=frozenset({"explanations", "other"}),
    explanations=3 * COPIES,
)
