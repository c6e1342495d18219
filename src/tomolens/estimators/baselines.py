"""Blind baselines: estimators that ask nothing. What does not beat them has told nothing about the network.

To add one, write such a function and put a `Baseline` of it in `BASELINES`; the contract test then covers it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from .estimator import Cost
from .subject import Need, Subject

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A map that never looks at the network.

    Attributes:
        name: in results.
        title: as it is printed.
        draw: the map ``(C, *spatial)`` of a subject, or the same for all channels ``(*spatial)``.
        needs: what it sees beside the image.
        of_masks: whether it looks at experts' masks of other cases, though never at the network.
    """

    name: str
    title: str
    draw: Callable[[Subject], Values] = field(repr=False)
    needs: frozenset[Need] = frozenset()
    of_masks: bool = False
    source: ClassVar[str] = ""
    of_prediction: ClassVar[bool] = True

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """Nothing."""
        return Cost()

    def explain(self, subject: Subject) -> Tensor:
        """The map in float64."""
        values = np.broadcast_to(self.draw(subject), tuple(subject.image.shape))
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(subject.image.device)


def centre_prior(subject: Subject) -> Values:
    """1 at the centre of the image, falling to 0 in its corners."""
    spatial = subject.image.shape[1:]
    ticks = np.meshgrid(*(np.linspace(-1, 1, length) for length in spatial), indexing="ij")
    return np.asarray(1.0 - np.sqrt(sum(tick**2 for tick in ticks) / len(spatial)))


def raw_intensity(subject: Subject) -> Values:
    """The image itself, from 0 (black) to 1 (white)."""
    return subject.grey.astype(np.float64)


def difference_from_fill(subject: Subject) -> Values:
    """|x - fill|: how much masking would change each pixel. Under the paper's fill it knows the class."""
    assert subject.scene.fill is not None
    return np.abs(subject.grey.astype(np.float64) - subject.intensity.share(subject.scene.fill))


def sobel_edges(subject: Subject) -> Values:
    """Magnitude of the image's gradient by Sobel's filter."""
    image = subject.grey.astype(np.float64)
    squared: Values = sum(
        (ndimage.sobel(image, axis=axis) ** 2 for axis in range(1, image.ndim)), np.zeros(image.shape)
    )
    return np.sqrt(squared)


def body_mask(subject: Subject) -> Values:
    """1 in the body, 0 in the air around it."""
    assert subject.scene.body is not None
    return subject.scene.body.astype(np.float64)


def mean_mask(subject: Subject) -> Values:
    """An atlas of the experts' masks: where those of training cases lie on average."""
    assert subject.scene.atlas is not None
    return subject.scene.atlas


def difference_from_twin(subject: Subject) -> Values:
    """|x - twin|: where the evidence is, known of simulated cases and of implants."""
    assert subject.scene.twin is not None
    share = subject.intensity.share
    return np.abs(subject.grey.astype(np.float64) - share(subject.scene.twin).astype(np.float64))


TRUTH = Baseline("truth", "Truth", difference_from_twin, frozenset({"twin"}))
"""The positive control: what a map must find. No baseline to beat, as it knows what no map can know."""
BASELINES: Mapping[str, Baseline] = {
    one.name: one
    for one in (
        Baseline("centre-prior", "Centre prior", centre_prior),
        Baseline("raw-intensity", "Raw intensity", raw_intensity),
        Baseline("difference-from-fill", "Difference from the fill", difference_from_fill, frozenset({"fill"})),
        Baseline("sobel-edges", "Sobel edges", sobel_edges),
        Baseline("body-mask", "Body mask", body_mask, frozenset({"body"})),
        Baseline("mean-mask", "Atlas of the experts' masks", mean_mask, frozenset({"atlas"}), of_masks=True),
    )
}
