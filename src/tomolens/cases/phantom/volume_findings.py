"""The findings of `findings` in a simulated volume: ellipsoids, of the same sizes and densities."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .drawing import Canvas, Coverage
from .ellipsoids import Box, Ellipsoid
from .findings import CALCIUM_ABOVE_BLOOD, KINDS, SHALLOWEST, SOFT, Finding
from .scanner import smooth

Diameters = tuple[float, float]
Painter = Callable[[Canvas, Coverage, Diameters, Sequence[float], np.random.Generator], Coverage]


def paint_in_volume(
    canvas: Canvas,
    lungs: Coverage,
    finding: Finding,
    random: np.random.Generator,
    diameters: Diameters | None = None,
) -> Coverage:
    """Paint a finding over the second layer of a finished volume; returns its share of each voxel.

    Args:
        canvas: of a volume, both of whose layers are the same.
        lungs: their coverage of the canvas, where air shows.
        finding: any but ``contrast``.
        random: of place, size and density.
        diameters: least and largest in mm; the finding's own by default.
    """
    assert canvas.heights is not None
    spacing = (float(canvas.heights[1] - canvas.heights[0]), canvas.pixel, canvas.pixel)
    return PAINTERS[finding](canvas, lungs, diameters or KINDS[finding].diameters, spacing, random)


def _radius(diameters: Diameters, spacing: Sequence[float], random: np.random.Generator) -> float:
    """Half a diameter in mm, no less than half a voxel."""
    return max(float(random.uniform(diameters[0] / 2, diameters[1] / 2)), min(spacing) / 2)


def _depth(inside: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.floating]:
    """How far in mm each voxel of a region is from what lies around it, the ends of the volume included."""
    padded = np.pad(inside, ((1, 1), (0, 0), (0, 0)))
    return np.asarray(distance_transform_edt(padded, sampling=spacing)[1:-1])


def _place(
    depth: NDArray[np.floating], margin: float, spacing: Sequence[float], random: np.random.Generator
) -> tuple[float, ...]:
    """A random place in mm, at least ``margin`` mm inside of a region, or as deep in it as there is any."""
    there = np.flatnonzero((depth > 0) & (depth >= min(margin, float(depth.max()))))
    voxel = np.unravel_index(int(there[int(random.integers(len(there)))]), depth.shape)
    # Anywhere in the voxel: a grid of places would be a clue.
    moved = random.uniform(-0.5, 0.5, size=depth.ndim)
    return tuple(float((at + by) * step) for at, by, step in zip(voxel, moved, spacing, strict=True))


def _lay(
    canvas: Canvas, box: Box, covered: Coverage, value: float | Coverage, clip: Coverage | None = None
) -> Coverage:
    """Put a material into a box of the second layer alone; returns its share of each voxel of the volume."""
    covered = covered if clip is None else covered * clip[box]
    canvas.lay(box, covered, canvas.hu[0][box], value)
    return _spread(canvas, box, covered)


def _spread(canvas: Canvas, box: Box, covered: Coverage) -> Coverage:
    whole: Coverage = np.zeros(canvas.shape, dtype=np.float32)
    whole[box] = covered
    return whole


def _brightened(canvas: Canvas, box: Box, value: float) -> Coverage:
    return np.asarray(np.maximum(canvas.hu[1][box], np.float32(value)))


def _nodule(
    canvas: Canvas, lungs: Coverage, diameters: Diameters, spacing: Sequence[float], random: np.random.Generator
) -> Coverage:
    """A round thing in the lung; two in three are solid, the third is of ground glass, in which vessels still show."""
    radius = _radius(diameters, spacing, random)
    centre = _place(_depth(lungs > 0.99, spacing), radius + 1.0, spacing, random)
    glass = random.uniform() < 1 / 3
    box, covered = Ellipsoid.drawn(centre, radius, 0.8, random).coverage(canvas.shape, spacing)
    if glass:
        return _lay(canvas, box, covered, _brightened(canvas, box, random.uniform(-700, -400)), lungs)
    return _lay(canvas, box, covered, random.uniform(20, 60))


def _calcification(
    canvas: Canvas, lungs: Coverage, diameters: Diameters, spacing: Sequence[float], random: np.random.Generator
) -> Coverage:
    """Calcium in the heart's chambers or a great vessel, up to 1.8 times as long as across."""
    radius = _radius(diameters, spacing, random)
    centre = _place(_depth((canvas.blood > 0.5) & (lungs < 0.01), spacing), 1.0, spacing, random)
    box, covered = Ellipsoid.drawn(centre, radius, 0.9, random, longest=1.8).coverage(canvas.shape, spacing)
    blood = float(canvas.hu[1][box][(covered > 0) & (canvas.blood[box] > 0.5)].max(initial=-1000.0))
    value = max(random.uniform(300, 900), blood + CALCIUM_ABOVE_BLOOD)
    return _lay(canvas, box, covered, _brightened(canvas, box, value))


