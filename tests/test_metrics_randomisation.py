"""Shuffled weights and what is alike: against SciPy and scikit-image, and on maps that do or do not look at weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import entropy, spearmanr
from skimage.metrics import structural_similarity as theirs

import network_files as files
from conftest import convolutional
from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.classifier.shuffled import with_shuffled_weights
from tomolens.classifier.sources import NetworkSource, load_source
from tomolens.errors import NetworkError
from tomolens.estimators import explain
from tomolens.metrics.randomisation import TOLERANCE, complexity, rank_correlation, structural_similarity
from tomolens.metrics.registry import METRICS

SHAPES = [(24, 30), (9, 10, 12)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_likeness_is_scipys_and_scikit_images(shape, seed):
    random = np.random.default_rng(seed)
    one = random.normal(size=shape)
    other = one.round() + seed * random.normal(size=shape)  # with ties
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic, abs=1e-12)
    scaled = [(values - values.min()) / np.ptp(values) for values in (one, other)]
    assert structural_similarity(one, other) == pytest.approx(theirs(*scaled, data_range=1.0), abs=1e-9)
    shares = np.histogram(scaled[0], 100, (0, 1))[0] / one.size
    assert complexity(one) == pytest.approx(entropy(shares), abs=1e-12)


def test_even_maps_are_like_nothing():
    even, other = np.ones((12, 12)), np.random.default_rng(0).random((12, 12))
    assert np.isnan(rank_correlation(even, other))
    assert np.isnan(rank_correlation(even, even))
    assert structural_similarity(other, other) == pytest.approx(1.0)
    assert complexity(even) == 0.0
    assert rank_correlation(other, -other) == pytest.approx(-1.0)


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
    last = with_shuffled_weights(classifier, 3, share=0.01).network.state_dict()
    changed = {name.rpartition(".")[0] for name in before if not torch.equal(last[name], before[name])}
    assert changed == {[name.rpartition(".")[0] for name in before][-1]}


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

    def made(image, by, draws=""):
        return {name: stack[0] for name, stack in explain(by, image[None], estimators, [1]).items()}

    given = replace(
        evaluand(),
        classifier=classifier,
        image=images[0],
        maps=made(images[0], classifier),
        explanations=made,
        other=images[1],
    )
    return {(key[0], name): value for key, name, value in METRICS["randomisation"].measure(given)}


def test_a_map_of_the_image_alone_fails_and_one_of_the_network_passes():
    torch.manual_seed(0)
    found = looked(["backpropagation", "input-x-gradient", "deconvolution"], convolutional(1, 2))
    assert found["backpropagation", "weights_similarity"] < 0.3
    assert found["backpropagation", "weights_margin"] > 0
    given = evaluand()
    edges = replace(given, maps={"edges": given.image}, explanations=lambda image, by, draws="": {"edges": image})
    found = {name: value for _, name, value in METRICS["randomisation"].measure(edges)}
    assert found["weights_similarity"] == pytest.approx(1.0)
    assert found["weights_ssim"] == pytest.approx(1.0)
    assert abs(found["pair_similarity"]) < 0.2
    assert found["weights_margin"] < TOLERANCE + 0.2 - 1.0 + 1e-9
    np.testing.assert_allclose(found["weights_cascade"], 1.0)
    assert found["complexity_rise"] == 0.0


def test_the_null_is_another_image_by_the_network_itself():
    given = evaluand()
    asked = []

    def explanations(image, by, draws):
        asked.append((image is given.other, by is given.classifier, draws))
        return {"one": image, "two": -image}

    list(METRICS["randomisation"].measure(replace(given, explanations=explanations)))
    assert len(asked) == METRICS["randomisation"].explanations
    assert asked[-1][:2] == (True, True)
    assert all(one[:2] == (False, False) for one in asked[:-1])
    assert len({draws for *_, draws in asked}) == len(asked)  # shared noise is no likeness
    assert not METRICS["randomisation"].applies(replace(given, other=None))


def test_what_is_the_same_by_shuffled_networks_fails_however_alike_images_are():
    given = evaluand()
    alike = given.image + 1e-3 * torch.rand(given.image.shape)
    shown = replace(given, maps={"blob": given.image}, explanations=lambda image, by, draws="": {"blob": alike})
    found = {name: value for _, name, value in METRICS["randomisation"].measure(shown)}
    assert found["pair_similarity"] > 0.95
    assert found["weights_margin"] < 0


def test_even_maps_cannot_be_told():
    given = evaluand()
    nothing = 0 * given.image
    for maps, others in (({"one": nothing}, {"one": nothing}), ({"one": given.image}, {"one": nothing})):
        shown = replace(given, maps=maps, explanations=lambda image, by, draws="", others=others: others)
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
    shown = replace(given, explanations=lambda image, by, draws="": {"one": image})
    assert {key for key, _, _ in METRICS[name].measure(shown)} == {("one", "original")}


@pytest.mark.parametrize("spatial", [(2, 24, 24), (1, 12, 12)])
def test_thin_volumes_have_windows_too(spatial):
    one, other = (np.random.default_rng(seed).random(spatial) for seed in (0, 1))
    assert structural_similarity(one, one) == pytest.approx(1.0)
    assert -1 < structural_similarity(one, other) < 0.5
