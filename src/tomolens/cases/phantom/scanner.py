"""What the scanner adds: blur of its kernel and noise with the grain of filtered back-projection."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

Slice = NDArray[np.float32]


@dataclass(frozen=True)
class Scanner:
    """One reconstruction: blur and grain in pixels, noise in HU."""

    blur: float
    grain: float
    noise: float


def draw_scanner(random: np.random.Generator, size: int) -> Scanner:
    """A kernel between smooth and sharp; a sharper one is noisier. Lengths scale with the matrix."""
    sharpness = random.uniform(0.0, 1.0)
    unit = size / 256
    return Scanner(
        blur=(0.75 - 0.35 * sharpness) * unit,
        grain=(1.1 - 0.45 * sharpness) * unit,
        noise=(5.0 + 9.0 * sharpness) * random.uniform(0.7, 1.3),
    )


def correlated_noise(random: np.random.Generator, size: int, grain: float, slices: int | None = None) -> Slice:
    """Noise of unit variance whose spectrum is a ramp times a Gaussian, as in filtered back-projection.

    That of several slices ``(slices, size, size)`` is of each its own.
    """
    white = random.standard_normal((size, size) if slices is None else (slices, size, size), dtype=np.float32)
    frequency = np.hypot(fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]).astype(np.float32)
    spectrum = (0.05 + frequency) * np.exp(-2 * np.square(np.pi * frequency * grain))
    noise = fft.irfft2(fft.rfft2(white) * spectrum, s=(size, size))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def smooth(image: Slice, sigma: float | Sequence[float]) -> Slice:
    """The kernel's blur, the same along all axes or of each its own."""
    return np.asarray(gaussian_filter(image, sigma, truncate=3.0), dtype=np.float32)
