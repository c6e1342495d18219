"""Splits by patient, stratified by label, with exact duplicate images kept on one side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import CaseError
from ..randomness import generator
from .case import Cases


def inseparable_groups(patients: Sequence[str], fingerprints: Sequence[str]) -> NDArray[np.int64]:
    """Number the groups that no split may cut: one patient, and patients who share an exact image.

    Returns:
        int64 ``(N,)``, the group of each case.
    """
    cases = np.arange(len(patients))
    _, patient = np.unique(patients, return_inverse=True)
    _, picture = np.unique(fingerprints, return_inverse=True)
    offset = len(cases)
    rows = np.concatenate([cases, cases])
    columns = np.concatenate([offset + patient, 2 * offset + picture])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(3 * offset, 3 * offset))
    _, component = connected_components(graph, directed=False)
    _, group = np.unique(component[:offset], return_inverse=True)
    return group.astype(np.int64)


def folds(labels: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Deal whole groups into ``count`` folds so that each fold's classes are as even as can be.

    Greedy: groups in seeded random order, largest first, each to the fold where the spread of the
    class counts grows least.

    Returns:
        int64 ``(N,)``, the fold of each case.

    Raises:
        CaseError: with fewer groups than folds, or a class missing outside some fold.
    """
    names = np.unique(groups)
    if len(names) < count:
        raise CaseError(f"{len(names)} separable patients cannot fill {count} folds: ask for at most {len(names)}")
    classes = np.unique(labels)
    table = np.array([[np.sum((groups == g) & (labels == c)) for c in classes] for g in names])
    shuffled = generator(seed, "folds").permutation(len(names))
    order = shuffled[np.argsort(-table[shuffled].max(axis=1), kind="stable")]
    filled = np.zeros((count, len(classes)))
    fold_of_group = np.empty(len(names), dtype=np.int64)
    for group in order:
        spreads = []
        for fold in range(count):
            trial = filled.copy()
            trial[fold] += table[group]
            spreads.append((float((trial / table.sum(axis=0)).std(axis=0).sum()), float(filled[fold].sum())))
        best = min(range(count), key=lambda fold: spreads[fold])
        filled[best] += table[group]
        fold_of_group[group] = best
    if ((table.sum(axis=0) - filled) == 0).any():
        raise CaseError("one class would have no case to train on outside a fold: use fewer folds or more cases")
    return fold_of_group[np.searchsorted(names, groups)]


def check_given_split(cases: Cases) -> None:
    """Refuse a manifest whose own split puts a patient, or an exact duplicate, on both sides.

    Raises:
        CaseError: naming the patient or the two cases.
    """
    side_of_patient: dict[str, str] = {}
    owner_of_image: dict[str, tuple[str, str]] = {}
    for entry, fingerprint in zip(cases.entries, cases.fingerprints, strict=True):
        side = entry.split or "test"
        if side_of_patient.setdefault(entry.patient, side) != side:
            raise CaseError(
                f"patient {entry.patient} (case {entry.name}) is in both train and test: "
                "put all cases of a patient on one side"
            )
        owner, owner_side = owner_of_image.setdefault(fingerprint, (entry.name, side))
        if owner_side != side:
            raise CaseError(
                f"cases {owner} and {entry.name} are the same image, one in train and one in test: put both on one side"
            )
