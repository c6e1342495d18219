"""A case is one image with its label, mask and patient; `Cases` is a lazy sequence of them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from .anatomy import Anatomy
from .grid import Grid

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["train", "test"]
CONTRAST_CLASSES = ("without contrast", "with contrast")
"""The paper's classes, by label."""


@dataclass(frozen=True)
class Case:
    """One image, ready for a network.

    Attributes:
        name: identifies the case in its study.
        image: float32 ``(C, *spatial)`` in [0, 1].
        label: index into the study's classes.
        patient: all cases of one patient stay on one side of every split.
        mask: bool ``(*spatial)`` of the expert, or None where there is none.
        evidence: float32 ``(*spatial)``, at least 0: how far each pixel truly carries the class, where that is known
            and the image itself shows it; of several channels the largest.
        twin: float32 ``(C, *spatial)``, the same image with another label and all else equal, or None. Measures by the
            twin need ``evidence`` too, which is |image - twin| where the image shows it.
        unmarked: the image without the marker that was planted in it as a shortcut; None where none was planted.
        origin: fingerprint of the image that it was made of by an implant; empty where it is as it came.
        notes: what is odd about its file and no reason to refuse it, in words; a study's report repeats them.
        body: bool ``(*spatial)``, without the air around the patient, told by HU; None where only the image is known.
        grid: where its pixels lie in the patient and in the scan; None where that is not known.
        anatomy: which named structure each pixel is of; None where that is not known.
        tissue: uint8 ``(*spatial)``, which of the `BANDS` each pixel's density is in, told in HU before the window cuts
            them off; None where only the image is known.
    """

    name: str
    image: NDArray[np.float32]
    label: int
    patient: str
    mask: NDArray[np.bool_] | None = None
    evidence: NDArray[np.float32] | None = None
    twin: NDArray[np.float32] | None = None
    unmarked: NDArray[np.float32] | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()
    body: NDArray[np.bool_] | None = None
    grid: Grid | None = None
    anatomy: Anatomy | None = None
    tissue: NDArray[np.uint8] | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the image's shape and pixels, or its `origin`: equal for exact duplicates, whatever was put in."""
        if self.origin:
            return self.origin
        digest = hashlib.blake2b(repr(self.image.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.image).tobytes())
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """How many its pixels take in memory, all that it has counted."""
        return sum(pixels.nbytes for pixels in self._pixels().values()) + (
            0 if self.anatomy is None else self.anatomy.labels.nbytes
        )

    def copy(self) -> "Case":
        """The same with pixels of its own, so that what is written into them is written nowhere else."""
        anatomy = None if self.anatomy is None else replace(self.anatomy, labels=self.anatomy.labels.copy())
        own: dict[str, Any] = {name: pixels.copy() for name, pixels in self._pixels().items()}
        return replace(self, **own, anatomy=anatomy)

    def _pixels(self) -> dict[str, NDArray[Any]]:
        held = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: value for name, value in held if isinstance(value, np.ndarray)}


