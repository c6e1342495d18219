"""Real slices through the whole path: reading, folds by patient, training, explaining, measuring, reporting."""

import numpy as np
import pytest

from tomolens.api import Study
from tomolens.cases import Preprocessing, from_manifest
from tomolens.cases.splits import inseparable_groups
from tomolens.study.settings import StudySettings, read_settings
from tomolens.study.sides import sides_of


@pytest.fixture
def manifest(real_ct):
    return real_ct / "tcga-contrast" / "cases.csv"


@pytest.fixture
def study_file(request):
    return request.config.rootpath / "studies" / "tcga-contrast.toml"


def test_every_slice_is_read_as_ct(manifest):
    cases = from_manifest(manifest, Preprocessing(size=128))
    assert len(cases) == 70
    assert cases.labels.sum() == 35
    masked = 0
    for case in cases:
        assert case.image.shape == (1, 128, 128)
        assert 0.0 <= case.image.min() < case.image.max() <= 1.0
        body = (case.image > 0.05).mean()
        assert 0.08 < body < 0.9, case.name
        if case.mask is not None:
            masked += 1
            assert 0 < case.mask.mean() < 0.2
            # Blood lies in the soft-tissue window: brighter with contrast agent than without.
            assert case.image[0][case.mask].mean() > (0.5 if case.label else 0.3), case.name
    assert masked == 52


def test_duplicates_and_patients_stay_together(manifest, study_file):
    cases = from_manifest(manifest, Preprocessing(size=128))
    assert len(set(cases.fingerprints)) < 70
    assert len(set(cases.patients)) == 36
    sides = sides_of(read_settings(study_file), cases)
    for side in sides:
        for names in (cases.patients, cases.fingerprints):
            assert not {names[i] for i in side.training} & {names[i] for i in side.held_out}
        assert set(cases.labels[side.held_out].tolist()) == {0, 1}
    assert inseparable_groups(cases.patients, cases.fingerprints).max() < 36


def test_the_whole_study_on_some_real_slices(manifest, tmp_path):
    settings = StudySettings.model_validate(
        {
            "name": "real",
            "examples": 2,
            "cases": {"size": 64, "folds": 2},
            "classifier": {"recipe": {"architecture": "resnet18", "epochs": 2, "batch_size": 8}},
            "estimators": {"parameters": {"smoothgrad": {"samples": 3}, "smoothgrad-squared": {"samples": 3}}},
            "metrics": {"steps": 10},
            "statistics": {"resamples": 200},
        }
    )
    everything = from_manifest(manifest, Preprocessing(size=64))
    findings = Study(settings, cases=everything.select(np.arange(0, 70, 6))).run(tmp_path / "r")
    assert (findings.table("fidelity")["cases"] == 12).all()
    assert len(findings.table("roc")) == 16
    assert findings.table("roc")["auc"].between(0, 1).all()
    assert (tmp_path / "r" / "report.html").exists()
