"""Bands of Hounsfield units: what tissue a pixel may be of, told by its density alone.

Density tells less than anatomy does. Blood with contrast agent and spongy bone have the same Hounsfield units, so
they share a band; so do cortical bone, metal and undiluted contrast agent. Pixels on an edge are a mixture: the rim of
a lung reaches through all densities between air and soft tissue, that of fat among them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Band:
    """Densities from the end of the band before on.

    Attributes:
        name: of what mostly has them.
        below: HU where the band ends; that value is of the next one.
    """

    name: str
    below: float


BANDS = (
    Band("air", -950.0),
    Band("lung", -500.0),
    Band("dense lung or edge", -190.0),
    Band("fat", -30.0),
    Band("soft tissue", 130.0),
    Band("enhanced blood or spongy bone", 500.0),
    Band("dense bone or metal", np.inf),
)
"""Where the limits come from:

-950: below it is emphysema, on thin slices (Gevenois et al. 1996, Am J Respir Crit Care Med 154:187), or free air.
-500: above it the lung is poorly aerated (Gattinoni et al. 2001, Am J Respir Crit Care Med 164:1701; up to -100 there,
which fat crosses).
-190, -30: fat (Kvist et al. 1988, Am J Clin Nutr 48:1351; Mitsiopoulos et al. 1998, J Appl Physiol 85:115).
130: the least that counts as calcium (Agatston et al. 1990, J Am Coll Cardiol 15:827); muscle, organs and blood without
contrast agent lie below. Late phases enhance blood less than that: it is soft tissue here.
500: a convention. Simulated blood here has 150 to 400 HU; blood above 500 is in the vein that is injected, compact
bone lies above it (Buzug 2008, Computed Tomography, Springer: 700 to 3000).
"""
LIMITS = tuple(band.below for band in BANDS[:-1])


def tissue_of(hu: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The number of the band of each pixel, 0 for the first.

    Example:
        >>> tissue_of(np.array([-1000.0, -100.0, 40.0, 130.0])).tolist()
        [0, 3, 4, 5]
    """
    return np.asarray(np.digitize(hu, LIMITS), dtype=np.uint8)
