"""A canvas in millimetres on which soft-edged shapes are painted twice: without and with contrast agent."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Coverage = NDArray[np.float32]
STRUCTURES: tuple[str, ...] = (
    "chest wall",
    "lungs",
    "lung vessels",
    "mediastinum",
    "bones",
    "spinal canal",
    "great vessels",
    "heart",
)
"""Of a simulated chest, by their numbers from 1 on. Bronchi and oesophagus are the mediastinum's."""


@dataclass(frozen=True)
class Blob:
    """An ellipse with a wavy outline, in mm: the building block of every organ.

    Attributes:
        x, y: centre; x to the patient's left, y to the back.
        rx, ry: semi-axes before rotation by ``angle`` (radians).
        waves: (order, amplitude, phase) of the outline's harmonics, relative to the radius.
        power: 2 is an ellipse, more is boxier.
    """

    x: float
    y: float
    rx: float
    ry: float
    angle: float = 0.0
    waves: tuple[tuple[int, float, float], ...] = ()
    power: float = 2.0

    def grown(self, margin: float) -> "Blob":
        """The same outline ``margin`` mm further out (in, where negative)."""
        return Blob(self.x, self.y, self.rx + margin, self.ry + margin, self.angle, self.waves, self.power)


def coverage_of(blob: Blob, x: Coverage, y: Coverage, pixel: float) -> Coverage:
    """The share that a blob covers of each pixel: of their centres in mm, and of their size."""
    dx, dy = x - np.float32(blob.x), y - np.float32(blob.y)
    cos, sin = np.float32(np.cos(blob.angle)), np.float32(np.sin(blob.angle))
    u, v = (cos * dx + sin * dy) / np.float32(blob.rx), (cos * dy - sin * dx) / np.float32(blob.ry)
    if blob.power == 2:
        radius = np.sqrt(u * u + v * v)
    else:
        radius = (np.abs(u) ** blob.power + np.abs(v) ** blob.power) ** np.float32(1 / blob.power)
    outline: Coverage | float = 1.0
    if blob.waves:
        theta = np.arctan2(v, u)
        outline = np.ones_like(theta)
        for order, amplitude, phase in blob.waves:
            outline += np.float32(amplitude) * np.cos(np.float32(order) * theta + np.float32(phase))
    # Distance to the outline, exact on a circle, good near the edge of an ellipse.
    slope = np.sqrt(np.square(u / np.float32(blob.rx)) + np.square(v / np.float32(blob.ry)))
    distance = (radius - outline) * radius / np.maximum(slope, np.float32(1e-6))
    covered: Coverage = np.clip(0.5 - distance / np.float32(pixel), 0.0, 1.0)
    return covered


class Canvas:
    """Hounsfield units without (``hu[0]``) and with (``hu[1]``) contrast agent, and the blood's share of a pixel.

    ``labels`` has the number of the structure that was last painted over most of a pixel, 0 of none.

    Args:
        size: pixels along each side.
        fov: field of view in mm.
        tilt: rotation of the patient in radians.
        shift: position of the patient's axis in the field of view, mm.
    """

    def __init__(self, size: int, fov: float, tilt: float, shift: tuple[float, float]) -> None:
        self.size = size
        self.pixel = fov / size
        self._cos, self._sin = float(np.cos(tilt)), float(np.sin(tilt))
        self._shift = shift
        ticks = ((np.arange(size) + 0.5) * self.pixel - fov / 2).astype(np.float32)
        across, down = ticks[None, :] - np.float32(shift[0]), ticks[:, None] - np.float32(shift[1])
        self.x = self._cos * across + self._sin * down
        self.y = -self._sin * across + self._cos * down
        self.hu = np.full((2, size, size), -1000.0, dtype=np.float32)
        self.blood = np.zeros((size, size), dtype=np.float32)
        self.labels = np.zeros((size, size), dtype=np.uint8)
        self._structure: int | None = None

    @contextmanager
    def of(self, structure: str) -> Iterator[None]:
        """What is painted meanwhile is of this structure, one of `STRUCTURES`; else it changes no label."""
        before, self._structure = self._structure, STRUCTURES.index(structure) + 1
        yield
        self._structure = before

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """The rows and columns within ``reach`` mm of a point: shapes are drawn in their own box only."""
        across = self._cos * x - self._sin * y + self._shift[0]
        down = self._sin * x + self._cos * y + self._shift[1]
        half = self.size * self.pixel / 2
        bounds = []
        for centre in (down, across):
            low = int(np.floor((centre - reach + half) / self.pixel)) - 1
            high = int(np.ceil((centre + reach + half) / self.pixel)) + 2
            bounds.append(slice(min(max(low, 0), self.size), min(max(high, 0), self.size)))
        return bounds[0], bounds[1]

    def coverage(self, blob: Blob, where: tuple[slice, slice] | None = None) -> tuple[tuple[slice, slice], Coverage]:
        """The share of each pixel that a blob covers, within its own box (or within ``where``)."""
        reach = max(blob.rx, blob.ry) * (1.5 if blob.power > 2 else 1.0)
        reach *= 1.0 + sum(abs(amplitude) for _, amplitude, _ in blob.waves)
        box = where or self.window(blob.x, blob.y, reach)
        return box, coverage_of(blob, self.x[box], self.y[box], self.pixel)

    def lay(
        self,
        box: tuple[slice, slice],
        coverage: Coverage,
        plain: float | Coverage,
        enhanced: float | Coverage | None = None,
        blood: bool = False,
    ) -> None:
        """Put a material over what is there: ``plain`` HU without contrast, ``enhanced`` HU with."""
        for layer, value in zip(self.hu, (plain, plain if enhanced is None else enhanced), strict=True):
            layer[box] += coverage * (value - layer[box])
        self.blood[box] += coverage * (np.float32(blood) - self.blood[box])
        if self._structure is not None:
            self.labels[box][coverage > 0.5] = self._structure

    def paint(
        self, blob: Blob, plain: float, enhanced: float | None = None, blood: bool = False, clip: Coverage | None = None
    ) -> None:
        """Paint a blob, where ``clip`` (a coverage of the whole canvas) lets it show."""
        box, coverage = self.coverage(blob)
        self.lay(box, coverage if clip is None else coverage * clip[box], plain, enhanced, blood)

    def paint_tube(
        self, points: Sequence[tuple[float, float]], radius: float, plain: float, enhanced: float | None, blood: bool
    ) -> None:
        """Paint a tube of constant radius along a line of points, as vessels that run in the slice."""
        for (x0, y0), (x1, y1) in pairwise(points):
            reach = float(np.hypot(x1 - x0, y1 - y0)) / 2 + radius
            box = self.window((x0 + x1) / 2, (y0 + y1) / 2, reach)
            dx, dy = self.x[box] - np.float32(x0), self.y[box] - np.float32(y0)
            length = max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-6)
            along = np.clip((dx * (x1 - x0) + dy * (y1 - y0)) / length, 0.0, 1.0)
            distance = np.hypot(dx - along * (x1 - x0), dy - along * (y1 - y0)) - radius
            self.lay(box, np.clip(0.5 - distance / self.pixel, 0.0, 1.0).astype(np.float32), plain, enhanced, blood)
