"""One pass over all cases before anything long starts, so that a bad one is found now and not after an hour."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ..cases import Case, CaseEntry, Cases
from ..cases.masks.usable import is_usable
from ..classifier.intensity import Intensity
from ..errors import CaseError, MapError
from ..progress import Progress, silent


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


def survey(
    cases: Cases,
    progress: Progress = silent,
    *,
    on_error: Literal["stop", "skip"] = "stop",
    intensity: Intensity | None = None,
) -> Survey:
    """Read and check every case once.

    Args:
        cases: to read.
        progress: told how far it is.
        on_error: ``stop`` raises at the first case that cannot be used, ``skip`` leaves it out and says why.
        intensity: which values the classifier takes as black and white; 0 and 1 by default.

    Raises:
        CaseError: a case that cannot be read, is not finite, reaches outside of the classifier's range, or differs in
            shape from its mask or the others; or no case that can be used.
    """
    digest, places = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    structures: dict[str, None] = {}
    masks: list[str] = []
    shape: tuple[int, ...] | None = None
    kept: list[int] = []
    skipped: dict[str, str] = {}
    notes: Counter[str] = Counter()
    twins = 0
    patients: dict[str, int] = {}
    for index, entry in enumerate(cases.entries):
        progress("reading cases", index + 1, len(cases))
        try:
            case = cases[index]
            _check(case, shape or case.image.shape, intensity or Intensity())
        except CaseError as error:
            if on_error == "stop":
                raise
            skipped[entry.name] = without_places(str(error), entry)
            digest.update(f"{entry.name}\x1fskipped".encode())
            continue
        shape = shape or case.image.shape
        kept.append(index)
        notes.update(case.notes)
        # A patient's number, not the pseudonym, which is another one for every user.
        patient = patients.setdefault(case.patient, len(patients))
        mask_bytes = b"none" if case.mask is None else np.packbits(case.mask).tobytes()
        digest.update(f"{case.name}\x1f{patient}\x1f{case.label}\x1f{case.fingerprint}".encode())
        digest.update(hashlib.blake2b(mask_bytes, digest_size=16).digest())
        if case.twin is not None:
            twins += 1
            digest.update(hashlib.blake2b(np.ascontiguousarray(case.twin).tobytes(), digest_size=16).digest())
        masks.append(_mask_state(case))
        _add_places(places, case)
        structures |= dict.fromkeys(() if case.anatomy is None else case.anatomy.present)
    if not kept:
        first = next(iter(skipped.items()), ("", "there are none"))
        raise CaseError(f"none of {len(cases)} cases can be used; case {first[0]}: {first[1]}")
    usable = cases.select(kept) if skipped else cases
    return Survey(
        cases=usable,
        hash=digest.hexdigest(),
        masks=tuple(masks),
        shape=shape or (),
        skipped=skipped,
        notes=dict(notes),
        twins=twins,
        structures=tuple(structures),
        places=places.hexdigest(),
    )


def _add_places(digest: "hashlib.blake2b", case: Case) -> None:
    """What of a case says where structures and tissues lie."""
    digest.update(case.name.encode())
    if case.anatomy is not None:
        digest.update(repr(sorted(case.anatomy.names.items())).encode() + case.anatomy.labels.tobytes())
    if case.tissue is not None:
        digest.update(case.tissue.tobytes())


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


def _check(case: Case, shape: tuple[int, ...], intensity: Intensity) -> None:
    if case.image.shape != shape:
        raise CaseError(f"case {case.name}: image of shape {case.image.shape}, the first case has {shape}")
    if not np.isfinite(case.image).all():
        raise CaseError(f"case {case.name}: {int((~np.isfinite(case.image)).sum())} pixels are not finite")
    try:
        intensity.require(case.image, "its pixels")
    except MapError as error:
        raise CaseError(f"case {case.name}: {error}") from error
    if case.mask is not None and case.mask.shape != shape[1:]:
        raise CaseError(f"case {case.name}: mask of {case.mask.shape} on an image of {shape[1:]}")
    labels = None if case.anatomy is None else case.anatomy.labels
    for what, pixels in (("anatomy", labels), ("tissue", case.tissue)):
        if pixels is not None and pixels.shape != shape[1:]:
            raise CaseError(f"case {case.name}: {what} of {pixels.shape} on an image of {shape[1:]}")
    if case.twin is not None and (case.twin.shape != shape or not np.isfinite(case.twin).all()):
        raise CaseError(f"case {case.name}: twin of {case.twin.shape} on an image of {shape}, or not finite")


def _mask_state(case: Case) -> str:
    if case.mask is None:
        return "none"
    if is_usable(case.mask):
        return "usable"
    return "full" if case.mask.any() else "empty"
