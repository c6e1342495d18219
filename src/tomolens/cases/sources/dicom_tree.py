"""Cases from a tree of DICOM files: folders, nested folders and archives with many series."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from ...errors import CaseError, SettingsError
from ...progress import Progress, silent
from ..case import CONTRAST_CLASSES, CaseEntry
from ..dicom.headers import SEGMENTATION, STRUCTURES, Header
from ..dicom.pixels import read_image
from ..dicom.series import Series, group_series
from ..dicom.tree import OnError, Tree, read_tree
from ..files import FileReader
from ..masks import MaskChoice
from ..places import Unusable, archive_of, open_place
from ..pseudonyms import own_salt, pseudonym
from ..slices import SliceChoice
from .index import Index, Plane, Scan, choose_slices, left_whole
from .labels import TAG_RULE, Labels, contrast_from_tags, read_labels


@dataclass(frozen=True)
class IndexOptions:
    """How a folder is indexed; the same for every kind of source.

    Attributes:
        labels: CSV of labels instead of the source's own rule.
        classes: names of the labels 0, 1, ... of that CSV, or the sub-folders that are the classes; without and with
            contrast agent by default.
        slices: which slices of a scan become cases.
        masks: which structures count where the mask decides on slices.
        with_masks: whether masks that are found go into the index.
        consensus: how many readers must agree on a pixel of a mask, where there are several.
        keep_patients: keep patients' identifiers instead of salted pseudonyms.
        on_error: ``skip`` leaves out what cannot be read and lists it, ``stop`` ends at the first.
        cached: keep headers for the next start.
        progress: told how far it is.
    """

    labels: Path | None = None
    classes: tuple[str, ...] | None = None
    slices: SliceChoice = field(default_factory=SliceChoice)
    masks: MaskChoice = field(default_factory=MaskChoice)
    with_masks: bool = True
    consensus: int | None = None
    keep_patients: bool = False
    on_error: OnError = "skip"
    cached: bool = True
    progress: Progress = silent

    def rename(self) -> Callable[[str], str]:
        """What becomes of a patient's identifier."""
        if self.keep_patients:
            return lambda patient: patient
        salt = own_salt()
        return lambda patient: pseudonym(patient, salt)

    def read_labels(self) -> Labels | None:
        """The CSV of labels, where there is one.

        Raises:
            CaseError: see `read_labels`.
            SettingsError: classes without a CSV that says which is which, or fewer than two.
        """
        if self.classes is not None and len(set(self.classes)) < max(2, len(self.classes)):
            raise SettingsError(f"classes {', '.join(self.classes)}: expected at least two different names")
        if self.labels is not None:
            return read_labels(self.labels, self.classes or CONTRAST_CLASSES, self.rename())
        if self.classes is not None:
            raise SettingsError(f"classes {', '.join(self.classes)}: only a CSV of labels (--labels) tells them apart")
        return None

    def read_tree(self, root: Path) -> Tree:
        """The headers below a folder."""
        variant = "as written" if self.keep_patients else f"sealed pseudonyms\x1f{own_salt()}"
        return read_tree(
            root,
            self.rename(),
            variant=variant,
            on_error=self.on_error,
            cached=self.cached,
            progress=self.progress,
        )

    def choose(self, scans: Sequence[Scan]) -> tuple[CaseEntry, ...]:
        """The slices of scans that become cases."""
        return choose_slices(
            scans,
            self.slices,
            FileReader(masks=self.masks),
            lambda done, total: self.progress("choosing slices", done, total),
        )


def index_dicom(root: Path, options: IndexOptions | None = None) -> Index:
    """Every CT series below ``root``, with the SEG and RTSTRUCT objects that refer to it as masks.

    Labels come from the CSV of the options, else from the headers' contrast agent.

    Raises:
        CaseError: no such folder; with ``on_error = "stop"`` the first unreadable file.
    """
    options = options or IndexOptions()
    tree = options.read_tree(root)
    found = DicomScans.of(tree, options)
    masks = masks_by_series(tree.headers, found.unusable, options) if options.with_masks else {}
    scans = [found.scan(series, mask=masks.get(series.uid, ())) for series in found.series]
    return found.index(scans)


