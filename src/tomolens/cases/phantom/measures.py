"""The measures of one patient at one level, and how bright each blood compartment is.

Lengths are in mm; x runs to the patient's left (the right of the picture), y to the back.
"""

from dataclasses import dataclass

import numpy as np


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
    """Measures that the parts share; ``level`` is 0 at the pulmonary trunk and 1 at the four chambers."""

    level: float
    lung_x: float
    lung_y: float
    fat: float
    muscle: float
    scale: float
    heart_x: float
    heart_y: float
    spine_y: float

    @property
    def wall_x(self) -> float:
        """Half width of the body at the muscles' outer border."""
        return self.lung_x + 9 + self.muscle

    @property
    def wall_y(self) -> float:
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


def waves(random: np.random.Generator, amplitude: float) -> tuple[tuple[int, float, float], ...]:
    """Random harmonics for an organic outline, higher orders weaker."""
    return tuple((n, random.normal() * amplitude / n, random.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))
