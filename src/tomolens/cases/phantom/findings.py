"""Findings at random places of a simulated chest: what a map must find, with the same chest without it as the twin.

Sizes and densities are those of textbooks: solid nodules 20 to 60 HU, ground glass -700 to -400 HU, calcium 300 to
900 HU and brighter than the blood around it, consolidated lung 10 to 50 HU, emphysema a texture of holes in lung of
the same mean, hypodense lesions 40 to 80 HU below the tissue around them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, distance_transform_edt

from ...errors import SettingsError
from .drawing import Blob, Canvas, Coverage
from .measures import waves
from .scanner import correlated_noise, smooth

Finding = Literal["contrast", "nodule", "calcification", "consolidation", "emphysema", "lesion"]
"""What tells the classes apart: the paper's contrast agent, or a finding that one of two twins has."""
SOFT = (10.0, 110.0)
"""Hounsfield units of soft tissue without contrast agent."""
CALCIUM_ABOVE_BLOOD = 150.0
"""HU by which calcium is at least brighter than the blood around it, which contrast agent makes as bright as some."""
SHALLOWEST = 0.8
"""Radius of emphysema as a share of the lung's depth, at most: a larger one fits at one place only, the deepest."""
EVERYWHERE = (slice(None), slice(None))

Painter = Callable[[Canvas, Coverage, tuple[float, float], np.random.Generator], Coverage]


@dataclass(frozen=True)
class Kind:
    """One finding.

    Attributes:
        paint: over the second layer of a canvas; from lungs, diameters and random draws to its share of each pixel.
        diameters: mm across, before its outline is squeezed and waved.
        window: HU that show it.
    """

    paint: Painter
    diameters: tuple[float, float]
    window: tuple[float, float]


LARGEST_MM = 100.0
"""Diameter of a finding, at most: more than a lung holds."""


def require_finding(finding: Any, diameters: tuple[float, float] | None = None) -> None:
    """Refuse the name of no finding, and diameters that it cannot have.

    Raises:
        SettingsError: a finding of another name; diameters of contrast agent, or that are no range within 1 to 100 mm.
    """
    if finding not in get_args(Finding):
        raise SettingsError(f"finding {finding!r}: simulated cases know {', '.join(get_args(Finding))}")
    if diameters is None:
        return
    if finding == "contrast":
        raise SettingsError(f"finding_mm {list(diameters)}: contrast agent has no size; give it with another finding")
    if not 1.0 <= diameters[0] <= diameters[1] <= LARGEST_MM:
        raise SettingsError(f"finding_mm {list(diameters)}, expected the least diameter and the largest, 1 to 100 mm")


def paint_finding(
    canvas: Canvas,
    lungs: Coverage,
    finding: Finding,
    random: np.random.Generator,
    diameters: tuple[float, float] | None = None,
) -> Coverage:
    """Paint a finding over the second layer of a finished phantom; returns its share of each pixel.

    Args:
        canvas: both of whose layers are the same.
        lungs: their coverage of the canvas, where air shows.
        finding: any but ``contrast``.
        random: of place, size and density.
        diameters: least and largest in mm; the finding's own by default.
    """
    kind = KINDS[finding]
    return kind.paint(canvas, lungs, diameters or kind.diameters, random)


def mostly_covered(coverage: Coverage) -> NDArray[np.bool_]:
    """The pixels more than half of which something covers, or the most covered one where it is too small for that."""
    covered = coverage > 0.5
    return covered if covered.any() else (coverage > 0) & (coverage == coverage.max())


def aerated(canvas: Canvas, lungs: Coverage) -> Coverage:
    """What of the lungs still shows as lung, its vessels included: heart and mediastinum are painted over it."""
    air = (canvas.hu[0] < -600) & (lungs > 0.5)
    return np.asarray(lungs * binary_closing(air, iterations=max(1, round(4.0 / canvas.pixel))), dtype=np.float32)


def _depth(inside: NDArray[np.bool_], canvas: Canvas) -> NDArray[np.floating]:
    """How far in mm each pixel of a region is from what lies around it."""
    return np.asarray(distance_transform_edt(inside) * canvas.pixel)


def _place(
    depth: NDArray[np.floating], margin: float, canvas: Canvas, random: np.random.Generator
) -> tuple[float, float]:
    """A random place, x and y in mm, at least ``margin`` mm inside of a region, or as deep in it as there is any."""
    rows, columns = np.nonzero((depth > 0) & (depth >= min(margin, float(depth.max()))))
    chosen = int(random.integers(len(rows)))
    at = rows[chosen], columns[chosen]
    # Anywhere in the pixel: a grid of places would be a clue.
    along, down = random.uniform(-0.5, 0.5, size=2) * canvas.pixel
    return float(canvas.x[at] + along), float(canvas.y[at] + down)


def _radius(diameters: tuple[float, float], canvas: Canvas, random: np.random.Generator) -> float:
    """Half a diameter in mm, no less than half a pixel: what is smaller could fall between their centres."""
    return max(float(random.uniform(diameters[0] / 2, diameters[1] / 2)), canvas.pixel / 2)


def _lay(canvas: Canvas, blob: Blob, value: float | Coverage, clip: Coverage | None = None) -> Coverage:
    """Put a material into a blob of the second layer alone."""
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    if clip is not None:
        coverage = coverage * clip
    canvas.lay(EVERYWHERE, coverage, canvas.hu[0], value)
    return coverage


def _brightened(canvas: Canvas, value: float) -> Coverage:
    """What a material makes of the second layer where it hides nothing that is brighter than itself."""
    return np.asarray(np.maximum(canvas.hu[1], np.float32(value)))


