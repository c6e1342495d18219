"""From Hounsfield units on the scanner's grid to what the network sees: window, then size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .body import AIR, body_of


@dataclass(frozen=True)
class Preprocessing:
    """Window in HU that maps to [0, 1], and the number of pixels along every spatial axis.

    The defaults are the protocol's: soft tissue -160..240 HU, 224 pixels.
    """

    size: int = 224
    window: tuple[float, float] = (-160.0, 240.0)

    def image(self, hu: NDArray[np.floating]) -> NDArray[np.float32]:
        """HU ``(*spatial)`` to float32 ``(1, size, ...)`` in [0, 1]."""
        return resize_image(window(hu, self.window), self.size)[None]

    def body(self, hu: NDArray[np.floating]) -> NDArray[np.bool_]:
        """HU ``(*spatial)`` to the body in the resized image, whatever the window: bool ``(size, ...)``."""
        return body_of(resize_image(window(hu, (AIR - 500.0, AIR + 500.0)), self.size)[None], 0.5)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bool ``(*spatial)`` to bool ``(size, ...)``, by nearest neighbour."""
        return resize_mask(mask, self.size)


def window(hu: NDArray[np.floating], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Map ``limits`` (HU) linearly to [0, 1] and clip."""
    low, high = limits
    return np.asarray(np.clip((hu - low) / (high - low), 0.0, 1.0), dtype=np.float32)


def resize_image(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Antialiased linear resize of ``(*spatial)`` to ``size`` pixels along each axis.

    The filter is separable, so one axis at a time gives any number of dimensions.
    """
    import torch  # here, because finding and listing cases does without it
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(image))
    for axis in range(tensor.ndim):
        moved = tensor.movedim(axis, -1)
        rows = moved.reshape(1, 1, -1, moved.shape[-1])
        rows = functional.interpolate(rows, (rows.shape[2], size), mode="bilinear", antialias=True)
        tensor = rows.reshape(*moved.shape[:-1], size).movedim(-1, axis)
    return tensor.clamp(0.0, 1.0).contiguous().numpy()


def resize_mask(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Nearest-neighbour resize of ``(*spatial)`` to ``size`` pixels along each axis."""
    for axis, length in enumerate(mask.shape):
        nearest = ((np.arange(size) + 0.5) * length / size).astype(np.intp)
        mask = np.take(mask, nearest, axis=axis)
    return mask
