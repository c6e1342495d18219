"""Networks of other trainings: trained once, sent to workers, measured, verified; refused where one is given."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import convolutional, transformer
from quick_study import quick_study
from tomolens.api import Study, verify_study
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier, Intensity
from tomolens.errors import SettingsError
from tomolens.estimators.registry import make_estimator
from tomolens.metrics.evaluand import Rival
from tomolens.results.store import Store
from tomolens.study.evaluate import evaluate
from tomolens.study.settings import StudySettings

CONTENT = {
    "name": "again",
    "examples": 1,
    "batch_size": 8,
    "repeat": {"networks": 3, "architectures": ["resnet18"]},
    "cases": {"source": "phantom", "train": 16, "test": 8, "size": 32},
    "classifier": {"recipe": {"architecture": "local", "arguments": {"width": 4}, "epochs": 1, "batch_size": 8}},
    "estimators": {"names": ["backpropagation", "random"], "baselines": []},
    "metrics": {"names": ["fidelity", "randomisation", "repeatability"], "steps": 4},
    "statistics": {"resamples": 100},
}


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again") / "results"
    findings = Study.of(StudySettings.model_validate(CONTENT)).run(folder, workers=2)
    return folder, findings


def test_maps_by_other_trainings_are_measured(repeated):
    folder, findings = repeated
    names = ["fold-0", "fold-0-resnet18", "fold-0-rival-1", "fold-0-rival-2"]
    files = {file.stem: file.read_bytes() for file in (folder / "weights").glob("*.safetensors")}
    assert sorted(files) == names
    assert len({*files.values()}) == 4
    (network,) = Store(folder).description().raw["networks"]
    assert set(network["rivals"]) == {"again 1", "again 2", "resnet18"}
    assert len({network["weights"], *network["rivals"].values()}) == 4
    table = findings.table("reproducibility")
    assert set(table["estimator"]) == {"backpropagation", "random"}
    for name in ("similarity", "ssim", "margin"):
        for begins in ("repeat", "architecture"):
            assert np.isfinite(table[f"{begins}_{name}"]).all()
    random = table[table["estimator"] == "random"].iloc[0]
    assert abs(random["repeat_similarity"]) < 0.1  # other draws
    (card,) = findings.verdict.cards
    for question in ("weights", "draws", "repeatable"):
        (check,) = card.of(question)
        assert check.view
        assert check.cases == 8


def test_the_numbers_of_other_trainings_are_those_of_their_rows(repeated):
    """Means of classes and their spread, computed from the stored rows another way."""
    _, findings = repeated
    rows = findings.measurements
    rows = rows[
        (rows["metric"] == "fidelity") & (rows["estimator"] == "backpropagation") & (rows["form"] == "absolute")
    ]
    by = {
        option: frame.groupby("label")["value"].mean().mean()
        for option, frame in rows[rows["choice"].isin(["", "network"])].groupby("option")
    }
    assert set(by) == {"", "again 1", "again 2", "resnet18"}
    table = findings.table("trainings")
    chosen = (table["output"] == "fidelity") & (table["estimator"] == "backpropagation") & (table["form"] == "absolute")
    row = table[chosen].iloc[0]
    assert row["value"] == pytest.approx(by[""])
    assert row["between_networks"] == pytest.approx(np.std([by[""], by["again 1"], by["again 2"]], ddof=1))
    assert (row["lowest"], row["highest"]) == pytest.approx((min(by.values()), max(by.values())))
    assert row["by resnet18"] == pytest.approx(by["resnet18"])
    assert row["networks"] == 4
    assert np.isnan(row["between_patients"])  # of 4 patients in a class there is no interval
    assert set(table["output"]) >= {"fidelity"}
    assert not set(table["output"]) & {"weights_similarity", "draws_similarity"}  # about a network in turn


def test_what_another_network_breaks_on_costs_its_own_numbers_alone():
    class Broken(torch.nn.Module):
        def forward(self, images):
            raise ValueError("not today")

    case = next(iter(phantom.cases(1, seed=0, preprocessing=Preprocessing(size=32))))
    classifier = Classifier(convolutional(1, 1), intensity=Intensity(hounsfield=(-160.0, 240.0)))
    plan = StudySettings.model_validate({**CONTENT, "metrics": {"names": ["fidelity"], "steps": 4}}).plan
    alone = evaluate(case, classifier, plan)
    rivals = (
        Rival(replace(classifier, network=Broken()), "again 1"),
        Rival(replace(classifier, network=transformer(size=(32, 32))), "other", "other"),
    )
    beside = evaluate(case, classifier, plan, rivals=rivals)
    own = [one for one in beside.measurements if one.choice != "network"]
    assert own == [*alone.measurements]
    by_rivals = [one for one in beside.measurements if one.choice == "network"]
    (broken,) = (one for one in by_rivals if one.option == "again 1")
    assert "not today" in broken.note
    assert {one.metric for one in by_rivals if one.option == "other"} == {"fidelity"}
    guided = replace(plan, estimators=(make_estimator("deconvolution"), make_estimator("backpropagation")))
    failed = [
        one for one in evaluate(case, classifier, guided, rivals=rivals[1:]).measurements if one.option == "other"
    ]
    assert {one.estimator for one in failed if one.metric == "not assessed"} == {"deconvolution"}
    assert {one.estimator for one in failed if one.metric == "fidelity"} == {"backpropagation"}
    assert not [one for one in failed if one.metric.startswith("decisions")]  # the audit is of the study's own network


def test_it_goes_on_with_the_networks_there_are_and_can_be_verified(repeated):
    folder, _ = repeated
    times = {file: file.stat().st_mtime_ns for file in (folder / "weights").iterdir()}
    study = Study.of(StudySettings.model_validate(CONTENT))
    study.run(folder, workers=1)
    assert {file: file.stat().st_mtime_ns for file in (folder / "weights").iterdir()} == times
    lines, same = verify_study(folder)
    assert same, lines


def test_the_page_says_what_the_cards_say(repeated):
    folder, _ = repeated
    page = (folder / "report.html").read_text()
    assert "margin of another training over another image" in page
    assert "Another training of the network would change" in page
    assert "Networks of other architectures: resnet18." in page
    verdict = json.loads((folder / "verdict.json").read_text())
    states = {check["question"]: check["view"] for card in verdict["cards"] for check in card["checks"]}
    assert states["weights"] == "weights_margin"
    assert states["repeatable"] == "repeat_margin"


def test_of_a_network_that_is_given_nothing_is_trained_again(tmp_path):
    study = quick_study(repeat={"networks": 2})
    with pytest.raises(SettingsError, match="repeat trains networks anew, and the network is given"):
        study.run(tmp_path / "r")
    with pytest.raises(ValueError, match="networks"):
        StudySettings.model_validate({"name": "x", "repeat": {"networks": 1}})
    for wrong, words in ((["resnet9"], "unknown architecture"), (["resnet50"], "is the study's own")):
        with pytest.raises(ValueError, match=words):
            StudySettings.model_validate({"name": "x", "repeat": {"networks": 1, "architectures": wrong}})


def test_the_price_counts_all_trainings():
    once = Study.of(StudySettings.model_validate({**CONTENT, "repeat": None})).estimate()
    thrice = Study.of(StudySettings.model_validate(CONTENT)).estimate()
    assert thrice.training == 4 * once.training
    assert thrice.seconds["measuring by other trainings"] > 0
    assert "measuring by other trainings" not in once.seconds


def test_reviewers_metrics_without_other_trainings(tmp_path):
    content = {**CONTENT, "repeat": None, "metrics": {"set": "reviewer", "steps": 4}}
    findings = Study.of(StudySettings.model_validate(content)).run(tmp_path / "r", workers=1)
    (card,) = findings.verdict.cards
    assert card.of("repeatable")[0].reason == "not measured in this study"
    assert card.of("weights")[0].view == "weights_margin"
