"""What is explained, and all that an estimator may know of it beside the network's answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..classifier.intensity import Intensity
from ..errors import SettingsError
from ..imputers import Imputer, imputer, require_fill

Need = Literal["references", "fill", "body", "atlas", "twin", "anatomy", "spacing"]


@dataclass(frozen=True)
class Scene:
    """What blind baselines, and estimators that compare with the twin, may see beside the image.

    Attributes:
        fill: the image ``(C, *spatial)`` with every pixel masked, as for fidelity; where that depends on the class, for
            the true one.
        body: bool ``(*spatial)``, without the air around the patient.
        atlas: mean of the training cases' masks, ``(*spatial)``; None where there are none.
        twin: the same image with another label and all else equal, ``(C, *spatial)``; None where there is none.
        anatomy: the number of the structure that each pixel is of, whole numbers ``(*spatial)``; None where none is
            given.
        spacing: millimetres from pixel to pixel along each axis; None where that is not known.
    """

    fill: NDArray[np.float32] | None = None
    body: NDArray[np.bool_] | None = None
    atlas: NDArray[np.float64] | None = None
    twin: NDArray[np.float32] | None = None
    anatomy: NDArray[np.integer] | None = None
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class References:
    """Training images from which expected gradients draws.

    Attributes:
        images: ``(R, C, *spatial)``, within the classifier's `Intensity`, a tensor or an array.
        labels: class of each, whole numbers ``(R,)``; draws are balanced over the classes.
        scenes: what is known beside each image, for maps of the image itself; None where nothing is.
    """

    images: Tensor | NDArray[np.floating]
    labels: Tensor | NDArray[np.integer] | Sequence[int]
    scenes: Sequence[Scene] | None = None

    @cached_property
    def members(self) -> tuple[NDArray[np.intp], ...]:
        """Indices of the images of each class that has any."""
        labels = np.asarray(self.labels.cpu() if isinstance(self.labels, Tensor) else self.labels)
        return tuple(np.flatnonzero(labels == label) for label in np.unique(labels))


@dataclass(frozen=True)
class Subject:
    """The image that is explained, and all that its random draws may depend on.

    Attributes:
        image: ``(C, *spatial)``.
        target: the class whose score is explained.
        name: of the case.
        seed: of the study.
        references: training images, for estimators that draw some.
        intensity: which values of the image are black and white.
        scene: what else may be seen beside the image.
        task: whether scores are of classes, of which one is decided, or of labels, each a yes or no.
    """

    image: Tensor
    target: int
    name: str
    seed: int
    references: References | None = None
    intensity: Intensity = Intensity()
    scene: Scene = Scene()
    task: Literal["classes", "labels"] = "classes"

    def has(self, need: Need) -> bool:
        """Whether what an estimator needs is known."""
        return getattr(self if need == "references" else self.scene, need) is not None

    @property
    def grey(self) -> NDArray[np.float32]:
        """The image from 0 (black) to 1 (white), ``(C, *spatial)``."""
        return self.intensity.share(self.image.to(torch.promote_types(self.image.dtype, torch.float32)).cpu().numpy())

    def imputer(self, fill: float | str) -> Imputer:
        """How parts of the image are masked by a fill; made once.

        Raises:
            SettingsError: a fill that this image cannot have; see `fill_image`.
        """
        if fill not in self._imputers:
            self._imputers[fill] = imputer(
                fill,
                self.image,
                self.target,
                seed=self.seed,
                name=self.name,
                intensity=self.intensity,
                twin=self.scene.twin,
            )
        return self._imputers[fill]

    @cached_property
    def _imputers(self) -> dict[float | str, Imputer]:
        return {}

    def zeros(self) -> Tensor:
        """An empty map, in the type in which means are taken: float32 at least."""
        return torch.zeros_like(self.image, dtype=torch.promote_types(self.image.dtype, torch.float32))


def require_fill_of_any_class(fill: float | str) -> None:
    """Refuse a fill that is none, or by the true label, which an estimator does not know.

    Raises:
        SettingsError: with those that there are.
    """
    if isinstance(fill, tuple | list) or fill == "label":
        raise SettingsError(f"fill {fill!r} depends on the true class, which an estimator does not know")
    require_fill(fill)


def needed_by(fill: float | str) -> frozenset[Need]:
    """What must be known for a fill beside the image."""
    return frozenset({"twin"}) if fill == "twin" else frozenset()
