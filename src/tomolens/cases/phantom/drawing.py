"""A canvas in millimetres on which soft-edged shapes are painted twice: without and with contrast agent.

It is of one slice, or of all slices of a volume at once: a shape's measures are then numbers, the same in all slices,
or arrays ``(slices, 1, 1)`` with a number for each.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Coverage = NDArray[np.float32]
Measure = Any
"""A number, or one for each slice of a volume: an array ``(slices, 1, 1)``."""
FADING = 0.03
"""Of a level, to either side of one at which anatomy changes: in a volume it does so within some mm."""
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

    x: Measure
    y: Measure
    rx: Measure
    ry: Measure
    angle: Measure = 0.0
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
        heights: of the slices of a volume, mm from its middle, from the feet; None for one slice.
    """

    def __init__(
        self,
        size: int,
        fov: float,
        tilt: float,
        shift: tuple[float, float],
        heights: NDArray[np.float64] | None = None,
    ) -> None:
        self.size = size
        self.heights = heights
        self.shape: tuple[int, ...] = (size, size) if heights is None else (len(heights), size, size)
        self.pixel = fov / size
        self._cos, self._sin = float(np.cos(tilt)), float(np.sin(tilt))
        self._shift = shift
        ticks = ((np.arange(size) + 0.5) * self.pixel - fov / 2).astype(np.float32)
        across, down = ticks[None, :] - np.float32(shift[0]), ticks[:, None] - np.float32(shift[1])
        self.x = self._cos * across + self._sin * down
        self.y = -self._sin * across + self._cos * down
        self.hu = np.full((2, *self.shape), -1000.0, dtype=np.float32)
        self.blood = np.zeros(self.shape, dtype=np.float32)
        self.labels = np.zeros(self.shape, dtype=np.uint8)
        self._structure: int | None = None
        self._shown: NDArray[np.float32] | None = None

    def below(self, level: Measure, limit: float) -> Measure:
        """Whether a level is below a limit, 1 or 0; in a volume how far each slice is, from 1 to 0 within some mm."""
        if self.heights is None:
            return float(level < limit)
        return np.clip((limit + FADING - level) / (2 * FADING), 0.0, 1.0)

    @contextmanager
    def shown(self, share: Measure) -> Iterator[None]:
        """What is painted meanwhile covers this share of what it would, in each slice of a volume."""
        before = self._shown
        if self.heights is not None:
            self._shown = np.asarray(share, dtype=np.float32) * (1.0 if before is None else before)
        yield
        self._shown = before

    @contextmanager
    def short(self, length: float, random: np.random.Generator) -> Iterator[None]:
        """What is painted meanwhile is so many mm long in a volume, at a random height; in a slice it is as it is."""
        if self.heights is None:
            yield
            return
        height = float(random.uniform(self.heights[0], self.heights[-1]))
        step = float(self.heights[1] - self.heights[0]) if len(self.heights) > 1 else length
        share = np.clip((length / 2 - np.abs(self.heights - height)) / step + 0.5, 0.0, 1.0)
        with self.shown(share.reshape(-1, 1, 1)):
            yield

    @contextmanager
    def of(self, structure: str) -> Iterator[None]:
        """What is painted meanwhile is of this structure, one of `STRUCTURES`; else it changes no label."""
        before, self._structure = self._structure, STRUCTURES.index(structure) + 1
        yield
        self._structure = before

    def window(self, x: Measure, y: Measure, reach: float) -> tuple[slice, slice]:
        """The rows and columns within ``reach`` mm of a point in any slice: shapes are drawn in their box only."""
        across = self._cos * x - self._sin * y + self._shift[0]
        down = self._sin * x + self._cos * y + self._shift[1]
        half = self.size * self.pixel / 2
        bounds = []
        for centre in (down, across):
            low = int(np.min(np.floor((centre - reach + half) / self.pixel))) - 1
            high = int(np.max(np.ceil((centre + reach + half) / self.pixel))) + 2
            bounds.append(slice(min(max(low, 0), self.size), min(max(high, 0), self.size)))
        return bounds[0], bounds[1]

    def coverage(self, blob: Blob, where: tuple[slice, slice] | None = None) -> tuple[tuple[slice, slice], Coverage]:
        """The share of each pixel that a blob covers, within its own box (or within ``where``).

        In a volume it is of one slice where the blob is the same in all.
        """
        reach = float(max(np.max(blob.rx), np.max(blob.ry))) * (1.5 if blob.power > 2 else 1.0)
        reach *= 1.0 + sum(abs(amplitude) for _, amplitude, _ in blob.waves)
        box = where or self.window(blob.x, blob.y, reach)
        return box, coverage_of(blob, self.x[box], self.y[box], self.pixel)

    def lay(
        self,
        box: tuple[slice, ...],
        coverage: Coverage,
        plain: float | Coverage,
        enhanced: float | Coverage | None = None,
        blood: bool = False,
    ) -> None:
        """Put a material over what is there: ``plain`` HU without contrast, ``enhanced`` HU with.

        The box is of rows and columns, in a volume after slices where it is not of all.
        """
        at: Any = (..., *box)
        if self._shown is not None:
            coverage = coverage * (self._shown[box[0]] if len(box) == 3 else self._shown)
        for layer, value in zip(self.hu, (plain, plain if enhanced is None else enhanced), strict=True):
            layer[at] += coverage * (value - layer[at])
        self.blood[at] += coverage * (np.float32(blood) - self.blood[at])
        if self._structure is not None:
            labels = self.labels[at]
            labels[np.broadcast_to(coverage > 0.5, labels.shape)] = self._structure

    def paint(
        self,
        blob: Blob,
        plain: float,
        enhanced: float | None = None,
        blood: bool = False,
        clip: Coverage | None = None,
        slices: slice | None = None,
    ) -> None:
        """Paint a blob, where ``clip`` (a coverage of the whole canvas) lets it show; in a volume in some slices."""
        inside, coverage = self.coverage(blob)
        box = inside if slices is None else (slices, *inside)
        self.lay(box, coverage if clip is None else coverage * clip[(..., *box)], plain, enhanced, blood)

    def paint_tube(
        self,
        points: Sequence[tuple[Measure, Measure]],
        radius: Measure,
        plain: float,
        enhanced: float | None,
        blood: bool,
    ) -> None:
        """Paint a tube of constant radius along a line of points, as vessels that run in the slice."""
        for (x0, y0), (x1, y1) in pairwise(points):
            reach = float(np.max(np.hypot(x1 - x0, y1 - y0))) / 2 + float(np.max(radius))
            box = self.window((x0 + x1) / 2, (y0 + y1) / 2, reach)
            dx, dy = self.x[box] - np.float32(x0), self.y[box] - np.float32(y0)
            length: Measure = (x1 - x0) ** 2 + (y1 - y0) ** 2
            length = max(length, 1e-6) if np.ndim(length) == 0 else np.maximum(length, 1e-6)
            along = np.clip((dx * (x1 - x0) + dy * (y1 - y0)) / length, 0.0, 1.0)
            distance = np.hypot(dx - along * (x1 - x0), dy - along * (y1 - y0)) - radius
            self.lay(box, np.clip(0.5 - distance / self.pixel, 0.0, 1.0).astype(np.float32), plain, enhanced, blood)
