"""Simulated chest CT with and without contrast agent, or with and without a finding: evidence is known exactly.

Slices, and volumes of the same anatomy.

Every case has a twin: the same anatomy, scanner and noise with the other label. The pixels in which
the two differ are those that truly carry the evidence.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import CaseError, SettingsError
from ...randomness import generator
from ..anatomy import Anatomy
from ..case import Case, CaseEntry, Cases
from ..files import LEAST_CONTRAST
from ..geometry import Grid as VoxelGrid
from ..grid import Grid
from ..preprocessing import Preprocessing, Spacing
from .anatomy import paint
from .drawing import STRUCTURES, Canvas
from .findings import Finding, aerated, mostly_covered, paint_finding, require_finding, window_of
from .markers import Marker, plant
from .measures import along, draw_body
from .scanner import correlated_noise, draw_scanner, smooth
from .volume_findings import paint_in_volume

Slice = NDArray[np.float32]
EXTENT, SLICES = 160.0, 64
"""mm of a volume from its first slice to its last, and how many there are at least where they are drawn in full."""
MATRICES = (64, 96, 128, 192)
FEWER_SLICES = (32, 48)
"""Pixels along the sides of a volume's slices, and slices, that are drawn where the image has fewer."""
NAMES = {name: number for number, name in enumerate(STRUCTURES, start=1)}


