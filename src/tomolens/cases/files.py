"""The files of a case: image and mask from wherever they lie to what the network sees."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from .anatomy import Anatomy, labels_of_names
from .case import Case, CaseEntry
from .geometry import Values, Volume
from .grid import Grid
from .masks import MaskChoice, read_anatomy, read_mask
from .preprocessing import UNKNOWN, Preprocessing
from .sampling import Axis
from .stored import read_source
from .windows import in_words

LEAST_CONTRAST = 0.01
"""Share of the window that an image must span: what it holds below is noise of no meaning, or not in HU."""
AIRLESS = -200.0
"""HU below which a slice of a body with what is around it always has pixels: fat is at -100, air at -1000."""
DENSE, MOST_DENSE = 700.0, 0.25
"""HU, and the share of an image above it, that no cropped slice reaches: tissue without its intercept is at 1000."""


@dataclass(frozen=True, eq=False)
class Upright:
    """An image as its files hold it, front up, the patient's right on the left, feet first.

    Attributes:
        hu: float32 ``(*spatial)``.
        mask: bool ``(*spatial)`` of the expert, or None where there is none.
        spacing: distance of neighbours along each axis, mm.
        notes: what is odd about the files and no reason to refuse them, in words.
        anatomy: the structures there, or None where they are not known.
    """

    hu: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    spacing: tuple[float, ...]
    notes: tuple[str, ...] = ()
    anatomy: Anatomy | None = None


@dataclass(frozen=True)
class FileReader:
    """Reads the files of an entry.

    Attributes:
        preprocessing: window, size and spacing.
        masks: which structures make the mask.
        dimensions: 2 for axial slices ``(1, H, W)``, 3 for whole volumes ``(1, D, H, W)``.
        structures: which of an anatomy count.

    Raises:
        SettingsError: sizes or spacings for another number of axes.
        CaseError: names that structures cannot have, or two of one label.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    masks: MaskChoice = field(default_factory=MaskChoice)
    dimensions: Literal[2, 3] = 2
    structures: MaskChoice = field(default_factory=MaskChoice)

    def __post_init__(self) -> None:
        self.preprocessing.shape(self.dimensions)
        self.preprocessing.pixel(self.dimensions)
        labels_of_names(self.structures.numbers, "anatomy_names")

    def __call__(self, entry: CaseEntry) -> Case:
        """Read, turn upright, window and resize.

        Raises:
            CaseError: naming case and file.
        """
        return self.case(entry, self.upright(entry))

    def read_as(self, entry: CaseEntry) -> tuple[str, tuple[str, ...]]:
        """By what settings an entry is read, and from which files."""
        return repr(self), (entry.source, *entry.mask, *entry.anatomy)

    def upright(self, entry: CaseEntry) -> Upright:
        """What the files hold in Hounsfield units, before window and size.

        Raises:
            CaseError: naming case and file; also where pixels of a given size are asked for and its own are not known.
        """
        try:
            image = self.image(entry)
            mask = self.mask(entry, image)
            anatomy, odd = self.anatomy(entry, image)
        except CaseError as error:
            raise CaseError(f"case {entry.name}: {error}") from error
        hu = self._spatial(image.grid.turn_upright(image.hu))
        try:
            self._require_spacing(image)
            self._require_volume(image)
            notes = (*image.notes, *odd, *_calibration(hu))
        except CaseError as error:
            raise CaseError(f"case {entry.name}: {entry.source}: {error}") from error
        spacing = image.grid.upright().spacing[-self.dimensions :]
        return Upright(hu, None if mask is None else self._spatial(mask), spacing, notes, anatomy)

    def framed(self, entry: CaseEntry, upright: Upright) -> Preprocessing:
        """The preprocessing of one image, in which the body or the lungs are found where that is asked for.

        Raises:
            CaseError: there is none in it; naming case and file.
        """
        try:
            return self.preprocessing.framed(upright.hu, upright.spacing)
        except CaseError as error:
            raise CaseError(f"case {entry.name}: {entry.source}: {error}") from error

    def case(self, entry: CaseEntry, upright: Upright, framed: Preprocessing | None = None) -> Case:
        """What a network sees of an upright image: windowed and resized.

        Args:
            entry: of the case.
            upright: its image.
            framed: the preprocessing, where it is that of another version of the image.

        Raises:
            CaseError: one grey in the window, or in each of several; nothing to crop to; naming case and file.
        """
        hu, mask, anatomy = upright.hu, upright.mask, upright.anatomy
        made = framed or self.framed(entry, upright)
        seen, axes = made.image(hu, upright.spacing), made.axes(hu.shape, upright.spacing)
        grey = [one for one, channel in zip(self.preprocessing.windows, seen, strict=True) if is_one_grey(channel)]
        if len(grey) == len(seen):
            raise CaseError(
                f"case {entry.name}: {entry.source}: values from {hu.min():.6g} to {hu.max():.6g} HU are one grey "
                f"in the window{'s' if len(grey) > 1 else ''} {in_words(grey)}"
            )
        cut = () if mask is None else made.cut(mask, upright.spacing)
        stretched = _stretching(hu.shape, made)
        dull = (f"it is one grey in the window {in_words(one)}" for one in grey)
        return Case(
            name=entry.name,
            image=seen,
            label=entry.label,
            patient=entry.patient,
            mask=None if mask is None else made.mask(mask, upright.spacing),
            notes=(*upright.notes, *stretched, *cut, *dull),
            body=made.body(hu, upright.spacing),
            grid=self._grid(entry, seen.shape[1:], axes),
            anatomy=None if anatomy is None else replace(anatomy, labels=made.mask(anatomy.labels, upright.spacing)),
            tissue=made.tissue(hu, upright.spacing),
        )

    def image(self, entry: CaseEntry) -> Volume:
        """The image as stored; a slice of a volume comes upright.

        Raises:
            CaseError: unreadable, no such slice, or a volume where a slice is needed.
        """
        path = Path(entry.source)
        if self.dimensions == 3 and entry.slice is not None:
            raise CaseError(
                f"{path}: slice {entry.slice} of a volume, and cases.dimensions = 3 takes whole ones: leave the column "
                "slice out, or let `tomolens cases index --slices volume` write the CSV"
            )
        stored = read_source(path, entry.series)
        if entry.slice is not None:
            try:
                return stored.upright().slice(entry.slice)
            except CaseError as error:
                raise CaseError(f"{path}: {error}") from error
        if self.dimensions == 3:
            return stored
        slices = stored.grid.upright().shape[0]
        if slices != 1 and 1 in stored.grid.shape:
            raise CaseError(f"{path}: a slice along {stored.grid.axes}, expected an axial one")
        if slices != 1:
            raise CaseError(
                f"{path}: a volume of {slices} slices: name one in the column slice (0 is next to the feet), "
                "let `tomolens cases index` choose some, or take volumes whole with cases.dimensions = 3"
            )
        return stored

    def mask(self, entry: CaseEntry, image: Volume) -> NDArray[np.bool_] | None:
        """The mask on the upright image; None where there is none."""
        if not entry.mask:
            return None
        paths, (on, part) = tuple(map(Path, entry.mask)), self._drawn_on(entry, image)
        return read_mask(paths, on, self.masks, entry.consensus)[part]

    def anatomy(self, entry: CaseEntry, image: Volume) -> tuple[Anatomy | None, tuple[str, ...]]:
        """The structures on the upright image, with notes; None where there are none."""
        if not entry.anatomy:
            return None, ()
        paths, (on, part) = tuple(map(Path, entry.anatomy)), self._drawn_on(entry, image)
        found, notes = read_anatomy(paths, on, self.structures)
        return replace(found, labels=self._spatial(found.labels[part])), notes

    def _drawn_on(self, entry: CaseEntry, image: Volume) -> tuple[Volume, slice]:
        """The image on which structures are read, and which slices of it are the case."""
        if entry.slice is not None:
            stored = read_source(Path(entry.source), entry.series)
            if not stored.grid.is_axial:  # contours lie in the slices as they are stored, which this one lies across
                return stored, slice(entry.slice, entry.slice + 1)
        return image, slice(None)

    def _require_spacing(self, image: Volume) -> None:
        if self.preprocessing.spacing is None:
            return
        if not image.sized:
            raise CaseError(UNKNOWN)
        if self.dimensions == 3 and image.grid.upright().shape[0] == 1:
            raise CaseError("a single slice, whose distance to the next is not known: cases.spacing needs it")

    def _require_volume(self, image: Volume) -> None:
        if self.dimensions == 3 and image.grid.upright().shape[0] == 1:
            raise CaseError("a single slice, expected a volume: cases.dimensions = 3")

    def _grid(self, entry: CaseEntry, shape: tuple[int, ...], axes: tuple[Axis, ...]) -> Grid:
        source = read_source(Path(entry.source), entry.series).grid  # still in memory
        return Grid.of(shape, source, 0 if entry.slice is None and self.dimensions == 2 else entry.slice, axes)

    def _spatial(self, upright: Values) -> Values:
        return upright[0] if self.dimensions == 2 else upright


