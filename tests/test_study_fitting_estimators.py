"""Estimators that draw training images, in a study that has none: left out and told, or refused where named."""

import json
from html import unescape

import pytest

from conftest import convolutional
from quick_study import SETTINGS, quick_cases, tables
from tomolens.api import Study, verify_study
from tomolens.cases import Cases
from tomolens.classifier import Classifier
from tomolens.errors import SettingsError
from tomolens.estimators.registry import ESTIMATORS, GROUPS, SETS
from tomolens.report.words import summary
from tomolens.results.store import Store
from tomolens.study.fitting_estimators import without_gradients, without_references
from tomolens.study.settings import EstimatorSettings, settings_from

DEFAULT = EstimatorSettings().names
OTHERS = tuple(name for name in DEFAULT if name != "expected-gradients")
WORDS = "expected-gradients was left out: it draws training images, and the study has none"
REFUSED = "expected-gradients draws training images and the study has none"
SMALL = {"references": 4, "blur": 0.0, "baselines": ["mean-mask"]}


def settings_of(**estimators):
    return settings_from(SETTINGS | {"estimators": SMALL | estimators}, "a test")


def study_of(train=0, **estimators):
    cases = quick_cases(12)
    sides = ["train"] * train + ["test"] * (12 - train)
    own = Cases.from_arrays(
        cases.images(), cases.labels, masks=[case.mask for case in cases], patients=cases.patients, split=sides
    )
    return Study(settings_of(**estimators), cases=own, classifier=Classifier(convolutional()))


def test_of_the_default_list_they_are_left_out_and_told(tmp_path):
    findings = study_of().run(tmp_path / "r", workers=1)
    description = json.loads((tmp_path / "r" / "study.json").read_text())
    assert description["missing_estimators"] == {
        "expected-gradients": "it draws training images, and the study has none"
    }
    assert tuple(description["content"]["settings"]["estimators"]["names"]) == OTHERS
    assert set(findings.measured.remarks["estimator"]) <= {"deconvolution", ""}
    assert set(findings.table("fidelity")["estimator"]) == set(OTHERS)
    assert WORDS in unescape((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
    assert WORDS in " ".join(summary(findings).split())
    study_of(names=OTHERS).run(tmp_path / "named", workers=1)
    assert tables(tmp_path / "r") == tables(tmp_path / "named")


def test_such_a_study_goes_on_and_is_verified(tmp_path):
    def stop(stage, done, *_):
        if stage == "explaining and evaluating" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_of().run(tmp_path / "r", workers=1, progress=stop)
    assert "missing_estimators" in Store(tmp_path / "r").description().raw
    study_of().run(tmp_path / "r", workers=1)
    study = study_of()
    lines, same = verify_study(tmp_path / "r", study.cases, study.classifier, sample=2)
    assert same, lines
    with pytest.raises(SettingsError, match="holds another study, which differs in .*estimators.names"):
        study_of(train=6).run(tmp_path / "r", workers=1)


def test_with_training_images_they_are_there(tmp_path):
    findings = study_of(train=8).run(tmp_path / "r", workers=1)
    assert set(findings.table("fidelity")["estimator"]) == set(DEFAULT)
    assert findings.description.get("missing_estimators") == {}
    assert "was left out" not in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "estimators",
    [
        {"names": list(DEFAULT)},
        {"names": ["expected-gradients"]},
        {"parameters": {"expected-gradients": {"samples": 3}}},
    ],
    ids=str,
)
def test_where_they_are_named_they_are_refused(estimators, tmp_path):
    study = study_of(**estimators)
    for attempt in (lambda: study.run(tmp_path / "r", workers=1), study.estimate):
        with pytest.raises(SettingsError, match=f"{REFUSED}: mark some cases as train"):
            attempt()
    assert not (tmp_path / "r").exists()


def test_what_is_default_stays_so_when_a_study_is_varied_or_calibrated():
    for settings in (
        settings_of(),
        settings_of().varied(),
        settings_of().calibrated(),
        settings_of().varied().calibrated(),
    ):
        fitting, left_out = without_references(settings)
        assert fitting.estimators.names == OTHERS
        assert list(left_out) == ["expected-gradients"]
        assert fitting.model_copy(update={"estimators": settings.estimators}) == settings
        assert without_references(fitting) == (fitting, {})
    assert settings_of().varied().calibrated().vary is not None


def test_names_of_others_are_left_alone():
    settings = settings_of(names=["smoothgrad"])
    assert without_references(settings) == (settings, {})
    assert "expected-gradients" in ESTIMATORS


def test_they_cost_nothing(monkeypatch):
    from tomolens.study import cost

    monkeypatch.setattr(cost, "_timed", lambda work: 1.0)
    without, named, whole = study_of().estimate(), study_of(names=OTHERS).estimate(), study_of(train=6).estimate()
    assert without == named
    assert without.cases == 12
    assert whole.asked.gradients - without.asked.gradients == 25


def test_a_set_is_taken_in_place_of_names():
    assert settings_of(set="paper").estimators.names == DEFAULT
    assert settings_of(set="all").estimators.names == SETS["all"]
    again = settings_from(settings_of(set="common").model_dump(mode="json"), "stored")
    assert again.estimators == settings_of(set="common").estimators
    for wrong, message in (
        ({"set": "every"}, "set"),
        ({"set": "paper", "names": ["occlusion"]}, "set = 'paper' and names of others: give one of them"),
    ):
        with pytest.raises(SettingsError, match=message):
            settings_of(**wrong)


def test_a_set_leaves_out_what_the_study_cannot_make(tmp_path):
    few = {name: {"samples": 10} for name in ("rise", "lime", "kernel-shap")}
    findings = study_of(set="all", parameters=few).run(tmp_path / "r", workers=1)
    description = json.loads((tmp_path / "r" / "study.json").read_text())
    assert set(description["missing_estimators"]) == {
        *("expected-gradients", "gradient-shap", "integrated-gradients-twin"),
    }
    of_tokens = {one.name for one in GROUPS["vision transformers"]}
    made = set(findings.table("fidelity")["estimator"])
    assert made == set(ESTIMATORS) - set(description["missing_estimators"]) - of_tokens
    remarks = findings.measured.remarks
    assert of_tokens <= set(remarks["estimator"])
    assert "vision transformers" in " ".join(remarks["note"].astype(str))
    page = unescape((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
    assert "this estimator is of vision transformers" in page


def test_a_set_of_a_network_without_gradients_is_of_scores():
    settings, left = without_gradients(settings_of(set="all"), "it has none")
    assert set(settings.estimators.names) == {
        *("occlusion", "random", "rise", "feature-ablation", "lime", "kernel-shap"),
    }
    assert set(left) == set(ESTIMATORS) - set(settings.estimators.names)
