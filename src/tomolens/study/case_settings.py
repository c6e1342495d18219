"""The cases of a study file: which, what the network sees of them, and which are held out."""

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from ..cases import CONTRAST_CLASSES, MaskChoice, Preprocessing
from ..cases.anatomy import labels_of_names
from ..cases.crop import Crop
from ..cases.implants import Implant
from ..cases.masks.label_maps import LARGEST_LABEL
from ..cases.phantom.findings import KINDS, Finding, classes_of, require_finding, window_of
from ..cases.phantom.markers import Marker
from ..cases.windows import Windows
from ..declarations import require_plain
from ..errors import CaseError, SettingsError
from .ranges import check_names, check_spacing, check_window
from .section import Count, Section

SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
"""Pixels of an image along an axis."""
MOST_PIXELS = 2**28
"""Of an image, along all axes together: 640 along each of three."""
SIDE_OF_VOLUMES = 96
"""Voxels along each axis of a volume, where nothing else is said."""


def _size(value: Any) -> int | tuple[int, ...]:
    """One number of pixels for all axes, or a list with one for each."""
    several = isinstance(value, list | tuple)
    for side in value if several else [value]:
        if type(side) is not int or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise ValueError(
                f"{side!r} pixels along an axis, expected a whole number {SMALLEST_SIDE} to {LARGEST_SIDE}"
            )
    if several and len(value) not in (2, 3):
        raise ValueError(f"{len(value)} numbers of pixels, expected one for all axes or one for each of two or three")
    return tuple(value) if several else value