def is_one_grey(channel: NDArray[np.float32]) -> bool:
    """Whether an image in [0, 1] shows nothing."""
    return float(np.ptp(channel)) < LEAST_CONTRAST


def _stretching(shape: tuple[int, ...], preprocessing: Preprocessing) -> tuple[str, ...]:
    """A word where resizing changes the image's proportions."""
    if preprocessing.spacing is not None:
        return ()
    wanted = preprocessing.shape(len(shape))
    if preprocessing.box is not None:
        shape = tuple(high - low for low, high in preprocessing.box)
    if all(length * wanted[0] == shape[0] * size for length, size in zip(shape, wanted, strict=True)):
        return ()
    sides = " x ".join(map(str, wanted)) if len(set(wanted)) > 1 else "equal sides"
    return (f"its {' x '.join(map(str, shape))} pixels are stretched to {sides}",)


def _calibration(hu: NDArray[np.float32]) -> tuple[str, ...]:
    """A word on an image without air, which is cropped to the body, or not calibrated.

    Raises:
        CaseError: no air, and so much above all tissue that the rescaling to HU must be missing.
    """
    if float(hu.min()) < AIRLESS:
        return ()
    dense = float(np.mean(hu > DENSE))
    if dense > MOST_DENSE:
        raise CaseError(
            f"nothing is below {AIRLESS:g} HU and {dense:.0%} above {DENSE:g}: its rescaling to HU is missing or wrong"
        )
    return (f"nothing is below {AIRLESS:g} HU: cropped to the body, or not in Hounsfield units",)
