"""From Hounsfield units on the scanner's grid to what the network sees: window, then size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .body import AIR, body_of
from .windows import Window, Windows, check_windows, windows_of


@dataclass(frozen=True)
class Preprocessing:
    """Window in HU that maps to [0, 1], and the number of pixels: one for every spatial axis, or one for each.

    Several windows are the channels of an image. The defaults are the protocol's: soft tissue -160..240 HU, 224 pixels.

    Raises:
        SettingsError: see `check_windows`.

    Example:
        >>> lung, soft_tissue, bone = (-1000.0, 400.0), (-160.0, 240.0), (-100.0, 900.0)
        >>> Preprocessing(32, (lung, soft_tissue, bone)).image(np.zeros((60, 60))).shape
        (3, 32, 32)
    """

    size: int | tuple[int, ...] = 224
    window: Windows = (-160.0, 240.0)

    def __post_init__(self) -> None:
        check_windows(self.window)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Of each channel."""
        return windows_of(self.window)

    def shape(self, dimensions: int) -> tuple[int, ...]:
        """Spatial shape of an image in so many dimensions.

        Raises:
            SettingsError: sizes for another number of axes.
        """
        if isinstance(self.size, int):
            return (self.size,) * dimensions
        if len(self.size) != dimensions:
            raise SettingsError(
                f"cases.size {list(self.size)} has {len(self.size)} numbers, images have {dimensions} axes: "
                "give one for each, or one for all"
            )
        return tuple(self.size)

    def image(self, hu: NDArray[np.floating]) -> NDArray[np.float32]:
        """HU ``(*spatial)`` to float32 ``(C, *shape)`` in [0, 1], a channel for each window."""
        shape = self.shape(hu.ndim)
        return np.stack([resize_image(window(hu, one), shape) for one in self.windows])

    def body(self, hu: NDArray[np.floating]) -> NDArray[np.bool_]:
        """HU ``(*spatial)`` to the body in the resized image, whatever the window: bool ``(*shape)``."""
        return body_of(resize_image(window(hu, (AIR - 500.0, AIR + 500.0)), self.shape(hu.ndim))[None], 0.5)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bool ``(*spatial)`` to bool ``(*shape)``, by nearest neighbour."""
        return resize_mask(mask, self.shape(mask.ndim))


def window(hu: NDArray[np.floating], limits: Window) -> NDArray[np.float32]:
    """Map ``limits`` (HU) linearly to [0, 1] and clip."""
    low, high = limits
    return np.asarray(np.clip((hu - low) / (high - low), 0.0, 1.0), dtype=np.float32)


def resize_image(image: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """`resized` to ``shape``, within [0, 1]."""
    return np.asarray(np.clip(resized(image, shape), 0.0, 1.0), dtype=np.float32)


def resized(values: NDArray[np.floating], shape: Sequence[int]) -> NDArray[np.floating]:
    """Antialiased linear resize of ``(*spatial)`` to ``shape``, float32.

    The filter is separable, so one axis at a time gives any number of dimensions.
    """
    import torch  # here, because finding and listing cases does without it
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    for axis, size in enumerate(shape):
        moved = tensor.movedim(axis, -1)
        rows = moved.reshape(1, 1, -1, moved.shape[-1])
        rows = functional.interpolate(rows, (rows.shape[2], size), mode="bilinear", antialias=True)
        tensor = rows.reshape(*moved.shape[:-1], size).movedim(-1, axis)
    return tensor.contiguous().numpy()


def resize_mask(mask: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Nearest-neighbour resize of ``(*spatial)`` to ``shape``."""
    for axis, (length, size) in enumerate(zip(mask.shape, shape, strict=True)):
        nearest = ((np.arange(size) + 0.5) * length / size).astype(np.intp)
        mask = np.take(mask, nearest, axis=axis)
    return mask
