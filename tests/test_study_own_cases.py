"""Studies of arrays and of datasets: the same numbers whoever works, gone on with, verified, and split in every way."""

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import Dataset, MetaTensor

from conftest import convolutional
from quick_study import SETTINGS, tables
from tomolens.api import Study, verify_study
from tomolens.cases import Cases
from tomolens.classifier import Classifier
from tomolens.errors import CaseError, SettingsError
from tomolens.results.store import Store
from tomolens.study.settings import settings_from

COUNT = 16
LABELS = [(number // 2) % 2 for number in range(COUNT)]
OWNERS = [f"p{number // 2}" for number in range(COUNT)]
AFFINE = np.diag([-0.7, -0.7, 2.0, 1.0])
TRAINING = {
    "classifier": {"recipe": {"architecture": "local", "epochs": 2, "batch_size": 8, "validation": 0.3}},
    "estimators": {"names": ["backpropagation", "random"]},
}


def arrays(spatial=(16, 16)):
    random = np.random.default_rng(0)
    masks = np.zeros((COUNT, *spatial), bool)
    images = 0.3 * random.random((COUNT, 1, *spatial))
    for number, label in enumerate(LABELS):
        masks[(number, *(slice(2 + 4 * label, 6 + 4 * label) for _ in spatial))] = True
        images[number, 0][masks[number]] += 0.5
    return images.astype(np.float32), masks


def of_arrays(spatial=(16, 16), **more):
    images, masks = arrays(spatial)
    return Cases.from_arrays(images, LABELS, masks=masks, patients=OWNERS, **more)


def of_dataset(spatial=(16, 16), **more):
    images, masks = arrays(spatial)
    items = [
        {"image": MetaTensor(torch.from_numpy(image), affine=AFFINE), "label": label, "mask": mask, "who": who}
        for image, label, mask, who in zip(images, LABELS, masks, OWNERS, strict=True)
    ]
    return Cases.from_dataset(Dataset(items), mask="mask", patient="who", **more)


SOURCES = {"arrays": of_arrays, "dataset": of_dataset}


def study_of(own, trained=False, **changes):
    dimensions = own[0].image.ndim - 1
    settings = settings_from(SETTINGS | changes, "a test")
    return Study(settings, cases=own, classifier=None if trained else Classifier(convolutional(dimensions=dimensions)))


@pytest.mark.parametrize("source", SOURCES)
def test_a_study_gives_the_same_numbers_whoever_works_and_is_verified(source, tmp_path):
    findings = study_of(SOURCES[source]()).run(tmp_path / "two", workers=2)
    assert len(findings.measured.failed) == 0
    assert findings.measurements["case"].nunique() == COUNT
    assert len(findings.table("roc"))
    assert findings.measurements["patient"].nunique() == COUNT // 2
    study_of(SOURCES[source]()).run(tmp_path / "one", workers=1)
    assert tables(tmp_path / "two") == tables(tmp_path / "one")
    lines, same = verify_study(tmp_path / "two", SOURCES[source](), Classifier(convolutional()), sample=3)
    assert same, lines


def test_arrays_and_a_dataset_of_the_same_are_the_same_study(tmp_path):
    study_of(of_arrays()).run(tmp_path / "r", workers=1)
    lines, same = verify_study(tmp_path / "r", of_dataset(), Classifier(convolutional()), sample=2)
    assert same, lines


@pytest.mark.parametrize("source", SOURCES)
def test_a_study_that_was_stopped_goes_on_with_the_same_cases_alone(source, tmp_path):
    def stop(stage, done, *_):
        if stage == "explaining and evaluating" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_of(SOURCES[source]()).run(tmp_path / "r", workers=1, progress=stop)
    assert len(Store(tmp_path / "r").shards.finished()) == 5
    for others in (of_arrays(names=[f"own {number}" for number in range(COUNT)]), of_arrays().select(range(12))):
        with pytest.raises(SettingsError, match=r"holds another study, which differs in cases.*hash"):
            study_of(others).run(tmp_path / "r", workers=1)
    study_of(SOURCES[source]()).run(tmp_path / "r", workers=1)
    study_of(SOURCES[source]()).run(tmp_path / "whole", workers=1)
    assert tables(tmp_path / "r") == tables(tmp_path / "whole")


@pytest.mark.parametrize("source", SOURCES)
def test_volumes(source, tmp_path):
    findings = study_of(SOURCES[source]((8, 12, 12))).run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    assert len(findings.table("fidelity"))


SPLITS = {
    "split": ({}, ["train"] * 10 + ["test"] * 6, 6),
    "hold_out": ({"hold_out": 0.4}, None, 6),
    "folds": ({"folds": 2}, None, COUNT),
}


@pytest.mark.parametrize("way", SPLITS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_network_is_trained_on_the_others(source, way, tmp_path):
    chosen, split, held_out = SPLITS[way]
    study = study_of(SOURCES[source](split=split), trained=True, cases=chosen, **TRAINING)
    findings = study.run(tmp_path / "r", workers=1)
    measured = findings.measurements
    assert measured["case"].nunique() == held_out
    assert measured.groupby("patient")["fold"].nunique().eq(1).all()
    lines, same = verify_study(tmp_path / "r", SOURCES[source](split=split), sample=2)
    assert same, lines


def test_twins_are_measured(tmp_path):
    images, masks = arrays()
    twins = images.copy()
    twins[:, 0][masks] -= 0.4
    cases = Cases.from_arrays(images, LABELS, masks=masks, patients=OWNERS, twins=twins)
    findings = study_of(cases).run(tmp_path / "r", workers=1)
    assert (findings.measurements["metric"] == "twin_turns").sum() == COUNT
    assert isinstance(findings.table("controls"), pd.DataFrame)


def test_what_is_odd_about_items_is_told(tmp_path):
    images, _ = arrays()
    flat = MetaTensor(torch.from_numpy(images[0]), affine=np.diag([1.0, 1.0, 0.0, 1.0]))
    items = [
        {"image": flat if number == 0 else image, "label": label}
        for number, (image, label) in enumerate(zip(images, LABELS, strict=True))
    ]
    study_of(Cases.from_dataset(items)).run(tmp_path / "r", workers=1)
    words = "where its pixels lie is not known: its affine spans no volume"
    assert Store(tmp_path / "r").description().get("notes") == {words: 1}
    assert f"in 1 of {COUNT} cases {words}" in (tmp_path / "r" / "report.html").read_text()


class OpenFile:
    """A dataset that no other process can be given."""

    def __init__(self, file):
        self.file, self.images = file.open("rb"), arrays()[0]

    def __len__(self):
        return COUNT

    def __getitem__(self, place):
        return {"image": self.images[place], "label": LABELS[place]}


def test_a_dataset_that_cannot_be_sent_to_workers_is_said_in_one_line(tmp_path):
    (tmp_path / "data").touch()
    cases = Cases.from_dataset(OpenFile(tmp_path / "data"))
    with pytest.raises(CaseError, match=r"these cases \(of a dataset .*\) cannot be sent .*: use one worker"):
        study_of(cases).run(tmp_path / "r", workers=2)
    assert len(study_of(cases).run(tmp_path / "r", workers=1).measured.failed) == 0
