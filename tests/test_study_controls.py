"""The controls of a whole study: twins, truth and blurred maps as rows, by a network whose decisions can be told."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from tomolens.api import Study
from tomolens.cases import Case, CaseEntry, Cases
from tomolens.classifier import Classifier
from tomolens.declarations import BLURRED
from tomolens.errors import SettingsError
from tomolens.imputers.fills import blurred
from tomolens.results.rows import TWIN_TURNS
from tomolens.study.evaluate import evaluate
from tomolens.study.settings import StudySettings

SIZE = 16
SETTINGS = {
    "name": "twins",
    "batch_size": 16,
    "cases": {"size": SIZE, "classes": ["without spot", "with spot"]},
    "estimators": {"names": ["backpropagation", "random"], "baselines": ["centre-prior"]},
    "metrics": {"names": ["fidelity", "fidelity-twin", "evidence"], "steps": 20, "fill": "mean"},
    "statistics": {"resamples": 200},
}


class SeesTheSpot(nn.Module):
    """Decides for class 1 where more than half of the spot's brightness is there, wherever it lies."""

    def forward(self, images):
        return (
            (images > 0.8).flatten(1).sum(dim=1, keepdim=True) - 7.5 + 1e-3 * images.flatten(1).sum(dim=1, keepdim=True)
        )


def image_of(index, spot):
    image = 0.5 * np.random.default_rng(index).random((1, SIZE, SIZE)).astype(np.float32)
    if spot:
        row, column = np.random.default_rng([index, 1]).integers(0, SIZE - 4, size=2)
        image[0, row : row + 4, column : column + 4] = 1.0
    return image


def case_of(index, label, noticed=True):
    image, twin = image_of(index, label == 1), image_of(index, label == 0)
    if not noticed:
        image, twin = image_of(index, False), image_of(index, False) + np.float32(0.1)
    evidence = np.abs(image - twin)[0] if label else None
    body = np.ones((SIZE, SIZE), bool)
    return Case(f"case-{index}", image, label, f"p{index}", evidence=evidence, twin=twin, body=body)


def cases_of(count, noticed=lambda index: True):
    entries = tuple(CaseEntry(f"case-{i}", i % 2, f"p{i}", source=str(i), split="test") for i in range(count))
    entries = (*entries, CaseEntry("train", 0, "p-train", source="-1", split="train"))

    def read(entry):
        index = int(entry.source)
        case = case_of(abs(index), entry.label, noticed(index))
        return replace(case, name=entry.name, patient=entry.patient)

    return Cases(entries, read, ("without spot", "with spot"))


def settings(**changed):
    return StudySettings.model_validate({**SETTINGS, **changed})


def rows_of(case):
    classifier = Classifier(SeesTheSpot().eval())
    made = evaluate(case, classifier, settings().plan)
    return {(one.estimator, one.form, one.metric): one.value for one in made.measurements}


def test_with_the_twins_values_the_truth_turns_the_decision_at_once_and_last():
    """By hand: the spot is 16 of 256 pixels, and 8 are enough. The first of 20 steps takes 13 of them most important
    first; least important first the 19th takes 3, and the last the rest: an area of 19 / 20."""
    rows = rows_of(case_of(1, 1))
    assert rows["truth", "original", "fidelity_twin"] == pytest.approx(19 / 20)
    assert rows["truth", "original", "evidence"] == 1.0
    assert rows["", "", TWIN_TURNS] == 1.0
    assert rows["truth", "original", "fidelity_twin"] > rows["centre-prior", "original", "fidelity_twin"]


def test_an_image_without_the_finding_has_no_truth_and_a_twin_all_the_same():
    rows = rows_of(case_of(2, 0))
    assert rows["", "", TWIN_TURNS] == 1.0
    assert not any(name == "truth" or metric in ("fidelity_twin", "evidence") for name, _, metric in rows)


def test_what_the_network_does_not_notice_is_no_evidence():
    rows = rows_of(case_of(1, 1, noticed=False))
    assert rows["", "", TWIN_TURNS] == 0.0
    assert not any(name == "truth" or metric in ("fidelity_twin", "evidence") for name, _, metric in rows)


def test_each_estimator_that_asks_is_measured_blurred():
    rows = rows_of(case_of(1, 1))
    assert {name for name, form, _ in rows if form == BLURRED} == {"backpropagation"}
    assert not any(form == BLURRED for _, form, _ in {key for key in rows if key[0] in ("random", "centre-prior")})


def test_a_blurred_map_keeps_its_sum_away_from_the_edges_and_spreads_by_its_share():
    spike = np.zeros((1, 101, 101))
    spike[0, 50, 50] = 1.0
    soft = blurred(spike, 0.05)[0]
    assert soft.sum() == pytest.approx(1.0)
    rows = np.arange(101) - 50
    assert np.sqrt((soft.sum(axis=1) * rows**2).sum()) == pytest.approx(0.05 * 101, rel=0.01)


def test_a_study_says_which_views_can_judge(tmp_path):
    findings = Study(settings(), cases=cases_of(24), classifier=Classifier(SeesTheSpot())).run(tmp_path / "s")
    assert findings.can_judge["fidelity_twin"] == "yes"
    assert findings.can_judge["evidence"] == "yes"
    controls = findings.controls.set_index("view")
    assert controls.loc["evidence", "cases"] == 12
    assert controls.loc["fidelity_twin", "value"] > controls.loc["fidelity_twin", "baseline_value"]
    assert (tmp_path / "s" / "verdict.json").exists()
    assert findings.verdict.sentence in (tmp_path / "s" / "report.html").read_text()
    assert f"{24} of {24} cases" in " ".join(findings.verdict.reasons)


def test_what_needs_twins_is_refused_where_there_are_none(tmp_path):
    cases = cases_of(6)
    alone = Cases(cases.entries, lambda entry: replace(cases.read(entry), twin=None), cases.classes)
    wanting = {**SETTINGS["estimators"], "names": ["integrated-gradients-twin"]}
    for changed in ({"estimators": wanting}, {"metrics": {**SETTINGS["metrics"], "fill": "twin"}}):
        study = Study(settings(**changed), cases=alone, classifier=Classifier(SeesTheSpot()))
        with pytest.raises(SettingsError, match="no case of the study has a twin; simulated cases have one"):
            study.run(tmp_path / "s")


def test_only_cases_from_files_can_be_calibrated(tmp_path):
    own = Study(settings(calibrate="nodule"), cases=cases_of(6), classifier=Classifier(SeesTheSpot()))
    with pytest.raises(SettingsError, match="implants need images in HU read from files"):
        own.run(tmp_path / "s")
    with pytest.raises(SettingsError, match="which implant is the finding of the classes without spot, with spot"):
        settings().calibrated()
    assert settings(cases={"classes": ["without nodule", "with nodule"]}).calibrated().calibrate == "nodule"
    with pytest.raises(SettingsError, match="these cases have twins, by which their views are controlled already"):
        StudySettings(name="x", cases={"source": "phantom"}).calibrated()
