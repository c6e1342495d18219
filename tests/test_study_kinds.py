"""Studies of three classes, of two channels and of volumes run to the end, report and all."""

from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import torch

from conftest import FIGURES, convolutional
from tomolens.api import Study, verify_study
from tomolens.cases import Case, CaseEntry, Cases
from tomolens.classifier import Classifier
from tomolens.errors import SettingsError
from tomolens.report import write
from tomolens.study.settings import settings_from

NAMES = ("none", "left", "right")


def cases_of(classes=2, channels=1, spatial=(16, 16), count=24):
    """A bright box whose place tells the class; every case has a mask, and two of them one patient."""
    entries = tuple(
        CaseEntry(f"case-{i}", (i // 2) % classes, f"patient-{i // 2}", split="train" if i < 6 else "test")
        for i in range(count)
    )

    def read(entry):
        random = np.random.default_rng(int(entry.name.split("-")[1]))
        image = 0.3 * random.random((channels, *spatial))
        mask = np.zeros(spatial, bool)
        start = 1 + 2 * entry.label
        mask[tuple(slice(start, start + 3) for _ in spatial)] = True
        image[entry.label % channels][mask] += 0.6
        return Case(entry.name, image.astype(np.float32), entry.label, entry.patient, mask)

    return Cases(entries, read, NAMES[:classes])


def study_of(classes=2, channels=1, spatial=(16, 16), outputs=None, **changes):
    network = convolutional(channels, classes if outputs is None else outputs, dimensions=len(spatial))
    content = {
        "name": "kinds",
        "examples": 1,
        "batch_size": 8,
        "cases": {"classes": NAMES[:classes]},
        "metrics": {"steps": 6, "roc_points": 11, "fill": [1.0, 0.0, "mean"][:classes]},
        "statistics": {"resamples": 100},
    }
    settings = settings_from(content | changes, "a test")
    output = "logit" if outputs == 1 else "logits"
    return Study(settings, cases=cases_of(classes, channels, spatial), classifier=Classifier(network.eval(), output))


@pytest.mark.parametrize(
    "kind",
    [
        {"classes": 3},
        {"channels": 2, "outputs": 1},
        {"classes": 3, "channels": 2},
        {"spatial": (8, 10, 12), "outputs": 1},
        {"spatial": (8, 10, 12), "classes": 3, "channels": 2},
    ],
    ids=str,
)
def test_a_study_runs_to_the_end(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", FIGURES)
    findings = study_of(**kind).run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    for name in ("fidelity", "roc", "overlap", "ranks", "baselines", "gains", "pairs", "strata"):
        assert len(findings.table(name)), name
    assert (findings.table("fidelity")["cases"] == 18).all()
    page = unescape((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
    for name in NAMES[: kind.get("classes", 2)]:
        assert name in page
    assert "overlap was not assessed" not in page
    figures = {file.stem for file in (tmp_path / "r" / "figures").glob("*.png")}
    assert {"perturbation", "roc", "agreement", "example-1-maps"} <= figures


def test_volumes_without_a_usable_mask_among_others(tmp_path):
    """Regions have no value where the mask is empty, and one everywhere else."""
    study = study_of(spatial=(8, 10, 12), outputs=1)

    def emptied(entry):
        case = study.cases.read(entry)
        return replace(case, mask=case.mask & (entry.name not in ("case-8", "case-10")))

    findings = replace(study, cases=Cases(study.cases.entries, emptied)).run(tmp_path / "r", workers=1)
    assert findings.table("roc")["undefined"].eq(2).all()
    assert findings.table("overlap")["undefined"].eq(2).all()
    assert set(findings.table("gains")["view"]) == {"fidelity", "auc", "dice"}


def test_decisions_are_about_the_explained_class(tmp_path):
    """A network that always says class 2: its maps explain that class, and of a case of class 0 or 1 a decision is
    right that is not class 2, whichever of the others it is."""
    study = study_of(classes=3)
    with torch.no_grad():
        study.classifier.network[-1].bias[:] = torch.tensor([0.0, 0.0, 50.0])
    findings = study.run(tmp_path / "r", workers=1)
    rows = findings.measurements
    curves = rows[(rows["metric"] == "most_important_first") & (rows["estimator"] == "backpropagation")]
    for label, curve in zip(curves["label"], curves["curve"], strict=True):
        assert set(curve) == {float(label == 2)}


def test_a_fill_for_two_classes_is_refused_for_three():
    with pytest.raises(SettingsError, match=r"metrics.fill = 'label' is defined for two classes, not for 3"):
        study_of(classes=3, metrics={"names": ["fidelity"]})
    with pytest.raises(SettingsError, match="metrics.fill has 2 fills, one a class, and cases.classes 3"):
        study_of(classes=3, metrics={"fill": [0.0, 1.0]})


def test_a_network_of_other_classes_is_refused_before_anything_long(tmp_path):
    with pytest.raises(SettingsError, match="the network has 2 classes, cases.classes names 3"):
        study_of(classes=3, outputs=2).run(tmp_path / "r", workers=1)
    assert not (tmp_path / "r").exists()


def test_a_study_trains_a_network_of_three_classes_and_two_channels(tmp_path):
    recipe = {"architecture": "resnet18", "epochs": 2, "batch_size": 6, "validation": 0.3}
    study = study_of(classes=3, channels=2, classifier={"recipe": recipe}, estimators={"names": ["backpropagation"]})
    cases = study.cases
    trained = Cases(
        tuple(replace(entry, split="train" if int(entry.patient[8:]) < 9 else "test") for entry in cases.entries),
        cases.read,
        cases.classes,
    )
    findings = replace(study, cases=trained, classifier=None).run(tmp_path / "r", workers=1)
    assert len(findings.table("fidelity")) == 2
    assert findings.measurements["predicted"].isin([0, 1, 2]).all()
    lines, same = verify_study(tmp_path / "r", trained)
    assert same, lines
