import dataclasses
import json
import shutil
from html import unescape

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import SMALL_STUDY, convolutional
from tomolens.api import Study, simulated_cases
from tomolens.cases import Case, CaseEntry, Cases
from tomolens.cases.phantom import PhantomReader
from tomolens.classifier import Classifier
from tomolens.classifier.intensity import Intensity
from tomolens.errors import CaseError, NetworkError, SettingsError
from tomolens.estimators import make_estimator
from tomolens.findings import Findings
from tomolens.metrics.evaluand import MetricSettings
from tomolens.report import write
from tomolens.report.words import summary
from tomolens.results.rows import SCHEMA
from tomolens.results.store import Store
from tomolens.study.evaluate import evaluate
from tomolens.study.folds import folds_of
from tomolens.study.plan import Plan
from tomolens.study.settings import StudySettings, read_settings

SETTINGS = StudySettings.model_validate(SMALL_STUDY)
FEW = ("backpropagation", "integrated-gradients", "smoothgrad-squared", "random")
PLAN = Plan(0, tuple(make_estimator(name) for name in FEW), "class", MetricSettings(), 32)
KEYS = ["case", "estimator", "form", "metric", "choice", "option"]


WINDOWED = Classifier(convolutional(), intensity=Intensity(hounsfield=(-160.0, 240.0)))


