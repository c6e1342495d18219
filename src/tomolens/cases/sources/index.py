"""An index: the cases that were found, how they got their labels, and all that was left out, with the reason."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ...errors import CaseError
from ..case import CaseEntry, Cases
from ..files import FileReader
from ..manifest import write_manifest
from ..masks import MaskChoice
from ..places import Unusable
from ..preprocessing import Preprocessing
from ..slices import SliceChoice


@dataclass(frozen=True)
class Plane:
    """One axial slice of a scan.

    Attributes:
        place: file, folder or archive that holds it.
        label: index into the classes.
        position: height in the scanner, mm.
        slice: which one of a volume; None for a file of a single slice.
        mask: files of the expert's mask.
    """

    place: str
    label: int
    position: float | None
    slice: int | None = None
    mask: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """One scan, from the feet to the head.

    Attributes:
        name: names nobody.
        patient: pseudonym, unless asked otherwise.
        planes: its axial slices.
        consensus: how many readers of a mask must agree.
        place: file, folder or archive that holds all of it; empty where that is the one of its planes.
        series: Series Instance UID, where the place may hold several.
        fault: why its slices make no volume, in words; empty where they do.
    """

    name: str
    patient: str
    planes: tuple[Plane, ...]
    consensus: int | None = None
    place: str = ""
    series: str = ""
    fault: str = ""

    @property
    def no_volume(self) -> str:
        """Why it is no case of its own as a whole, in words; empty where it is one."""
        if self.fault:
            return self.fault
        if len(self.planes) == 1:
            return "a single slice"
        if len({plane.label for plane in self.planes}) > 1:
            return "slices of several labels"
        return ""

    def volume(self) -> CaseEntry:
        """The case of the whole scan."""
        first = self.planes[0]
        return CaseEntry(
            name=self.name,
            label=first.label,
            patient=self.patient or self.name,
            source=self.place or first.place,
            mask=first.mask,
            series=self.series,
            scan=self.name,
            consensus=self.consensus if first.mask else None,
        )

    def entry(self, index: int) -> CaseEntry:
        """The case of one slice."""
        plane = self.planes[index]
        return CaseEntry(
            name=self.name if len(self.planes) == 1 else f"{self.name}-{index:04d}",
            label=plane.label,
            patient=self.patient or self.name,
            source=plane.place,
            mask=plane.mask,
            slice=plane.slice,
            scan=self.name,
            position=plane.position,
            consensus=self.consensus if plane.mask else None,
        )


@dataclass(frozen=True)
class Index:
    """What was found below a folder.

    Attributes:
        entries: the cases.
        classes: names of the classes, by label.
        rule: where the labels come from, in words.
        values: how often each value that decides a label occurs, and the label it leads to.
        left_out: files that are no cases, by reason.
        unusable: files that could not be read.
        notes: of each scan, what was odd and mended.
        companions: masks that come with the package, by path; a copy is written beside the index.
    """

    entries: tuple[CaseEntry, ...]
    classes: tuple[str, ...]
    rule: str
    values: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    unusable: tuple[Unusable, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    companions: Mapping[str, str] = field(default_factory=dict)

    @property
    def scans(self) -> int:
        """Number of scans."""
        return len({entry.scan or entry.name for entry in self.entries})

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len({entry.patient for entry in self.entries})

    def cases(
        self,
        preprocessing: Preprocessing | None = None,
        masks: MaskChoice | None = None,
        *,
        dimensions: Literal[2, 3] = 2,
    ) -> Cases:
        """The cases, lazy."""
        reader = FileReader(preprocessing or Preprocessing(), masks or MaskChoice(), dimensions)
        return Cases(self.entries, reader, self.classes)

    def summary(self) -> list[str]:
        """What was found, in lines to print."""
        counts = Counter(entry.label for entry in self.entries)
        masked = sum(bool(entry.mask) for entry in self.entries)
        lines = [
            f"{len(self.entries)} cases of {self.scans} scans of {self.patients} patients, {masked} with a mask",
            "labels: " + ", ".join(f"{counts[label]} {name} ({label})" for label, name in enumerate(self.classes)),
            f"rule: {self.rule}",
            *(f"  {count} x {value}" for value, count in self.values.items()),
        ]
        odd = Counter(note for notes in self.notes.values() for note in notes)
        lines += [f"note: {note}" + (f" ({count} scans)" if count > 1 else "") for note, count in odd.most_common(12)]
        lines += [f"left out: {count} {reason}" for reason, count in self.left_out.items()]
        lines += [f"unreadable: {one.path}: {one.reason}" for one in self.unusable[:12]]
        if len(self.unusable) > 12:
            lines.append(f"unreadable: {len(self.unusable) - 12} more, all of them in the .json beside the index")
        return lines

    def write(self, path: Path) -> None:
        """Write the manifest, and beside it ``<name>.index.json`` with the rule, the counts and all that was left out.

        Raises:
            CaseError: no cases, or a file that cannot be written.
        """
        if not self.entries:
            reasons = [f"{count} {reason}" for reason, count in self.left_out.items()]
            reasons += [f"{one.path}: {one.reason}" for one in self.unusable[:1]]
            raise CaseError(f"no cases found: {'; '.join(reasons) or 'no CT images there'}")
        copies = {place: str(path.with_name(Path(place).name)) for place in self.companions}
        entries = [replace(entry, mask=tuple(copies.get(mask, mask) for mask in entry.mask)) for entry in self.entries]
        write_manifest(entries, path)
        about = {
            "classes": self.classes,
            "rule": self.rule,
            "values": self.values,
            "labels": dict(Counter(self.classes[entry.label] for entry in self.entries)),
            "cases": len(self.entries),
            "scans": self.scans,
            "patients": self.patients,
            "notes": self.notes,
            "left_out": self.left_out,
            "unusable": [{"file": str(one.path), "reason": one.reason} for one in self.unusable],
        }
        try:
            path.with_suffix(".index.json").write_text(
                json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            for place, content in self.companions.items():
                Path(copies[place]).write_text(content, encoding="utf-8")
        except OSError as error:
            raise CaseError(f"{error.filename}: cannot be written ({error.strerror})") from error


def left_whole(scans: Sequence[Scan], choice: SliceChoice) -> dict[str, int]:
    """How many scans are no volumes, by reason, where volumes are asked for."""
    reasons = Counter(scan.no_volume for scan in scans if choice.kind == "volume" and scan.no_volume)
    return {f"scans that are no volumes: {reason}": count for reason, count in reasons.items()}


def choose_slices(
    scans: Sequence[Scan], choice: SliceChoice, reader: FileReader, told: Callable[[int, int], None]
) -> tuple[CaseEntry, ...]:
    """The slices of each scan that become cases, or the scans themselves; see `left_whole` for those that cannot.

    Raises:
        CaseError: a mask that cannot be read where it decides.
    """
    if choice.kind == "volume":
        return tuple(scan.volume() for scan in scans if not scan.no_volume)
    chosen: list[CaseEntry] = []
    for done, scan in enumerate(scans, start=1):
        entries = [scan.entry(index) for index in range(len(scan.planes))]

        def area(entry: CaseEntry) -> int:
            mask = reader.mask(entry, reader.image(entry))
            return 0 if mask is None else int(mask.sum())

        chosen += [entries[index] for index in choice.of(entries, area)]
        if choice.kind == "largest-mask":
            told(done, len(scans))
    return tuple(chosen)
