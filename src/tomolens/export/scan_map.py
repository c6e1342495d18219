"""A map on the voxels of a scan, with all that must go with it wherever it goes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cases.geometry import Grid

NOT_ASSESSED = "trust not assessed"
"""What is said of a map without a study that has measured its estimator."""
RESEARCH = "for research, not for diagnosis"


@dataclass(frozen=True, eq=False)
class ScanMap:
    """An importance map of a scan.

    Attributes:
        values: float32 ``(slices, rows, columns)`` of the scan as it is stored, signed, 0 where nothing was explained.
        grid: voxel centres of that array, LPS millimetres.
        explained: bool ``(slices, rows, columns)``: voxels of which the network saw something.
        estimator: its name, with its parameters, as ``smoothgrad(samples=15)``.
        title: what it is called.
        explained_class: whose score is explained, in words.
        prediction: what the network says about the scan, in words.
        trust: what a study says about the estimator, in one line.
        parameters: all of the estimator's, as they are written in Python.
    """

    values: NDArray[np.float32]
    grid: Grid
    explained: NDArray[np.bool_]
    estimator: str
    title: str
    explained_class: str
    prediction: str
    trust: str = NOT_ASSESSED
    parameters: str = ""

    @property
    def signed(self) -> bool:
        """Whether some voxels speak against the class: else the map tells how much, and not for what."""
        return bool(self.values.min(initial=0.0) < 0)

    @property
    def meaning(self) -> str:
        """What its values say, in words."""
        if self.signed:
            return "above 0 (red) speaks for the explained class, below 0 (blue) against it"
        return "how important each voxel is, without a sign: not whether for or against the class"

    @property
    def shown(self) -> NDArray[np.float32]:
        """The same from 0 to 1: the magnitude over its largest; all 0 of an empty map."""
        magnitude = np.abs(self.values)
        largest = magnitude.max(initial=np.float32(0.0))
        return np.asarray(magnitude / largest if largest > 0 else magnitude, dtype=np.float32)

    def top(self, share: float) -> NDArray[np.bool_]:
        """The voxels of the largest magnitudes, at most this share of those that were explained; none of a map of 0.

        Of equal ones at the border none is taken, so that no order of voxels shows.
        """
        magnitude = np.abs(self.values)
        count = int(share * np.count_nonzero(self.explained))
        if not count:
            return np.zeros(self.values.shape, dtype=bool)
        ordered = np.sort(magnitude[self.explained])[::-1]
        border = ordered[min(count, len(ordered) - 1)]
        return np.asarray(self.explained & (magnitude > border))
