"""Maps of another class: of one neuron not measured, of softmax by hand, drawn among all others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.estimators import explain
from tomolens.metrics.registry import METRICS

METRIC = METRICS["class-sensitivity"]


def test_of_one_neuron_it_is_not_defined():
    assert evaluand(outputs=1).another_class is None
    assert not METRIC.applies(evaluand(outputs=1))


def test_of_two_classes_by_their_probabilities_it_is_not_defined():
    given = evaluand(outputs=2)
    assert given.another_class == 0
    by_probability = replace(given, classifier=replace(given.classifier, score="probability"))
    assert by_probability.another_class is None
    three = evaluand(outputs=3)
    assert replace(three, classifier=replace(three.classifier, score="probability")).another_class in (0, 2)


def test_estimators_that_explain_class_one_whatever_is_asked_are_left_out():
    given = replace(evaluand(outputs=2), of_class_one=frozenset({"one"}))
    assert {key[0] for key, _, _ in METRIC.measure(given)} == {"two"}


def test_the_other_class_is_drawn_among_all_others():
    given = evaluand(outputs=3)
    drawn = {replace(given, name=f"case {number}").another_class for number in range(30)}
    assert drawn == {0, 2}
    assert given.another_class == replace(given).another_class
    assert evaluand(outputs=2).another_class == 0


def test_gradients_of_a_linear_network_by_hand():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))
    opposite = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))
    with torch.no_grad():
        opposite[1].weight[0] = -opposite[1].weight[1]
    image = torch.rand(1, 8, 8)
    for net, signed in ((network, None), (opposite, -1.0)):
        classifier = Classifier(net, "logits")

        def made(shown, by, draws, target, scene=None):
            return {name: one[0] for name, one in explain(by, shown[None], ["backpropagation"], [target]).items()}

        given = replace(
            evaluand(), classifier=classifier, image=image, maps=made(image, classifier, "", 1), explanations=made
        )
        found = {name: value for _, name, value in METRIC.measure(given)}
        ranks = [torch.argsort(torch.argsort(row)).double() for row in net[1].weight.detach()]
        expected = float(torch.corrcoef(torch.stack(ranks))[0, 1])
        assert found["class_signed"] == pytest.approx(expected, abs=1e-9)
        if signed is not None:
            assert found["class_signed"] == pytest.approx(signed)
            assert found["class_similarity"] == pytest.approx(1.0)


def test_a_map_of_the_image_alone_does_not_depend_on_the_class():
    given = evaluand(outputs=3)
    edges = replace(given, maps={"edges": given.image}, explanations=lambda image, *_: {"edges": image})
    found = {name: value for _, name, value in METRIC.measure(edges)}
    assert [found[name] for name in ("class_similarity", "class_ssim", "class_hog", "class_signed")] == pytest.approx(
        [1] * 4
    )
    even = replace(edges, maps={"edges": 0 * given.image})
    assert np.isnan({name: value for _, name, value in METRIC.measure(even)}["class_similarity"])
