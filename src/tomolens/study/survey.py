"""One pass over all cases before anything long starts, so that a bad one is found now and not after an hour."""

import hashlib
from dataclasses import dataclass

import numpy as np

from ..cases import Case, Cases
from ..errors import CaseError
from ..metrics.roc import is_usable
from .progress import Progress, silent


@dataclass(frozen=True)
class Survey:
    """What the pass found.

    Attributes:
        hash: of every case's name, patient, label, image and mask.
        masks: for each case ``usable``, ``empty``, ``full`` or ``none``.
    """

    hash: str
    masks: tuple[str, ...]


def survey(cases: Cases, progress: Progress = silent) -> Survey:
    """Read and check every case once.

    Raises:
        CaseError: a case that cannot be read, is not finite, or differs in shape from its mask or the others.
    """
    digest = hashlib.blake2b(digest_size=16)
    masks: list[str] = []
    shape: tuple[int, ...] | None = None
    for done, case in enumerate(cases, start=1):
        shape = shape or case.image.shape
        _check(case, shape)
        mask_bytes = b"none" if case.mask is None else np.packbits(case.mask).tobytes()
        digest.update(f"{case.name}\x1f{case.patient}\x1f{case.label}\x1f{case.fingerprint}".encode())
        digest.update(hashlib.blake2b(mask_bytes, digest_size=16).digest())
        masks.append(_mask_state(case))
        progress("reading cases", done, len(cases))
    return Survey(digest.hexdigest(), tuple(masks))


def _check(case: Case, shape: tuple[int, ...]) -> None:
    if case.image.shape != shape:
        raise CaseError(f"case {case.name}: image of shape {case.image.shape}, the first case has {shape}")
    if not np.isfinite(case.image).all():
        raise CaseError(f"case {case.name}: {int((~np.isfinite(case.image)).sum())} pixels are not finite")
    if case.mask is not None and case.mask.shape != shape[1:]:
        raise CaseError(f"case {case.name}: mask of {case.mask.shape} on an image of {shape[1:]}")


def _mask_state(case: Case) -> str:
    if case.mask is None:
        return "none"
    if is_usable(case.mask):
        return "usable"
    return "full" if case.mask.any() else "empty"
