"""What masked pixels become: the paper's value by label, a constant, the image's mean, a blurred image, or ROAD."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..errors import SettingsError
from .road import imputation_noise, imputed

Fill = Literal["label", "mean", "blur", "road"] | float
"""``label`` is the paper's: 0 where the case is of class 1 and 1 where not. A number is a value in [0, 1]; ``mean`` the
image's mean by channel; ``blur`` the image smoothed by a twentieth of its side; ``road`` noisy linear imputation from
the pixels that are left (Rong et al. 2022, arXiv 2202.00449)."""
FILL_WORDS = ("label", "mean", "blur", "road")
BLUR = 1 / 20
"""Standard deviation of the blur, of the image's longest side."""


@dataclass(frozen=True)
class Filler:
    """Makes the masked images of one image.

    Attributes:
        image: ``(C, *spatial)`` on the network's device.
        changes: bool ``(P,)``: whether masking a pixel, and no other, may change the image.
        fill: from masks of hidden pixels, bool ``(B, *spatial)``, to images ``(B, C, *spatial)``.
    """

    image: Tensor
    changes: NDArray[np.bool_]
    fill: Callable[[Tensor], Tensor]


def filler(fill: Fill, image: Tensor, label: int, *, seed: int = 0, name: str = "0") -> Filler:
    """How an image of a class is masked.

    Args:
        fill: see `Fill`.
        image: ``(C, *spatial)`` in [0, 1].
        label: true class.
        seed: of ROAD's noise.
        name: of the case, likewise.

    Raises:
        SettingsError: ``label`` for a class other than 0 and 1, or an unknown fill.
    """
    if fill == "road":
        noise = imputation_noise(image, seed, name)
        return Filler(image, np.ones(image[0].numel(), bool), lambda hidden: imputed(image, hidden, noise))
    values = torch.from_numpy(fill_image(fill, image.cpu().numpy(), label)).to(image)
    changes = (image != values).any(dim=0).flatten().cpu().numpy()
    return Filler(image, changes, lambda hidden: torch.where(hidden[:, None], values, image))


def fill_image(fill: Fill, image: NDArray[np.float32], label: int) -> NDArray[np.float32]:
    """The image with every pixel masked, ``(C, *spatial)``; ROAD's without its noise.

    Raises:
        SettingsError: see `filler`.
    """
    if fill == "blur":
        sigma = BLUR * max(image.shape[1:])
        return np.stack([gaussian_filter(channel, sigma) for channel in image]).astype(np.float32)
    if fill in ("mean", "road"):
        means = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        return np.broadcast_to(means, image.shape).astype(np.float32)
    if fill == "label":
        if label not in (0, 1):
            raise SettingsError(f"fill = 'label' is defined for the classes 0 and 1, the case is of class {label}")
        return np.full_like(image, 1.0 - label)
    if isinstance(fill, str):
        raise SettingsError(f"fill '{fill}', expected {', '.join(map(repr, FILL_WORDS))} or a number")
    return np.full_like(image, fill)
