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

Need = Literal["references", "fill", "body", "atlas", "twin"]


@dataclass(frozen=True)
class References:
    """Training images from which expected gradients draws.

    Attributes:
        images: ``(R, C, *spatial)``, within the classifier's `Intensity`, a tensor or an array.
        labels: class of each, whole numbers ``(R,)``; draws are balanced over the classes.
    """

    images: Tensor | NDArray[np.floating]
    labels: Tensor | NDArray[np.integer] | Sequence[int]

    @cached_property
    def members(self) -> tuple[NDArray[np.intp], ...]:
        """Indices of the images of each class that has any."""
        labels = np.asarray(self.labels.cpu() if isinstance(self.labels, Tensor) else self.labels)
        return tuple(np.flatnonzero(labels == label) for label in np.unique(labels))


@dataclass(frozen=True)
class Scene:
    """What blind baselines, and estimators that compare with the twin, may see beside the image.

    Attributes:
        fill: the image ``(C, *spatial)`` with every pixel masked, as for fidelity; where that depends on the class, for
            the true one.
        body: bool ``(*spatial)``, without the air around the patient.
        atlas: mean of the training cases' masks, ``(*spatial)``; None where there are none.
        twin: the same image with another label and all else equal, ``(C, *spatial)``; None where there is none.
    """

    fill: NDArray[np.float32] | None = None
    body: NDArray[np.bool_] | None = None
    atlas: NDArray[np.float64] | None = None
    twin: NDArray[np.float32] | None = None


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
    """

    image: Tensor
    target: int
    name: str
    seed: int
    references: References | None = None
    intensity: Intensity = Intensity()
    scene: Scene = Scene()

    def has(self, need: Need) -> bool:
        """Whether what an estimator needs is known."""
        return getattr(self if need == "references" else self.scene, need) is not None

    @property
    def grey(self) -> NDArray[np.float32]:
        """The image from 0 (black) to 1 (white), ``(C, *spatial)``."""
        return self.intensity.share(self.image.cpu().numpy())

    def zeros(self) -> Tensor:
        """An empty map, in the type in which means are taken: float32 at least."""
        return torch.zeros_like(self.image, dtype=torch.promote_types(self.image.dtype, torch.float32))
