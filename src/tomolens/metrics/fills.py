"""What masked pixels become: the paper's value by label, a constant, the image's mean, a blurred image, or ROAD."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..classifier.intensity import Intensity
from ..errors import SettingsError
from .road import imputation_noise, imputed

Fill = float | str
"""A word, a number, or Hounsfield units.

``label`` is the paper's: black where the case is of class 1, white where it is of class 0. A number goes from 0 (black)
to 1 (white). ``mean`` is the image's mean by channel, ``blur`` the image smoothed by a twentieth of its side, ``road``
noisy linear imputation from the pixels that are left (Rong et al. 2022, arXiv 2202.00449). ``"40 HU"`` needs a
classifier whose `Intensity` knows Hounsfield units."""
FILL_WORDS = ("label", "mean", "blur", "road")
HOUNSFIELD = re.compile(r"(-?\d+(?:\.\d+)?) HU")
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


def filler(
    fill: Fill, image: Tensor, label: int, *, seed: int = 0, name: str = "0", intensity: Intensity | None = None
) -> Filler:
    """How an image of a class is masked.

    Args:
        fill: see `Fill`.
        image: ``(C, *spatial)``.
        label: true class.
        seed: of ROAD's noise.
        name: of the case, likewise.
        intensity: which values are black and white; 0 and 1 by default.

    Raises:
        SettingsError: see `fill_image`.
    """
    intensity = intensity or Intensity()
    if fill == "road":
        noise = imputation_noise(image, seed, name)
        grey = intensity.share(image)

        def impute(hidden: Tensor) -> Tensor:
            return torch.where(hidden[:, None], intensity.at(imputed(grey, hidden, noise)), image)

        return Filler(image, np.ones(image[0].numel(), bool), impute)
    values = torch.from_numpy(fill_image(fill, image.float().cpu().numpy(), label, intensity)).to(image)
    changes = (image != values).any(dim=0).flatten().cpu().numpy()
    return Filler(image, changes, lambda hidden: torch.where(hidden[:, None], values, image))


def fill_image(
    fill: Fill, image: NDArray[np.float32], label: int, intensity: Intensity | None = None
) -> NDArray[np.float32]:
    """The image with every pixel masked, ``(C, *spatial)``; ROAD's without its noise.

    Raises:
        SettingsError: a fill that is none, ``label`` for a class other than 0 and 1, or Hounsfield units where
            the intensity does not know them.
    """
    known, intensity = parse_fill(fill), intensity or Intensity()
    if known == "blur":
        sigma = BLUR * max(image.shape[1:])
        return np.stack([gaussian_filter(channel, sigma) for channel in image]).astype(np.float32)
    if known in ("mean", "road"):
        means = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        return np.broadcast_to(means, image.shape).astype(np.float32)
    if known == "label":
        if label not in (0, 1):
            raise SettingsError(f"fill = 'label' is defined for the classes 0 and 1, the case is of class {label}")
        return np.full_like(image, intensity.at(1.0 - label))
    share = intensity.of_hounsfield(known.value) if isinstance(known, Hounsfield) else float(known)
    return np.full_like(image, intensity.at(share))


@dataclass(frozen=True)
class Hounsfield:
    """A fill in Hounsfield units."""

    value: float


def parse_fill(fill: Fill) -> str | float | Hounsfield:
    """What a fill says, wherever it is written: a word, a number in [0, 1], or Hounsfield units.

    Raises:
        SettingsError: none of these.

    Example:
        >>> parse_fill("40 HU")
        Hounsfield(value=40.0)
    """
    if isinstance(fill, str):
        if fill in FILL_WORDS:
            return fill
        units = HOUNSFIELD.fullmatch(fill)
        if units:
            return Hounsfield(float(units[1]))
    elif 0 <= fill <= 1:
        return float(fill)
    known = ", ".join(map(repr, FILL_WORDS))
    raise SettingsError(
        f"fill {fill!r}, expected {known}, a number from 0 (black) to 1 (white), or Hounsfield units as '40 HU'"
    )
