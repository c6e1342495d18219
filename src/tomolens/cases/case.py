"""A case is one image with its label, mask and patient; `Cases` is a lazy sequence of them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from .grid import Grid

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
            and the image itself shows it.
        twin: float32 ``(C, *spatial)``, the same image with another label and all else equal, or None. Measures by the
            twin need ``evidence`` too, which is |image - twin| where the image shows it.
        unmarked: the image without the marker that was planted in it as a shortcut; None where none was planted.
        origin: fingerprint of the image that it was made of by an implant; empty where it is as it came.
        notes: what is odd about its file and no reason to refuse it, in words; a study's report repeats them.
        body: bool ``(*spatial)``, without the air around the patient, told by HU; None where only the image is known.
        grid: where its pixels lie in the patient and in the scan; None where that is not known.
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

    @property
    def fingerprint(self) -> str:
        """Hash of the image's shape and pixels, or its `origin`: equal for exact duplicates, whatever was put in."""
        if self.origin:
            return self.origin
        digest = hashlib.blake2b(repr(self.image.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.image).tobytes())
        return digest.hexdigest()


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

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> "Cases": ...
    def __getitem__(self, index: int | slice) -> "Case | Cases":
        if isinstance(index, slice):
            return Cases(self.entries[index], self.read, self.classes, self._seen)
        return self._read(self.entries[index])

    def __iter__(self) -> Iterator[Case]:
        return map(self._read, self.entries)

    def _read(self, entry: CaseEntry) -> Case:
        case = self.read(entry)
        self._seen[entry.name] = case.fingerprint
        return case

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> "Cases":
        """The cases at ``indices``, still lazy."""
        return Cases(tuple(self.entries[int(i)] for i in indices), self.read, self.classes, self._seen)

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
