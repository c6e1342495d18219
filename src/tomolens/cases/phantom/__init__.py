"""Simulated chest CT with and without contrast agent: cases whose evidence is known exactly.

Every case has a twin: the same anatomy, scanner and noise with the other label. The pixels in which
the two differ are those that truly carry the evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...randomness import generator
from ..case import Case, CaseEntry, Cases
from ..preprocessing import Preprocessing
from .anatomy import paint
from .drawing import Canvas
from .measures import draw_body
from .scanner import correlated_noise, draw_scanner, smooth

Slice = NDArray[np.float32]


@dataclass(frozen=True)
class Phantom:
    """One simulated axial slice, with its twin.

    Attributes:
        hu: float32 ``(2, size, size)``, HU without (0) and with (1) contrast agent, all else equal.
        blood: bool ``(size, size)``, the blood pool: pixels mostly covered by blood.
        label: which of the two is the case; the other one is its twin.
        spacing: pixel size in mm.
    """

    hu: Slice
    blood: NDArray[np.bool_]
    label: int
    spacing: float

    @property
    def image(self) -> Slice:
        """HU of the case, ``(size, size)``."""
        return np.asarray(self.hu[self.label])

    @property
    def twin(self) -> Slice:
        """HU of the twin, ``(size, size)``."""
        return np.asarray(self.hu[1 - self.label])


def draw(seed: int, index: int, size: int = 256) -> Phantom:
    """The phantom of ``(seed, index)``; odd indices carry contrast agent.

    Args:
        seed: of the whole series.
        index: of the slice in the series.
        size: pixels along each side.
    """
    random = generator(seed, "phantom", index)
    tilt = float(random.normal(0, 0.05))
    shift = (float(random.normal(0, 6)), float(random.normal(0, 6)))
    body = draw_body(random)
    fov = 2.0 * (body.wall_x + body.fat) * float(random.uniform(1.0, 1.3))
    canvas = Canvas(size, min(max(fov, 280.0), 500.0), tilt, shift)
    paint(canvas, body, random)
    scanner = draw_scanner(random, size)
    tissue = np.clip((canvas.hu[0] + 200.0) / 150.0, 0.15, 1.0)
    texture = 8.0 * tissue * smooth(correlated_noise(random, size, 1.0), 1.6 * size / 256) * 3.0
    noise = scanner.noise * correlated_noise(random, size, scanner.grain)
    grain = texture + noise
    hu = np.stack([smooth(layer, scanner.blur) + grain for layer in canvas.hu])
    return Phantom(np.maximum(hu, -1024.0), canvas.blood > 0.5, index % 2, canvas.pixel)


@dataclass(frozen=True)
class PhantomReader:
    """Draws the phantom of an entry, whose source is its index."""

    seed: int
    preprocessing: Preprocessing
    matrix: int = 256

    def __call__(self, entry: CaseEntry) -> Case:
        """Draw, window and resize."""
        phantom = draw(self.seed, int(entry.source), self.matrix)
        return Case(
            name=entry.name,
            image=self.preprocessing.image(phantom.image),
            label=phantom.label,
            patient=entry.patient,
            mask=self.preprocessing.mask(phantom.blood),
        )


def cases(count: int, seed: int = 0, first: int = 0, preprocessing: Preprocessing | None = None) -> Cases:
    """``count`` simulated cases, half of each class, each of a patient of its own.

    Args:
        count: how many.
        seed: of the series.
        first: index of the first; disjoint ranges of one seed are disjoint patients.
        preprocessing: window and size; the protocol's by default.
    """
    entries = tuple(
        CaseEntry(name=f"phantom-{index:05d}", label=index % 2, patient=f"phantom-{index:05d}", source=str(index))
        for index in range(first, first + count)
    )
    return Cases(entries, PhantomReader(seed, preprocessing or Preprocessing()))


def evidence(entry: CaseEntry, reader: PhantomReader) -> Slice:
    """Where the case differs from its twin: the absolute difference of the two network inputs, ``(1, size, size)``."""
    phantom = draw(reader.seed, int(entry.source), reader.matrix)
    difference = reader.preprocessing.image(phantom.image) - reader.preprocessing.image(phantom.twin)
    return np.asarray(np.abs(difference), dtype=np.float32)
