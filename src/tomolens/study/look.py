"""A look at cases, in this process or in some: whether each can be used, and by what it is known."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from loky import ProcessPoolExecutor

from ..cases import Case, Cases
from ..cases.anatomy import Anatomy
from ..cases.masks.usable import is_usable
from ..classifier.intensity import Intensity
from ..errors import CaseError, MapError
from .processes import ONE_THREAD, UNSENDABLE, leave_stopping_to_the_driver
from .sending import folder_to_send

AT_A_TIME = 16
"""Cases that a process is given."""
IDLE = 20
"""Seconds after which a process that is asked for nothing ends, as when the driver was killed."""
HELD = 2**30
"""Bytes of cases that are held in memory for training and references, instead of being read for each of them again."""
FEWEST = 128
"""Cases from which on other processes are started for them: for fewer, starting takes longer than it saves."""


@dataclass(frozen=True)
class Looked:
    """What a look at a case finds.

    Attributes:
        fingerprint: of the image, see `Case.fingerprint`.
        shape: of the image, ``(C, *spatial)``.
        mask: ``usable``, ``empty``, ``full`` or ``none``.
        mask_hash: of the mask's pixels.
        twin_hash: of the twin's; empty where there is none.
        places: of the structures and tissues.
        structures: names of those that it has.
        notes: what is odd about its files.
    """

    fingerprint: str
    shape: tuple[int, ...]
    mask: str
    mask_hash: str
    twin_hash: str
    places: str
    structures: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Looked":
        """As it was stored.

        Raises:
            TypeError, ValueError: something else.
        """
        several = {name: tuple(raw[name]) for name in ("shape", "structures", "notes") if name in raw}
        found = cls(**{**raw, **several})
        bytes.fromhex(found.mask_hash + found.twin_hash)
        if not all(isinstance(one, str) for one in (found.fingerprint, found.mask, found.places, *found.notes)):
            raise TypeError("words that are none")
        return found


def look(case: Case, intensity: Intensity) -> Looked:
    """Check a case.

    Raises:
        CaseError: it is not finite, reaches outside of the classifier's range, or differs in shape from its mask,
            structures, tissues or twin.
    """
    _check(case, intensity)
    mask = b"none" if case.mask is None else np.packbits(case.mask).tobytes()
    twin = "" if case.twin is None else _hash(np.ascontiguousarray(case.twin).tobytes())
    structures = () if case.anatomy is None else tuple(case.anatomy.present)
    kind = _mask_state(case)
    return Looked(
        case.fingerprint, case.image.shape, kind, _hash(mask), twin, _places(case), structures, tuple(case.notes)
    )


Read = tuple[Looked | CaseError, Case | None]
"""What a look found, or why a case cannot be used; and the case itself where it is to be held."""


def looks(
    cases: Cases, indices: Sequence[int], intensity: Intensity, workers: int, hold: bool = False
) -> Iterator[Read]:
    """A look at each of some cases in their order.

    Args:
        cases: to look at.
        indices: of them.
        intensity: which values the classifier takes as black and white.
        workers: processes that read, where there are many.
        hold: whether the cases come with their looks, if all of them fit in `HELD` bytes.

    Raises:
        CaseError: a process that read died.
    """
    room = HELD // max(1, len(indices)) if hold and not getattr(cases.read, "in_memory", False) else 0
    yield from _read(cases, indices, intensity, workers, room)


def _read(cases: Cases, indices: Sequence[int], intensity: Intensity, workers: int, room: int) -> Iterator[Read]:
    if workers > 1 and len(indices) >= FEWEST:
        try:
            content = cloudpickle.dumps((cases, intensity))
        except UNSENDABLE:
            pass  # of open files, say: they are read here
        else:
            yield from _in_processes(content, indices, workers, room)
            return
    for index in indices:
        yield _looked(cases, index, intensity, room)


def _looked(cases: Cases, index: int, intensity: Intensity, room: int) -> Read:
    """A look at a case, and a copy of it where that takes no more than ``room`` bytes."""
    try:
        case = cases[index]
        ours = type(case) is Case and isinstance(case.anatomy, Anatomy | None)  # nothing is known of others
        return look(case, intensity), case.copy() if ours and case.nbytes <= room else None
    except CaseError as error:
        return error, None


def _in_processes(content: bytes, indices: Sequence[int], workers: int, room: int) -> Iterator[Read]:
    parts = [indices[start : start + AT_A_TIME] for start in range(0, len(indices), AT_A_TIME)]
    with folder_to_send() as folder:
        file = folder / "cases.pickle"
        file.write_bytes(content)
        pool = ProcessPoolExecutor(workers, initializer=leave_stopping_to_the_driver, env=ONE_THREAD, timeout=IDLE)
        try:
            for asked in [pool.submit(_look_in_worker, str(file), part, room) for part in parts]:
                yield from asked.result()
        except BrokenProcessPool as error:
            raise CaseError("a process that reads cases died, of a damaged file or for want of memory") from error
        finally:
            pool.shutdown(kill_workers=True)


@cache
def _sent(file: str) -> tuple[Cases, Intensity]:
    found: tuple[Cases, Intensity] = cloudpickle.loads(Path(file).read_bytes())
    return found


def _look_in_worker(file: str, indices: Sequence[int], room: int) -> list[Read]:
    cases, intensity = _sent(file)
    return [_looked(cases, index, intensity, room) for index in indices]


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _places(case: Case) -> str:
    """Of where structures and tissues lie."""
    digest = hashlib.blake2b(digest_size=16)
    if case.anatomy is not None:
        digest.update(repr(sorted(case.anatomy.names.items())).encode() + case.anatomy.labels.tobytes())
    if case.tissue is not None:
        digest.update(case.tissue.tobytes())
    return digest.hexdigest()


def _check(case: Case, intensity: Intensity) -> None:
    shape = case.image.shape
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
