"""Simulated chest CT with and without contrast agent, or with and without a finding: evidence is known exactly.

Every case has a twin: the same anatomy, scanner and noise with the other label. The pixels in which
the two differ are those that truly carry the evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingsError
from ...randomness import generator
from ..anatomy import Anatomy
from ..case import Case, CaseEntry, Cases
from ..geometry import Grid as VoxelGrid
from ..grid import Grid
from ..preprocessing import Preprocessing, Spacing
from .anatomy import paint
from .drawing import STRUCTURES, Canvas
from .findings import Finding, aerated, mostly_covered, paint_finding, require_finding, window_of
from .markers import Marker, plant
from .measures import draw_body
from .scanner import correlated_noise, draw_scanner, smooth

Slice = NDArray[np.float32]
NAMES = {name: number for number, name in enumerate(STRUCTURES, start=1)}


@dataclass(frozen=True)
class Phantom:
    """One simulated axial slice, with its twin.

    Attributes:
        hu: float32 ``(2, size, size)``, HU without (0) and with (1) contrast agent or the finding, all else equal.
        mask: bool ``(size, size)``, pixels mostly covered by blood, or by the finding (of emphysema the air alone, of
            ground glass its vessels too); one pixel where the finding covers none for the most part.
        label: which of the two is the case; the other one is its twin.
        spacing: pixel size in mm.
        marked: like ``hu``, with the marker that was planted; None where none was.
        labels: uint8 ``(size, size)``, the number of the structure that each pixel mostly is of, 0 of none; a finding
            is of the structure that it lies in.
    """

    hu: Slice
    mask: NDArray[np.bool_]
    label: int
    spacing: float
    labels: NDArray[np.uint8]
    marked: Slice | None = None

    @property
    def image(self) -> Slice:
        """HU of the case, ``(size, size)``."""
        return np.asarray(self.hu[self.label])

    @property
    def twin(self) -> Slice:
        """HU of the twin, ``(size, size)``."""
        return np.asarray(self.hu[1 - self.label])

    @property
    def grid(self) -> VoxelGrid:
        """Where its pixels would lie: an axial slice around the scanner's middle."""
        rows, columns = self.mask.shape
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = 1.0, self.spacing, self.spacing
        affine[:, 3] = (-self.spacing * (columns - 1) / 2, -self.spacing * (rows - 1) / 2, 0.0, 1.0)
        return VoxelGrid((1, rows, columns), affine)


def draw(
    seed: int,
    index: int,
    size: int = 256,
    marker: Marker | None = None,
    finding: Finding = "contrast",
    finding_mm: tuple[float, float] | None = None,
) -> Phantom:
    """The phantom of ``(seed, index)``; odd indices carry contrast agent, or the finding.

    Args:
        seed: of the whole series.
        index: of the slice in the series.
        size: pixels along each side.
        marker: to plant; anatomy, scanner and noise are the same without it.
        finding: what tells the classes apart. Contrast agent is then there or not by chance, in both twins alike.
        finding_mm: least and largest diameter of the finding, see `cases`.

    Raises:
        SettingsError: a finding of another name, or diameters that it cannot have.
    """
    require_finding(finding, finding_mm)
    random = generator(seed, "phantom", index)
    tilt = float(random.normal(0, 0.05))
    shift = (float(random.normal(0, 6)), float(random.normal(0, 6)))
    body = draw_body(random)
    fov = 2.0 * (body.wall_x + body.fat) * float(random.uniform(1.0, 1.3))
    canvas = Canvas(size, min(max(fov, 280.0), 500.0), tilt, shift)
    lungs = paint(canvas, body, random)
    mask = canvas.blood > 0.5
    if finding != "contrast":
        own = generator(seed, "finding", finding, index)
        canvas.hu[:] = canvas.hu[int(own.integers(2))].copy()
        mask = mostly_covered(paint_finding(canvas, aerated(canvas, lungs), finding, own, finding_mm))
    scanner = draw_scanner(random, size)
    tissue = np.clip((canvas.hu[0] + 200.0) / 150.0, 0.15, 1.0)
    texture = 8.0 * tissue * smooth(correlated_noise(random, size, 1.0), 1.6 * size / 256) * 3.0
    noise = scanner.noise * correlated_noise(random, size, scanner.grain)
    grain = texture + noise

    def scanned() -> Slice:
        hu = np.stack([smooth(layer, scanner.blur) + grain for layer in canvas.hu])
        return np.asarray(np.maximum(hu, -1024.0))

    hu = scanned()
    if marker is None:
        return Phantom(hu, mask, index % 2, canvas.pixel, canvas.labels)
    plant(canvas, body, marker, generator(seed, "marker", index))
    return Phantom(hu, mask, index % 2, canvas.pixel, canvas.labels, scanned())


