"""A manifest with label maps, through a study to its tables and page; and studies of before, which stay the same."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from conftest import convolutional
from ct_files import body, write_slice
from quick_study import SETTINGS, quick_study
from tomolens.api import Study, verify_study
from tomolens.cases import Cases
from tomolens.classifier import Classifier
from tomolens.errors import CaseError, SettingsError
from tomolens.findings import Findings
from tomolens.study.content import content_of
from tomolens.study.settings import StudySettings, settings_from

COUNT, SIDE = 14, 48
PARTS = {"parameters": {"lime": {"parts": "anatomy", "samples": 20}}}


def labels_of(number):
    """An aorta everywhere, a heart in every other case."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[18:24, 20:28] = 1
    if number % 2:
        labels[26:34, 14:30] = 2
    return labels


@pytest.fixture
def manifest(tmp_path):
    """Slices of fourteen patients; the last two have no anatomy."""
    rows = []
    for number in range(COUNT):
        name = f"case-{number:02d}"
        hu = body(1, SIDE, SIDE, seed=number)[0]
        write_slice(tmp_path / f"{name}.dcm", hu)
        sitk.WriteImage(sitk.GetImageFromArray(labels_of(number)), str(tmp_path / f"{name}.png"))
        anatomy = f"{name}.png" if number < COUNT - 2 else ""
        rows.append([name, f"{name}.dcm", number % 2, f"p{number}", anatomy])
    with (tmp_path / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", "image", "label", "patient", "anatomy"], *rows])
    return tmp_path / "cases.csv"


def settings(**changes):
    given = {
        **SETTINGS,
        "cases": {"size": SIDE, "anatomy_names": {"aorta": 1, "heart": 2}},
        "estimators": {"names": ["backpropagation", "lime", "random"], **PARTS},
        "metrics": {"names": ["fidelity", "anatomy", "tissue"], "steps": 6},
    }
    return settings_from({**given, **changes}, "a test")


def study(manifest, **changes):
    return Study.of(settings(**changes), manifest, Classifier(convolutional()))


def test_from_the_manifest_to_the_page(manifest, tmp_path):
    own = settings(estimators={"names": ["backpropagation", "random"]})
    findings = Study.of(own, manifest, Classifier(convolutional())).run(tmp_path / "out", workers=2)
    table = pd.read_csv(tmp_path / "out" / "tables" / "anatomy.csv")
    assert table["part"].unique().tolist() == ["aorta", "heart", "rest of the body", "outside the body"]
    assert table["cases"].eq(COUNT - 2).all()  # the others are not measured
    assert findings.table("tissue")["cases"].eq(COUNT).all()
    rows = findings.measurements
    chosen = rows[(rows["estimator"] == "backpropagation") & (rows["form"] == "original")]
    areas = np.stack(chosen["curve"][chosen["metric"] == "anatomy_positive_area"].tolist())
    wanted = [[(labels_of(number) == label).mean() for label in (1, 2)] for number in range(COUNT - 2)]
    np.testing.assert_allclose(areas[:, :2], wanted)
    even = table[(table["estimator"] == "random") & (table["sign"] == "positive")].set_index("part")
    np.testing.assert_allclose(even["area"][["aorta", "heart"]], np.mean(wanted, axis=0))
    assert even["enrichment"].between(0.85, 1.15).all()  # noise knows no structure
    assert even["enrichment_ci_low"]["aorta"] < even["enrichment"]["aorta"] < even["enrichment_ci_high"]["aorta"]
    text = (tmp_path / "out" / "report.html").read_text()
    for heading in ("Where the maps lie, by structure", "Where the maps lie, by density"):
        assert f">{heading}</h2>" in text
    assert 'data-chart="anatomy"' in text
    assert Findings.from_folder(tmp_path / "out").table("anatomy").equals(findings.table("anatomy"))


def test_an_estimator_takes_the_image_apart_by_structures(manifest, tmp_path):
    findings = study(manifest).run(tmp_path / "out", workers=1)
    rows = findings.measurements
    refused = rows[(rows["metric"] == "not assessed") & (rows["estimator"] == "lime")]
    assert refused["case"].tolist() == [f"case-{number:02d}" for number in (COUNT - 2, COUNT - 1)]
    assert refused["note"].str.contains("leaves out structures").all()
    lines, same = verify_study(tmp_path / "out", manifest, Classifier(convolutional()), sample=3)
    assert same, lines


def test_other_structures_are_another_study_where_anything_looks_at_them(manifest, tmp_path):
    study(manifest).run(tmp_path / "out", workers=1)
    sitk.WriteImage(sitk.GetImageFromArray(labels_of(1)), str(tmp_path / "case-00.png"))
    with pytest.raises(SettingsError, match=r"another study, which differs in cases\.places"):
        study(manifest).run(tmp_path / "out", workers=1)


def test_a_wrong_file_stops_the_study_and_is_named(manifest, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((20, 20), np.uint8)), str(tmp_path / "case-03.png"))
    with pytest.raises(CaseError, match=r"case case-03: .*case-03\.png: anatomy of \(20, 20\) pixels on an image of"):
        study(manifest).run(tmp_path / "out", workers=1)
    cases = {"size": SIDE, "on_error": "skip", "anatomy_names": {"aorta": 1}}
    metrics = {"names": ["anatomy"]}
    names = {"names": ["backpropagation"]}
    findings = study(manifest, cases=cases, metrics=metrics, estimators=names).run(tmp_path / "skipped", workers=1)
    (reason,) = findings.description.get("skipped").values()
    assert reason.startswith("its anatomy: anatomy of (20, 20) pixels")


