"""Slices to scans: grouped by series, ordered by position along the normal, checked for what scanners get wrong."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import CaseError
from ..geometry import Grid, grid_of_plane
from .headers import Header

SAME_POSITION = 1e-2
"""Slices closer than this (mm) lie at one position."""
EVEN = 0.05
"""Steps that differ by less than this share of the usual step are even: headers are rounded."""
TILTED = 0.5
"""Degrees between the normal and the way slices are stacked from which a gantry counts as tilted."""


@dataclass(frozen=True)
class Series:
    """One pass of the scanner over the patient.

    Attributes:
        uid: Series Instance UID, or the folder where there is none.
        name: short hash of the series: tells scans apart and names nobody.
        patient: as the headers say it.
        headers: slices from the feet to the head; a single one for a multi-frame image.
        notes: what was found and mended or does no harm, in words.
        faults: why the slices form no volume, in words; single slices may still be used.
        patients: how many patients the headers name under its UID; with more than one no slice may be used.
    """

    uid: str
    name: str
    patient: str
    headers: tuple[Header, ...]
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    patients: int = 1

    @property
    def frames(self) -> int:
        """Number of slices."""
        return sum(header.frames for header in self.headers)

    @property
    def places(self) -> tuple[Path, ...]:
        """The files, slice by slice."""
        return tuple(Path(header.place) for header in self.headers)

    @property
    def is_multi_frame(self) -> bool:
        """Whether one file holds all slices, and their places in its own header."""
        return self.headers[0].frames > 1 or not self.headers[0].position

    def grid(self) -> Grid:
        """Where the voxels of the volume lie; of a classic series.

        Raises:
            CaseError: slices that form no volume.
        """
        if self.faults:
            raise CaseError(f"series {self.name}: {'; '.join(self.faults)}")
        return grid_of_headers(self.headers)


def grid_of_headers(headers: Sequence[Header]) -> Grid:
    """The grid of slices that are in order and evenly spaced.

    Raises:
        CaseError: a header without a place, or numbers that span no grid.
    """
    first, last = headers[0], headers[-1]
    missing = [name for name in ("orientation", "position", "spacing") if not getattr(first, name)]
    if missing:
        raise CaseError(f"{first.place}: no {' or '.join(missing)} in the header")
    step = None
    if len(headers) > 1:
        step = (np.array(last.position) - np.array(first.position)) / (len(headers) - 1)
    try:
        return grid_of_plane(
            first.rows, first.columns, first.orientation, first.position, first.spacing, step, len(headers)
        )
    except CaseError as error:
        raise CaseError(f"{first.place}: {error}") from error


def group_series(headers: Iterable[Header]) -> tuple[list[Series], dict[str, int]]:
    """CT images to series; localizers and other objects are left out with a word.

    Returns:
        The series in the order in which they were found, and how many files were left out for which reason.
    """
    left_out: Counter[str] = Counter()
    groups: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    for header in headers:
        if not header.is_ct:
            left_out[f"{header.modality or 'an object of no modality'}, not CT images"] += 1
        elif header.is_localizer:
            left_out["localizers"] += 1
        else:
            uid = header.series or str(Path(header.place).parent)
            alone = header.place if header.frames > 1 else ""
            # A series may hold a scout without the word, or two passes at different angles or sizes.
            directions = tuple(round(number, 2) + 0.0 for number in header.orientation)
            groups[uid, header.rows, header.columns, directions, alone].append(header)
    parts = Counter(key[0] for key in groups)
    patients: dict[object, set[str]] = defaultdict(set)
    for key, members in groups.items():
        patients[key[0]] |= {header.patient for header in members if header.patient}
    made = [
        replace(_series(str(key[0]), members, parts[key[0]]), patients=max(1, len(patients[key[0]])))
        for key, members in groups.items()
    ]
    return [_of_one_patient(series) for series in made], dict(left_out)


def _of_one_patient(series: Series) -> Series:
    if series.patients == 1:
        return series
    return replace(series, faults=(f"{series.patients} patients in one series", *series.faults))


def _series(uid: str, members: list[Header], parts: int) -> Series:
    # Where the series has no UID, its folder stands in, whose name could be guessed; images have UIDs of their own.
    first = min(members, key=lambda header: header.instance)
    text = uid if first.series else first.instance or uid
    if parts > 1:
        text = f"{text}\x1f{members[0].orientation}\x1f{members[0].rows}\x1f{members[0].instance}"
    name = "S" + hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
    notes = [] if parts == 1 else [f"one of {parts} parts of a series that mixes directions or sizes"]
    patient = max(header.patient for header in members)  # some slices of it may not say
    faults: list[str] = []
    if len(members) == 1 and (members[0].frames > 1 or not members[0].position):
        return Series(uid, name, patient, tuple(members), tuple(notes), tuple(faults))
    placed = [header for header in members if header.position and header.orientation and header.spacing]
    if len(placed) < len(members):
        faults.append(f"{len(members) - len(placed)} of {len(members)} slices have no position")
        return Series(uid, name, patient, tuple(members), tuple(notes), tuple(faults))
    ordered, doubled = _in_order(placed)
    notes += doubled
    along, tilt = _along(ordered)
    if tilt > TILTED:
        notes.append(f"gantry tilted by {tilt:.1f} degrees")
    faults += _gaps(along)
    return Series(uid, name, patient, tuple(ordered), tuple(notes), tuple(faults))


def _normal(header: Header) -> NDArray[np.float64]:
    """Across the slice, turned so that it leads up, else to the back, else to the left: feet first."""
    normal: NDArray[np.float64] = np.cross(header.orientation[:3], header.orientation[3:])
    strongest = int(np.argmax(np.abs(normal)))
    return normal if normal[strongest] > 0 else -normal


def _in_order(members: list[Header]) -> tuple[list[Header], list[str]]:
    """By position along the normal; of several slices at one position the first acquisition's stays."""
    normal = _normal(members[0])
    once = list({header.instance or header.place: header for header in members}.values())
    notes = []
    if len(once) < len(members):
        notes.append(f"copies of slices were left out ({len(members) - len(once)})")
    place = {header: float(normal @ header.position) for header in once}
    once.sort(
        key=lambda header: (round(place[header] / SAME_POSITION), header.acquisition, header.number, header.place)
    )
    kept: list[Header] = []
    for header in once:
        if not kept or place[header] - place[kept[-1]] > SAME_POSITION:
            kept.append(header)
    if len(kept) < len(once):
        notes.append(f"slices where another lies were left out ({len(once) - len(kept)}); the first acquisition's stay")
    return kept, notes


