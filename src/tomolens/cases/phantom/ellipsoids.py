"""Ellipsoids in a volume, with the share of each voxel that they cover: findings of a chest are no columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .drawing import Coverage

Box = tuple[slice, ...]
FINEST = 8
"""Places in a voxel along each axis, at most, that are asked whether they are inside."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid in mm from the centre of a volume's first voxel, along its axes.

    Attributes:
        centre: of it.
        radii: half of its axes before they are turned.
        turn: rotation ``(3, 3)`` of its axes.
    """

    centre: tuple[float, ...]
    radii: tuple[float, ...]
    turn: NDArray[np.float64]

    @classmethod
    def drawn(
        cls, centre: Sequence[float], radius: float, least: float, random: np.random.Generator, longest: float = 1.0
    ) -> "Ellipsoid":
        """One that is turned at random, with two axes drawn from ``least`` to 1 and one up to ``longest`` radii."""
        along = radius * random.uniform(1.0, longest)
        across = (radius * random.uniform(least, 1.0), radius * random.uniform(least, 1.0))
        axes, triangle = np.linalg.qr(random.standard_normal((3, 3)))
        return cls(tuple(centre), (along, *across), axes * np.sign(np.diag(triangle)))

    def coverage(self, shape: Sequence[int], spacing: Sequence[float]) -> tuple[Box, Coverage]:
        """The share of each voxel that it covers, in the box that holds it: float32.

        Args:
            shape: of the volume.
            spacing: of its voxels, mm.

        Example:
            >>> ball = Ellipsoid((10.0, 10.0, 10.0), (6.0, 6.0, 6.0), np.eye(3))
            >>> box, covered = ball.coverage((21, 21, 21), (1.0, 1.0, 1.0))
            >>> box[0], round(float(covered.sum()) / (4 / 3 * np.pi * 6**3), 2)
            (slice(3, 18, None), 1.0)
        """
        reach = np.sqrt((np.square(self.turn) * np.square(self.radii)).sum(axis=1))
        bounds = [
            (max(0, int(np.floor((middle - far) / step))), min(length, int(np.ceil((middle + far) / step)) + 1))
            for middle, far, step, length in zip(self.centre, reach + spacing, spacing, shape, strict=True)
        ]
        box = tuple(slice(low, max(low, high)) for low, high in bounds)
        finer = [int(np.clip(np.ceil(6 * step / min(self.radii)), 2, FINEST)) for step in spacing]
        places = [
            (np.arange(part.start, part.stop)[:, None] + (np.arange(fine) + 0.5) / fine - 0.5).ravel() * step - middle
            for part, fine, step, middle in zip(box, finer, spacing, self.centre, strict=True)
        ]
        z, y, x = (axis.astype(np.float32) for axis in np.ix_(*places))
        toward = [
            (z * a + y * b + x * c) / radius
            for (a, b, c), radius in zip(self.turn.T.astype(np.float32), self.radii, strict=True)
        ]
        inside = sum(np.square(one) for one in toward) <= 1.0
        split = [length for part, fine in zip(box, finer, strict=True) for length in (part.stop - part.start, fine)]
        covered: Coverage = np.asarray(inside).reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
        return box, covered
