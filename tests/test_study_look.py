"""A look at all cases: what is known is not read again, and it is the same whoever reads."""

import json
import os
import pickle
import signal
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from quick_study import SETTINGS, no_figures, quick_cases, quick_study
from tomolens.api import Study, verify_study
from tomolens.cases import Case, CaseEntry, Cases, phantom
from tomolens.errors import CaseError, SettingsError
from tomolens.report import write
from tomolens.study import look
from tomolens.study.look import Looked
from tomolens.study.settings import StudySettings
from tomolens.study.survey import survey


@dataclass(frozen=True)
class Counting:
    """Reads arrays that a number draws, and writes down which."""

    shapes: dict = field(default_factory=dict)
    broken: tuple = ()
    asked: list = field(default_factory=list, repr=False, compare=False)

    def read_as(self, entry):
        return f"{self.shapes} {self.broken}", ()

    def __call__(self, entry):
        self.asked.append(entry.name)
        if entry.name in self.broken:
            raise CaseError(f"case {entry.name}: broken")
        number = int(entry.name[1:])
        random = np.random.default_rng(number)
        shape = self.shapes.get(entry.name, (8, 8))
        image, mask = random.random((1, *shape), dtype=np.float32), random.random(shape) < 0.5
        twin = image * 0.5 if number % 3 == 0 else None
        notes = ("odd",) if number % 2 else ()
        seen = mask if number % 4 else None
        return Case(
            entry.name, image=image, label=entry.label, mask=seen, patient=entry.patient, notes=notes, twin=twin
        )


def some(count=6, **options):
    entries = (CaseEntry(f"c{number}", number % 2, f"p{number // 2}") for number in range(count))
    return Cases(tuple(entries), Counting(**options))


def facts(found):
    return replace(found, cases=None)


def test_what_is_known_is_not_read_again():
    cases = some()
    first = survey(cases)
    assert cases.read.asked == list(cases.names)
    assert len(first.known) == 6
    stored = json.loads(json.dumps({stamp: one.as_json() for stamp, one in first.known.items()}))
    known = {stamp: Looked.from_json(one) for stamp, one in stored.items()}
    again = some()
    second = survey(again, known=known)
    assert again.read.asked == []
    assert facts(second) == facts(first)
    assert again.fingerprints == cases.fingerprints
    assert again.read.asked == []
    more = some(8)
    whole = survey(more, known=known)
    assert more.read.asked == ["c6", "c7"]
    assert facts(whole) == facts(survey(some(8)))
    assert whole.twins == 3
    assert whole.notes == {"odd": 4}
    assert whole.masks == ("none", "usable", "usable", "usable", "none", "usable", "usable", "usable")


def test_what_was_broken_is_read_again_and_shapes_are_compared_all_the_same():
    known = survey(some(broken=("c1",)), on_error="skip").known
    assert len(known) == 5
    cases = some(broken=("c1",))
    found = survey(cases, on_error="skip", known=known)
    assert cases.read.asked == ["c1"]
    assert found.skipped == {"c1": "broken"}
    odd = some(shapes={"c3": (4, 8)})
    with pytest.raises(CaseError, match=r"case c3: image of shape \(1, 4, 8\), the first case has \(1, 8, 8\)"):
        survey(odd)
    skipped = survey(some(shapes={"c3": (4, 8)}), on_error="skip")
    assert list(skipped.skipped) == ["c3"]
    assert facts(survey(some(shapes={"c3": (4, 8)}), on_error="skip", known=skipped.known)) == facts(skipped)


def test_what_is_no_look_is_refused():
    (first, *_) = survey(some()).known.values()
    raw = json.loads(json.dumps(first.as_json()))
    assert Looked.from_json(raw) == first
    for changed in ({"mask_hash": "zz"}, {"mask_hash": 5}, {"notes": [3]}, {"places": None}, {"shape": 4}, {"more": 1}):
        with pytest.raises((TypeError, ValueError)):
            Looked.from_json(raw | changed)


