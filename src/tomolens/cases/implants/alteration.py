"""What an implant makes of a slice."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..files import Upright
from ..phantom.drawing import Coverage
from ..phantom.scanner import Slice

Diameters = tuple[float, float]
"""Least and largest, mm."""


@dataclass(frozen=True, eq=False)
class Alteration:
    """A slice or volume with something put in, or taken out.

    Attributes:
        hu: float32 ``(*spatial)``; equal to the original where nothing was changed.
        coverage: float32 ``(*spatial)``, the finding's share of each pixel.
    """

    hu: Slice
    coverage: Coverage


class Alter(Protocol):
    """Alters a slice or a volume."""

    def __call__(
        self, image: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None, /
    ) -> Alteration:
        """Put a finding into a slice or volume, or take it out.

        Args:
            image: the original.
            label: of the original.
            random: of place, size and density.
            diameters: between which the finding's is drawn; by default its own. Contrast agent has none.

        Raises:
            CaseError: an image that cannot take it.
        """
