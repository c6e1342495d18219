"""What `explain` is given, checked and brought into one form: a classifier, images and targets."""

from collections.abc import Sequence
from numbers import Real
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..classifier import Classifier
from ..classifier.output_kind import kind_of
from ..errors import MapError, SettingsError
from .subject import References, Scene

Direction = Literal["class", "paper"]
Targets = Tensor | NDArray[np.integer] | Sequence[int]
"""The class that is explained, one an image."""


def images_of(given: Tensor | NDArray[np.floating], network: nn.Module) -> Tensor:
    """Images as a tensor; of an array in the network's floating type.

    Raises:
        MapError: neither, or an array of whole numbers.
    """
    if isinstance(given, Tensor):
        return given
    if not isinstance(given, np.ndarray):
        raise MapError(f"images are {type(given).__name__}, expected a tensor or an array (N, C, *spatial)")
    if not np.issubdtype(given.dtype, np.floating):
        raise MapError(f"images of shape {given.shape}, {given.dtype}: expected floating (N, C, *spatial)")
    images = torch.from_numpy(np.array(given, np.float32 if given.dtype.itemsize <= 4 else np.float64))
    return images.to(_floating_type(network) or images.dtype)


def network_of(given: object) -> nn.Module:
    """The network of a classifier, or the network itself.

    Raises:
        SettingsError: neither.
    """
    network = given.network if isinstance(given, Classifier) else given
    if not isinstance(network, nn.Module):
        raise SettingsError(
            f"explain was given {type(given).__name__}, expected a network (torch.nn.Module) or "
            "tl.Classifier(network, output=...)"
        )
    return network


def classifier_of(given: Classifier | nn.Module, images: Tensor, batch_size: int) -> Classifier:
    """The classifier, or that of a bare network: what it returns is found by asking it once, see `kind_of`.

    Raises:
        MapError: images of no use.
        SettingsError: outputs that may be probabilities.
        NetworkError: outputs of no use.
    """
    if isinstance(given, Classifier):
        return given
    require_images(Classifier(given), images, batch_size)
    return Classifier(given, kind_of(given, images, batch_size)[0])


def targets_of(
    classifier: Classifier,
    images: Tensor,
    targets: Targets | None,
    batch_size: int,
) -> NDArray[np.int64]:
    """The class explained for each image, int64 ``(N,)``: the given one or the predicted one.

    Raises:
        MapError: targets that are no classes, or not one an image.
    """
    if targets is None:
        return classifier.predict(images, batch_size)
    given = np.asarray(targets.cpu() if isinstance(targets, Tensor) else targets)
    chosen = given.astype(np.int64)
    if (chosen != given).any() or (chosen < 0).any():
        raise MapError(f"targets {given.ravel()[:5].tolist()}, expected whole numbers from 0 on")
    if chosen.shape != (len(images),):
        raise MapError(f"targets of shape {chosen.shape} for {len(images)} images, expected one class an image")
    return chosen


def require_scenes(scenes: Sequence[Scene], images: Tensor) -> None:
    """Refuse scenes that are not one an image, or not of its shape.

    Raises:
        SettingsError: another number of them.
        MapError: another shape.
    """
    if scenes and len(scenes) != len(images):
        raise SettingsError(f"{len(scenes)} scenes for {len(images)} images")
    shape = tuple(images.shape[1:])
    wanted_of = {"fill": shape, "twin": shape} | dict.fromkeys(("body", "atlas", "anatomy"), shape[1:])
    wanted_of["spacing"] = (len(shape) - 1,)
    for scene in scenes:
        for name, wanted in wanted_of.items():
            given = getattr(scene, name)
            if given is not None and np.shape(given) != wanted:
                raise MapError(f"{name} of a scene has shape {np.shape(given)}, expected {wanted}")
        if scene.twin is not None and not bool(torch.isfinite(torch.as_tensor(scene.twin)).all()):
            raise MapError("twin of a scene holds values that are not finite")
        if scene.spacing is not None and not all(isinstance(one, Real) and 0 < one < np.inf for one in scene.spacing):
            raise MapError(f"spacing of a scene is {scene.spacing}, expected millimetres above 0")
        if scene.anatomy is not None and not np.issubdtype(np.asarray(scene.anatomy).dtype, np.integer):
            raise MapError(f"anatomy of a scene is {np.asarray(scene.anatomy).dtype}, expected whole numbers")


def require_images(classifier: Classifier, images: Tensor, batch_size: int) -> None:
    """Refuse images that are none for this classifier.

    Raises:
        MapError: not floating ``(N, C, *spatial)``, not finite, out of the classifier's range, or of another floating
            type than the network's.
        SettingsError: a batch of nothing.
    """
    if images.ndim < 3 or len(images) == 0 or not images.is_floating_point():
        raise MapError(f"images of shape {tuple(images.shape)}, {images.dtype}: expected floating (N, C, *spatial)")
    if not bool(torch.isfinite(images).all()):
        raise MapError(f"images hold {int((~torch.isfinite(images)).sum())} values that are not finite")
    classifier.intensity.require(images)
    wanted = _floating_type(classifier.network)
    if wanted is not None and wanted != images.dtype:
        raise MapError(f"images are {images.dtype}, the network's weights {wanted}: convert one of them")
    if batch_size < 1:
        raise SettingsError(f"batch_size {batch_size}, expected at least 1")


def require_direction(direction: str) -> None:
    """Refuse a word that is none.

    Raises:
        SettingsError: with the words there are.
    """
    if direction not in get_args(Direction):
        raise SettingsError(f"direction '{direction}', expected one of {', '.join(get_args(Direction))}")


def require_references(references: References, classifier: Classifier, images: Tensor) -> None:
    """Refuse training images that are not like the images.

    Raises:
        SettingsError: no references, or not one label an image.
        MapError: another shape, or out of the classifier's range.
    """
    if not isinstance(references, References):
        raise SettingsError(f"references are {type(references).__name__}, expected tl.References(images, labels)")
    if len(references.images) == 0 or len(references.labels) != len(references.images):
        raise SettingsError(
            f"references of {len(references.images)} images and {len(references.labels)} labels: expected one a "
            "label, and one image at least"
        )
    if references.images.shape[1:] != images.shape[1:]:
        raise MapError(f"references of shape {tuple(references.images.shape[1:])}, images of {tuple(images.shape[1:])}")
    classifier.intensity.require(references.images, "references")


def _floating_type(network: nn.Module) -> torch.dtype | None:
    """Of the network's weights; None where it has none."""
    return next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), None)
