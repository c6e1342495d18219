"""What stands beside the image of a case, and beside that of another one with whose maps the case's are compared."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case
from ..cases.body import AIR, body_of, channel_of_air
from ..classifier import Classifier, Intensity
from ..estimators.subject import Need, References, Scene
from ..imputers.fills import Fill, fill_image, of_class
from ..metrics.evaluand import Other
from ..randomness import generator
from .plan import Plan

KEPT: frozenset[Need] = frozenset({"twin", "anatomy", "spacing"})
"""What of a training image's scene cannot be made of the image."""


def scene_of(case: Case, classifier: Classifier, plan: Plan, atlas: NDArray[np.float64] | None) -> Scene:
    """What blind baselines may see of a case beside its image; a fill from the twin would show them the truth."""
    intensity = classifier.intensity
    body = _body(case.image, intensity) if case.body is None else case.body
    shown = filled(case.image, case.label, intensity, plan.metrics.fill)
    spacing = None if case.grid is None else case.grid.spacing
    anatomy = None if case.anatomy is None else case.anatomy.numbered(plan.structures)
    return Scene(shown, body, atlas, case.twin, anatomy, spacing)


def filled(image: NDArray[np.float32], label: int, intensity: Intensity, fill: Fill) -> NDArray[np.float32] | None:
    """The image with every pixel masked; None where that is the twin."""
    return None if of_class(fill, label) == "twin" else fill_image(fill, image, label, intensity)


def _body(image: NDArray[np.float32], intensity: Intensity) -> NDArray[np.bool_]:
    """The body by HU; of several windows in the channel that shows best where air ends."""
    grey, air = intensity.share(image), intensity.of_hounsfield(AIR)
    if isinstance(air, float):
        return body_of(grey, air)
    channel = channel_of_air(intensity.windows)
    return body_of(grey[channel : channel + 1], float(air[channel]))


def scene_raised(scene: Scene, shift: float) -> Scene:
    """What stands beside an image, on a scale that begins elsewhere."""
    images = {name: one + shift for name in ("fill", "twin") if (one := getattr(scene, name)) is not None}
    return replace(scene, **images)


def turns_at(classifier: Classifier, twin: NDArray[np.float32], predicted: int) -> bool:
    """Whether the network decides otherwise about a twin."""
    return int(classifier.predict(torch.from_numpy(twin)[None])[0]) != predicted


def other_image(
    references: References | None, scene: Scene, label: int, classifier: Classifier, plan: Plan, name: str
) -> Other | None:
    """One of the training images of a class, drawn for the case, with what is beside it; None where there is none.

    It is one that has all that the study's estimators see beside the case's own image, where there is such a one.
    """
    if references is None:
        return None
    places = np.flatnonzero(np.asarray(references.labels) == label).tolist()
    if not places:
        return None
    scenes = references.scenes or [Scene()] * len(references.labels)
    needs = {need for one in plan.estimators for need in one.needs}
    seen = {need for need in needs & KEPT if getattr(scene, need) is not None}
    able = [place for place in places if all(getattr(scenes[place], need) is not None for need in seen)]
    drawn = int(generator(plan.seed, name, "other image").choice(able or places))
    image = torch.as_tensor(references.images[drawn])
    return Other(image, replace(_completed(scenes[drawn], needs, image, label, classifier, plan), atlas=scene.atlas))


def _completed(scene: Scene, needs: set[Need], image: Tensor, label: int, classifier: Classifier, plan: Plan) -> Scene:
    """A training image's scene with what is made of the image where estimators need it, as of a case."""
    pixels, intensity = image.cpu().numpy(), classifier.intensity
    if scene.twin is not None and not turns_at(classifier, scene.twin, int(classifier.predict(image[None])[0])):
        scene = replace(scene, twin=None)
    if "fill" in needs:
        scene = replace(scene, fill=filled(pixels, label, intensity, plan.metrics.fill))
    if "body" in needs and scene.body is None:
        scene = replace(scene, body=_body(pixels, intensity))
    return scene
