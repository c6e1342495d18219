"""From Hounsfield units on the scanner's grid to what the network sees: window, then pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError, SettingsError
from .body import AIR, body_of
from .crop import Box, Crop, box_of
from .sampling import Axis, Scalar, is_cut, nearest, resampled
from .tissue import tissue_of
from .windows import Window, Windows, check_windows, windows_of

Spacing = tuple[float, ...]
"""Distance of neighbours along each spatial axis, mm."""
OUTSIDE = -1000.0
"""HU of the air around a scan: what pixels beyond it become."""
DENSITIES = (-1024.0, 3071.0)
"""HU of the range of scanners: what lies beyond is padding or metal, and must not weigh more in a mean."""
FINEST, COARSEST = 0.01, 100.0
"""mm of a pixel that may be asked for."""
UNKNOWN = "its pixel size is not known: cases.spacing needs it"


@dataclass(frozen=True)
class Preprocessing:
    """What becomes of an image in HU before a network sees it.

    Attributes:
        size: number of pixels, one for every spatial axis, or one for each.
        window: HU that map to [0, 1]; several windows are the channels of an image.
        spacing: mm of a pixel, one for every spatial axis, or one for each. The scan is resampled to such pixels, and
            cut or padded (with air) about its middle to ``size``. None resizes the whole scan to ``size``.
        crop: what of a scan is looked for in it, ``body`` or ``lungs``: it takes the place of the whole scan. With
            ``spacing`` the middle of the image is that of its box, without only the box is resized. None takes all.
        box: of what is looked for, in pixels of one scan, see `framed`.

    The defaults are the protocol's: soft tissue -160..240 HU, 224 pixels. Methods take the ``spacing`` of the image in
    mm, which is needed where pixels of a given size are asked for.

    Raises:
        SettingsError: see `check_windows`; pixels of no size.

    Example:
        >>> lung, soft_tissue, bone = (-1000.0, 400.0), (-160.0, 240.0), (-100.0, 900.0)
        >>> Preprocessing(32, (lung, soft_tissue, bone)).image(np.zeros((60, 60))).shape
        (3, 32, 32)
    """

    size: int | tuple[int, ...] = 224
    window: Windows = (-160.0, 240.0)
    spacing: float | Spacing | None = None
    crop: Crop | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        check_windows(self.window)
        each = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,)
        for one in (one for one in each if one is not None):
            if not FINEST <= one <= COARSEST:
                raise SettingsError(f"pixels of {one:g} mm, expected {FINEST:g} to {COARSEST:g} mm")

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

    def pixel(self, dimensions: int) -> Spacing | None:
        """Size of a pixel along each of so many axes, mm; None where the whole scan is resized.

        Raises:
            SettingsError: sizes for another number of axes.
        """
        if self.spacing is None or not isinstance(self.spacing, tuple):
            return None if self.spacing is None else (float(self.spacing),) * dimensions
        if len(self.spacing) != dimensions:
            raise SettingsError(
                f"cases.spacing {list(self.spacing)} has {len(self.spacing)} numbers, images have {dimensions} axes: "
                "give one for each, or one for all"
            )
        return self.spacing

    def framed(self, hu: NDArray[np.floating], spacing: Spacing | None = None) -> "Preprocessing":
        """The same for one scan, HU ``(*spatial)``, in which the body or the lungs are found where that is asked for.

        Raises:
            CaseError: there is none in it.
        """
        return self if self.crop is None else replace(self, box=box_of(hu, self.crop, spacing))

    def axes(self, shape: Sequence[int], spacing: Spacing | None) -> tuple[Axis, ...]:
        """Where pixels of the given size lie on an image; empty where the whole of it is resized.

        Args:
            shape: ``(*spatial)`` of the image.
            spacing: of the image, mm; None where it is not known.

        Raises:
            CaseError: a pixel size is asked for, and the image's is not known.
        """
        pixel, counts = self.pixel(len(shape)), self.shape(len(shape))
        middles = [
            None if self.box is None else (low + high - 1) / 2 for low, high in self.box or [(0, 0)] * len(shape)
        ]
        if pixel is None:
            if self.box is None:
                return ()
            steps = [(high - low) / count for (low, high), count in zip(self.box, counts, strict=True)]
        elif spacing is None:
            raise CaseError(UNKNOWN)
        else:
            steps = [wanted / own for wanted, own in zip(pixel, spacing, strict=True)]
        return tuple(map(Axis, shape, steps, counts, middles))

    def image(self, hu: NDArray[np.floating], spacing: Spacing | None = None) -> NDArray[np.float32]:
        """HU ``(*spatial)`` to float32 ``(C, *shape)`` in [0, 1], a channel for each window."""
        outside = np.array(OUTSIDE)
        planes = [self.resample(window(hu, one), spacing, float(window(outside, one))) for one in self.windows]
        return np.stack([np.asarray(np.clip(plane, 0.0, 1.0), dtype=np.float32) for plane in planes])

    def body(self, hu: NDArray[np.floating], spacing: Spacing | None = None) -> NDArray[np.bool_]:
        """HU ``(*spatial)`` to the body in the image, whatever the window: bool ``(*shape)``.

        It is told in the whole scan: lungs that a cut opens are the body's all the same.
        """
        seen, axes = window(hu, (AIR - 500.0, AIR + 500.0)), self.axes(hu.shape, spacing)
        if not axes:
            return body_of(resize_image(seen, self.shape(hu.ndim))[None], 0.5)
        # No finer than the scan is: that would tell nothing more, and take long.
        whole = [replace(axis, step=max(axis.step, 1.0)).uncut for axis in axes]
        body = body_of(resampled(seen, whole)[None], 0.5)
        return nearest(body, [axis.on(one) for axis, one in zip(axes, whole, strict=True)])

    def tissue(self, hu: NDArray[np.floating], spacing: Spacing | None = None) -> NDArray[np.uint8]:
        """HU ``(*spatial)`` to the band of density of each pixel of the image, whatever the window: uint8 ``(*shape)``.

        It is told of the pixels that the network sees, which are means of the scan's, and less noisy.
        """
        low, high = DENSITIES
        return tissue_of(self.resample(np.clip(hu, low, high), spacing, OUTSIDE))

    def mask(self, mask: NDArray[Scalar], spacing: Spacing | None = None) -> NDArray[Scalar]:
        """A mask or label map ``(*spatial)`` to ``(*shape)``, by nearest neighbour; False or 0 beyond the scan."""
        axes = self.axes(mask.shape, spacing)
        return nearest(mask, axes) if axes else resize_mask(mask, self.shape(mask.ndim))

    def resample(
        self, values: NDArray[np.floating], spacing: Spacing | None = None, padding: float = 0.0
    ) -> NDArray[np.floating]:
        """Values ``(*spatial)`` to float32 ``(*shape)``, antialiased linear; ``padding`` beyond the scan."""
        axes = self.axes(values.shape, spacing)
        return resampled(values, axes, padding) if axes else resized(values, self.shape(values.ndim))

    def cut(self, mask: NDArray[np.bool_], spacing: Spacing | None, what: str = "mask") -> tuple[str, ...]:
        """A word where a part of a mask ``(*spatial)`` lies beyond what the image shows."""
        axes = self.axes(mask.shape, spacing)
        if not is_cut(mask, axes):
            return ()
        part = "a part" if nearest(mask, axes).any() else "all"
        return (f"{part} of its {what} lies beyond the {self.pixels_in_words(mask.ndim)} that it is cut to",)

    def pixels_in_words(self, dimensions: int) -> str:
        """Number and size of the pixels, for a message."""
        pixel = self.pixel(dimensions)
        of = "" if pixel is None else f" of {mm_in_words(pixel)}"
        return f"{' x '.join(map(str, self.shape(dimensions)))} pixels{of}"


def mm_in_words(spacing: float | Sequence[float]) -> str:
    """A pixel's size for a message or a report.

    Example:
        >>> mm_in_words((1.5, 1.5)), mm_in_words((5.0, 0.75, 0.75))
        ('1.5 mm', '5 x 0.75 x 0.75 mm')
    """
    each = [f"{one:g}" for one in (spacing if isinstance(spacing, Sequence) else [spacing])]
    return f"{' x '.join(each if len(set(each)) > 1 else each[:1])} mm"


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


def resize_mask(mask: NDArray[Scalar], shape: Sequence[int]) -> NDArray[Scalar]:
    """Nearest-neighbour resize of ``(*spatial)`` to ``shape``."""
    for axis, (length, size) in enumerate(zip(mask.shape, shape, strict=True)):
        nearest = ((np.arange(size) + 0.5) * length / size).astype(np.intp)
        mask = np.take(mask, nearest, axis=axis)
    return mask
