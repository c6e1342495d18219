"""Which cases a network learns from and which it is held out from, for each fold of a study."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cases import Cases
from ..cases.slices import evenly
from ..cases.splits import check_given_split, hold_out, inseparable_groups
from ..cases.splits import folds as folds_by_patient
from ..errors import CaseError
from .settings import StudySettings


@dataclass(frozen=True)
class Fold:
    """One fold: its number from 0, indices of the cases to train on and of those held out."""

    number: int
    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def folds_of(settings: StudySettings, cases: Cases, *, everything_held_out: bool = False) -> list[Fold]:
    """The folds of a study; no patient and no exact image is both trained on and held out.

    With a network given (``everything_held_out``) the manifest's own split still says which cases may serve
    as references, and all others are held out.

    Raises:
        CaseError: a patient or image on both sides of a given split, too few patients, or a manifest that
            says nothing of how to split.
    """
    given = [entry.split for entry in cases.entries]
    if any(given):
        check_given_split(cases)
        training = np.array([split == "train" for split in given])
        if not training.any() and not everything_held_out:
            raise CaseError("the manifest's split column names no case to train on")
        if training.all():
            raise CaseError("the manifest's split column leaves no case to test on")
        return [Fold(0, _thinned(settings, cases, np.flatnonzero(training)), np.flatnonzero(~training))]
    if everything_held_out:
        return [Fold(0, np.arange(0), np.arange(len(cases)))]
    count, share = settings.cases.folds, settings.cases.hold_out
    if count is None and share is None:
        raise CaseError(
            "nothing says which cases to train on: give the manifest a split column or the study cases.folds "
            "or cases.hold_out"
        )
    groups = inseparable_groups(cases.patients, cases.fingerprints)
    if share is not None:
        of_case = np.where(hold_out(cases.labels, groups, share, settings.seed), 0, 1)
    else:
        of_case = folds_by_patient(cases.labels, groups, count or 1, settings.seed)
    return [
        Fold(number, _thinned(settings, cases, np.flatnonzero(of_case != number)), np.flatnonzero(of_case == number))
        for number in range(count or 1)
    ]


def _thinned(settings: StudySettings, cases: Cases, training: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most ``train_per_scan`` training slices of each scan, evenly spaced."""
    if settings.cases.train_per_scan is None:
        return training
    scans: dict[str, list[int]] = {}
    for index in training:
        scans.setdefault(cases.entries[index].scan or cases.entries[index].name, []).append(int(index))
    wanted = settings.cases.train_per_scan
    kept = [members[place] for members in scans.values() for place in evenly(len(members), wanted)]
    return np.array(sorted(kept), dtype=np.intp)
