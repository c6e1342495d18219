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
    """A slice with something put in, or taken out.

    Attributes:
        hu: float32 ``(H, W)``; equal to the original where nothing was changed.
        coverage: float32 ``(H, W)``, the finding's share of each pixel.
    """

    hu: Slice
    coverage: Coverage


class Alter(Protocol):
    """Alters a slice."""

    def __call__(
        self, slice: Upright, label: int, random: np.random.Generator, diameters: Diameters | None = None
    ) -> Alteration:
        """Put a finding into a slice, or take it out.

        Args:
            slice: the original.
            label: of the original.
            random: of place, size and density.
            diameters: between which the finding's is drawn; by default its own. Contrast agent has none.

        Raises:
            CaseError: a slice that cannot take it.
        """
