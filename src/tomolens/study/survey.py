"""One pass over all cases before anything long starts, so that a bad one is found now and not after an hour."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..cases import Case, CaseEntry, Cases
from ..cases.stamp import Stamps
from ..classifier.intensity import Intensity
from ..errors import CaseError
from ..progress import Progress, silent
from .look import Looked, looks


@dataclass(frozen=True)
class Survey:
    """What the pass found.

    Attributes:
        cases: those that can be used.
        hash: of every case's name, patient, label, image, mask and twin, and of the cases that were left out.
        shape: of every image, ``(C, *spatial)``.
        masks: for each case ``usable``, ``empty``, ``full`` or ``none``.
        skipped: cases that cannot be used, with the reason.
        notes: what is odd about files that are used, and in how many cases.
        twins: how many cases have one.
        structures: names of those that any case has, as the cases name them.
        places: hash of every case's structures and tissues.
        known: what was found of each case that can be known again, by its stamp.
    """

    cases: Cases
    hash: str
    masks: tuple[str, ...]
    shape: tuple[int, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    twins: int = 0
    structures: tuple[str, ...] = ()
    places: str = ""
    known: dict[str, Looked] = field(default_factory=dict, repr=False)


def survey(
    cases: Cases,
    progress: Progress = silent,
    *,
    on_error: Literal["stop", "skip"] = "stop",
    intensity: Intensity | None = None,
    known: Mapping[str, Looked] | None = None,
    workers: int = 1,
    hold: bool = False,
) -> Survey:
    """Read and check every case once; those that are known by their stamps are not read again.

    Args:
        cases: to read.
        progress: told how far it is.
        on_error: ``stop`` raises at the first case that cannot be used, ``skip`` leaves it out and says why.
        intensity: which values the classifier takes as black and white; 0 and 1 by default.
        known: what an earlier pass found of cases, by their stamps.
        workers: processes that read, where there are many cases.
        hold: whether the cases that are found hold in memory what was read, if it is little; the given ones do not.

    Raises:
        CaseError: a case that cannot be read, is not finite, reaches outside of the classifier's range, or differs in
            shape from its mask or the others; or no case that can be used.
    """
    digest, places = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    intensity = intensity or Intensity()
    stamps, known = _stamps(cases, intensity), known or {}
    found: list[Looked] = []
    kept: list[int] = []
    held: dict[CaseEntry, Case] = {}
    skipped: dict[str, str] = {}
    patients: dict[str, int] = {}
    unknown = [index for index, stamp in enumerate(stamps) if stamp not in known]
    looked = looks(cases, unknown, intensity, workers, hold)
    for index, (entry, stamp) in enumerate(zip(cases.entries, stamps, strict=True)):
        one: Looked | CaseError
        one, case = next(looked) if stamp is None or stamp not in known else (known[stamp], None)
        if case is not None:
            held[entry] = case
        if isinstance(one, Looked) and found and one.shape != found[0].shape:
            one = CaseError(f"case {entry.name}: image of shape {one.shape}, the first case has {found[0].shape}")
        progress("reading cases", index + 1, len(cases))
        if isinstance(one, CaseError):
            if on_error == "stop":
                raise one
            skipped[entry.name] = without_places(str(one), entry)
            digest.update(f"{entry.name}\x1fskipped".encode())
            continue
        cases.remember(entry.name, one.fingerprint)
        found.append(one)
        kept.append(index)
        # A patient's number, not the pseudonym, which is another one for every user.
        patient = patients.setdefault(entry.patient, len(patients))
        digest.update(f"{entry.name}\x1f{patient}\x1f{entry.label}\x1f{one.fingerprint}".encode())
        digest.update(bytes.fromhex(one.mask_hash) + bytes.fromhex(one.twin_hash))
        places.update(f"{entry.name}\x1f{one.places}".encode())
    if not kept:
        first = next(iter(skipped.items()), ("", "there are none"))
        raise CaseError(f"none of {len(cases)} cases can be used; case {first[0]}: {first[1]}")
    usable = cases.select(kept) if skipped else cases
    return Survey(
        cases=usable.holding(held) if held else usable,
        hash=digest.hexdigest(),
        masks=tuple(one.mask for one in found),
        shape=found[0].shape,
        skipped=skipped,
        notes=dict(Counter(note for one in found for note in one.notes)),
        twins=sum(bool(one.twin_hash) for one in found),
        structures=tuple(dict.fromkeys(name for one in found for name in one.structures)),
        places=places.hexdigest(),
        known={stamp: one for index, one in zip(kept, found, strict=True) if (stamp := stamps[index]) is not None},
    )


def _stamps(cases: Cases, intensity: Intensity) -> list[str | None]:
    """Of each case, for a classifier that takes these values; None where only reading it tells what it is."""
    known_by = Stamps(cases)
    stamps = [known_by.of(entry) for entry in cases.entries]
    return [None if stamp is None else f"{stamp} {intensity.black!r} {intensity.white!r}" for stamp in stamps]


def without_places(message: str, entry: CaseEntry) -> str:
    """Why a case cannot be used, without its name and without paths, which may name patients."""
    message = message.removeprefix(f"case {entry.name}: ")
    called = dict.fromkeys(entry.anatomy, "its anatomy") | dict.fromkeys(entry.mask, "its mask")
    places = sorted(filter(None, {entry.source: "its image"} | called), key=len, reverse=True)
    for place in places:
        message = message.replace(place, called.get(place, "its image"))
    # Slices of a folder, structures of a mask, voxels in a file beside their header: all lie below or beside these.
    for place in ("its image", "its mask", "its anatomy", *(str(Path(place).parent) for place in places)):
        message = re.sub(
            re.escape(place) + r"[/\\][^:;,'()]*", place if place.startswith("its ") else "a file", message
        )
    return message
