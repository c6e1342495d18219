"""Studies of volumes from the study file to the page: trained by us, given, and of real scans with implants."""

import json

import captum.attr
import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from torch import nn

from conftest import convolutional
from tomolens.api import Study, train_network
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import arguments_for, make
from tomolens.classifier.weights import save_weights
from tomolens.errors import SettingsError
from tomolens.estimators import IntegratedGradients, explain
from tomolens.estimators.registry import PROTOCOL
from tomolens.metrics import fidelity
from tomolens.study.settings import settings_from

LUNG = (-1000.0, 400.0)
SMALL = {
    "name": "volumes",
    "examples": 1,
    "cases": {
        "source": "phantom",
        "finding": "nodule",
        "finding_mm": [30, 50],
        "dimensions": 3,
        "size": [12, 14, 16],
        "crop": "lungs",
        "train": 8,
        "test": 4,
    },
    "classifier": {
        "recipe": {"architecture": "local", "arguments": {"width": 2}, "epochs": 1, "batch_size": 4, "twins": True}
    },
    "estimators": {
        "names": ["backpropagation", "smoothgrad-squared", "random"],
        "parameters": {"smoothgrad-squared": {"samples": 2}},
    },
    "metrics": {"steps": 6, "roc_points": 11},
    "statistics": {"resamples": 100},
}


def small(**cases):
    return settings_from({**SMALL, "cases": {**SMALL["cases"], **cases}}, "a test")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "r"
    return out, Study.of(small()).run(out, workers=1)


def test_a_study_of_simulated_volumes_runs_to_its_page(study):
    out, findings = study
    assert len(findings.measured.failed) == 0
    for name in ("fidelity", "roc", "overlap", "ranks", "baselines"):
        assert len(findings.table(name)), name
    content = json.loads((out / "study.json").read_text())["content"]
    assert content["cases"]["shape"] == [1, 12, 14, 16]
    assert (content["settings"]["cases"]["dimensions"], content["settings"]["cases"]["crop"]) == (3, "lungs")
    rows = parquet.read_table(out / "measurements").to_pandas()
    assert rows["note"].eq("").all()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "cropped to the lungs as found in HU and resized to 12 × 14 × 16 voxels" in page


def test_weights_of_slices_are_not_taken_for_volumes(study, tmp_path):
    out, _ = study
    file = next((out / "weights").glob("*.safetensors"))
    assert Study.of(small(), classifier=file).classifier is not None
    with pytest.raises(SettingsError, match="trained with cases.crop = lungs, the study has body"):
        Study.of(small(crop="body"), classifier=file)
    arguments = arguments_for("local", extra={"width": 2})
    notes = {"size": 16, "window": [-1000.0, 400.0], "spacing": None, "dimensions": 2, "crop": None}
    save_weights(make("local", arguments), tmp_path / "w.safetensors", "local", notes, arguments)
    with pytest.raises(SettingsError, match="trained with cases.dimensions = 2, the study has 3"):
        Study.of(small(), classifier=tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": [12, 14]}, r"size \[12, 14\]: volumes have three axes, slices, rows and columns"),
        ({"dimensions": 2}, r"size \[12, 14, 16\]: slices have two axes, rows and columns"),
        ({"crop": "head"}, "crop"),
        ({"dimensions": 4}, "dimensions"),
    ],
)
def test_settings_that_do_not_fit_are_told(changed, message):
    with pytest.raises(SettingsError, match=message):
        small(**changed)


def test_what_is_not_said_of_volumes_is_smaller():
    content = {key: value for key, value in SMALL["cases"].items() if key != "size"}
    assert settings_from({**SMALL, "cases": content}, "a test").cases.size == 96


@pytest.fixture(scope="module")
def volume():
    """A simulated volume and a network of volumes."""
    case = phantom.cases(2, preprocessing=Preprocessing((10, 12, 14), LUNG), finding="nodule", dimensions=3)[1]
    return torch.from_numpy(case.image)[None], convolutional(dimensions=3)


def test_maps_of_a_volume_are_captums(volume):
    image, network = volume
    classifier = Classifier(network)
    maps = explain(classifier, image, ["backpropagation", IntegratedGradients(steps=6)], [1])
    theirs = captum.attr.Saliency(network).attribute(image, target=0, abs=False)
    torch.testing.assert_close(maps["backpropagation"], theirs, rtol=1e-4, atol=1e-6)
    theirs = captum.attr.IntegratedGradients(network).attribute(
        image, torch.zeros_like(image), target=0, n_steps=6, method="riemann_right"
    )
    torch.testing.assert_close(maps["integrated-gradients"], theirs, rtol=1e-3, atol=1e-5)


