"""A study's folder: one run at a time, damage that is called damage, and a file for each case."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quick_study as quick
from quick_study import quick_study
from tomolens import api
from tomolens.api import Study, verify_study
from tomolens.cases import CaseEntry, Cases
from tomolens.classifier.weights import load_weights, save_weights
from tomolens.errors import SettingsError
from tomolens.results import lock
from tomolens.results.example import file_name
from tomolens.results.lock import FolderLock
from tomolens.results.store import Store
from tomolens.study.settings import StudySettings


def wait_for(file):
    while not file.exists():
        time.sleep(0.01)


def test_a_second_run_is_refused_while_the_first_lives(tmp_path):
    out = tmp_path / "r"
    process = multiprocessing.get_context("spawn").Process(target=quick.run_slowly, args=(out, 400))
    process.start()
    wait_for(out / "measurements")
    with pytest.raises(SettingsError, match=rf"another run \(process {process.pid} on .*\) is writing there"):
        quick_study(count=400).run(out, workers=1)
    process.kill()  # as nobody can who would like to tidy up
    process.join()
    kept = Store(out).shards.finished()
    assert 0 < len(kept) < 400
    with Store(out) as store:
        store.open(store.description().raw)
    assert not (out / lock.NAME).exists()


def test_a_run_leaves_no_lock_and_workers_do_not_keep_it(tmp_path):
    quick_study().run(tmp_path / "r", workers=2)
    assert not (tmp_path / "r" / lock.NAME).exists()
    quick_study().run(tmp_path / "r", workers=2)


def test_a_child_does_not_keep_the_lock(tmp_path):
    held = FolderLock(tmp_path)
    held.acquire()
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with pytest.raises(SettingsError, match=f"process {os.getpid()} on"):
        FolderLock(tmp_path).acquire()
    os.close(held._handle)  # as when the process ends
    FolderLock(tmp_path).acquire()
    child.communicate()


def test_a_lock_that_was_taken_away_is_none(tmp_path, monkeypatch):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    take = lock._locked

    def just_then(handle):
        monkeypatch.setattr(lock, "_locked", take)
        first.release()  # the second one has the file open already
        return take(handle)

    monkeypatch.setattr(lock, "_locked", just_then)
    second.acquire()
    with pytest.raises(SettingsError, match="is writing there"):
        FolderLock(tmp_path).acquire()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def unknown(handle):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock, "_lock", unknown)
    with pytest.warns(UserWarning, match="without locks: start no second run"):
        FolderLock(tmp_path).acquire()


@pytest.fixture(scope="module")
def trained_study(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "r"
    content = {
        "name": "trained",
        "examples": 0,
        "cases": {"source": "phantom", "size": 32, "train": 12, "test": 4},
        "classifier": {"recipe": {"architecture": "resnet18", "epochs": 1, "batch_size": 8}},
        "estimators": {"names": ["backpropagation"]},
        "metrics": {"names": ["fidelity"], "steps": 2},
        "statistics": {"resamples": 100},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomolens.report.write._figures", quick.no_figures)
        Study(StudySettings.model_validate(content)).run(out, workers=1)
    return out


def test_verify_calls_weights_of_other_values_damaged(trained_study):
    file = trained_study / "weights" / "fold-0.safetensors"
    whole = file.read_bytes()
    assert verify_study(trained_study)[1]
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(SettingsError, match=r"fold-0\.safetensors: damaged \(its weights are not those"):
            verify_study(trained_study)
        file.write_bytes(whole[:1000])
        with pytest.raises(SettingsError, match=r"fold-0\.safetensors: damaged"):
            verify_study(trained_study)
        file.unlink()
        with pytest.raises(SettingsError, match=r"fold-0\.safetensors: missing"):
            verify_study(trained_study)
    finally:
        file.write_bytes(whole)
    classifier, notes = load_weights(file)
    network = classifier.network
    save_weights(network, file, "resnet18", notes)
    assert verify_study(trained_study)[1]


def test_verify_calls_measurements_that_were_changed_damaged_and_leaves_them(trained_study):
    (file,) = (trained_study / "measurements").iterdir()
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-9] + b"x" + whole[-8:])
        with pytest.raises(SettingsError, match=rf"{file.name}: damaged \(its content is not what was written\)"):
            verify_study(trained_study)
        assert file.exists()
        file.rename(file.with_name("0000001-" + file.name.split("-")[1]))
        with pytest.raises(SettingsError, match=rf"{file.name}: missing"):
            verify_study(trained_study)
    finally:
        for one in file.parent.iterdir():
            one.unlink()
        file.write_bytes(whole)
    assert verify_study(trained_study)[1]


def test_a_study_that_is_not_finished_is_told_as_such(tmp_path):
    with Store(tmp_path / "r") as store:
        content = {
            "settings": quick_study().settings.model_dump(mode="json"),
            "task": ["a", "b"],
            "cases": {"count": 1},
        }
        store.open({"identity": "1", "content": content, "estimators": [], "metrics": []})
    with pytest.raises(SettingsError, match="the study is not finished"):
        verify_study(tmp_path / "r", quick.quick_cases())


@given(st.lists(st.text(max_size=12), min_size=2, unique=True))
def test_no_two_cases_share_a_file(names):
    files = {file_name(name).lower() for name in names}
    assert len(files) == len(names)
    assert all(file.isprintable() and not {"/", "\\", ":", "."} & set(file) for file in files)


def test_examples_of_cases_with_alike_names_are_all_kept(tmp_path):
    cases = quick.quick_cases()
    names = ["a b", "a_b", "a.b", "A_b", *(f"case-{i}" for i in range(4, 12))]
    old = dict(zip(names, cases.entries, strict=True))
    entries = tuple(CaseEntry(name, entry.label, entry.patient) for name, entry in old.items())

    def read(entry):
        case = cases.read(old[entry.name])
        return type(case)(entry.name, case.image, case.label, case.patient, case.mask)

    study = quick_study(examples=12)
    Study(study.settings, cases=Cases(entries, read), classifier=study.classifier).run(tmp_path / "r", workers=1)
    assert {example.name for example in Store(tmp_path / "r").examples()} == set(names)


def test_more_folds_than_patients_are_told_by_a_dry_run(tmp_path):
    settings = StudySettings.model_validate({"name": "x", "cases": {"folds": 100}})
    with pytest.raises(SettingsError, match="6 patients cannot fill 100 folds"):
        api.Study(settings, cases=quick.quick_cases()).estimate()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed here")
def test_a_lock_that_is_a_link_empties_nothing(tmp_path):
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / lock.NAME).symlink_to(other)
    with pytest.raises(SettingsError, match=r"\.lock: a link, expected a file of the run's own"):
        FolderLock(tmp_path).acquire()
    assert other.read_text() == "kept"