def _paint_nodule(
    canvas: Canvas, lungs: Coverage, diameters: tuple[float, float], random: np.random.Generator
) -> Coverage:
    """A round thing in the lung, up to 20 mm across (the second axis 0.8 to 1 of the first).

    Two in three are solid; the third is of ground glass, in which vessels still show.
    """
    radius = _radius(diameters, canvas, random)
    x, y = _place(_depth(lungs > 0.99, canvas), radius + 1.0, canvas, random)
    glass = random.uniform() < 1 / 3
    blob = Blob(x, y, radius, radius * random.uniform(0.8, 1.0), random.uniform(0, np.pi), waves(random, 0.06))
    if glass:
        return _lay(canvas, blob, _brightened(canvas, random.uniform(-700, -400)), lungs)
    return _lay(canvas, blob, random.uniform(20, 60))


def _paint_calcification(
    canvas: Canvas, lungs: Coverage, diameters: tuple[float, float], random: np.random.Generator
) -> Coverage:
    """Calcium in the heart's chambers or a great vessel, up to 7 mm across and 1.8 times as long."""
    radius = _radius(diameters, canvas, random)
    x, y = _place(_depth((canvas.blood > 0.5) & (lungs < 0.01), canvas), 1.0, canvas, random)
    blob = Blob(x, y, radius * random.uniform(1.0, 1.8), radius, random.uniform(0, np.pi), waves(random, 0.15))
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    blood = float(canvas.hu[1][(coverage > 0) & (canvas.blood > 0.5)].max(initial=-1000.0))
    value = max(random.uniform(300, 900), blood + CALCIUM_ABOVE_BLOOD)
    return _lay(canvas, blob, _brightened(canvas, value))


def _paint_consolidation(
    canvas: Canvas, lungs: Coverage, diameters: tuple[float, float], random: np.random.Generator
) -> Coverage:
    """Part of a lobe without air, up to 70 mm across and 56 mm the other way, to the pleura where it reaches it."""
    x, y = _place(_depth(lungs > 0.5, canvas), 0.0, canvas, random)
    across, other = _radius(diameters, canvas, random), 0.8 * _radius(diameters, canvas, random)
    blob = Blob(x, y, across, other, random.uniform(0, np.pi), waves(random, 0.25))
    return _lay(canvas, blob, random.uniform(10, 50), lungs)


def _paint_emphysema(
    canvas: Canvas, lungs: Coverage, diameters: tuple[float, float], random: np.random.Generator
) -> Coverage:
    """A region of the lung with holes and denser walls between them, and the mean that it had.

    Up to 70 mm across (the second axis 0.7 to 1 of the first), and no more than fits in the lung at several places.
    """
    depth = _depth(lungs > 0.99, canvas)
    radius = min(_radius(diameters, canvas, random), SHALLOWEST * float(depth.max()))
    x, y = _place(depth, radius, canvas, random)
    blob = Blob(x, y, radius, radius * random.uniform(0.7, 1.0), random.uniform(0, np.pi), waves(random, 0.15))
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    # Vessels keep their blood: only the air between them is torn.
    share = np.asarray(coverage * (lungs > 0.99) * (canvas.hu[1] < -600), dtype=np.float32)
    grain = smooth(correlated_noise(random, canvas.size, 1.0), random.uniform(2.0, 4.0) / canvas.pixel)
    weight = max(float(share.sum()), 1e-6)
    grain -= float((share * grain).sum()) / weight
    spread = max(float(np.sqrt((share * grain**2).sum() / weight)), 1e-6)
    canvas.hu[1] += share * grain * np.float32(random.uniform(40, 70) / spread)
    return share


def _paint_lesion(
    canvas: Canvas, lungs: Coverage, diameters: tuple[float, float], random: np.random.Generator
) -> Coverage:
    """A darker place in soft tissue, up to 24 mm across (the second axis 0.75 to 1 of the first)."""
    tissue = canvas.hu[1]
    soft = (tissue > SOFT[0]) & (tissue < SOFT[1]) & (canvas.blood < 0.01) & (lungs < 0.01)
    radius = _radius(diameters, canvas, random)
    x, y = _place(_depth(soft, canvas), radius, canvas, random)
    blob = Blob(x, y, radius, radius * random.uniform(0.75, 1.0), random.uniform(0, np.pi), waves(random, 0.08))
    _, coverage = canvas.coverage(blob, EVERYWHERE)
    coverage = np.asarray(coverage * soft, dtype=np.float32)
    canvas.hu[1] -= coverage * np.float32(random.uniform(40, 80))
    return coverage


SOFT_TISSUE, LUNG, CALCIUM = (-160.0, 240.0), (-1000.0, 400.0), (-450.0, 1050.0)
"""Windows in HU. Calcium's is that of bones (width 1500, level 300): in that of soft tissue enhanced blood is white."""
KINDS: Mapping[str, Kind] = {
    "nodule": Kind(_paint_nodule, (4.0, 20.0), LUNG),
    "calcification": Kind(_paint_calcification, (3.0, 7.0), CALCIUM),
    "consolidation": Kind(_paint_consolidation, (30.0, 70.0), LUNG),
    "emphysema": Kind(_paint_emphysema, (30.0, 70.0), LUNG),
    "lesion": Kind(_paint_lesion, (8.0, 24.0), SOFT_TISSUE),
}


def classes_of(finding: Finding) -> tuple[str, str]:
    """Names of the labels 0 and 1."""
    return f"without {finding}", f"with {finding}"


def window_of(finding: Finding) -> tuple[float, float]:
    """The window in HU that shows a finding, or contrast agent."""
    return KINDS[finding].window if finding in KINDS else SOFT_TISSUE