class CaseSettings(Section):
    """Which cases, what the network sees of them, and which of them are held out.

    ``source = "phantom"`` simulates ``train`` and ``test`` cases. ``finding`` tells their classes apart, ``finding_mm``
    is its least and largest diameter (its own by default), and ``marker`` plants a shortcut in those with contrast or
    with the finding. ``classes`` and ``window`` are the finding's unless they are given.
    ``source = "manifest"`` reads the CSV given on the command line, or a folder with one sub-folder a class; with
    ``folds`` each case is explained by a network that never saw its patient, with ``hold_out`` about this share of the
    patients is kept for the test, and without either the CSV's ``split`` column decides. ``train_per_scan`` thins the
    slices of training scans, as the paper does.

    ``implant`` puts findings into the slices or volumes of a manifest, each of which then has a twin; see `implanted`.
    Its window and its two classes are the defaults, ``finding_mm`` says how large nodules and lesions are, and images
    that cannot take it are left out and counted.

    ``mask`` names the structures whose union is the expert's mask (all by default), ``mask_names`` the labels of label
    maps that have no names, and ``resample_masks`` allows masks on another grid. ``anatomy`` and ``anatomy_names`` are
    the same for the label maps of structures in the manifest's column ``anatomy``. ``on_error = "skip"`` leaves out
    cases that cannot be read and counts them (the default for folders; ``stop`` for a CSV). Patients are pseudonyms
    unless ``keep_patients``.

    ``classes`` names the labels 0, 1, ...; simulated cases have two. ``size`` is the number of pixels along every axis,
    or a list with one number for each (``[rows, columns]``). ``window`` has the HU that become black and white; several
    windows (at most eight) are a channel each. With ``spacing``, mm of a pixel or a list with one number for each axis,
    the scan is resampled to such pixels and cut or padded about its middle to ``size``; without, all of it is resized.

    With ``dimensions = 3`` every case is a whole volume, of one CSV row or simulated, and lists have a number for each
    of ``[slices, rows, columns]``; ``size`` is 96 by default then. ``crop`` takes the ``body`` or the ``lungs`` of a
    scan in place of all of it, found in HU.
    """

    source: Literal["phantom", "manifest"] = "manifest"
    on_error: Literal["stop", "skip"] | None = None
    classes: tuple[str, ...] = CONTRAST_CLASSES
    dimensions: Literal[2, 3] = 2
    size: Annotated[int | tuple[int, ...], BeforeValidator(_size)] = 224
    window: Annotated[Windows, BeforeValidator(check_window)] = (-160.0, 240.0)
    spacing: Annotated[float | tuple[float, ...] | None, BeforeValidator(check_spacing)] = None
    crop: Crop | None = None
    train: Count = 240
    test: Count = 24
    finding: Finding = "contrast"
    finding_mm: tuple[float, float] | None = None
    marker: Marker | None = None
    implant: Implant | None = None
    folds: Annotated[int, Field(ge=2, le=1_000)] | None = None
    hold_out: Annotated[float, Field(ge=0.01, le=0.5)] | None = None
    train_per_scan: Count | None = None
    mask: Annotated[tuple[str | int, ...], Field(min_length=1)] | None = None
    mask_names: dict[str, Annotated[int, Field(ge=0, le=LARGEST_LABEL)]] = Field(default={})
    resample_masks: bool = False
    keep_patients: bool = False
    anatomy: Annotated[tuple[str | int, ...], Field(min_length=1)] | None = None
    anatomy_names: dict[str, Annotated[int, Field(ge=1, le=LARGEST_LABEL)]] = Field(default={})

    @property
    def preprocessing(self) -> Preprocessing:
        """From Hounsfield units to what the network sees."""
        return Preprocessing(self.size, self.window, self.spacing, self.crop)

    @property
    def masks(self) -> MaskChoice:
        """Which structures make the mask."""
        return MaskChoice(_words(self.mask), self.mask_names, self.resample_masks)

    @property
    def structures(self) -> MaskChoice:
        """Which structures of the anatomy count."""
        return MaskChoice(_words(self.anatomy), self.anatomy_names, self.resample_masks)

    @property
    def task_finding(self) -> Finding:
        """What simulated cases of the same task show: the study's own, or those on which its network learns first."""
        return self.finding if self.source == "phantom" else self.implant or "contrast"

    @model_validator(mode="before")
    @classmethod
    def _of_the_finding(cls, content: Any) -> Any:
        """Classes and window that go with a finding or an implant, where none are given."""
        if not isinstance(content, Mapping):
            return content
        if content.get("dimensions") == 3:
            content = {"size": SIDE_OF_VOLUMES, **content}
        finding = content.get("finding" if content.get("source") == "phantom" else "implant")
        if not isinstance(finding, str) or finding not in KINDS:
            return content
        chosen = cast("Finding", finding)
        return {"classes": classes_of(chosen), "window": window_of(chosen), **content}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_names("class", self.classes, None)
        for name in self.anatomy_names:
            require_plain("structure", name)
        try:
            labels_of_names(self.anatomy_names, "anatomy_names")
        except CaseError as error:
            raise SettingsError(str(error)) from error
        if len(self.classes) < 2:
            raise ValueError(f"classes: {len(self.classes)} class, expected at least 2")
        for label, name in enumerate(self.classes):
            if not name.strip() or (name.strip().isdigit() and name.strip() != str(label)):
                raise ValueError(f"classes: label {label} cannot be called '{name}': it is no name, or another label")
        if self.source == "phantom" and (self.folds is not None or self.hold_out is not None):
            raise ValueError("folds, hold_out: simulated studies hold out fresh cases instead")
        if self.source == "phantom" and len(self.classes) != 2:
            raise ValueError(f"classes: simulated cases have two, and {len(self.classes)} are named")
        self._of_as_many_axes()
        if self.source != "phantom" and self.finding != "contrast":
            raise ValueError(
                f"finding '{self.finding}': only simulated cases (source = 'phantom') are given one; of other cases it "
                "is the label"
            )
        if self.source != "phantom" and self.implant is None and self.finding_mm is not None:
            raise ValueError("finding_mm: it is of simulated cases and of implants; here is neither")
        require_finding(self.task_finding, self.finding_mm)
        if self.crop is not None and self.marker is not None:
            raise ValueError(f"marker, crop: a shortcut lies outside of the {self.crop}, where crop cuts it off")
        if self.crop == "lungs" and "lesion" in (self.finding, self.implant):
            raise ValueError("crop = 'lungs': a lesion lies in soft tissue, which is cut off")
        if prod(self.preprocessing.shape(self.dimensions)) > MOST_PIXELS:
            raise ValueError(f"size {self.size}: more than {MOST_PIXELS:,} voxels are more than any network here takes")
        if self.source != "phantom" and self.marker is not None:
            raise ValueError("marker: only simulated cases can carry a planted shortcut")
        if self.implant is not None and self.source == "phantom":
            raise ValueError("implant: it goes into the slices of a manifest; simulated cases have findings drawn in")
        if self.implant is not None and len(self.classes) != 2:
            raise ValueError(f"classes: an implant is there or not, and {len(self.classes)} are named")
        if self.folds is not None and self.hold_out is not None:
            raise ValueError("folds and hold_out are two ways to split: give one")
        return self

    def _of_as_many_axes(self) -> None:
        """Refuse sizes of pixels for other axes than numbers of pixels, or than the images have."""
        given = {"size": self.size, "spacing": self.spacing}
        several = {name: list(value) for name, value in given.items() if isinstance(value, tuple)}
        axes = {2: "slices have two axes, rows and columns", 3: "volumes have three axes, slices, rows and columns"}
        for name, numbers in several.items():
            if len(numbers) != self.dimensions and (self.dimensions == 3 or self.source == "phantom" or self.implant):
                raise ValueError(f"{name} {numbers}: {axes[self.dimensions]} (dimensions = {self.dimensions})")
        if len({len(numbers) for numbers in several.values()}) > 1:
            size, spacing = several["size"], several["spacing"]
            raise ValueError(f"size {size} and spacing {spacing}: one has a number for each of two axes, one of three")


def _words(names: tuple[str | int, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(str, names))