@dataclass
class DicomScans:
    """The series of a tree on their way to an index, counting what happens to them.

    Attributes:
        series: of the tree.
        options: of the index.
        labels: of the CSV; None takes the headers' contrast agent.
        left_out: files that are no cases, by reason.
        unusable: files that cannot be read.
        values: values that decided a label.
        notes: of each scan.
    """

    series: list[Series]
    options: IndexOptions
    labels: Labels | None
    left_out: Counter[str]
    unusable: list[Unusable]
    values: Counter[str] = field(default_factory=Counter)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Tree, options: IndexOptions) -> "DicomScans":
        """The series of a tree."""
        series, left_out = group_series(tree.headers)
        return cls(series, options, options.read_labels(), Counter(left_out), list(tree.unusable))

    def scan(self, series: Series, mask: Sequence[str] = (), consensus: int | None = None) -> Scan | None:
        """A series as a scan; None where none of its slices has a label or a place."""
        try:
            if series.patients > 1:
                raise CaseError(f"{series.places[0]}: {series.patients} patients in one series, {series.name}")
            planes = self._planes(series)
        except CaseError as error:
            if self.options.on_error == "stop":
                raise
            self.unusable.append(Unusable(series.places[0], str(error).removeprefix(f"{series.places[0]}: ")))
            return None
        if not planes:
            return None
        mask_files = tuple(mask)
        planes = [replace(plane, mask=mask_files) for plane in planes]
        remarks = (*series.notes, *(f"no volume: {fault}" for fault in series.faults))
        if remarks:
            self.notes[series.name] = remarks
        fault = series.faults[0] if series.faults else ""
        if not fault and not series.is_multi_frame and len(planes) < series.frames:
            fault = "slices without a label"
        place, uid = ("", "") if series.is_multi_frame else (_together(series), series.uid)
        return Scan(series.name, series.patient, tuple(planes), consensus, place, uid, fault)

    def index(self, scans: Sequence[Scan | None], companions: dict[str, str] | None = None) -> Index:
        """The index of the scans that could be used."""
        usable = [scan for scan in scans if scan is not None]
        return Index(
            self.options.choose(usable),
            self.options.classes or CONTRAST_CLASSES,
            TAG_RULE if self.labels is None else self.labels.rule,
            dict(self.values.most_common()),
            {**self.left_out, **left_whole(usable, self.options.slices)},
            tuple(self.unusable),
            self.notes,
            companions or {},
        )

    def _planes(self, series: Series) -> list[Plane]:
        if series.is_multi_frame:
            label = self._label(series, series.headers[0])
            grid = read_image(series.places[0]).grid.upright()
            heights = [grid.slab(index).position for index in range(grid.shape[0])]
            place = series.headers[0].place
            return [] if label is None else [Plane(place, label, height, k) for k, height in enumerate(heights)]
        labelled = [(header, self._label(series, header)) for header in series.headers]
        return [
            Plane(header.place, label, header.position[2] if header.position else None)
            for header, label in labelled
            if label is not None
        ]

    def _label(self, series: Series, header: Header) -> int | None:
        if self.labels is None:
            label, value = contrast_from_tags(series.headers)
            if header is series.headers[0]:
                self.values[f"{value}: {label}"] += 1
            return label
        found = self.labels.find(
            {
                "instance": header.instance,
                "image": str(Path(header.place).resolve()),
                "series": series.uid,
                "scan": series.name,
                "patient": header.patient,
            }
        )
        if found is None:
            self.left_out[f"slices without a label in {self.labels.source.name}"] += 1
        return found


def _together(series: Series) -> str:
    """The folder or archive that holds all slices of a series."""
    archives = [archive_of(place) for place in series.places]
    folders = [
        place.parent if archive is None else archive for place, archive in zip(series.places, archives, strict=True)
    ]
    first = folders[0]
    return str(first) if len(set(folders)) == 1 else os.path.commonpath([str(folder) for folder in folders])


def masks_by_series(
    headers: Sequence[Header], unusable: list[Unusable], options: IndexOptions
) -> dict[str, tuple[str, ...]]:
    """SEG and RTSTRUCT objects by the CT series that they refer to."""
    masks: dict[str, list[str]] = defaultdict(list)
    for header in headers:
        if header.sop_class not in (SEGMENTATION, STRUCTURES):
            continue
        try:
            for uid in _referenced_series(Path(header.place)):
                masks[uid].append(header.place)
        except CaseError as error:
            if options.on_error == "stop":
                raise
            unusable.append(Unusable(Path(header.place), str(error)))
    return {uid: tuple(places) for uid, places in masks.items()}


def _referenced_series(place: Path) -> list[str]:
    with open_place(place) as opened:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = pydicom.dcmread(opened, stop_before_pixels=True)
                referenced: list[Dataset] = list(dataset.get("ReferencedSeriesSequence") or [])
                for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
                    for study in frame.get("RTReferencedStudySequence") or []:
                        referenced += study.get("RTReferencedSeriesSequence") or []
                return sorted({str(item.SeriesInstanceUID) for item in referenced if "SeriesInstanceUID" in item})
        except Exception as error:  # damaged values surface wherever they are first used
            raise CaseError(f"unreadable references ({type(error).__name__}: {error})") from error
