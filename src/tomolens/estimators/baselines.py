"""Blind baselines: maps that never look at the network. What does not beat them has told nothing about it.

To add one, write such a function and put it in `BASELINES`; the contract test then covers it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """All that a blind baseline may see.

    Attributes:
        image: ``(C, *spatial)``, 0 black and 1 white.
        fill: the image ``(C, *spatial)`` with every pixel masked, as for fidelity; where that depends on the class, for
            the true one.
        body: bool ``(*spatial)``, without the air around the patient.
        mean_mask: mean of the training cases' masks, ``(*spatial)``; None where there are none.
    """

    image: NDArray[np.float32]
    fill: NDArray[np.float32]
    body: NDArray[np.bool_]
    mean_mask: Values | None = None


def centre_prior(scene: Scene) -> Values:
    """1 at the centre of the image, falling to 0 in its corners."""
    spatial = scene.image.shape[1:]
    ticks = np.meshgrid(*(np.linspace(-1, 1, length) for length in spatial), indexing="ij")
    distance = np.sqrt(sum(tick**2 for tick in ticks) / len(spatial))
    return np.broadcast_to(1.0 - distance, scene.image.shape)


def raw_intensity(scene: Scene) -> Values:
    """The image itself."""
    return scene.image.astype(np.float64)


def difference_from_fill(scene: Scene) -> Values:
    """|x - fill|: how much masking would change each pixel. Under the paper's fill it knows the class."""
    return np.abs(scene.image.astype(np.float64) - scene.fill)


def sobel_edges(scene: Scene) -> Values:
    """Magnitude of the image's gradient by Sobel's filter."""
    image = scene.image.astype(np.float64)
    squared: Values = sum(
        (ndimage.sobel(image, axis=axis) ** 2 for axis in range(1, image.ndim)), np.zeros(image.shape)
    )
    return np.sqrt(squared)


def body_mask(scene: Scene) -> Values:
    """1 in the body."""
    return np.broadcast_to(scene.body.astype(np.float64), scene.image.shape)


def mean_mask(scene: Scene) -> Values | None:
    """An atlas of the experts' masks: where those of training cases lie on average; none where there are none."""
    return None if scene.mean_mask is None else np.broadcast_to(scene.mean_mask, scene.image.shape)


BASELINES: Mapping[str, Callable[[Scene], Values | None]] = {
    "centre-prior": centre_prior,
    "raw-intensity": raw_intensity,
    "difference-from-fill": difference_from_fill,
    "sobel-edges": sobel_edges,
    "body-mask": body_mask,
    "mean-mask": mean_mask,
}


OF_MASKS = frozenset({"mean-mask"})
"""Baselines that look at experts' masks of other cases, though never at the network."""


def draw_baselines(names: Sequence[str], scene: Scene) -> dict[str, Values]:
    """The maps of the named baselines, float64 ``(C, *spatial)``, without those that cannot be drawn here."""
    drawn = {name: BASELINES[name](scene) for name in names}
    return {name: np.ascontiguousarray(one) for name, one in drawn.items() if one is not None}
