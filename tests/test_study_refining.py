"""Refined networks for F-Fidelity: made once, resumed, verified, priced, told; and where there can be none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conftest import convolutional
from quick_study import blobs, quick_study
from tomolens.api import Study, verify_study
from tomolens.classifier import Classifier, training
from tomolens.classifier.weights import load_state, weights_hash
from tomolens.errors import SettingsError
from tomolens.results.rows import NOT_ASSESSED
from tomolens.results.store import Store
from tomolens.study.content import content_of
from tomolens.study.refining import refined, unrefinable
from tomolens.study.settings import StudySettings

RECIPE = {"architecture": "local", "arguments": {"width": 4}, "epochs": 1, "batch_size": 8}
CONTENT = {
    "name": "refined",
    "examples": 0,
    "gallery": 0,
    "batch_size": 32,
    "cases": {"source": "phantom", "train": 16, "test": 6, "size": 32},
    "classifier": {"recipe": RECIPE, "refining": {"epochs": 2}},
    "estimators": {"names": ["backpropagation", "random"], "baselines": []},
    "metrics": {"names": ["f-fidelity"], "steps": 2},
    "statistics": {"resamples": 100},
}


def study(**changes):
    return Study.of(StudySettings.model_validate({**CONTENT, **changes}))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refined") / "results"
    return folder, study().run(folder, workers=2)


def test_a_study_refines_its_network_and_measures_every_map(ran):
    folder, findings = ran
    assert sorted(file.stem for file in (folder / "weights").iterdir()) == ["fold-0", "fold-0-refined"]
    (network,) = Store(folder).description().raw["networks"]
    told = network["refining"]
    assert told["weights"] != network["weights"]
    assert told["cases"] == 16
    assert told["epoch"] in (1, 2)
    table = findings.table("f-fidelity")
    assert set(table["estimator"]) == {"backpropagation", "random"}
    for name in ("ffid_plus", "ffid_minus"):
        assert np.isfinite(table[name]).all()
    page = (folder / "report.html").read_text()
    assert "For F-Fidelity (Zheng et al. 2025" in page
    assert "up to 2 epochs at a rate of 0.0001" in page


def test_it_goes_on_with_the_network_there_is_and_can_be_verified(ran):
    folder, _ = ran
    times = {file: file.stat().st_mtime_ns for file in (folder / "weights").iterdir()}
    study().run(folder, workers=1)
    assert {file: file.stat().st_mtime_ns for file in (folder / "weights").iterdir()} == times
    lines, same = verify_study(folder)
    assert same, lines
    file = folder / "weights" / "fold-0-refined.safetensors"
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(SettingsError, match="fold-0-refined.safetensors: missing"):
        verify_study(folder)
    file.write_bytes(whole[:-4] + bytes(4))
    with pytest.raises(SettingsError, match="damaged"):
        verify_study(folder)
    file.write_bytes(whole)


def test_only_where_it_is_asked_for(tmp_path):
    plain = study(metrics={"names": ["fidelity"], "steps": 2})
    plain.run(tmp_path / "r", workers=1)
    assert [file.stem for file in (tmp_path / "r" / "weights").iterdir()] == ["fold-0"]
    assert "refining" not in Store(tmp_path / "r").description().raw["networks"][0]
    usual = StudySettings.model_validate({"name": "x"})
    assert "refining" not in content_of(usual)["classifier"]  # as in studies of before
    asked = StudySettings.model_validate({"name": "x", "metrics": {"names": ["f-fidelity"]}})
    assert content_of(asked)["classifier"]["refining"] == {"epochs": 5, "learning_rate": 1e-4}


def test_the_price_counts_it():
    with_it, without = (study(metrics={"names": names, "steps": 2}).estimate() for names in (["f-fidelity"], ["irof"]))
    assert with_it.training - without.training == 2 * 16
    assert with_it.seconds["refining"] > 0
    assert "refining" not in without.seconds
    assert with_it.images == 101 - 100 + 100 * with_it.maps


def refine(tmp_path, classifier, cases, given=True, **changes):
    settings = StudySettings.model_validate({**CONTENT, **changes})
    return refined(
        settings, cases, classifier, tmp_path / "refined.safetensors", "cpu", "", lambda *_: None, given=given
    )


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (2, 2), (3, 3)])
@pytest.mark.parametrize("shape", [(24, 24), (16, 16, 16)])
def test_networks_that_are_given_are_refined_on_masked_images(tmp_path, monkeypatch, classes, outputs, shape):
    cases = blobs(18, classes=classes, channels=1, shape=shape)
    classifier = Classifier(convolutional(1, outputs, dimensions=len(shape)), "logit" if outputs == 1 else "logits")
    before, steps = weights_hash(classifier.network), []
    step = training._step
    monkeypatch.setattr(training, "_step", lambda *given: (steps.append(given[1]), step(*given))[1])
    made, told = refine(tmp_path, classifier, cases)
    assert weights_hash(classifier.network) == before
    assert weights_hash(made.network) == told["refining"]["weights"] != before
    assert made.output == classifier.output
    known = [torch.from_numpy(image) for image in cases.images()]
    for image in torch.cat(steps):
        original = min(known, key=lambda one: float((one - image).abs().sum()))
        changed = image != original
        assert float(changed.float().mean()) == pytest.approx(0.1, abs=0.01)
        assert torch.allclose(image[changed], original.mean())
    again, _ = refine(tmp_path, classifier, cases)
    assert weights_hash(again.network) == weights_hash(made.network)
    copied = convolutional(1, outputs, dimensions=len(shape))
    assert load_state(copied, tmp_path / "refined.safetensors")["cases"] == 18
    assert weights_hash(copied) == weights_hash(made.network)
    assert len(made.predict(torch.stack(known))) == 18


class NoWeights(nn.Module):
    def forward(self, x):
        return x.flatten(1).mean(dim=1)


def test_what_cannot_be_refined_says_why(tmp_path):
    network = convolutional(1, 2)
    cases = blobs(12, classes=2, channels=1)
    for classifier, why in (
        (Classifier(nn.Sequential(network, nn.Softmax(dim=1)), "probabilities"), "returns probabilities, and only"),
        (Classifier(network, "logits", task="labels"), "several labels"),
        (Classifier(NoWeights(), "logit"), "no weights that could be trained"),
        (
            Classifier(torch.export.export(network, (torch.zeros(2, 1, 24, 24),)).module(), "logits"),
            "cannot be trained",
        ),
    ):
        assert why in unrefinable(classifier)
        made, told = refine(tmp_path, classifier, cases)
        assert why in made
        assert told["refining"] == f"not done: {made}"
    assert refine(tmp_path, Classifier(network, "logits"), cases.select([]))[0] == "there are no training cases"
    few = replace(cases, entries=cases.entries[:2])
    assert "too few to hold out" in refine(tmp_path, Classifier(network, "logits"), few)[0]
    assert not (tmp_path / "refined.safetensors").exists()


def test_a_given_network_without_training_cases_has_rows_that_say_so(tmp_path):
    quick_study(metrics={"names": ["fidelity", "f-fidelity"], "steps": 2}).run(tmp_path / "r", workers=1)
    rows = Store(tmp_path / "r").measurements()
    notes = set(rows[rows["metric"] == NOT_ASSESSED]["note"])
    assert notes == {"f-fidelity: no refined network: there are no training cases"}
    page = (tmp_path / "r" / "report.html").read_text()
    assert "was not assessed: there are no training cases." in page