@dataclass(frozen=True)
class CaseEntry:
    """What is known of a case before its pixels are read.

    Attributes:
        name: identifies the case in its study.
        label: index into the study's classes.
        patient: pseudonym, unless asked otherwise.
        source: path of the image: a file, or a folder or archive with DICOM slices.
        mask: paths of the expert's mask; empty where there is none.
        split: side that the manifest gives it.
        slice: which axial slice of a volume, counted from the feet; None for an image of a single slice.
        series: Series Instance UID, where ``source`` holds several.
        scan: the scan that a slice is of.
        position: height of the slice in the scanner, mm; None where it is not known.
        consensus: how many readers of ``mask`` must agree; None takes any.
        anatomy: paths of the label map of its structures; empty where there is none.
    """

    name: str
    label: int
    patient: str
    source: str = ""
    mask: tuple[str, ...] = ()
    split: Split | None = None
    slice: int | None = None
    series: str = ""
    scan: str = ""
    position: float | None = None
    consensus: int | None = None
    anatomy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cases(Sequence[Case]):
    """A lazy sequence: entries are in memory, images are read when a case is asked for.

    Attributes:
        entries: one for each case, in order.
        read: turns an entry into its case; raises `CaseError` naming the file.
        classes: names of the classes, by label.
    """

    entries: tuple[CaseEntry, ...]
    read: Callable[[CaseEntry], Case]
    classes: tuple[str, ...] = CONTRAST_CLASSES
    _seen: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Fingerprints of the cases read so far, by name; shared by selections, so that no file is read for it twice."""
    _held: Mapping[CaseEntry, Case] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Cases that are not read again; shared by selections, and not sent to other processes."""

    @classmethod
    def from_arrays(
        cls,
        images: "Tensor | NDArray[Any] | Sequence[Any]",
        labels: "Tensor | NDArray[Any] | Sequence[int | str]",
        *,
        masks: "Tensor | NDArray[Any] | Sequence[Any] | None" = None,
        patients: "Sequence[str | int] | NDArray[Any] | None" = None,
        names: "Sequence[str] | NDArray[Any] | None" = None,
        classes: Sequence[str] | None = None,
        twins: "Tensor | NDArray[Any] | Sequence[Any] | None" = None,
        anatomy: "Tensor | NDArray[Any] | Sequence[Any] | None" = None,
        anatomy_names: Mapping[str, int] | None = None,
        split: Sequence[Split | None] | None = None,
        keep_patients: bool = False,
    ) -> "Cases":
        """Cases of images in memory, which every worker of a study gets whole.

        Args:
            images: floating ``(N, C, *spatial)``, ready for the network: in [0, 1], which stand for the study's
                ``cases.window``, or in the range that the classifier's `Intensity` declares.
            labels: class of each, ``(N,)``: its index, or its name where ``classes`` are given.
            masks: of the expert, ``(N, *spatial)`` or ``(N, 1, *spatial)``, bool or 0 and 1; where a case has none, all
                false.
            patients: whose image each is. By default every case is a patient of its own: several images of one
                patient would then be on both sides of a split, and intervals too narrow.
            names: of the cases; ``case-0001``, ``case-0002``, ... by default.
            classes: names of the classes, by label; ``class 0``, ``class 1``, ... by default, two at least.
            twins: the same images with another label and all else equal, ``(N, C, *spatial)``; what differs is the
                evidence.
            anatomy: label maps, whole numbers ``(N, *spatial)`` or ``(N, 1, *spatial)``: which structure each pixel is
                of, 0 of none.
            anatomy_names: label of each structure; those without a name are none. By default all there are, called
                ``label 1``, ``label 2``, ...
            split: ``train``, ``test`` or None for each.
            keep_patients: keep ``patients`` as they are written instead of salted pseudonyms.

        Raises:
            CaseError: shapes that do not fit, values that are not finite, a name given twice, a label outside the
                classes; with the case.
            SettingsError: no salt can be kept for pseudonyms.

        Example:
            >>> cases = Cases.from_arrays(np.zeros((2, 1, 8, 8), np.float32), [0, 1])
            >>> cases.names, cases[1].image.shape
            (('case-0001', 'case-0002'), (1, 8, 8))
        """
        from .arrays import cases_of_arrays

        return cases_of_arrays(
            images,
            labels,
            masks=masks,
            patients=patients,
            names=names,
            classes=classes,
            twins=twins,
            anatomy=anatomy,
            anatomy_names=anatomy_names,
            split=split,
            keep_patients=keep_patients,
        )

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        *,
        image: str = "image",
        label: str = "label",
        mask: str | None = None,
        patient: str | None = None,
        name: str | None = None,
        classes: Sequence[str] | None = None,
        split: Sequence[Split | None] | None = None,
        keep_patients: bool = False,
    ) -> "Cases":
        """Cases of a torch or MONAI dataset; every item is read once for its label, and again when it is asked for.

        Args:
            dataset: with ``len(dataset)`` and ``dataset[i]``: a dictionary, or a tuple (image, label[, mask]). Images
                are as for `from_arrays`, ``(C, *spatial)`` and all of one shape; the dataset has no random transforms.
                Of a MONAI `MetaTensor` the case has the grid, where its affine tells the place.
            image: key of the image.
            label: key of the class: its index, or its name where ``classes`` are given.
            mask: key of the expert's mask, ``(*spatial)`` or ``(1, *spatial)``, bool or 0 and 1; None where a case
                has none.
            patient: key of whose image it is; see `from_arrays`.
            name: key of the case's name.
            classes: names of the classes, by label; see `from_arrays`.
            split: ``train``, ``test`` or None for each item.
            keep_patients: keep patients as they are written instead of salted pseudonyms.

        Raises:
            CaseError: an item that cannot be read, lacks a key, holds several images, or does not fit the others; with
                the case.
            SettingsError: no salt can be kept for pseudonyms.
        """
        from .datasets import Keys, cases_of_dataset

        keys = Keys(image, label, mask, patient, name)
        return cases_of_dataset(dataset, keys, classes=classes, split=split, keep_patients=keep_patients)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> "Cases": ...
    def __getitem__(self, index: int | slice) -> "Case | Cases":
        if isinstance(index, slice):
            return self._of(self.entries[index])
        return self._read(self.entries[index])

    def __iter__(self) -> Iterator[Case]:
        return map(self._read, self.entries)

    def _read(self, entry: CaseEntry) -> Case:
        if held := self._held.get(entry):
            return held.copy()
        case = self.read(entry)
        self._seen[entry.name] = case.fingerprint
        return case

    def holding(self, held: Mapping[CaseEntry, Case]) -> "Cases":
        """These cases, some of which are in memory: copies of them are given in place of reading them again."""
        return self._of(self.entries, held)

    def _of(self, entries: tuple[CaseEntry, ...], held: Mapping[CaseEntry, Case] | None = None) -> "Cases":
        found = Cases(entries, self.read, self.classes, self._seen)
        object.__setattr__(found, "_held", self._held if held is None else held)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}}

    def remember(self, name: str, fingerprint: str) -> None:
        """Take a case's fingerprint for known, so that its image is not read for it."""
        self._seen[name] = fingerprint

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> "Cases":
        """The cases at ``indices``, still lazy."""
        return self._of(tuple(self.entries[int(i)] for i in indices))

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each case."""
        return tuple(entry.name for entry in self.entries)

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each case."""
        return tuple(entry.patient for entry in self.entries)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of each case, int64 ``(N,)``."""
        return np.array([entry.label for entry in self.entries], dtype=np.int64)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Hash of each image; reads the images that were not read before."""
        return tuple(self._seen.get(entry.name) or self._read(entry).fingerprint for entry in self.entries)

    def images(self, *, twins: bool = False) -> NDArray[np.float32]:
        """All images as float32 ``(N, C, *spatial)``; for training, which needs them many times.

        Args:
            twins: whether the twins of all follow, in the same order: ``(2 N, C, *spatial)``.

        Raises:
            CaseError: images of several shapes, or a case without a twin.
        """
        images, others = [], []
        for case in self:
            images.append(case.image)
            if twins and case.twin is None:
                raise CaseError(f"case {case.name} has no twin: the recipe's twins = true is for simulated findings")
            if twins and case.twin is not None:
                others.append(case.twin)
        for name, image in zip(self.names * (1 + twins), images + others, strict=True):
            if image.shape != images[0].shape:
                raise CaseError(f"case {name}: image of shape {image.shape}, the first case has {images[0].shape}")
        return np.stack(images + others)
