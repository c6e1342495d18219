"""Which cases a network learns from: shares of the patients, thinned scans, cases that cannot be read."""

from dataclasses import replace

import numpy as np
import pytest

from tomolens.cases import Case, CaseEntry, Cases
from tomolens.errors import CaseError, SettingsError
from tomolens.study.folds import folds_of
from tomolens.study.settings import StudySettings, read_settings
from tomolens.study.survey import survey


def scans(patients=10, slices=8, unreadable=()):
    """Cases of one scan a patient, classes in turn."""
    entries = tuple(
        CaseEntry(f"s{p}-{k}", p % 2, f"patient {p}", source=f"/secret/{p}/{k}.dcm", scan=f"s{p}")
        for p in range(patients)
        for k in range(slices)
    )

    def read(entry):
        if entry.name in unreadable:
            raise CaseError(f"case {entry.name}: {entry.source}: unreadable DICOM (truncated)")
        place, number = entry.source.removeprefix("/secret/").removesuffix(".dcm").split("/")
        image = np.full((1, 4, 4), (int(place) * slices + int(number)) / 1000, np.float32)
        return Case(entry.name, image, entry.label, entry.patient)

    return Cases(entries, read)


def settings(**cases):
    return StudySettings.model_validate({"name": "s", "cases": cases})


def test_a_share_of_the_patients_is_held_out():
    cases = scans()
    (fold,) = folds_of(settings(hold_out=0.2), cases)
    held_out = {cases.patients[index] for index in fold.held_out}
    assert len(held_out) == 2
    assert not held_out & {cases.patients[index] for index in fold.training}
    assert {cases.labels[index] for index in fold.held_out} == {0, 1}
    assert len(fold.training) + len(fold.held_out) == 80


@pytest.mark.parametrize("share", [0.3, 0.4, 0.45])
def test_no_share_is_rounded_to_a_fold(share):
    (fold,) = folds_of(settings(hold_out=share), scans(patients=20))
    assert len({scans(patients=20).patients[index] for index in fold.held_out}) == round(20 * share)


@pytest.mark.parametrize("split", [{"hold_out": 0.2}, {"folds": 2}])
def test_training_scans_are_thinned_and_test_scans_are_not(split):
    cases = scans()
    for fold in folds_of(settings(train_per_scan=2, **split), cases):
        chosen = [cases.names[index] for index in fold.training]
        assert {name.split("-")[1] for name in chosen} == {"2", "6"}
        assert len(chosen) == 2 * len({name.split("-")[0] for name in chosen})
        assert len(fold.held_out) % 8 == 0


def test_a_given_split_is_thinned_too():
    entries = tuple(replace(entry, split="test" if entry.label else "train") for entry in scans().entries)
    (fold,) = folds_of(settings(train_per_scan=1), Cases(entries, scans().read))
    assert len(fold.training) == 5
    assert len(fold.held_out) == 40


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ({"folds": 2, "hold_out": 0.2}, "two ways to split"),
        ({"hold_out": 0.9}, "less than or equal to 0.5"),
        ({"source": "phantom", "hold_out": 0.2}, "simulated studies hold out fresh cases"),
        ({"on_error": "cry"}, "'stop' or 'skip'"),
    ],
)
def test_settings_that_cannot_be(tmp_path, cases, message):
    lines = "\n".join(f"{key} = {value!r}" for key, value in cases.items())
    (tmp_path / "s.toml").write_text(f'name = "s"\n[cases]\n{lines}\n')
    with pytest.raises(SettingsError, match=message):
        read_settings(tmp_path / "s.toml")


def test_cases_that_cannot_be_read_stop_the_study_or_are_left_out_with_their_reason():
    cases = scans(patients=2, slices=3, unreadable=("s0-1",))
    with pytest.raises(CaseError, match=r"case s0-1: /secret/0/1\.dcm: unreadable DICOM"):
        survey(cases)
    found = survey(cases, on_error="skip")
    assert found.cases.names == ("s0-0", "s0-2", "s1-0", "s1-1", "s1-2")
    assert len(found.masks) == 5
    assert found.skipped == {"s0-1": "its image: unreadable DICOM (truncated)"}
    whole = survey(scans(patients=2, slices=3))
    assert found.hash != whole.hash
    assert whole.skipped == {}


def test_a_study_of_nothing_readable_says_why():
    with pytest.raises(CaseError, match=r"none of 3 cases can be used; case s0-0: its image: unreadable DICOM"):
        survey(scans(patients=1, slices=3, unreadable=("s0-0", "s0-1", "s0-2")), on_error="skip")


def test_the_papers_study_file_is_right(pytestconfig):
    paper = read_settings(pytestconfig.rootpath / "studies" / "paper.toml")
    assert (paper.cases.size, paper.cases.train_per_scan, paper.cases.hold_out) == (224, 2, 0.2)
    assert len(paper.estimators.names) == 8
    assert set(paper.metrics.names) >= {"fidelity", "roc", "overlap"}
