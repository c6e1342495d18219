"""Findings at random places of a simulated chest: what a map must find, with the same chest without it as the twin.

Sizes and densities are those of textbooks: solid nodules 20 to 60 HU, ground glass -700 to -400 HU, calcium 300 to
900 HU, consolidated lung 10 to 50 HU, emphysema a texture of holes in lung of the same mean, hypodense lesions 40 to
80 HU below the tissue around them.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt

from .drawing import Blob, Canvas, Coverage
from .measures import waves
from .scanner import correlated_noise, smooth

Finding = Literal["contrast", "nodule", "calcification", "consolidation", "emphysema", "lesion"]
"""What tells the classes apart: the paper's contrast agent, or a finding that one of two twins has."""
SOFT = (10.0, 110.0)
"""Hounsfield units of soft tissue without contrast agent."""
EVERYWHERE = (slice(None), slice(None))


def paint_finding(canvas: Canvas, lungs: Coverage, finding: Finding, random: np.random.Generator) -> Coverage:
    """Paint a finding over the second layer of a finished phantom; returns its share of each pixel.

    Args:
        canvas: both of whose layers are the same.
        lungs: their coverage of the canvas, where air shows.
        finding: any but ``contrast``.
        random: of place, size and density.
    """
    return PAINTERS[finding](canvas, lungs, random)


def aerated(canvas: Canvas, lungs: Coverage) -> Coverage:
    """What of the lungs still shows as lung, its vessels included: heart and mediastinum are painted over it."""
    air = (canvas.hu[0] < -600) & (lungs > 0.5)
    return np.asarray(lungs * binary_closing(air, iterations=max(1, round(4.0 / canvas.pixel))), dtype=np.float32)


def _place(inside: np.ndarray, margin: float, canvas: Canvas, random: np.random.Generator) -> tuple[float, float]:
    """A random place, x and y in mm, at least ``margin`` mm inside of a region, or as deep in it as there is any."""
    depth = distance_transform_edt(inside) * canvas.pixel
    rows, columns = np.nonzero(inside & (depth >= min(margin, float(depth.max()))))
    chosen = int(random.integers(len(rows)))
    at = rows[chosen], columns[chosen]
    # Anywhere in the pixel: a grid of places would be a clue.
    along, down = random.uniform(-0.5, 0.5, size=2) * canvas.pixel
    return float(canvas.x[at] + along), float(canvas.y[at] + down)


def _lay(canvas: Canvas, blob: Blob, value: float, clip: Coverage | None = None) -> Coverage:
    """Put a material into a blob of the second layer alone."""
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    if clip is not None:
        coverage = coverage * clip
    canvas.lay(EVERYWHERE, coverage, canvas.hu[0], value)
    return coverage


def _paint_nodule(canvas: Canvas, lungs: Coverage, random: np.random.Generator) -> Coverage:
    """A round thing in the lung, 4 to 20 mm across, solid or, one time in three, of ground glass."""
    radius = float(random.uniform(2.0, 10.0))
    x, y = _place(lungs > 0.99, radius + 1.0, canvas, random)
    glass = random.uniform() < 1 / 3
    blob = Blob(x, y, radius, radius * random.uniform(0.8, 1.0), random.uniform(0, np.pi), waves(random, 0.06))
    return _lay(canvas, blob, random.uniform(-700, -400) if glass else random.uniform(20, 60), lungs if glass else None)


def _paint_calcification(canvas: Canvas, lungs: Coverage, random: np.random.Generator) -> Coverage:
    """Calcium of 3 mm and more in a vessel or in the soft tissue of the mediastinum."""
    soft = (canvas.blood > 0.5) & (lungs < 0.01)
    radius = float(random.uniform(1.5, 3.5))
    x, y = _place(soft, 1.0, canvas, random)
    blob = Blob(x, y, radius * random.uniform(1.0, 1.8), radius, random.uniform(0, np.pi), waves(random, 0.15))
    return _lay(canvas, blob, random.uniform(300, 900))


def _paint_consolidation(canvas: Canvas, lungs: Coverage, random: np.random.Generator) -> Coverage:
    """Part of a lobe without air, up to the pleura where it reaches it."""
    x, y = _place(lungs > 0.5, 0.0, canvas, random)
    blob = Blob(x, y, random.uniform(15, 35), random.uniform(12, 28), random.uniform(0, np.pi), waves(random, 0.25))
    return _lay(canvas, blob, random.uniform(10, 50), lungs)


def _paint_emphysema(canvas: Canvas, lungs: Coverage, random: np.random.Generator) -> Coverage:
    """A region of the lung with holes and denser walls between them, and the mean that it had."""
    radius = float(random.uniform(15, 35))
    x, y = _place(lungs > 0.99, radius, canvas, random)
    blob = Blob(x, y, radius, radius * random.uniform(0.7, 1.0), random.uniform(0, np.pi), waves(random, 0.15))
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    region = np.asarray(coverage * (lungs > 0.99), dtype=np.float32)
    # Vessels keep their blood: only the air between them is torn.
    share = region * (canvas.hu[1] < -600)
    grain = smooth(correlated_noise(random, canvas.size, 1.0), random.uniform(2.0, 4.0) / canvas.pixel)
    weight = max(float(share.sum()), 1e-6)
    grain -= float((share * grain).sum()) / weight
    spread = max(float(np.sqrt((share * grain**2).sum() / weight)), 1e-6)
    canvas.hu[1] += share * grain * np.float32(random.uniform(40, 70) / spread)
    return region


def _paint_lesion(canvas: Canvas, lungs: Coverage, random: np.random.Generator) -> Coverage:
    """A darker place of 8 to 24 mm in soft tissue."""
    tissue = canvas.hu[1]
    soft = (tissue > SOFT[0]) & (tissue < SOFT[1]) & (canvas.blood < 0.01) & (lungs < 0.01)
    radius = float(random.uniform(4.0, 12.0))
    x, y = _place(soft, radius, canvas, random)
    blob = Blob(x, y, radius, radius * random.uniform(0.75, 1.0), random.uniform(0, np.pi), waves(random, 0.08))
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    coverage = np.asarray(coverage * soft, dtype=np.float32)
    canvas.hu[1] -= coverage * np.float32(random.uniform(40, 80))
    return coverage


PAINTERS: Mapping[str, Callable[[Canvas, Coverage, np.random.Generator], Coverage]] = {
    "nodule": _paint_nodule,
    "calcification": _paint_calcification,
    "consolidation": _paint_consolidation,
    "emphysema": _paint_emphysema,
    "lesion": _paint_lesion,
}