@dataclass(frozen=True)
class Phantom:
    """One simulated axial slice, or a volume, with its twin.

    Attributes:
        hu: float32 ``(2, *spatial)``, HU without (0) and with (1) contrast agent or the finding, all else equal.
        mask: bool ``(*spatial)``, pixels mostly covered by blood, or by the finding (of emphysema the air alone, of
            ground glass its vessels too); one pixel where the finding covers none for the most part.
        label: which of the two is the case; the other one is its twin.
        spacing: pixel size in the slices, mm.
        marked: like ``hu``, with the marker that was planted; None where none was.
        labels: uint8 ``(*spatial)``, the number of the structure that each pixel mostly is of, 0 of none; a finding
            is of the structure that it lies in.
        step: mm from slice to slice of a volume; None for a slice.
    """

    hu: Slice
    mask: NDArray[np.bool_]
    label: int
    spacing: float
    labels: NDArray[np.uint8]
    marked: Slice | None = None
    step: float | None = None

    @property
    def steps(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis, mm."""
        return (*(() if self.step is None else (self.step,)), self.spacing, self.spacing)

    @property
    def image(self) -> Slice:
        """HU of the case, ``(*spatial)``."""
        return np.asarray(self.hu[self.label])

    @property
    def twin(self) -> Slice:
        """HU of the twin, ``(*spatial)``."""
        return np.asarray(self.hu[1 - self.label])

    @property
    def grid(self) -> VoxelGrid:
        """Where its pixels would lie: axial slices around the scanner's middle."""
        slices, rows, columns = (1, *self.mask.shape)[-3:]
        step = 1.0 if self.step is None else self.step
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = step, self.spacing, self.spacing
        middle = (-self.spacing * (columns - 1) / 2, -self.spacing * (rows - 1) / 2, -step * (slices - 1) / 2)
        affine[:, 3] = (*middle, 1.0)
        return VoxelGrid((slices, rows, columns), affine)


def draw(
    seed: int,
    index: int,
    size: int = 256,
    marker: Marker | None = None,
    finding: Finding = "contrast",
    finding_mm: tuple[float, float] | None = None,
    slices: int | None = None,
) -> Phantom:
    """The phantom of ``(seed, index)``; odd indices carry contrast agent, or the finding.

    Args:
        seed: of the whole series.
        index: of the slice in the series.
        size: pixels along each side of a slice.
        marker: to plant; anatomy, scanner and noise are the same without it.
        finding: what tells the classes apart. Contrast agent is then there or not by chance, in both twins alike.
        finding_mm: least and largest diameter of the finding, see `cases`.
        slices: of a volume of `EXTENT` mm, from the heart's chambers to the top of the lungs, in which body, lungs and
            vessels change smoothly; None draws one slice, of a chest of its own.

    Raises:
        SettingsError: a finding of another name, diameters that it cannot have, or fewer than two slices.

    Example:
        >>> volume = draw(seed=0, index=1, size=48, finding="nodule", slices=32)
        >>> volume.hu.shape, volume.mask.shape, volume.step
        ((2, 32, 48, 48), (32, 48, 48), 5.0)
    """
    require_finding(finding, finding_mm)
    if slices is not None and slices < 2:
        raise SettingsError(f"{slices} slices of a simulated volume, expected at least 2")
    random = generator(seed, "phantom", index)
    tilt = float(random.normal(0, 0.05))
    shift = (float(random.normal(0, 6)), float(random.normal(0, 6)))
    body = draw_body(random)
    fov = 2.0 * (body.wall_x + body.fat) * float(random.uniform(1.0, 1.3))
    heights = None if slices is None else ((np.arange(slices) + 0.5) / slices - 0.5) * EXTENT
    canvas = Canvas(size, min(max(fov, 280.0), 500.0), tilt, shift, heights)
    body = body if heights is None else along(body, heights)
    lungs = paint(canvas, body, random)
    mask = canvas.blood > 0.5
    if finding != "contrast":
        own = generator(seed, "finding", finding, index)
        canvas.hu[:] = canvas.hu[int(own.integers(2))].copy()
        paint_one = paint_finding if slices is None else paint_in_volume
        mask = mostly_covered(paint_one(canvas, aerated(canvas, lungs), finding, own, finding_mm))
    scanner, step = draw_scanner(random, size), None if slices is None else EXTENT / slices
    tissue = np.clip((canvas.hu[0] + 200.0) / 150.0, 0.15, 1.0)
    coarse = 1.6 * size / 256
    mottle = coarse if step is None else (coarse * canvas.pixel / step, coarse, coarse)
    texture = 8.0 * tissue * smooth(correlated_noise(random, size, 1.0, slices), mottle) * 3.0
    noise = scanner.noise * correlated_noise(random, size, scanner.grain, slices)
    grain = texture + noise
    blur = scanner.blur if step is None else (0.0, scanner.blur, scanner.blur)

    def scanned() -> Slice:
        hu = np.stack([smooth(layer, blur) + grain for layer in canvas.hu])
        return np.asarray(np.maximum(hu, -1024.0))

    hu = scanned()
    if marker is None:
        return Phantom(hu, mask, index % 2, canvas.pixel, canvas.labels, None, step)
    plant(canvas, body, marker, generator(seed, "marker", index))
    return Phantom(hu, mask, index % 2, canvas.pixel, canvas.labels, scanned(), step)


@dataclass(frozen=True)
class PhantomReader:
    """Draws the phantom of an entry, whose source is its index; with ``dimensions = 3`` a volume.

    A volume is drawn in as many voxels as its image needs, half as many again along each side: up to ``matrix`` pixels,
    and in `SLICES` or as many as the image has.

    A ``marker`` is planted in every case with contrast agent, or with the finding, and in no other: a shortcut to the
    label. A case without the finding has neither mask nor evidence, and a twin all the same.

    Raises:
        SettingsError: sizes or spacings for another number of axes, a finding of another name, or diameters that it
            cannot have.
    """

    seed: int
    preprocessing: Preprocessing
    matrix: int = 256
    marker: Marker | None = None
    finding: Finding = "contrast"
    finding_mm: tuple[float, float] | None = None
    dimensions: Literal[2, 3] = 2

    def __post_init__(self) -> None:
        self.preprocessing.shape(self.dimensions)
        self.preprocessing.pixel(self.dimensions)
        require_finding(self.finding, self.finding_mm)

    def read_as(self, entry: CaseEntry) -> tuple[str, tuple[str, ...]]:
        """By what settings an entry is drawn; from no files."""
        return repr(self), ()

    def __call__(self, entry: CaseEntry) -> Case:
        """Draw, window and resize."""
        marker = self.marker if int(entry.source) % 2 else None
        size, slices = self._drawn()
        phantom = draw(self.seed, int(entry.source), size, marker, self.finding, self.finding_mm, slices)
        spacing = phantom.steps
        made = self.preprocessing.framed(phantom.hu[0], spacing)
        plain, twin = (made.image(hu, spacing) for hu in (phantom.image, phantom.twin))
        image = plain if phantom.marked is None else made.image(phantom.marked[phantom.label], spacing)
        if self.preprocessing.crop and float(np.abs(plain - twin).max()) < LEAST_CONTRAST:
            raise CaseError(
                f"case {entry.name}: the {self.finding} does not show in {made.pixels_in_words(self.dimensions)} of "
                f"the part that cases.crop = '{self.preprocessing.crop}' takes"
            )
        # Where contrast agent would be, anatomy tells; nothing tells where a finding would be that is not there.
        shown = self.finding == "contrast" or phantom.label == 1
        return Case(
            name=entry.name,
            image=image,
            label=phantom.label,
            patient=entry.patient,
            mask=_mask(made, phantom.mask, spacing) if shown else None,
            evidence=np.abs(plain - twin).max(axis=0) if shown else None,
            twin=twin,
            unmarked=None if phantom.marked is None else plain,
            notes=made.cut(phantom.mask, spacing) if shown else (),
            body=made.body(phantom.image, spacing),
            grid=Grid.of(image.shape[1:], phantom.grid, None if slices else 0, made.axes(phantom.mask.shape, spacing)),
            anatomy=Anatomy(made.mask(phantom.labels, spacing).astype(np.int64), NAMES),
            tissue=made.tissue(phantom.image if phantom.marked is None else phantom.marked[phantom.label], spacing),
        )

    def _drawn(self) -> tuple[int, int | None]:
        """Pixels along the sides of the slices that are drawn, and how many of these; None draws one."""
        if self.dimensions == 2:
            return self.matrix, None
        slices, rows, columns = self.preprocessing.shape(3)
        wanted = 1.5 * max(rows, columns)
        return next((size for size in MATRICES if size >= wanted and size < self.matrix), self.matrix), max(
            SLICES, slices
        )


def _mask(made: Preprocessing, mask: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
    """The mask in the image; where it falls between the pixels, the one that has most of it."""
    nearest = made.mask(mask, spacing)
    if nearest.any():
        return nearest
    share = made.resample(mask.astype(np.float32), spacing)
    return np.asarray((share > 0) & (share == share.max()))


def cases(
    count: int,
    seed: int = 0,
    first: int = 0,
    preprocessing: Preprocessing | None = None,
    marker: Marker | None = None,
    finding: Finding = "contrast",
    finding_mm: tuple[float, float] | None = None,
    dimensions: Literal[2, 3] = 2,
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
        dimensions: 2 for slices, 3 for volumes, in which findings are ellipsoids.

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
    size = 224 if dimensions == 2 else 96
    preprocessing = preprocessing or Preprocessing(size, window_of(finding))
    entries = tuple(
        CaseEntry(name=f"phantom-{index:05d}", label=index % 2, patient=f"phantom-{index:05d}", source=str(index))
        for index in range(first, first + count)
    )
    reader = PhantomReader(
        seed, preprocessing, marker=marker, finding=finding, finding_mm=finding_mm, dimensions=dimensions
    )
    return Cases(entries, reader)
