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
    names, table = _cases_by_group(labels, groups)
    if len(names) < count:
        raise CaseError(f"{len(names)} separable patients cannot fill {count} folds: ask for at most {len(names)}")
    classes = np.unique(labels)
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


def hold_out(labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose a share of the groups, to a group, whose classes are as near to that share of each class as can be.

    At least as many as there are classes, so that each class may be held out. Greedy: one group after the other, in
    seeded random order where they serve alike.

    Args:
        labels: class of each case, ``(N,)``.
        groups: see `inseparable_groups`.
        share: of the groups, between 0 and 1; one is left at least.
        seed: of the order.

    Returns:
        bool ``(N,)``, whether a case is held out.

    Raises:
        CaseError: with fewer than two groups, or a class of which nothing is left to train on.
    """
    names, table = _cases_by_group(labels, groups)
    if len(names) < 2:
        raise CaseError("one separable patient cannot be both trained on and held out: more patients are needed")
    wanted = min(max(table.shape[1], round(share * len(names))), len(names) - 1)
    shuffled = generator(seed, "hold out").permutation(len(names))
    shares = table[shuffled] / table.sum(axis=0)
    chosen, filled = np.zeros(len(names), dtype=bool), np.zeros(table.shape[1])
    for count in range(1, wanted + 1):
        distance = np.abs(filled + shares - share * count / wanted).sum(axis=1)
        # A class of which nothing is held out yet comes first when as many picks are left.
        lacking = filled == 0
        if wanted - count < int(lacking.sum()):
            distance[~(shares[:, lacking] > 0).any(axis=1)] += 10.0
        distance[chosen] = np.inf
        best = int(distance.argmin())
        chosen[best] = True
        filled += shares[best]
    missing = [
        int(label) for label, left in zip(np.unique(labels), shares[~chosen].sum(axis=0), strict=True) if not left
    ]
    if missing:
        raise CaseError(
            f"class {missing[0]} would have no case to train on with {wanted} of {len(names)} patients held out: "
            "hold out less, or add cases"
        )
    held_out = np.zeros(len(names), dtype=bool)
    held_out[shuffled] = chosen
    return held_out[np.searchsorted(names, groups)]


def _cases_by_group(
    labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The groups in order, and how many cases of each class each has, ``(G, L)``."""
    names, group = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    counts = np.bincount(group * len(classes) + label, minlength=len(names) * len(classes))
    return names, counts.reshape(len(names), len(classes))


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