@dataclass(frozen=True)
class PhantomReader:
    """Draws the phantom of an entry, whose source is its index.

    A ``marker`` is planted in every case with contrast agent, or with the finding, and in no other: a shortcut to the
    label. A case without the finding has neither mask nor evidence, and a twin all the same.

    Raises:
        SettingsError: sizes or spacings for other than two axes, a finding of another name, or diameters that it cannot
            have.
    """

    seed: int
    preprocessing: Preprocessing
    matrix: int = 256
    marker: Marker | None = None
    finding: Finding = "contrast"
    finding_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self.preprocessing.shape(2)
        self.preprocessing.pixel(2)
        require_finding(self.finding, self.finding_mm)

    def read_as(self, entry: CaseEntry) -> tuple[str, tuple[str, ...]]:
        """By what settings an entry is drawn; from no files."""
        return repr(self), ()

    def __call__(self, entry: CaseEntry) -> Case:
        """Draw, window and resize."""
        marker = self.marker if int(entry.source) % 2 else None
        phantom = draw(self.seed, int(entry.source), self.matrix, marker, self.finding, self.finding_mm)
        made, spacing = self.preprocessing, (phantom.spacing, phantom.spacing)
        plain, twin = (made.image(hu, spacing) for hu in (phantom.image, phantom.twin))
        image = plain if phantom.marked is None else made.image(phantom.marked[phantom.label], spacing)
        # Where contrast agent would be, anatomy tells; nothing tells where a finding would be that is not there.
        shown = self.finding == "contrast" or phantom.label == 1
        return Case(
            name=entry.name,
            image=image,
            label=phantom.label,
            patient=entry.patient,
            mask=self._mask(phantom.mask, spacing) if shown else None,
            evidence=np.abs(plain - twin).max(axis=0) if shown else None,
            twin=twin,
            unmarked=None if phantom.marked is None else plain,
            notes=made.cut(phantom.mask, spacing) if shown else (),
            body=made.body(phantom.image, spacing),
            grid=Grid.of(image.shape[1:], phantom.grid, 0, made.axes(phantom.mask.shape, spacing)),
            anatomy=Anatomy(made.mask(phantom.labels, spacing).astype(np.int64), NAMES),
            tissue=made.tissue(phantom.image if phantom.marked is None else phantom.marked[phantom.label], spacing),
        )

    def _mask(self, mask: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
        """The mask in the image; where it falls between the pixels, the one that has most of it."""
        nearest = self.preprocessing.mask(mask, spacing)
        if nearest.any():
            return nearest
        share = self.preprocessing.resample(mask.astype(np.float32), spacing)
        return np.asarray((share > 0) & (share == share.max()))


def cases(
    count: int,
    seed: int = 0,
    first: int = 0,
    preprocessing: Preprocessing | None = None,
    marker: Marker | None = None,
    finding: Finding = "contrast",
    finding_mm: tuple[float, float] | None = None,
) -> Cases:
    """``count`` simulated cases, half of each class, each of a patient of its own.

    Args:
        count: how many.
        seed: of the series.
        first: index of the first; disjoint ranges of one seed are disjoint patients.
        preprocessing: window, size and spacing; by default the protocol's size and a window that shows the finding.
        marker: to plant in the cases with contrast agent, or with the finding, as a shortcut.
        finding: what tells the classes apart: ``contrast``, ``nodule``, ``calcification``, ``consolidation``,
            ``emphysema`` or ``lesion``.
        finding_mm: least and largest diameter of the finding; by default nodules are 4 to 20 mm across, calcifications
            3 to 7, consolidation and emphysema 30 to 70, lesions 8 to 24.

    Raises:
        SettingsError: a finding of another name, diameters that it cannot have, or a negative ``count`` or ``first``.

    Example:
        >>> [case.mask is None for case in cases(2, finding="nodule")]
        [True, False]
        >>> bool(cases(2, finding="nodule")[1].evidence.max() > 0.1)
        True
    """
    require_finding(finding, finding_mm)
    for name, value in (("count", count), ("first", first)):
        if value < 0:
            raise SettingsError(f"{name} {value}: simulated cases are counted from 0")
    preprocessing = preprocessing or Preprocessing(window=window_of(finding))
    entries = tuple(
        CaseEntry(name=f"phantom-{index:05d}", label=index % 2, patient=f"phantom-{index:05d}", source=str(index))
        for index in range(first, first + count)
    )
    return Cases(entries, PhantomReader(seed, preprocessing, marker=marker, finding=finding, finding_mm=finding_mm))
