"""Which cases a network learns from and which it is held out from, for each fold of a study."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cases import Cases
from ..cases.splits import check_given_split, folds, inseparable_groups
from ..errors import CaseError
from .settings import StudySettings


@dataclass(frozen=True)
class Side:
    """One fold: indices of the cases to train on and of those held out."""

    fold: int
    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def sides_of(settings: StudySettings, cases: Cases, *, everything_held_out: bool = False) -> list[Side]:
    """The folds of a study; no patient and no exact image is on both sides of one.

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
        return [Side(0, np.flatnonzero(training), np.flatnonzero(~training))]
    if everything_held_out:
        return [Side(0, np.arange(0), np.arange(len(cases)))]
    if settings.cases.folds is None:
        raise CaseError(
            "nothing says which cases to train on: give the manifest a split column or the study cases.folds"
        )
    groups = inseparable_groups(cases.patients, cases.fingerprints)
    fold = folds(cases.labels, groups, settings.cases.folds, settings.seed)
    return [
        Side(number, np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in range(settings.cases.folds)
    ]