def _consolidation(
    canvas: Canvas, lungs: Coverage, diameters: Diameters, spacing: Sequence[float], random: np.random.Generator
) -> Coverage:
    """Part of a lobe without air, to the pleura where it reaches it."""
    centre = _place(_depth(lungs > 0.5, spacing), 0.0, spacing, random)
    radius = _radius(diameters, spacing, random)
    box, covered = Ellipsoid.drawn(centre, radius, 0.6, random).coverage(canvas.shape, spacing)
    return _lay(canvas, box, covered, random.uniform(10, 50), lungs)


def _emphysema(
    canvas: Canvas, lungs: Coverage, diameters: Diameters, spacing: Sequence[float], random: np.random.Generator
) -> Coverage:
    """A region of the lung with holes and denser walls between them, and the mean that it had."""
    depth = _depth(lungs > 0.99, spacing)
    radius = min(_radius(diameters, spacing, random), SHALLOWEST * float(depth.max()))
    centre = _place(depth, radius, spacing, random)
    box, covered = Ellipsoid.drawn(centre, radius, 0.7, random).coverage(canvas.shape, spacing)
    # Vessels keep their blood: only the air between them is torn.
    share = np.asarray(covered * (lungs[box] > 0.99) * (canvas.hu[1][box] < -600), dtype=np.float32)
    coarse = random.uniform(2.0, 4.0)
    grain = smooth(random.standard_normal(share.shape, dtype=np.float32), [coarse / step for step in spacing])
    weight = max(float(share.sum()), 1e-6)
    grain -= float((share * grain).sum()) / weight
    spread = max(float(np.sqrt((share * grain**2).sum() / weight)), 1e-6)
    canvas.hu[1][box] += share * grain * np.float32(random.uniform(40, 70) / spread)
    return _spread(canvas, box, share)


def _lesion(
    canvas: Canvas, lungs: Coverage, diameters: Diameters, spacing: Sequence[float], random: np.random.Generator
) -> Coverage:
    """A darker place in soft tissue."""
    tissue = canvas.hu[1]
    soft = (tissue > SOFT[0]) & (tissue < SOFT[1]) & (canvas.blood < 0.01) & (lungs < 0.01)
    radius = _radius(diameters, spacing, random)
    centre = _place(_depth(soft, spacing), radius, spacing, random)
    box, covered = Ellipsoid.drawn(centre, radius, 0.75, random).coverage(canvas.shape, spacing)
    covered = np.asarray(covered * soft[box], dtype=np.float32)
    tissue[box] -= covered * np.float32(random.uniform(40, 80))
    return _spread(canvas, box, covered)


PAINTERS: Mapping[str, Painter] = {
    "nodule": _nodule,
    "calcification": _calcification,
    "consolidation": _consolidation,
    "emphysema": _emphysema,
    "lesion": _lesion,
}