def test_fidelity_of_a_volume_is_that_of_a_plain_loop(volume):
    image, network = volume
    with torch.no_grad():
        network[-1].bias -= float(network(image)) - 0.02  # near its decision's border, so that curves fall
    importance = torch.from_numpy(np.random.default_rng(0).permutation(image.numel()).reshape(image.shape)).double()
    steps, pixels = 8, image.numel()
    found = fidelity(Classifier(network), image, [1], importance, steps=steps)
    order = importance.flatten().argsort(descending=True)
    curves = []
    for sequence in (order, order.flip(0)):
        right = []
        for step in range(steps + 1):
            masked = image.clone().flatten()
            masked[sequence[: int(np.floor(step / steps * pixels + 0.5))]] = 0.0
            with torch.no_grad():
                right.append(float(network(masked.reshape(image.shape)) > 0))
        curves.append(np.array(right))
    most, least = curves
    np.testing.assert_array_equal(np.ravel(found.most_important_first), most)
    np.testing.assert_array_equal(np.ravel(found.least_important_first), least)
    assert found.area == pytest.approx(np.trapezoid(least - most, dx=1 / steps))


class Narrow(nn.Module):
    """A network that has no memory for more than some volumes at a time."""

    def __init__(self, most):
        super().__init__()
        self.network, self.most, self.seen = convolutional(dimensions=3), most, []

    def forward(self, images):
        self.seen.append(len(images))
        if len(images) > self.most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return self.network(images)


def test_batches_that_do_not_fit_are_halved_and_no_number_differs(volume):
    image, network = volume
    narrow = Narrow(3).eval()
    narrow.network.load_state_dict(network.state_dict())
    names = ["smoothgrad", "integrated-gradients"]
    maps = explain(Classifier(narrow), image, names, [1], batch_size=16)
    wide = explain(Classifier(network), image, names, [1], batch_size=2)
    for name in names:
        torch.testing.assert_close(maps[name], wide[name])
    tried = [count for count in narrow.seen if count > 3]
    assert tried == [16, 8, 4]  # once each: later batches are no larger than what fitted
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        explain(Classifier(Narrow(0).eval()), image, names, [1], batch_size=2)


def test_real_volumes_with_implanted_nodules_through_a_whole_study(real_ct, tmp_path):
    folder = real_ct / "totalsegmentator"
    rows = [f"{name}{k},{folder / f'{name}_ct.nii.gz'},0,{name}{k}" for name in ("chest", "torso") for k in range(2)]
    (tmp_path / "cases.csv").write_text("\n".join(["case,image,label,patient", *rows]) + "\n")
    content = {
        **{name: part for name, part in SMALL.items() if name not in ("classifier", "examples")},
        "cases": {"dimensions": 3, "implant": "nodule", "size": [24, 24, 28], "crop": "lungs", "keep_patients": True},
    }
    study = Study.of(settings_from(content, "a test"), tmp_path / "cases.csv", Classifier(convolutional(dimensions=3)))
    findings = study.run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    assert len(findings.measured.cases) == 4
    assert findings.measured.cases["label"].sum() == 2
    assert len(findings.table("overlap")) > 0
    assert findings.table("roc")["auc"].between(0, 1).all()
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "cropped to the lungs as found in HU" in page
    assert "given as arrays" not in page


@pytest.mark.slow
def test_real_volumes_with_a_network_that_learned_from_simulated_ones(real_ct, tmp_path):
    """By all estimators and metrics of the protocol; the network was trained by us, and weights say what it takes."""
    seen = {"dimensions": 3, "size": [32, 40, 40], "crop": "lungs"}
    recipe = {"architecture": "local", "arguments": {"width": 6}, "epochs": 6, "batch_size": 4, "twins": True}
    simulated = {
        "name": "simulated",
        "cases": {**seen, "source": "phantom", "finding": "nodule", "finding_mm": [20, 40], "train": 32, "test": 1},
        "classifier": {"recipe": recipe},
    }
    train_network(Study.of(settings_from(simulated, "a test")), tmp_path / "net.safetensors")
    folder = real_ct / "totalsegmentator"
    rows = [f"{name}{k},{folder / f'{name}_ct.nii.gz'},0,{name}{k}" for name in ("chest", "torso") for k in range(3)]
    (tmp_path / "cases.csv").write_text("\n".join(["case,image,label,patient", *rows]) + "\n")
    real = {
        "name": "real",
        "cases": {**seen, "implant": "nodule"},
        "metrics": {"steps": 20},
        "statistics": {"resamples": 200},
    }
    study = Study.of(settings_from(real, "a test"), tmp_path / "cases.csv", tmp_path / "net.safetensors")
    findings = study.run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    assert len(findings.measured.cases) == 6
    assert 0 < findings.measured.cases["label"].sum() < 6
    asked = {*PROTOCOL} - {"expected-gradients"}  # it draws training images, and there are none
    for name in ("fidelity", "roc", "overlap"):  # those by twins are of a network that tells them from their twins
        assert asked <= set(findings.table(name)["estimator"]), name
    content = json.loads((tmp_path / "r" / "study.json").read_text())["content"]
    assert content["cases"]["shape"] == [1, 32, 40, 40]
    assert "cropped to the lungs as found in HU" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_the_packaged_study_of_volumes_can_be_made(request):
    study = Study.from_toml(request.config.rootpath / "studies" / "volumes.toml")
    cases = study.load_cases()
    assert (study.settings.cases.dimensions, len(cases)) == (3, 488)
    assert {entry.split for entry in cases.entries[:440]} == {"train"}
    assert cases[-1].image.shape == cases[-1].twin.shape == (1, *study.settings.cases.size)
    assert cases[-1].mask.sum() > 50
