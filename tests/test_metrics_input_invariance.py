"""Maps on a shifted scale: by hand of a linear network, and of every kind of reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conftest import convolutional
from test_metrics_contract import evaluand
from tomolens.cases import Case
from tomolens.classifier import Classifier, Intensity
from tomolens.estimators.registry import make_estimator
from tomolens.estimators.subject import References
from tomolens.metrics.evaluand import MetricSettings
from tomolens.metrics.registry import METRICS
from tomolens.study.evaluate import prepare
from tomolens.study.plan import Plan

PARAMETERS = {"occlusion": {"window": 4, "stride": 2}}


def of(names, network, spatial=(12, 12), intensity=None):
    intensity = replace(intensity or Intensity(), hounsfield=(-1000.0, 400.0))
    random = np.random.default_rng(0)
    image = intensity.at(random.random((1, *spatial)).astype(np.float32))
    references = References(
        torch.from_numpy(intensity.at(random.random((4, 1, *spatial)).astype(np.float32))), [0, 1, 0, 1]
    )
    plan = Plan(
        0, tuple(make_estimator(name, **PARAMETERS.get(name, {})) for name in names), "class", MetricSettings(), 4
    )
    case = Case("case", image, 1, "patient")
    given = prepare(case, Classifier(network, "logits", intensity=intensity), plan, references, None).evaluand
    return {(key[0], name): value for key, name, value in METRICS["input-invariance"].measure(given)}


@pytest.mark.parametrize("intensity", [Intensity(), Intensity(-1.0, 3.0)])
def test_what_multiplies_with_the_pixel_moves_and_what_compares_with_black_does_not(intensity):
    torch.manual_seed(0)
    names = ["backpropagation", "input-x-gradient", "integrated-gradients", "expected-gradients", "occlusion"]
    found = of(names, convolutional(1, 2).eval(), intensity=intensity)
    for name in ("backpropagation", "integrated-gradients", "expected-gradients", "occlusion"):
        assert found[name, "shift_similarity"] > 0.999, name
        assert found[name, "shift_distance"] < 1e-3, name
    assert found["input-x-gradient", "shift_similarity"] < 0.99
    assert found["input-x-gradient", "shift_distance"] > 0.3


def test_the_distance_of_a_linear_network_by_hand():
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 2, bias=False))
    found = of(["input-x-gradient"], network, (6, 6))
    weights = network[1].weight.detach().numpy()
    image = np.random.default_rng(0).random((1, 6, 6)).astype(np.float32).ravel()
    explained = weights[int((weights @ image).argmax())]  # the map is w x, and w (x + 1) on the shifted scale
    expected = np.linalg.norm(explained) / np.linalg.norm(explained * image)
    assert found["input-x-gradient", "shift_distance"] == pytest.approx(expected, rel=1e-5)


def test_the_network_is_left_as_it_was_and_even_maps_cannot_be_told():
    given = evaluand()
    network = given.classifier.network
    before = network(given.image[None])
    nothing = {"one": 0 * given.image}
    shown = replace(given, maps=nothing, explanations=lambda image, *_: nothing)
    found = {name: value for _, name, value in METRICS["input-invariance"].measure(shown)}
    assert np.isnan(found["shift_distance"])
    assert np.isnan(found["shift_similarity"])
    assert torch.equal(network(given.image[None]), before)

    def broken(image, by, draws, target, scene=None):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        list(METRICS["input-invariance"].measure(replace(given, explanations=broken)))
    assert torch.equal(network(given.image[None]), before)
