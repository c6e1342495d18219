"""What masked pixels become: the paper's value by label, a constant, the image's mean, a blur of it, ROAD, its twin."""

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

Fill = float | str | tuple[float | str, ...]
"""A word, a number, Hounsfield units, or one of these for each class, in the order of the labels.

``label`` is the paper's, for two classes: black where the case is of class 1, white where it is of class 0. A number
goes from 0 (black) to 1 (white). ``mean`` is the image's mean by channel, ``blur`` the image smoothed by a twentieth of
its side, ``road`` noisy linear imputation from the pixels that are left (Rong et al. 2022, arXiv 2202.00449), ``twin``
the same image with another label and all else equal, where there is one: what is masked could be of a scanner still.
``"40 HU"`` needs a classifier whose `Intensity` knows Hounsfield units, and is of each channel's own window."""
FILL_WORDS = ("label", "mean", "blur", "road", "twin")
HOUNSFIELD = re.compile(r"(-?\d+(?:\.\d+)?) HU")
BLUR = 1 / 20
"""Standard deviation of the blur, of the image's longest side."""


def blurred(values: NDArray[np.floating], share: float) -> NDArray[np.floating]:
    """Each channel of ``(C, *spatial)`` smoothed by a Gaussian whose deviation is a share of the longest side."""
    sigma = share * max(values.shape[1:])
    return np.stack([gaussian_filter(channel, sigma) for channel in values])


@dataclass(frozen=True)
class Imputer:
    """Makes the masked images of one image.

    Attributes:
        image: ``(C, *spatial)`` on the network's device.
        changes: bool ``(P,)``: whether masking a pixel, and no other, may change the image.
        fill: from masks of hidden pixels, bool ``(B, *spatial)``, to images ``(B, C, *spatial)``.
    """

    image: Tensor
    changes: NDArray[np.bool_]
    fill: Callable[[Tensor], Tensor]


def imputer(
    fill: Fill,
    image: Tensor,
    label: int,
    *,
    seed: int = 0,
    name: str = "0",
    intensity: Intensity | None = None,
    twin: NDArray[np.float32] | None = None,
) -> Imputer:
    """How an image of a class is masked.

    Args:
        fill: see `Fill`.
        image: ``(C, *spatial)``.
        label: true class.
        seed: of ROAD's noise.
        name: of the case, likewise.
        intensity: which values are black and white; 0 and 1 by default.
        twin: ``(C, *spatial)``, for the fill of that name.

    Raises:
        SettingsError: see `fill_image`.
    """
    intensity, fill = intensity or Intensity(), of_class(fill, label)
    if fill == "road":
        noise = imputation_noise(image, seed, name)
        grey = intensity.share(image)

        def impute(hidden: Tensor) -> Tensor:
            return torch.where(hidden[:, None], intensity.at(imputed(grey, hidden, noise)), image)

        return Imputer(image, np.ones(image[0].numel(), bool), impute)
    values = torch.from_numpy(fill_image(fill, image.float().cpu().numpy(), label, intensity, twin)).to(image)
    changes = (image != values).any(dim=0).flatten().cpu().numpy()
    return Imputer(image, changes, lambda hidden: torch.where(hidden[:, None], values, image))


def fill_image(
    fill: Fill,
    image: NDArray[np.float32],
    label: int,
    intensity: Intensity | None = None,
    twin: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """The image with every pixel masked, ``(C, *spatial)``; ROAD's without its noise.

    Raises:
        SettingsError: a fill that is none, ``label`` for a class other than 0 and 1, ``twin`` where there is none or
            of another shape, or Hounsfield units where the intensity does not know them, or knows those of another
            number of channels.
    """
    known, intensity = parse_fill(of_class(fill, label)), intensity or Intensity()
    if known == "twin":
        if twin is None or twin.shape != image.shape:
            found = "has none" if twin is None else f"has one of {twin.shape} for an image of {image.shape}"
            raise SettingsError(f"fill = 'twin' needs a twin, and the case {found}, or the network does not tell them")
        return np.asarray(twin, dtype=np.float32)
    if known == "blur":
        return blurred(image, BLUR).astype(np.float32)
    if known in ("mean", "road"):
        means = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        return np.broadcast_to(means, image.shape).astype(np.float32)
    if known == "label":
        if label not in (0, 1):
            raise SettingsError(
                f"fill = 'label' is defined for the classes 0 and 1, the case is of class {label}: give a fill a class"
            )
        return np.full_like(image, intensity.at(1.0 - label))
    share = intensity.of_hounsfield(known.value) if isinstance(known, Hounsfield) else float(known)
    if isinstance(share, float):
        return np.full_like(image, intensity.at(share))
    if len(share) != len(image):
        raise SettingsError(
            f"fill {fill!r}: windows of {len(share)} channels are known, and the image has {len(image)}"
        )
    return np.full_like(image, intensity.at(share).reshape(-1, *[1] * (image.ndim - 1)))


def of_class(fill: Fill, label: int) -> float | str:
    """The fill for a case of a class.

    Raises:
        SettingsError: a fill for each class, and none for this one.
    """
    if not isinstance(fill, tuple | list):
        return fill
    if not 0 <= label < len(fill):
        raise SettingsError(f"{len(fill)} fills, one a class, and the case is of class {label}")
    return fill[label]


def require_fill(fill: Fill, classes: int | None = None) -> None:
    """Refuse a fill that is none, or that does not fit the number of classes, where that is known.

    Raises:
        SettingsError: see `parse_fill`; ``label`` with other than two classes; another number of fills than classes.
    """
    for one in fill if isinstance(fill, tuple) else (fill,):
        if parse_fill(one) == "label" and (isinstance(fill, tuple) or classes not in (None, 2)):
            raise SettingsError(
                f"metrics.fill = 'label' is defined for two classes, not for {classes or 'one of several fills'}: give "
                "one for each of cases.classes, as [1, 0, 'mean'], or one for all"
            )
    if isinstance(fill, tuple) and ((classes is not None and len(fill) != classes) or not fill):
        raise SettingsError(f"metrics.fill has {len(fill)} fills, one a class, and cases.classes {classes or 0}")


@dataclass(frozen=True)
class Hounsfield:
    """A fill in Hounsfield units."""

    value: float


def parse_fill(fill: float | str) -> str | float | Hounsfield:
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
    elif not isinstance(fill, bool) and 0 <= fill <= 1:
        return float(fill)
    known = ", ".join(map(repr, FILL_WORDS))
    raise SettingsError(
        f"fill {fill!r}, expected {known}, a number from 0 (black) to 1 (white), or Hounsfield units as '40 HU'"
    )