def own_cases(count=6, size=24, **given):
    """Cases of one's own: bright or dark squares, two to a patient, a mask for each."""
    entries = tuple(CaseEntry(f"case-{i}", (i // 2) % 2, f"patient-{i // 2}", **given) for i in range(count))

    def read(entry):
        random = np.random.default_rng(int(entry.name.split("-")[1]))
        image = (0.3 * random.random((1, size, size)) + 0.4 * entry.label).astype(np.float32)
        mask = np.zeros((size, size), bool)
        mask[4:10, 6:12] = True
        return Case(entry.name, image, entry.label, entry.patient, mask)

    return Cases(entries, read)


def own_study(**changes):
    settings = StudySettings.model_validate(
        {"name": "own", "examples": 0, "estimators": {"names": FEW}, "statistics": {"resamples": 100}} | changes
    )
    return Study(settings, cases=own_cases(), classifier=Classifier(convolutional()))


def test_everything_promised_is_written(finished_study):
    out, findings = finished_study
    for name in ("fidelity", "roc", "overlap", "ranks"):
        pd.testing.assert_frame_equal(pd.read_csv(out / "tables" / f"{name}.csv"), findings.table(name), rtol=1e-12)
    columns = list(pd.read_csv(out / "tables" / "fidelity.csv").columns)
    gains = ["gain", "gain_ci_low", "gain_ci_high", "beats_blind"]
    assert columns == [
        "estimator",
        "form",
        "fidelity",
        "ci_low",
        "ci_high",
        "class_0",
        "class_1",
        "cases",
        "patients",
        "undefined",
        *gains,
    ]
    pictures = {file.stem for file in (out / "figures").glob("*.png")}
    assert {"perturbation", "roc", "dice", "example-1-maps", "example-1-regions"} <= pictures
    assert (out / "report.html").stat().st_size > 100_000
    description = json.loads((out / "study.json").read_text())
    assert description["content"]["settings"]["seed"] == 0
    assert description["versions"]["torch"]
    assert len(description["networks"][0]["weights"]) == 32
    assert len(description["content"]["cases"]["hash"]) == 32
    assert 0 <= description["accuracy"]["balanced"] <= 1


def test_measurements_are_one_row_a_measure_with_raw_curves(small_study):
    _, findings = small_study
    rows = findings.measurements
    assert list(rows.columns) == SCHEMA.names
    assert not rows.duplicated(KEYS).any()
    assert rows["case"].nunique() == 4
    curves = rows[rows["metric"] == "most_important_first"]["curve"]
    assert {len(curve) for curve in curves} == {41}
    assert set(np.concatenate(curves.tolist())) <= {0.0, 1.0}


def test_the_same_numbers_when_run_twice(tmp_path, small_study):
    Study(SETTINGS).run(tmp_path / "again")
    for name in ("fidelity", "roc", "overlap", "gains", "pairs"):
        first, second = (folder / "tables" / f"{name}.csv" for folder in (small_study[0], tmp_path / "again"))
        assert first.read_bytes() == second.read_bytes()


def test_an_interrupted_study_is_finished_with_the_same_numbers(tmp_path, small_study):
    def stop(stage, done, *_):
        if stage == "explaining and evaluating" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study(SETTINGS).run(tmp_path / "r", progress=stop)
    store = Store(tmp_path / "r")
    assert len(store.shards.finished()) == 2
    findings = Study(SETTINGS).run(tmp_path / "r")
    for name in ("fidelity", "roc", "overlap"):
        pd.testing.assert_frame_equal(findings.table(name), small_study[1].table(name), check_exact=True)


def test_of_a_finished_study_nothing_is_read_or_written_again(tmp_path, small_study, monkeypatch):
    out = tmp_path / "r"
    shutil.copytree(small_study[0], out)
    monkeypatch.setattr(PhantomReader, "__call__", None)  # whoever draws a case fails
    report = out / "report.html"
    written = [file for file in out.rglob("*") if file.is_file() and file.name != "study.json"]
    before = {file: file.stat().st_mtime_ns for file in written if "lock" not in file.name}
    findings = Study(SETTINGS).run(out)
    pd.testing.assert_frame_equal(findings.table("roc"), small_study[1].table("roc"))
    assert {file: file.stat().st_mtime_ns for file in before} == before
    (out / "tables" / "roc.csv").unlink()
    Study(SETTINGS).run(out)  # the cases are known still
    assert (out / "tables" / "roc.csv").exists()
    assert report.stat().st_mtime_ns > before[report]
    for file, content in ((report, b"cut off"), (out / "report.json", b"{")):
        file.write_bytes(content)
        Study(SETTINGS).run(out)
        assert report.stat().st_size > 1000
    monkeypatch.setattr(write, "code_hash", lambda folder: "another version")
    last = report.stat().st_mtime_ns
    Study(SETTINGS).run(out)
    assert report.stat().st_mtime_ns > last
    table = (out / "tables" / "roc.csv").read_text()
    (out / "tables" / "roc.csv").write_text(table.replace("1", "2"))  # of the same length
    Study(SETTINGS).run(out)
    assert (out / "tables" / "roc.csv").read_text() == table
    (out / "survey.json").write_bytes(b"[1]")
    with pytest.raises(TypeError):
        Study(SETTINGS).run(out)  # what is known is damaged: they are drawn again


def test_a_folder_with_another_study_is_refused(tmp_path, small_study):
    other = SETTINGS.model_copy(update={"seed": 1})
    with pytest.raises(SettingsError, match=r"holds another study, which differs in cases\.hash, settings\.seed"):
        Study(other).run(small_study[0])
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds files that are no study"):
        Study(SETTINGS).run(tmp_path)
    with pytest.raises(SettingsError, match="no study to read"):
        Findings.from_folder(tmp_path)


def rows_of(evaluation):
    return {(m.estimator, m.form, m.metric): (m.value, m.curve) for m in evaluation.measurements}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_does_not_show_in_a_case(batch_size):
    case, classifier = own_cases()[2], WINDOWED
    whole = rows_of(evaluate(case, classifier, PLAN))
    plan = Plan(PLAN.seed, PLAN.estimators, PLAN.direction, PLAN.metrics, batch_size)
    parts = rows_of(evaluate(case, classifier, plan))
    assert whole.keys() == parts.keys()
    for key, (value, curve) in whole.items():
        np.testing.assert_allclose(
            parts[key][0] if curve is None else parts[key][1], value if curve is None else curve, atol=1e-5
        )


def test_the_order_of_cases_does_not_show(tmp_path):
    study = own_study()
    straight = study.run(tmp_path / "a").measurements
    shuffled = (
        Study(study.settings, cases=own_cases().select([4, 0, 5, 2, 1, 3]), classifier=study.classifier)
        .run(tmp_path / "b")
        .measurements
    )
    straight, shuffled = (
        rows.drop(columns="index").sort_values(KEYS, ignore_index=True) for rows in (straight, shuffled)
    )
    pd.testing.assert_frame_equal(straight, shuffled)


def test_equal_maps_are_sorted_and_measured_once():
    measured = rows_of(evaluate(own_cases()[0], WINDOWED, PLAN))
    for metric in ("fidelity", "auc", "dice_own_share"):
        assert measured["random", "original", metric] == measured["random", "absolute", metric]


def test_own_cases_and_network_with_empty_masks(tmp_path):
    cases = own_cases()

    def without_first_mask(entry):
        case = cases.read(entry)
        return Case(case.name, case.image, case.label, case.patient, case.mask & (entry.name != "case-0"))

    study = own_study()
    findings = Study(study.settings, cases=Cases(cases.entries, without_first_mask), classifier=study.classifier).run(
        tmp_path / "r"
    )
    assert (findings.table("roc")["undefined"] == 1).all()
    assert (findings.table("overlap")["cases"] == 5).all()
    assert (findings.table("fidelity")["cases"] == 6).all()
    page = unescape((tmp_path / "r" / "report.html").read_text())
    assert "Empty masks, left out of the expert's view: 1 (case-0)" in page
    assert "Empty masks, left out of the expert's view: 1 (case-0)" in summary(findings, width=200)


def test_without_masks_the_experts_view_is_not_assessed(tmp_path):
    cases = own_cases()
    bare = Cases(cases.entries, lambda e: Case(e.name, cases.read(e).image, e.label, e.patient))
    study = own_study()
    findings = Study(study.settings, cases=bare, classifier=study.classifier).run(tmp_path / "r")
    assert findings.table("roc").empty
    assert "by pixel: AUC not assessed" in (tmp_path / "r" / "report.html").read_text()
    assert not (tmp_path / "r" / "figures" / "roc.png").exists()


def test_cases_to_which_no_metric_applies_still_count(tmp_path):
    cases = own_cases()

    def one_mask(entry):
        case = cases.read(entry)
        return case if entry.name == "case-2" else dataclasses.replace(case, mask=None)

    study = own_study(metrics={"names": ["roc"]})
    classifier = study.classifier
    partly = Study(study.settings, cases=Cases(cases.entries, one_mask), classifier=classifier)
    findings = partly.run(tmp_path / "r")
    assert findings.measurements["case"].nunique() == 6
    assert (findings.table("roc")["cases"] == 1).all()
    right = [classifier.predict(torch.from_numpy(case.image[None]))[0] == case.label for case in cases]
    assert json.loads((tmp_path / "r" / "study.json").read_text())["accuracy"]["plain"] == np.mean(right)
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "r" / "measurements").iterdir()}
    partly.run(tmp_path / "r")
    assert written == {file: file.stat().st_mtime_ns for file in (tmp_path / "r" / "measurements").iterdir()}


def test_a_network_that_gives_nan_is_named_with_its_case(tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2, 3)) * float("nan")

    study = own_study()
    with pytest.raises(
        NetworkError,
        match="every one of 6 cases failed; case case-5: the network returned 1 values that are not finite",
    ):
        Study(study.settings, cases=own_cases(), classifier=Classifier(Broken())).run(tmp_path / "r")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda case: {"image": case.image * np.nan}, "case case-3: 576 pixels are not finite"),
        (
            lambda case: {"image": case.image[:, :20], "mask": None},
            r"case case-3: image of shape \(1, 20, 24\), the first case has",
        ),
        (lambda case: {"mask": case.mask[:20]}, r"case case-3: mask of \(20, 24\) on an image of \(24, 24\)"),
    ],
)
def test_own_cases_are_checked_before_anything_starts(tmp_path, change, message):
    cases, study = own_cases(), own_study()

    def spoiled(entry):
        case = cases.read(entry)
        return dataclasses.replace(case, **change(case)) if entry.name == "case-3" else case

    spoiled_study = Study(study.settings, cases=Cases(cases.entries, spoiled), classifier=study.classifier)
    with pytest.raises(CaseError, match=message):
        spoiled_study.run(tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_folds_never_show_a_network_its_patients():
    cases = own_cases(40)
    settings = StudySettings.model_validate({"name": "x", "cases": {"folds": 4}})
    folds = folds_of(settings, cases)
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert sorted(held_out.tolist()) == list(range(40))
    for fold in folds:
        assert not {cases.patients[i] for i in fold.training} & {cases.patients[i] for i in fold.held_out}


def test_nothing_says_how_to_split():
    settings = StudySettings.model_validate({"name": "x"})
    with pytest.raises(CaseError, match="give the manifest a split column or the study cases.folds"):
        folds_of(settings, own_cases())
    with pytest.raises(CaseError, match="names no case to train on"):
        folds_of(settings, own_cases(split="test"))
    with pytest.raises(CaseError, match="leaves no case to test on"):
        folds_of(settings, own_cases(split="train"))
    (fold,) = folds_of(settings, own_cases(), everything_held_out=True)
    assert len(fold.held_out) == 6


def test_pretraining_on_simulated_cases_is_done_once(tmp_path):
    told = []
    recipe = {"architecture": "resnet18", "epochs": 1, "batch_size": 8}
    settings = StudySettings.model_validate(
        {
            "name": "pre",
            "examples": 0,
            "cases": {"folds": 2, "size": 24},
            "classifier": {"recipe": recipe, "pretraining": {"cases": 12, "recipe": recipe}},
            "estimators": {"names": ["backpropagation"]},
            "metrics": {"names": ["fidelity"], "steps": 4},
        }
    )
    Study(settings, cases=own_cases(24)).run(tmp_path / "r", progress=lambda *state: told.append(state[0]))
    assert told.count("pretraining on simulated cases") == 3  # its beginning, its one epoch and its end
    assert {file.stem for file in (tmp_path / "r" / "weights").iterdir()} == {"fold-0", "fold-1", "pretrained"}


def test_simulated_cases_are_of_different_patients():
    cases = simulated_cases(SETTINGS)
    folds = {fold: {e.patient for e in cases.entries if e.split == fold} for fold in ("train", "test")}
    assert len(folds["train"]) == 40
    assert len(folds["test"]) == 4
    assert not folds["train"] & folds["test"]


BAD_FILES = {
    "not TOML": ("name = ", "not TOML"),
    "no name": ("seed = 3", r"name: Field required"),
    "unknown key": ('name = "x"\nsteps = 3', r"steps: Extra inputs are not permitted \(given: 3\)"),
    "unknown recipe key": (
        'name = "x"\n[classifier.recipe]\nepoch = 3',
        r"classifier\.recipe\.epoch: Unexpected keyword",
    ),
    "unknown estimator": ('name = "x"\n[estimators]\nnames = ["gradcam", "smothgrad"]', "unknown estimator 'gradcam'"),
    "near estimator": ('name = "x"\n[estimators]\nnames = ["smothgrad"]', "did you mean 'smoothgrad'"),
    "parameter": ('name = "x"\n[estimators.parameters.smoothgrad]\nn = 3', "unexpected keyword argument 'n'"),
    "parameters of none": (
        'name = "x"\n[estimators]\nnames = ["random"]\n[estimators.parameters.smoothgrad]\nsamples = 3',
        "not in names: smoothgrad",
    ),
    "unknown metric": ('name = "x"\n[metrics]\nnames = ["iou"]', "unknown metric 'iou', known are fidelity"),
    "empty window": ('name = "x"\n[cases]\nwindow = [240, -160]', "the lower limit comes first"),
    "one fold": ('name = "x"\n[cases]\nfolds = 1', "greater than or equal to 2"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_study_files_that_cannot_be(tmp_path, fault):
    text, message = BAD_FILES[fault]
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message) as raised:
        read_settings(file)
    assert str(file) in str(raised.value)


def test_study_files_that_are_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")


def test_parameters_reach_the_estimators():
    settings = StudySettings.model_validate(
        {"name": "x", "estimators": {"names": ["smoothgrad"], "parameters": {"smoothgrad": {"samples": 3}}}}
    )
    assert settings.estimators.make()[0].samples == 3
