"""Reads a case in two versions: the original, and the one with the implant."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import CaseError
from ...randomness import generator
from ..case import Case, CaseEntry
from ..files import LEAST_CONTRAST, FileReader
from ..phantom.drawing import Coverage
from ..phantom.findings import mostly_covered, window_of
from ..preprocessing import Preprocessing, Spacing
from ..windows import in_words
from .alteration import Alteration, Diameters
from .registry import IMPLANTS, Implant


@dataclass(frozen=True)
class ImplantReader:
    """Reads the files of an entry and shows one version of its slice or volume; the other one is its twin.

    Both are made in HU on the scanner's grid, and go through the same window and size.

    Attributes:
        files: reads them.
        implant: what is put in, or taken out.
        seed: of place, size and density, with the case's name.
        shown: names of the cases that show the altered version.
        diameters: between which the finding's is drawn, mm; None for its own.
    """

    files: FileReader
    implant: Implant
    seed: int
    shown: frozenset[str]
    diameters: Diameters | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """From Hounsfield units to what the network sees, of both versions."""
        return self.files.preprocessing

    def read_as(self, entry: CaseEntry) -> tuple[str, tuple[str, ...]]:
        """By what settings an entry is read and altered, and from which files."""
        how, files = self.files.read_as(entry)
        return f"{how} {self.implant} {self.seed} {self.diameters} {entry.name in self.shown}", files

    def __call__(self, entry: CaseEntry) -> Case:
        """Read, alter, window and resize.

        Raises:
            CaseError: a file that cannot be read, or a slice that cannot take the implant; naming the case.
        """
        kind, is_altered = IMPLANTS[self.implant], entry.name in self.shown
        original = self.files.upright(entry)
        label = 1 - entry.label if kind.both_ways and is_altered else entry.label
        try:
            alter = kind.alter if original.hu.ndim == 2 or kind.alter_volume is None else kind.alter_volume
            random = generator(self.seed, "implant", self.implant, entry.name)
            alteration = alter(original, label, random, self.diameters)
        except CaseError as error:
            raise CaseError(f"case {entry.name}: {entry.source}: {error}") from error
        # Of the finding alone, where that is what a map must find: nothing else of the manifest's masks is used.
        original = original if kind.both_ways else replace(original, mask=None)
        altered = replace(original, hu=alteration.hu)
        image, twin = (altered, original) if is_altered else (original, altered)
        framed = self.files.framed(entry, original)  # what is put in moves no box
        case = self.files.case(entry, image, framed)
        other = framed.image(twin.hu, twin.spacing)
        evidence = np.abs(case.image - other).max(axis=0)
        if float(evidence.max()) < LEAST_CONTRAST:
            raise CaseError(f"case {entry.name}: {entry.source}: {self._unseen(alteration, original.spacing, framed)}")
        # Two files of one slice get different implants, and must not part in a split for all that.
        origin = replace(case, image=other).fingerprint if is_altered else case.fingerprint
        case = replace(case, origin=origin)
        if kind.both_ways:
            return replace(case, twin=other, evidence=evidence)
        # Nothing tells where a finding would be that is not there.
        if not is_altered:
            return replace(case, twin=other, evidence=None, mask=None)
        mask = finding_mask(alteration.coverage, framed, original.spacing)
        notes = (*case.notes, *self._cut(alteration, original.spacing, framed))
        return replace(case, twin=other, evidence=evidence, mask=mask, notes=notes)

    def _cut(self, alteration: Alteration, spacing: Spacing, seen: Preprocessing) -> tuple[str, ...]:
        return seen.cut(mostly_covered(alteration.coverage), spacing, self.implant)

    def _unseen(self, alteration: Alteration, spacing: Spacing, seen: Preprocessing) -> str:
        """Why an implant does not show."""
        for reason in self._cut(alteration, spacing, seen):
            return reason
        shows = in_words(window_of(self.implant))
        windows = f"window{'s' if len(seen.windows) > 1 else ''} {in_words(seen.windows)}"
        return (
            f"the {self.implant} does not show in {seen.pixels_in_words(len(spacing))} and the {windows}; in more "
            f"pixels, or in {shows}, it may"
        )


def finding_mask(coverage: Coverage, preprocessing: Preprocessing, spacing: Spacing | None = None) -> NDArray[np.bool_]:
    """Pixels of the image that a finding covers by more than half, or the one that it covers most."""
    return mostly_covered(np.asarray(preprocessing.resample(coverage, spacing), dtype=np.float32))
