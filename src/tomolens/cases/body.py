"""The body in a CT image, without the air around it and the table under it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .windows import Window

AIR = -500.0
"""HU below which a pixel is air (or lung, which lies inside the body)."""


def opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without what is thinner than three pixels; along an axis of fewer, of any thickness."""
    from scipy import ndimage  # here, because finding and listing cases does without it

    structure = ndimage.generate_binary_structure(mask.ndim, 1)
    thin = tuple(slice(1, 2) if length < 3 else slice(None) for length in mask.shape)
    return np.asarray(ndimage.binary_opening(mask, structure[thin]), dtype=bool)


def body_of(image: NDArray[np.floating], air: float) -> NDArray[np.bool_]:
    """The largest connected part of an image that is not air, with its holes filled.

    In a volume a hole may open at the first or last slice, where a scan cuts lungs.

    Args:
        image: ``(C, *spatial)``; a pixel is air where it is in every channel.
        air: the value up to which a pixel is air, i.e. that of `AIR`, or black where the window cuts it off.

    Returns:
        bool ``(*spatial)``; nothing where everything is air.
    """
    from scipy import ndimage  # here, because finding and listing cases does without it

    parts, count = ndimage.label(opened(image.max(axis=0) > air))
    if count == 0:
        return np.zeros(image.shape[1:], dtype=bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    part = parts == largest
    if part.ndim < 3:
        return np.asarray(ndimage.binary_fill_holes(part), dtype=bool)
    # A scan of the chest cuts lungs or airways open at its first and last slice: closed there, they are the body's.
    closed = np.pad(part, ((1, 1), *[(0, 0)] * (part.ndim - 1)), constant_values=True)
    return np.asarray(ndimage.binary_fill_holes(closed)[1:-1], dtype=bool)


def channel_of_air(windows: Sequence[Window]) -> int:
    """Which of several windows shows best where air ends: the one with most HU on both sides of `AIR`.

    Where all begin above it, that is the one that begins lowest: what it shows black is air, and some tissue. A window
    that ends below it shows tissue as white as much air, and is taken only where there is no other.

    Example:
        >>> channel_of_air([(-160.0, 240.0), (-1000.0, 400.0), (-100.0, 900.0)])
        1
    """
    shown = [(high > AIR, min(AIR - low, high - AIR)) for low, high in windows]
    return shown.index(max(shown))
