"""`explain` takes what people have: a bare network, arrays, one estimator, targets of any kind."""

import numpy as np
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier, Intensity
from tomolens.errors import MapError, NetworkError, SettingsError
from tomolens.estimators import References, SmoothGrad, explain
from tomolens.estimators.explain import explain_each

NAMES = ["backpropagation", "smoothgrad", "centre-prior"]
TARGETS = [1, 0, 1, 1, 0]


def shifted(outputs=1, dimensions=2, by=3.0):
    """A network whose logits are beyond 1."""
    network = convolutional(outputs=outputs, dimensions=dimensions)
    with torch.no_grad():
        network[-1].bias += by
    return network


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_bare_network_is_explained_as_its_classifier(dimensions, outputs):
    images, network = torch.rand(5, 1, *[12] * dimensions), shifted(outputs, dimensions)
    network.train()
    before = state_of(network)
    found = explain(network, images, NAMES, TARGETS, batch_size=2)
    assert_same_state(before, state_of(network))
    expected = explain(Classifier(network, "logit" if outputs == 1 else "logits"), images, NAMES, TARGETS, batch_size=2)
    assert list(found) == NAMES
    assert all(torch.equal(found[name], expected[name]) for name in NAMES)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_arrays_in_arrays_out(dimensions):
    images, network = np.random.default_rng(0).random((5, 1, *[12] * dimensions)), shifted(3, dimensions)
    found = explain(network, images, NAMES, TARGETS)
    expected = explain(Classifier(network, "logits"), torch.from_numpy(images).float(), NAMES, TARGETS)
    for name, maps in found.items():
        assert isinstance(maps, np.ndarray)
        np.testing.assert_array_equal(maps, expected[name].numpy())
    assert found["smoothgrad"].dtype == np.float32
    assert found["centre-prior"].dtype == np.float64


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4", ">f8"])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64, torch.bfloat16])
def test_arrays_are_taken_in_the_type_of_the_network(kind, weights):
    images = np.random.default_rng(0).random((3, 1, 12, 12)).astype(kind)
    network = convolutional().to(weights)
    found = explain(Classifier(network), images, "backpropagation", [1, 1, 0])["backpropagation"]
    shown = torch.from_numpy(images.astype(np.float64)).to(weights)
    expected = explain(Classifier(network), shown, "backpropagation", [1, 1, 0])["backpropagation"]
    np.testing.assert_array_equal(found, expected.numpy())


def test_arrays_that_are_views_or_read_only_stay_as_they_are():
    images = np.random.default_rng(0).random((6, 12, 12, 1), dtype=np.float32).transpose(0, 3, 1, 2)[::-1]
    images.flags.writeable = False
    kept = images.copy()
    maps = explain(Classifier(convolutional()), images, "backpropagation", [1] * 6)["backpropagation"]
    np.testing.assert_array_equal(images, kept)
    maps += 1.0  # they are the caller's own
    again = explain(Classifier(convolutional()), kept, "backpropagation", [1] * 6)["backpropagation"]
    np.testing.assert_allclose(maps - 1.0, again, atol=1e-6)


@pytest.mark.parametrize(
    "targets", [TARGETS, tuple(TARGETS), np.array(TARGETS), np.array(TARGETS, np.int32), torch.tensor(TARGETS)]
)
@pytest.mark.parametrize("estimator", ["smoothgrad", SmoothGrad()])
def test_targets_and_estimators_in_any_form(targets, estimator, images):
    expected = explain(Classifier(convolutional()), images, ["smoothgrad"], torch.tensor(TARGETS))
    found = explain(Classifier(convolutional()), images, estimator, targets)
    assert torch.equal(found["smoothgrad"], expected["smoothgrad"])


@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 0, 1], np.arange(6) % 2, torch.arange(6) % 2])
def test_references_in_any_form(labels, images):
    shown = np.random.default_rng(4).random((6, 1, 16, 16))[::-1]
    chosen = Classifier(convolutional()), images, "expected-gradients", TARGETS
    tensors = References(torch.from_numpy(shown.copy()).float(), torch.arange(6) % 2)
    expected = explain(*chosen, references=tensors)["expected-gradients"]
    found = explain(*chosen, references=References(shown, labels))["expected-gradients"]
    torch.testing.assert_close(found, expected)


def test_what_a_bare_network_may_mean_is_refused_until_it_is_declared(images):
    network = nn.Sequential(convolutional(), nn.Sigmoid())
    with pytest.raises(SettingsError, match=r"a probability, or a logit .* tl.Classifier\(network, output="):
        explain(network, images, NAMES)
    assert set(explain(Classifier(network, "probability"), images, NAMES)) == set(NAMES)


def test_decisions_cannot_be_explained(images):
    class Thresholded(nn.Module):
        def forward(self, shown):
            return (shown.mean((1, 2, 3)) > 0.5).float()

    with pytest.raises(NetworkError, match="no score to explain"):
        explain(Thresholded(), images, NAMES)


def test_mistakes_are_named(images):
    network = shifted()
    for given in (torch.relu, "resnet50", None, nn.ReLU):
        words = rf"explain was given {type(given).__name__}, expected a network \(torch.nn.Module\) or tl.Classifier"
        with pytest.raises(SettingsError, match=words):
            explain(given, images, NAMES)
    with pytest.raises(MapError, match=r"images are list, expected a tensor or an array \(N, C, \*spatial\)"):
        explain(network, images.tolist(), NAMES)
    with pytest.raises(MapError, match=r"images of shape \(5, 1, 16, 16\), uint8: expected floating"):
        explain(network, (255 * images).numpy().astype(np.uint8), NAMES)
    broken = images.numpy().copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(MapError, match="images hold 1 values that are not finite"):
        explain(network, broken, NAMES)
    with pytest.raises(MapError, match=r"images reach from .* takes 0 \(black\) to 1 \(white\)"):
        explain(network, 255 * images, NAMES)
    with pytest.raises(MapError, match="images are torch.float64, the network's weights torch.float32"):
        explain(network, images.double(), NAMES)
    with pytest.raises(SettingsError, match="batch_size 0, expected at least 1"):
        explain(network, images, NAMES, batch_size=0)
    scaled = explain(Classifier(network, intensity=Intensity(0.0, 255.0)), 255 * images.numpy(), "random")
    assert scaled["random"].shape == images.shape


def test_each_estimators_reason_is_for_classifiers_and_tensors(images):
    explained = explain_each(Classifier(shifted()), images, ["backpropagation", "expected-gradients"], TARGETS)
    assert list(explained.maps) == ["backpropagation"]
    assert "draws training images" in str(explained.failed["expected-gradients"])
