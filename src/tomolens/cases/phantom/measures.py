"""The measures of one patient at one level, and how bright each blood compartment is.

Lengths are in mm; x runs to the patient's left (the right of the picture), y to the back.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .drawing import Measure


@dataclass(frozen=True)
class Blood:
    """HU of each blood compartment with contrast agent, and of all blood without."""

    plain: float
    veins: float
    right: float
    left: float
    myocardium: float
    myocardium_plain: float


def draw_blood(random: np.random.Generator) -> Blood:
    """An early (right heart bright), arterial (aorta bright) or venous (all alike) phase, 150-400 HU."""
    delay = random.uniform(0.0, 1.0)
    peak = random.uniform(280.0, 390.0)
    venous = random.uniform(150.0, 190.0)
    right = np.interp(delay, [0.0, 0.35, 1.0], [peak, 0.75 * peak, venous])
    left = np.interp(delay, [0.0, 0.35, 0.6, 1.0], [0.6 * peak, 0.95 * peak, 0.85 * peak, venous])
    veins = np.interp(delay, [0.0, 0.4, 1.0], [400.0, 0.9 * peak, venous])
    plain = random.uniform(35.0, 50.0)
    bounded = [float(np.clip(value, 150.0, 400.0)) for value in (veins, right, left)]
    return Blood(plain, bounded[0], bounded[1], bounded[2], random.uniform(75, 110), plain + random.uniform(0, 6))


@dataclass(frozen=True)
class Body:
    """Measures that the parts share; ``level`` is 0 at the pulmonary trunk and 1 at the four chambers.

    In a volume those that vary along it are arrays ``(slices, 1, 1)``. ``ribs`` is how far the ribs have run forward,
    in distances between two of them, and ``bust`` the share of their size that breasts have.
    """

    level: Measure
    lung_x: Measure
    lung_y: Measure
    fat: float
    muscle: float
    scale: float
    heart_x: float
    heart_y: Measure
    spine_y: Measure
    ribs: Measure = 0.0
    bust: Measure = 1.0

    @property
    def flat(self) -> "Body":
        """Its measures for what lies under it: a table does not bend with the back."""
        return replace(self, lung_x=float(np.max(self.lung_x)), lung_y=float(np.max(self.lung_y)))

    @property
    def wall_x(self) -> Measure:
        """Half width of the body at the muscles' outer border."""
        return self.lung_x + 9 + self.muscle

    @property
    def wall_y(self) -> Measure:
        """Half depth of the body at the muscles' outer border."""
        return self.lung_y + 8 + 0.7 * self.muscle


def draw_body(random: np.random.Generator) -> Body:
    """Random measures of one patient at one level."""
    scale = random.uniform(0.9, 1.1)
    lung_x = scale * random.uniform(118, 136)
    lung_y = scale * random.uniform(82, 98)
    return Body(
        level=random.uniform(0.0, 1.0),
        lung_x=lung_x,
        lung_y=lung_y,
        fat=random.gamma(3.0, 4.5) + 5,
        muscle=random.uniform(7, 16),
        scale=scale,
        heart_x=scale * random.uniform(4, 12),
        heart_y=-0.22 * lung_y + random.uniform(-5, 5),
        spine_y=0.80 * lung_y,
    )


LEVELS = 110.0
"""mm from the pulmonary trunk down to the four chambers."""
APEX, NARROWER = 20.0, (0.30, 0.12)
"""mm above the middle of a volume where lungs begin to narrow; share of width and depth that they lose to its end."""
RIBS = 30.0
"""mm of height in which a rib runs forward by the distance of two."""


def along(body: Body, heights: NDArray[np.float64]) -> Body:
    """The measures of a patient along a volume, in which each varies smoothly; the middle is between the two levels.

    Args:
        body: of one slice; its own level is not used.
        heights: of the slices, mm from the middle.
    """
    z = heights.reshape(-1, 1, 1)
    top = max(float(np.abs(heights).max()), APEX + 1.0)
    narrowing = np.square(np.clip((z - APEX) / (top - APEX), 0.0, 1.0))
    lung_x, lung_y = (
        length * (1.0 - share * narrowing) for length, share in zip((body.lung_x, body.lung_y), NARROWER, strict=True)
    )
    return replace(
        body,
        level=np.clip(0.5 - z / LEVELS, 0.0, 1.0),
        lung_x=lung_x,
        lung_y=lung_y,
        heart_y=body.heart_y * lung_y / body.lung_y,
        spine_y=0.80 * lung_y,
        ribs=z / RIBS,
        bust=np.sqrt(np.maximum(1.0 - np.square((z + 20.0) / 75.0), 0.003)),
    )


def waves(random: np.random.Generator, amplitude: float) -> tuple[tuple[int, float, float], ...]:
    """Random harmonics for an organic outline, higher orders weaker."""
    return tuple((n, random.normal() * amplitude / n, random.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))