def test_processes_find_the_same(monkeypatch):
    monkeypatch.setattr(look, "FEWEST", 4)
    monkeypatch.setattr(look, "AT_A_TIME", 3)
    here, there = survey(some(10)), some(10)
    told = []
    found = survey(there, lambda *said: told.append(said[:3]), workers=2)
    assert facts(found) == facts(here)
    assert there.read.asked == []  # not here
    assert told == [("reading cases", number, 10) for number in range(1, 11)]
    drawn = phantom.cases(5, seed=2)
    assert facts(survey(drawn, workers=2)) == facts(survey(phantom.cases(5, seed=2)))
    broken = {"broken": ("c2", "c7")}
    assert facts(survey(some(10, **broken), on_error="skip", workers=2)) == facts(
        survey(some(10, **broken), on_error="skip")
    )
    with pytest.raises(CaseError, match="case c2: broken"):
        survey(some(10, **broken), workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_read_is_held_and_not_read_again(monkeypatch, workers):
    monkeypatch.setattr(look, "FEWEST", 4)
    given = some(10)
    cases = survey(given, workers=workers, hold=True).cases
    asked = list(cases.read.asked)
    assert asked == ([] if workers > 1 else list(cases.names))
    for found in (cases, cases.select(range(10)), cases[:]):
        for one, fresh in zip(found, some(10), strict=True):
            assert (one.name, one.notes, one.fingerprint) == (fresh.name, fresh.notes, fresh.fingerprint)
            for name in ("image", "mask", "twin"):
                np.testing.assert_array_equal(getattr(one, name), getattr(fresh, name))
            one.image[:] = -1.0  # is written nowhere else
    assert cases.read.asked == asked
    sent = pickle.loads(pickle.dumps(cases))
    assert sent.fingerprints == cases.fingerprints
    assert sent[3].fingerprint == cases[3].fingerprint
    assert sent.read.asked[-1] == "c3"  # what is sent to a process does not hold them
    assert given[3].name == "c3"
    assert given.read.asked[-1] == "c3"  # and what was given is read as ever: its files may change
    broken = replace(cases, read=some(10, shapes={"c3": (4, 4)}).read)
    assert broken[3].image.shape == (1, 4, 4)


def test_cases_of_one_name_are_not_one_case():
    entries = tuple(CaseEntry("c1", 0, "p", source=f"{number}") for number in range(3))
    images = {entry: np.full((1, 4, 4), int(entry.source) / 4, np.float32) for entry in entries}
    cases = survey(Cases(entries, lambda one: Case(one.name, images[one], 0, "p")), hold=True).cases
    assert [float(case.image.max()) for case in cases] == [0.0, 0.25, 0.5]


def test_only_what_has_room_is_held(monkeypatch):
    size = 3 * 8 * 8 * 4  # nothing that `some` draws takes more
    for room, held in ((6 * size, True), (6 * (8 * 8 * 4 - 1), False)):
        monkeypatch.setattr(look, "HELD", room)
        cases = survey(some(6), hold=True).cases
        assert cases[0].name == "c0"
        assert (len(cases.read.asked) == 6) == held
    arrays = Cases.from_arrays(np.random.default_rng(0).random((4, 1, 8, 8), np.float32), [0, 1, 0, 1])
    assert not survey(arrays, hold=True).cases._held
    assert phantom.cases(1)[0].nbytes > phantom.cases(1)[0].image.nbytes


def test_a_slice_of_something_large_does_not_hold_all_of_it():
    whole = np.zeros((64, 1, 8, 8), np.float32)
    cases = Cases(some(6).entries, lambda one: Case(one.name, whole[int(one.name[1:])], one.label, one.patient))
    held = survey(cases, hold=True).cases._held
    assert len(held) == 6
    assert all(case.image.base is None for case in held.values())


def test_cases_of_ones_own_kind_are_read_again():
    class Mine(Case):
        def __init__(self, name):
            super().__init__(name, np.zeros((1, 4, 4), np.float32), 0, "p")

    cases = survey(Cases(some(6).entries, lambda entry: Mine(entry.name)), hold=True).cases
    assert not cases._held
    assert cases[1].name == "c1"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_reads_a_case_that_it_learns_from_once(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(write, "_figures", no_figures)
    drawn = quick_cases(12)
    entries = tuple(
        replace(entry, split="train" if number < 8 else "test") for number, entry in enumerate(drawn.entries)
    )
    asked = []

    def read(entry):
        asked.append(entry.name)
        return drawn.read(entry)

    settings = StudySettings.model_validate({**SETTINGS, "estimators": {"names": ["expected-gradients", "random"]}})
    Study(settings, cases=Cases(entries, read), classifier=quick_study().classifier).run(
        tmp_path / "r", workers=workers
    )
    learned = [entry.name for entry in entries if entry.split == "train"]
    assert sorted(name for name in asked if name in learned) == sorted(learned)


def test_a_study_is_of_the_files_that_are_there_now(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    shift = [0.0]
    drawn = quick_cases(12)
    entries = tuple(
        replace(entry, split="train" if number < 4 else "test") for number, entry in enumerate(drawn.entries)
    )

    def read(entry):
        case = drawn.read(entry)
        return replace(case, image=case.image * (1.0 - shift[0]))

    settings = StudySettings.model_validate(SETTINGS)
    study = Study(settings, cases=Cases(entries, read), classifier=quick_study().classifier)
    study.run(tmp_path / "r", workers=1)
    assert verify_study(tmp_path / "r", study.cases, study.classifier, sample=1)[1]
    shift[0] = 0.25
    with pytest.raises(SettingsError, match="not those of the study"):
        verify_study(tmp_path / "r", study.cases, study.classifier, sample=1)


def test_a_process_that_dies_is_told(monkeypatch):
    @dataclass(frozen=True)
    class Deadly(Counting):
        def __call__(self, entry):
            if entry.name == "c5":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(entry)

    monkeypatch.setattr(look, "FEWEST", 4)
    cases = Cases(some(8).entries, Deadly())
    with pytest.raises(CaseError, match="a process that reads cases died"):
        survey(cases, workers=2)


def test_cases_that_cannot_be_sent_are_read_here(monkeypatch):
    monkeypatch.setattr(look, "FEWEST", 4)
    with open(os.devnull) as opened:
        cases = Cases(some(6).entries, lambda entry: (opened, Counting()(entry))[1])
        assert survey(cases, workers=2).hash == survey(some(6)).hash
        assert survey(cases).known == {}  # a reader that does not say how it reads
