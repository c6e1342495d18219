"""What numbers mean in a network's input: which value is black, which is white, and which HU those are."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..cases.windows import Window, Windows, windows_of
from ..errors import MapError, SettingsError

TOLERANCE = 1e-3
"""Values may lie outside by so much of the range: resampling rounds."""
Values = TypeVar("Values", Tensor, NDArray[np.floating], float)


@dataclass(frozen=True)
class Intensity:
    """The range of the values that a network was trained on.

    References of integrated gradients, fills of masked pixels and everything else that says "black" or "white" is
    measured from ``black`` (0) to ``white`` (1).

    Attributes:
        black: the lowest value of an image.
        white: the highest value of an image.
        hounsfield: Hounsfield units of black and white, or of those of each channel; None where images are not windowed
            CT. One pair holds for all channels.

    Raises:
        SettingsError: limits that are not finite, or not in rising order.

    Example:
        >>> Intensity(-1.0, 1.0, (-160.0, 240.0)).at(0.5)
        0.0
        >>> Intensity(hounsfield=(-160.0, 240.0)).of_hounsfield(40.0)
        0.5
        >>> Intensity(hounsfield=((-160.0, 240.0), (-1000.0, 600.0))).of_hounsfield(40.0)
        array([0.5 , 0.65])
    """

    black: float = 0.0
    white: float = 1.0
    hounsfield: Windows | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in [("intensity", (self.black, self.white)), *(("HU", one) for one in self.windows)]:
            if not (np.isfinite([low, high]).all() and low < high):
                raise SettingsError(f"{name} from {low:g} (black) to {high:g} (white): expected rising numbers")

    @property
    def windows(self) -> tuple[Window, ...]:
        """HU of black and white of each channel; one of all, none where they are not known."""
        return () if self.hounsfield is None else windows_of(self.hounsfield)

    def share(self, values: Values) -> Values:
        """From values of an image to 0 (black) to 1 (white)."""
        return (values - self.black) / (self.white - self.black)

    def at(self, share: Values) -> Values:
        """From 0 (black) to 1 (white) to values of an image."""
        return self.black + share * (self.white - self.black)

    def of_hounsfield(self, hu: float) -> float | NDArray[np.float64]:
        """Where so many HU lie from 0 (black) to 1 (white); what the window cuts off is black or white.

        Returns:
            A number, or ``(C,)`` of several windows.

        Raises:
            SettingsError: the HU of black and white are not known.
        """
        if not self.windows:
            raise SettingsError(
                f"{hu:g} HU: which HU are black and white is not known; give the classifier "
                "intensity=Intensity(hounsfield=(low, high))"
            )
        shares = [min(max((hu - low) / (high - low), 0.0), 1.0) for low, high in self.windows]
        return shares[0] if len(shares) == 1 else np.array(shares)

    def require(self, images: Tensor | NDArray[np.floating], what: str = "images") -> None:
        """Refuse images that reach outside.

        Raises:
            MapError: with the range that was found.
        """
        low, high = float(images.min()), float(images.max())
        slack = TOLERANCE * (self.white - self.black)
        if low < self.black - slack or high > self.white + slack:
            raise MapError(
                f"{what} reach from {low:.4g} to {high:.4g}, and the classifier takes {self.black:g} (black) to "
                f"{self.white:g} (white): rescale them, or declare what the network was trained on with "
                "Classifier(network, intensity=Intensity(black=..., white=...))"
            )