def _along(ordered: Sequence[Header]) -> tuple[NDArray[np.float64], float]:
    """Positions along the normal in mm, and the tilt of the stack against it in degrees."""
    positions = np.array([header.position for header in ordered])
    normal = _normal(ordered[0])
    along = positions @ normal
    if len(ordered) < 2:
        return along, 0.0
    way = positions[-1] - positions[0]
    cosine = np.clip(np.abs(way @ normal) / np.linalg.norm(way), 0.0, 1.0)
    return along, float(np.degrees(np.arccos(cosine)))


def _gaps(along: NDArray[np.float64]) -> list[str]:
    """What is wrong with the steps between slices."""
    if len(along) < 3:
        return []
    steps = np.diff(along)
    usual = float(np.median(steps))
    odd = np.abs(steps - usual) > EVEN * usual
    if not odd.any():
        return []
    whole = np.rint(steps[odd] / usual)
    if (whole >= 2).all() and (np.abs(steps[odd] / usual - whole) < EVEN * whole).all():
        where = ", ".join(f"{place:.1f}" for place in along[:-1][odd][:3])
        return [f"{int((whole - 1).sum())} slices are missing, after {where} mm (the step is {usual:.4g} mm)"]
    return [f"slices are {steps.min():.4g} to {steps.max():.4g} mm apart, which is no grid"]