def test_parts_of_structures_that_no_case_has_are_refused():
    images, labels = np.random.default_rng(0).random((12, 1, 16, 16), np.float32), [0, 1] * 6
    own = settings(cases={})
    with pytest.raises(SettingsError, match=r"lime: parts = 'anatomy', and no case of the study has structures"):
        Study(own, cases=Cases.from_arrays(images, labels), classifier=Classifier(convolutional())).run("unused")


@pytest.mark.parametrize("spatial", [(16, 16), (8, 16, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_several_channels_and_volumes(tmp_path, spatial, channels):
    random = np.random.default_rng(0)
    images = random.random((12, channels, *spatial)).astype(np.float32)
    cases = Cases.from_arrays(images, [0, 1] * 6, anatomy=random.integers(0, 3, (12, *spatial)))
    network = Classifier(convolutional(channels, dimensions=len(spatial)))
    own = settings(cases={}, metrics={"names": ["anatomy", "tissue"]})
    findings = Study(own, cases=cases, classifier=network).run(tmp_path / "out", workers=1)
    assert {"label 1", "label 2"} < set(findings.table("anatomy")["part"])
    assert findings.table("tissue").empty  # arrays have no Hounsfield units
    sums = findings.table("anatomy").groupby(["estimator", "form", "sign"])["share"].sum()
    np.testing.assert_allclose(sums, 1.0)


def test_studies_of_before_are_the_same_studies(tmp_path):
    written = content_of(StudySettings(name="a", repeat={}))
    assert not {"anatomy", "anatomy_names"} & set(written["cases"])
    assert "architectures" not in written["repeat"]
    given = settings_from({"name": "a", "cases": {"anatomy": [1], "anatomy_names": {"aorta": 1}}}, "a test")
    again = settings_from(json.loads(given.model_dump_json()), "a test")
    assert (again.cases.anatomy, again.cases.anatomy_names) == ((1,), {"aorta": 1})
    quick_study().run(tmp_path / "out", workers=1)
    content = json.loads((tmp_path / "out" / "study.json").read_text())["content"]
    assert content["cases"].keys() == {"count", "hash", "shape", "windowed"}
    assert torch.is_grad_enabled()
