"""A network that lives on a planted marker: its faithful maps must not be called bad for missing the mask."""

import pytest
import torch
from torch import nn

from tomolens.cases import Cases, Preprocessing, phantom
from tomolens.cases.phantom import PhantomReader
from tomolens.classifier import Classifier
from tomolens.findings import Findings
from tomolens.report.answer import headline
from tomolens.results.store import Store
from tomolens.study.runner import Resources, run_study
from tomolens.study.settings import StudySettings

SIZE = 48
BLIND_TO_CONTRAST = (-1000.0, 0.0)
"""A window in which blood is white with and without contrast agent: only the marker tells the classes apart."""
SAYS = "the map is faithful and the mask is not what the model uses"


def drawn(count, seed, first, marker, window):
    entries = phantom.cases(count, seed, first).entries
    reader = PhantomReader(seed, Preprocessing(SIZE, window), matrix=96, marker=marker)
    return Cases(entries, reader)


def trained_on(cases, seed):
    """A small network, fitted to the cases within seconds."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.AvgPool2d(6), nn.Flatten(), nn.Linear(8 * 8 * 8, 1)
    )
    images, labels = torch.from_numpy(cases.images()), torch.from_numpy(cases.labels).float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=3e-2)
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(images)[:, 0], labels).backward()
        optimizer.step()
    return Classifier(network.eval())


def findings_of(folder, seed, window, train_marker):
    settings = StudySettings.model_validate(
        {
            "name": "shortcut",
            "seed": seed,
            "examples": 0,
            "gallery": 0,
            "precision": "fp32",
            "cases": {"size": SIZE, "window": window},
            "estimators": {"names": ["backpropagation", "smoothgrad-squared", "integrated-gradients", "random"]},
            "metrics": {"names": ["fidelity", "roc", "evidence", "marker"], "steps": 10},
            "statistics": {"resamples": 500},
        }
    )
    classifier = trained_on(drawn(80, seed, 0, train_marker, window), seed)
    held_out = drawn(24, seed, 1000, "label", window)
    run_study(settings, Store(folder), held_out, classifier=classifier, resources=Resources(workers=1))
    return Findings.from_folder(folder)


@pytest.mark.parametrize("seed", range(10))
def test_a_network_on_the_marker_is_found_and_its_maps_are_not_blamed(tmp_path, seed):
    findings = findings_of(tmp_path / "r", seed, BLIND_TO_CONTRAST, "label")
    found = findings.shortcut
    assert found.accuracy > 0.75
    assert found.relied
    assert found.fall[0] > 0.2
    assert not found.vindicated.empty
    assert "random" not in set(found.vindicated["estimator"])
    assert any(SAYS in sentence for sentence in headline(findings))


def test_a_network_that_never_saw_the_marker_does_not_rely_on_it(tmp_path):
    findings = findings_of(tmp_path / "r", 0, (-160.0, 240.0), None)
    assert not findings.shortcut.relied
    assert findings.shortcut.vindicated.empty
    assert not any(SAYS in sentence for sentence in headline(findings))
    assert any("does not rely on it" in sentence for sentence in headline(findings))
