"""Features of a layer against captum, and rules that need hooks on modules."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier
from tomolens.errors import NetworkError
from tomolens.estimators import Cost, explain, mean_over
from tomolens.estimators.backward_rules import Coverage
from tomolens.estimators.explain import explain_each
from tomolens.estimators.points import AtInput
from tomolens.estimators.questions import Features, Round


@dataclass(frozen=True)
class GradCam:
    """Selvaraju et al. 2017: mean gradients weight a layer's features; what is positive of their sum."""

    layer: str
    name: str = "grad-cam"
    title: str = "Grad-CAM"
    source: str = "Selvaraju et al. 2017, arXiv 1610.02391"
    needs: frozenset = frozenset()
    of_prediction: bool = True

    def cost(self, shape):
        return Cost(features=1)

    def explain(self, subject):
        found = []

        def take(k, features):
            weights = features.gradients.flatten(1).mean(1)
            found.append(torch.relu((weights.reshape(-1, *[1] * (features.values.ndim - 1)) * features.values).sum(0)))

        yield Round([Features(AtInput(), self.layer)], take)
        shape = subject.image.shape
        small = functional.interpolate(found[0][None, None], shape[1:], mode="nearest")
        return small[0].expand(shape).clone()


@dataclass(frozen=True)
class Guided:
    """Guided backpropagation by hooks on modules (Springenberg et al. 2015)."""

    name: str = "guided backpropagation"

    @contextmanager
    def attached(self, network):
        relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
        handles = [
            module.register_full_backward_hook(lambda module, given, incoming: (given[0].clamp(min=0),))
            for module in relus
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def lay(self, root):
        return Coverage(3, {"SiLU": 1})


@dataclass(frozen=True)
class GuidedGradient:
    rule: object = field(default_factory=Guided)
    name: str = "guided"
    title: str = "Guided backpropagation"
    source: str = "Springenberg et al. 2015, arXiv 1412.6806"
    needs: frozenset = frozenset()
    of_prediction: bool = True

    def cost(self, shape):
        return Cost(gradients=1)

    def explain(self, subject):
        return (yield from mean_over(subject, [AtInput()], rule=self.rule))


@pytest.mark.parametrize("spatial", [(16, 16), (8, 10, 12)])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("layer", ["4", "0", "5"])
def test_features_of_a_layer_are_captums(layer, channels, spatial):
    network = convolutional(channels, 3, dimensions=len(spatial)).double()
    images = torch.from_numpy(np.random.default_rng(0).random((3, channels, *spatial)))
    before = state_of(network)
    ours = explain(Classifier(network, "logits"), images, GradCam(layer), [0, 2, 1], batch_size=2)["grad-cam"]
    assert_same_state(before, state_of(network))
    cam = captum.attr.LayerGradCam(network, network.get_submodule(layer))
    theirs = torch.relu(cam.attribute(images, [0, 2, 1]))
    theirs = functional.interpolate(theirs, spatial, mode="nearest").expand_as(images)
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs.detach())


def test_a_layer_whose_output_is_changed_in_place_has_the_features_it_put_out():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(784, 2)).eval().double()
    images = torch.from_numpy(np.random.default_rng(0).random((2, 1, 16, 16)))
    got = []

    class Keep(GradCam):
        def explain(self, subject):
            yield Round([Features(AtInput(), "0")], lambda k, features: got.append(features))
            return subject.zeros() + 1

    explain(Classifier(network, "logits"), images, Keep("0"), [0, 1])
    plain = network[0](images).detach().requires_grad_(True)
    scores = network[3](torch.relu(plain).flatten(1))
    (wanted,) = torch.autograd.grad(scores[[0, 1], [0, 1]].sum(), plain)
    torch.testing.assert_close(torch.stack([one.values for one in got]), plain.detach())
    torch.testing.assert_close(torch.stack([one.gradients for one in got]), wanted)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.unused, self.pair = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3), Pair()

    def forward(self, x):
        return self.conv(self.conv(x) + self.pair(x)[0]).mean((1, 2, 3))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv", "layer 'conv' runs twice in one pass"),
        ("unused", "layer 'unused' takes no part in the pass"),
        ("pair", "layer 'pair' puts out tuple, expected a tensor"),
        ("convv", "the network has no layer 'convv'; near are conv"),
        ("", "the network has no layer ''"),
    ],
)
def test_a_layer_that_cannot_be_asked_is_named(layer, message):
    network = Twice().eval()
    before = state_of(network)
    with pytest.raises(NetworkError, match=message):
        explain(Classifier(network), torch.rand(2, 1, 8, 8), GradCam(layer), [1, 1])
    assert_same_state(before, state_of(network))


class SequenceFirst(nn.Module):
    """Its layer takes positions first: with as many images as positions their axes cannot be told apart."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x.flatten(1).reshape(len(x), 4, 4).transpose(0, 1)).sum((0, 2))


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_layer_whose_first_axis_is_not_that_of_the_images_is_refused(count):
    with pytest.raises(NetworkError, match="its first axis must be theirs"):
        explain(Classifier(SequenceFirst()), torch.rand(count, 1, 4, 4), GradCam("layer"), [1] * count)


def test_a_rule_of_hooks_on_modules_leaves_the_network_as_it_was_and_says_what_it_covers():
    network = convolutional().double()
    images = torch.from_numpy(np.random.default_rng(0).random((3, 1, 16, 16)))
    before = state_of(network)
    explained = explain_each(Classifier(network), images, [GuidedGradient(), "backpropagation"], [1, 1, 1])
    assert_same_state(before, state_of(network))
    theirs = captum.attr.GuidedBackprop(network).attribute(images, target=0)
    torch.testing.assert_close(explained.maps["guided"], theirs)
    assert explained.notes["guided"] == "the rule covers 3 of 4 rectifiers; plain gradient through 1 SiLU"
    alone = explain(Classifier(network), images, "backpropagation", [1, 1, 1])
    torch.testing.assert_close(explained.maps["backpropagation"], alone["backpropagation"])


def test_hooks_are_gone_when_the_network_breaks():
    class Breaking(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            self.inner(x)
            raise ValueError("no")

    network = Breaking().eval()
    before = state_of(network)
    explained = explain_each(
        Classifier(network), torch.rand(2, 1, 16, 16), [GuidedGradient(), GradCam("inner.0")], [1, 1]
    )
    assert set(explained.failed) == {"guided", "grad-cam"}
    assert_same_state(before, state_of(network))
