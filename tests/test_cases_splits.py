import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolens.cases import Case, CaseEntry, Cases
from tomolens.cases.splits import check_given_split, folds, hold_out, inseparable_groups
from tomolens.errors import CaseError

people = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 1)), min_size=20, max_size=60)


@given(people, st.integers(2, 4), st.integers(0, 5))
def test_no_patient_and_no_image_is_on_two_sides(rows, count, seed):
    patients, pictures = [f"p{row[0]}" for row in rows], [f"i{row[1]}" for row in rows]
    labels = np.array([row[2] for row in rows])
    groups = inseparable_groups(patients, pictures)
    try:
        fold = folds(labels, groups, count, seed)
    except CaseError:
        return
    for key in (patients, pictures):
        for name in set(key):
            assert len({int(f) for f, other in zip(fold, key, strict=True) if other == name}) == 1
    assert set(fold) <= set(range(count))


def test_folds_are_stratified_and_seeded():
    labels = np.tile([0, 1], 50)
    groups = np.arange(100)
    fold = folds(labels, groups, 5, seed=0)
    for number in range(5):
        assert np.bincount(labels[fold == number]).tolist() == [10, 10]
    assert (fold == folds(labels, groups, 5, seed=0)).all()
    assert (fold != folds(labels, groups, 5, seed=1)).any()


def test_five_uneven_classes_are_spread_over_folds_and_sides():
    groups = np.repeat(np.arange(100), 2)
    labels = np.repeat(np.repeat(np.arange(5), (50, 20, 10, 10, 10)), 2)
    fold = folds(labels, groups, 5, seed=2)
    for number in range(5):
        assert np.bincount(labels[fold == number]).tolist() == [20, 8, 4, 4, 4]
    held_out = hold_out(labels, groups, 0.2, seed=2)
    assert np.bincount(labels[held_out]).tolist() == [20, 8, 4, 4, 4]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
@pytest.mark.parametrize("patients", [10, 37])
def test_the_share_of_the_patients_is_held_out_to_a_patient(share, patients):
    groups = np.repeat(np.arange(patients), 3)
    labels = (groups % 2).astype(np.int64)
    held_out = hold_out(labels, groups, share, seed=0)
    assert len(set(groups[held_out])) == max(2, round(share * patients))
    assert set(labels[held_out]) == {0, 1}
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert abs(held_out[labels == 1].mean() - held_out[labels == 0].mean()) < 1.01 / (patients // 2)
    assert (held_out == hold_out(labels, groups, share, seed=0)).all()
    assert any((held_out != hold_out(labels, groups, share, seed=seed)).any() for seed in range(1, 5))


def test_what_cannot_be_held_out_is_said():
    with pytest.raises(CaseError, match="one separable patient cannot be both"):
        hold_out(np.array([0, 1]), np.array([7, 7]), 0.2, 0)
    with pytest.raises(CaseError, match="class . would have no case to train on with 1 of 2 patients held out"):
        hold_out(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), 0.5, 0)


def test_patients_chained_by_duplicates_are_one_group():
    groups = inseparable_groups(["a", "b", "b", "c", "d"], ["1", "1", "2", "2", "3"])
    assert len(set(groups[:4].tolist())) == 1
    assert groups[4] != groups[0]


def test_too_few_patients():
    with pytest.raises(CaseError, match="2 separable patients cannot fill 3 folds"):
        folds(np.array([0, 1, 0]), np.array([0, 1, 1]), 3, seed=0)


def given_split(*rows):
    pictures = {name: np.full((1, 2, 2), value, np.float32) for name, _, _, value in rows}
    entries = tuple(CaseEntry(name, 0, patient, split=split) for name, patient, split, _ in rows)
    return Cases(entries, lambda entry: Case(entry.name, pictures[entry.name], 0, entry.patient))


def test_a_patient_in_train_and_test_is_refused():
    with pytest.raises(CaseError, match="patient p .case b. is in both train and test"):
        check_given_split(given_split(("a", "p", "train", 0.1), ("b", "p", "test", 0.2)))


def test_a_duplicate_image_in_train_and_test_is_refused():
    with pytest.raises(CaseError, match="cases a and b are the same image"):
        check_given_split(given_split(("a", "p", "train", 0.1), ("b", "q", "test", 0.1)))


def test_images_are_read_once_for_fingerprints():
    reads = []
    cases = given_split(("a", "p", "train", 0.1), ("b", "q", "test", 0.2))
    counted = Cases(cases.entries, lambda entry: reads.append(entry.name) or cases.read(entry))
    assert counted.fingerprints == counted.select([0, 1]).fingerprints
    assert reads == ["a", "b"]
