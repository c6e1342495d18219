"""Shuffled weights, and maps that do or do not look at them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import network_files as files
from conftest import convolutional
from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.classifier.shuffled import with_shuffled_weights
from tomolens.classifier.sources import NetworkSource, load_source
from tomolens.errors import NetworkError
from tomolens.estimators import explain
from tomolens.estimators.subject import Scene
from tomolens.metrics.evaluand import Other
from tomolens.metrics.randomisation import TOLERANCE
from tomolens.metrics.registry import METRICS


@pytest.mark.parametrize("dimensions", [2, 3])
def test_weights_change_places_within_their_layers(dimensions):
    network = convolutional(1, 2, dimensions=dimensions)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    classifier = Classifier(network, "logits")
    whole = with_shuffled_weights(classifier, 3).network.state_dict()
    for name, one in before.items():
        assert torch.equal(network.state_dict()[name], one)
        if one.is_floating_point():
            assert torch.equal(whole[name].flatten().sort().values, one.flatten().sort().values)
            assert one.unique().numel() < 4 or not torch.equal(whole[name], one)
    assert with_shuffled_weights(classifier, 3).network is with_shuffled_weights(classifier, 3).network
    other = with_shuffled_weights(classifier, 3, draw=1).network.state_dict()
    assert not all(torch.equal(whole[name], other[name]) for name in before)
    last = with_shuffled_weights(classifier, 3, until=0.01).network.state_dict()
    changed = {name.rpartition(".")[0] for name in before if not torch.equal(last[name], before[name])}
    assert changed == {[name.rpartition(".")[0] for name in before][-1]}
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in before))
    parts = [with_shuffled_weights(classifier, 3, 0, part / 2, (part + 1) / 2).network.state_dict() for part in (0, 1)]
    of = [{name.rpartition(".")[0] for name in before if not torch.equal(one[name], before[name])} for one in parts]
    assert not of[0] & of[1]  # the last half alone, and the first half alone
    assert layers[-1] in of[0]
    assert layers[0] in of[1]


def test_of_networks_from_files(tmp_path):
    exported = load_source(NetworkSource.of("exported", files.write_exported(files.small_network(), tmp_path)))
    classifier = Classifier(exported.network, "logits")
    images = files.example(2)
    assert not torch.equal(with_shuffled_weights(classifier, 0).class_scores(images), classifier.class_scores(images))
    session = load_source(NetworkSource.of("onnx", files.write_onnx(files.small_network(), tmp_path)))
    with pytest.raises(NetworkError, match="no weights that can be reached"):
        with_shuffled_weights(Classifier(session.network, "logits"), 0)


def looked(estimators, network):
    """The numbers of some estimators of a network, with what they make of images, shuffled networks and others."""
    images = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    classifier = Classifier(network, "logits")

    def made(image, by, draws="", target=1, scene=None):
        return {name: stack[0] for name, stack in explain(by, image[None], estimators, [1]).items()}

    given = replace(
        evaluand(),
        classifier=classifier,
        image=images[0],
        maps=made(images[0], classifier),
        explanations=made,
        other=Other(images[1], Scene()),
    )
    return {(key[0], name): value for key, name, value in METRICS["randomisation"].measure(given)}


def test_a_map_of_the_image_alone_fails_and_one_of_the_network_passes():
    torch.manual_seed(0)
    found = looked(["backpropagation", "input-x-gradient", "deconvolution"], convolutional(1, 2))
    assert found["backpropagation", "weights_similarity"] < 0.3
    assert found["backpropagation", "weights_margin"] > 0
    given = evaluand()
    edges = replace(
        given,
        maps={"edges": given.image},
        explanations=lambda image, *_: {"edges": image},
    )
    found = {name: value for _, name, value in METRICS["randomisation"].measure(edges)}
    assert found["weights_similarity"] == pytest.approx(1.0)
    assert found["weights_ssim"] == pytest.approx(1.0)
    assert abs(found["pair_similarity"]) < 0.2
    assert found["weights_margin"] < TOLERANCE + 0.2 - 1.0 + 1e-9
    np.testing.assert_allclose(found["weights_cascade"], 1.0)
    np.testing.assert_allclose(found["weights_independent"], 1.0)
    assert found["weights_hog"] == pytest.approx(1.0)
    assert found["complexity_rise"] == 0.0


def test_the_null_is_another_image_by_the_network_itself():
    given = evaluand()
    asked = []

    def explanations(image, by, draws, target, scene=None):
        asked.append((image is given.other.image and scene is given.other.scene, by is given.classifier, draws))
        return {"one": image, "two": -image}

    list(METRICS["randomisation"].measure(replace(given, explanations=explanations)))
    assert len(asked) == METRICS["randomisation"].explanations
    assert asked[0][:2] == (True, True)
    assert all(one[:2] == (False, False) for one in asked[1:])
    assert len({draws for *_, draws in asked}) == len(asked)  # shared noise is no likeness
    assert not METRICS["randomisation"].applies(replace(given, other=None))


def test_what_is_the_same_by_shuffled_networks_fails_however_alike_images_are():
    given = evaluand()
    alike = given.image + 1e-3 * torch.rand(given.image.shape)
    shown = replace(
        given,
        maps={"blob": given.image},
        explanations=lambda image, *_: {"blob": alike},
    )
    found = {name: value for _, name, value in METRICS["randomisation"].measure(shown)}
    assert found["pair_similarity"] > 0.95
    assert found["weights_margin"] < 0


def test_even_maps_cannot_be_told():
    given = evaluand()
    nothing = 0 * given.image
    for maps, others in (({"one": nothing}, {"one": nothing}), ({"one": given.image}, {"one": nothing})):
        shown = replace(given, maps=maps, explanations=lambda image, *_, others=others: others)
        found = {name: value for _, name, value in METRICS["randomisation"].measure(shown)}
        assert np.isnan(found["weights_margin"])


def test_weights_that_were_changed_are_shuffled_anew():
    network = convolutional(1, 2)
    classifier, images = Classifier(network, "logits"), torch.rand(2, 1, 16, 16)
    before = with_shuffled_weights(classifier, 0).class_scores(images)
    with torch.no_grad():
        network[-1].weight.data.mul_(3.0)
    assert not torch.equal(with_shuffled_weights(classifier, 0).class_scores(images), before)


@pytest.mark.parametrize("name", ["randomisation", "reproducibility", "stability"])
def test_an_estimator_that_fails_on_another_image_costs_its_own_numbers(name):
    given = evaluand()
    shown = replace(given, explanations=lambda image, *_: {"one": image})
    assert {key for key, _, _ in METRICS[name].measure(shown)} == {("one", "original")}
