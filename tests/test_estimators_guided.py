"""Other rules at the rectifiers, against captum and by hand."""

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from torch import nn

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import GuidedBackpropagation, RectifiedGradient, explain


@pytest.mark.parametrize("spatial", [(16, 16), (6, 8, 10)])
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_guided_backpropagation_is_captums(spatial, outputs):
    torch.manual_seed(7)
    network = convolutional(2, outputs, dimensions=len(spatial)).double()
    images = torch.rand(4, 2, *spatial, dtype=torch.float64)
    targets = [1] * 4 if outputs == 1 else [number % outputs for number in range(4)]
    classifier = Classifier(network, "logit" if outputs == 1 else "logits")
    found = explain(classifier, images, ["guided-backpropagation"], targets)["guided-backpropagation"]
    wanted = GuidedBackprop(network).attribute(images, target=None if outputs == 1 else targets)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-9, atol=1e-12)


class Functional(nn.Module):
    """A small network whose ReLUs are functions, one of them in place: captum's hooks see none of them."""

    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.out, self.activation = nn.Linear(4, 2), activation

    def forward(self, x):
        x = torch.relu_(self.first(x))
        return self.out(self.activation(self.second(x)).mean(dim=(2, 3)))


def test_rules_hold_for_functional_and_in_place_relus():
    network = Functional(torch.relu).eval().double()
    modules = nn.Sequential(
        network.first, nn.ReLU(), network.second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.out
    )
    images = torch.rand(3, 1, 12, 12, dtype=torch.float64)
    for name in ("guided-backpropagation", "rectified-gradient"):
        one, other = (
            explain(Classifier(which, "logits"), images, [name], [0, 1, 1])[name] for which in (network, modules)
        )
        assert bool(one.any())
        torch.testing.assert_close(one, other)
    with pytest.raises(NetworkError, match="guided backpropagation has no rule for 1 SiLU"):
        explain(Classifier(Functional(nn.functional.silu), "logits"), images.float(), ["guided-backpropagation"])
    partial = explain(
        Classifier(Functional(nn.functional.silu), "logits"), images.float(), [GuidedBackpropagation(True)]
    )
    assert bool(partial["guided-backpropagation"].any())


@pytest.mark.parametrize("percentile", [0.0, 50.0, 90.0])
def test_rectified_gradient_passes_what_matters_most(percentile):
    """One hidden layer by hand: R passes where output times R is above the percentile of the layer."""
    random = np.random.default_rng(0)
    weights, out = random.normal(size=(20, 9)), random.normal(size=20)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(9, 20, bias=False), nn.ReLU(), nn.Linear(20, 1, bias=False)
    ).double()
    with torch.no_grad():
        network[1].weight.copy_(torch.from_numpy(weights))
        network[3].weight.copy_(torch.from_numpy(out)[None])
    image = random.random((1, 1, 3, 3))
    hidden = np.maximum(weights @ image.ravel(), 0)
    rank = max(1, min(20, round(percentile / 100 * 20)))
    passes = hidden * out > np.sort(hidden * out)[rank - 1]
    wanted = (weights.T @ (out * passes)).reshape(image.shape) * image
    estimator = RectifiedGradient(percentile)
    found = explain(Classifier(network), torch.from_numpy(image), [estimator], [1])["rectified-gradient"]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    with pytest.raises(SettingsError, match="percentile 101, expected 0 to 100"):
        explain(Classifier(network), torch.from_numpy(image), [RectifiedGradient(101.0)])
