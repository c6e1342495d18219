"""On a GPU: maps, decisions and numbers of the CPU, the same twice, batches that fit; skipped where there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conftest import convolutional
from quick_study import quick_study
from test_estimators_contract import EVERY, Kind, made
from test_metrics_contract import evaluand_for
from tomolens.classifier import Classifier
from tomolens.estimators import explain
from tomolens.metrics import fidelity
from tomolens.metrics.metric import Metric
from tomolens.metrics.registry import METRICS
from tomolens.results.store import Store

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
KINDS = [Kind(1, (16, 16), 1), Kind(2, (6, 8, 10), 3)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_maps_are_those_of_the_cpu_and_the_same_twice(name, kind):
    images = kind.images()
    lent = {"references": kind.references(), "scenes": kind.scenes(), "batch_size": 7}
    classifier = kind.classifier(name)
    expected = explain(classifier, images, [made(name)], **lent)[name]
    classifier.network.cuda()
    found = [explain(classifier, images, [made(name)], **lent)[name].cpu() for _ in range(2)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6 * float(expected.abs().max()))
    for one, other in zip(found[0], expected, strict=True):
        if other.std() > 0:  # ReLUs at zero may turn by the last bits
            assert np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_the_cpu(name):
    metric: Metric = METRICS[name]
    given = evaluand_for(name)
    expected = {(key, output): value for key, output, value in metric.measure(given)}
    for one in (given.classifier, *(rival.classifier for rival in given.rivals)):
        one.network.cuda()
    found = {(key, output): value for key, output, value in metric.measure(given)}
    assert found.keys() == expected.keys()
    for key, value in found.items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-3, atol=1e-4, err_msg=str(key))


def test_decisions_are_those_of_the_cpu():
    images = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    classifier = Classifier(convolutional(1, 2), "logits")
    maps = explain(classifier, images, ["backpropagation"])["backpropagation"]
    labels = classifier.predict(images).tolist()
    expected = fidelity(classifier, images, labels, maps)
    classifier.network.cuda()
    assert fidelity(classifier, images, labels, maps).area == pytest.approx(expected.area)


def test_a_study_is_the_same_by_one_worker_and_by_two_and_can_be_verified(tmp_path):
    tables = []
    for workers in (1, 2):
        quick_study().run(tmp_path / str(workers), device="cuda", workers=workers)
        rows = Store(tmp_path / str(workers)).measurements().sort_values(["case", "estimator", "form", "metric"])
        tables.append(rows["value"].to_numpy(float))
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-4, atol=1e-5)


def test_batches_that_do_not_fit_are_halved(tmp_path):
    class Hungry(nn.Module):
        """Asks for more memory than there is, for more than two images."""

        def __init__(self):
            super().__init__()
            self.inner = convolutional(1, 1)

        def forward(self, images):
            if len(images) > 2:
                torch.empty(2**50, device=images.device)
            return self.inner(images)

    study = quick_study()
    study = replace(study, classifier=Classifier(Hungry().cuda()))
    study.run(tmp_path / "r", device="cuda", workers=1)
    notes = Store(tmp_path / "r").measurements()["note"]
    assert notes.str.contains("did not fit in memory").any()
