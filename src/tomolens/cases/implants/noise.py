"""How noisy a slice is: the standard deviation and the grain of its noise in even soft tissue, and noise alike."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, uniform_filter

from ...errors import CaseError
from ...randomness import generator
from ..phantom.scanner import Slice, correlated_noise

WINDOW = 7
"""Pixels along each side of the places in which noise is measured."""
QUIET = 20.0
"""Percentile of their standard deviations that is noise alone: in the others there is anatomy too."""
FEWEST = 50
"""Places from which noise is taken."""
GRAINS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 1.1, 1.3, 1.6, 2.0, 2.5, 3.0)
"""Grains in pixels that are told apart; see `correlated_noise`."""


@dataclass(frozen=True)
class Noise:
    """Noise of a slice.

    Attributes:
        std: standard deviation, HU.
        grain: of `correlated_noise`, pixels.
    """

    std: float
    grain: float

    def like(self, shape: tuple[int, ...], random: np.random.Generator) -> Slice:
        """Fresh noise of this kind, float32 ``(H, W)`` in HU."""
        rows, columns = shape
        drawn = correlated_noise(random, max(shape), self.grain)[:rows, :columns]
        return np.asarray(np.float32(self.std) * drawn, dtype=np.float32)


def noise_of(hu: Slice, soft: NDArray[np.bool_]) -> Noise:
    """The noise of a slice where its soft tissue is even.

    The grain comes from how much less neighbours differ than pixels two apart, the standard deviation from the
    quietest windows; both are compared with what simulated noise gives in the same measure.

    Args:
        hu: float32 ``(H, W)``.
        soft: bool ``(H, W)``, its soft tissue.

    Raises:
        CaseError: too little soft tissue.
    """
    quiet, ratio = _measure(hu, soft)
    quiets, ratios = zip(*map(_simulated, GRAINS), strict=True)
    grain = float(np.interp(-ratio, -np.array(ratios), GRAINS))  # the ratio falls where the grain grows
    return Noise(quiet / float(np.interp(grain, GRAINS, quiets)), grain)


def _measure(hu: Slice, soft: NDArray[np.bool_]) -> tuple[float, float]:
    """Standard deviation within quiet windows, and squared differences at one pixel relative to two."""
    whole = binary_erosion(soft, np.ones((WINDOW, WINDOW), dtype=bool))
    if int(whole.sum()) < FEWEST:
        raise CaseError(
            f"{int(whole.sum())} places of even soft tissue, expected at least {FEWEST} to tell its noise from"
        )
    values = np.where(soft, hu, 0.0).astype(np.float64)
    count = WINDOW * WINDOW
    variance = uniform_filter(np.square(values), WINDOW) - np.square(uniform_filter(values, WINDOW))
    deviations = np.sqrt(np.maximum(variance[whole], 0.0) * count / (count - 1))
    quiet = float(np.percentile(deviations, QUIET))
    calm = np.zeros_like(whole)
    calm[whole] = deviations <= np.percentile(deviations, 2 * QUIET)
    near, far = (_difference(values, calm, distance) for distance in (1, 2))
    if far <= 0 or quiet <= 0:
        return 0.0, 1.0  # simulated without noise
    return quiet, near / far


def _difference(values: NDArray[np.float64], calm: NDArray[np.bool_], distance: int) -> float:
    """Mean squared difference of pixels so far apart, along rows and columns."""
    along = np.square(values[:, distance:] - values[:, :-distance])[calm[:, :-distance]]
    down = np.square(values[distance:] - values[:-distance])[calm[:-distance]]
    return float(np.concatenate([along, down]).mean())


@lru_cache(maxsize=len(GRAINS))
def _simulated(grain: float) -> tuple[float, float]:
    """What `_measure` gives for noise of unit variance."""
    noise = correlated_noise(generator("noise of a known grain"), 256, grain)
    return _measure(noise, np.ones(noise.shape, dtype=bool))
