import pytest
import torch
from torch import nn

from conftest import FunctionalReluNetwork, convolutional
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.errors import NetworkError
from tomolens.estimators import Deconvolution, explain
from tomolens.estimators.explain import explain_each

WAYS = ["modules", "functional", "torch", "method", "in place", "reused", "reused in place"]


def by_hand(network, image):
    """Deconvolution written out for this one network: each ReLU passes the positive part going back."""

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, gradient):
            return gradient.clamp(min=0)

    x = image.clone().requires_grad_(True)
    first = Rule.apply(network.first(x))
    second = Rule.apply(network.second(first) + first)
    network.last(second.mean(dim=(2, 3))).sum().backward()
    return x.grad


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_relu_counts(way):
    network = FunctionalReluNetwork(way).double()
    image = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    maps = explain(Classifier(network), image, ["deconvolution", "backpropagation"], [1, 1])
    torch.testing.assert_close(maps["deconvolution"], by_hand(network, image), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(maps["deconvolution"], maps["backpropagation"])


def test_an_exported_network_works_too():
    network = convolutional()
    image = torch.rand(2, 1, 16, 16)
    exported = torch.export.export(network, (image,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    ours, theirs = (explain(Classifier(net), image, ["deconvolution"], [1, 1]) for net in (network, exported))
    torch.testing.assert_close(ours["deconvolution"], theirs["deconvolution"])


def test_the_papers_network_whose_relus_are_in_place_and_reused():
    torch.manual_seed(0)
    network = build("resnet50").eval()
    image = torch.rand(1, 1, 64, 64)
    maps = explain(Classifier(network), image, ["deconvolution", "backpropagation"], [1])
    assert not torch.allclose(maps["deconvolution"], maps["backpropagation"])


def test_a_network_without_relu_is_refused():
    with pytest.raises(NetworkError, match="deconvolution needs ReLUs"):
        explain(Classifier(convolutional(smooth=True)), torch.rand(1, 1, 16, 16), ["deconvolution"])


def test_a_score_that_does_not_depend_on_the_image_is_refused():
    class Deaf(nn.Module):
        def forward(self, x):
            return x.detach().mean(dim=(1, 2, 3))

    with pytest.raises(NetworkError, match="does not depend on its input"):
        explain(Classifier(Deaf()), torch.rand(1, 1, 16, 16), ["backpropagation"])


OTHERS = {
    "LeakyReLU": nn.LeakyReLU(),
    "PReLU": nn.PReLU(),
    "RReLU": nn.RReLU(),
    "ReLU6": nn.ReLU6(),
    "Threshold": nn.Threshold(0.1, 0.0),
    "SiLU": nn.SiLU(),
    "Hardswish": nn.Hardswish(),
    "GELU": nn.GELU(),
    "ELU": nn.ELU(),
    "CELU": nn.CELU(),
    "Softplus": nn.Softplus(),
    "Mish": nn.Mish(),
    "clamp": lambda x: x.clamp(min=0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "sigmoid": lambda x: x * torch.sigmoid(x),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked fill": lambda x: x.masked_fill(x < 0, 0.0),
    "absolute value": lambda x: (x + x.abs()) / 2,
    "OwnSwishBackward": lambda x: OwnSwish.apply(x),
}


class OwnSwish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))


class Mixed(nn.Module):
    def __init__(self, other):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last, self.other = nn.Linear(4, 1), other

    def forward(self, x):
        return self.last(self.other(self.second(torch.relu(self.first(x)))).mean(dim=(2, 3)))


@pytest.mark.parametrize("kind", OTHERS)
def test_rectifiers_without_a_rule_are_named_or_told(kind):
    classifier, images = Classifier(Mixed(OTHERS[kind]).eval()), torch.rand(2, 1, 8, 8)
    with pytest.raises(NetworkError, match=rf"no rule for 1 .*{kind}.* \(beside 1 ReLU\).*partial = true"):
        explain(classifier, images, ["deconvolution"])
    explained = explain_each(classifier, images, [Deconvolution(partial=True)])
    assert "the rule covers 1 of 2 rectifiers; plain gradient through 1 " in explained.notes["deconvolution"]
    assert explained.maps["deconvolution"].any()


def test_a_head_that_is_clamped_by_the_classifier_is_no_rectifier():
    ends = nn.Sequential(convolutional(), nn.Sigmoid()).eval()
    assert not explain_each(Classifier(ends, "probability"), torch.rand(1, 1, 16, 16), ["deconvolution"]).failed


def test_a_scripted_network_is_refused_every_time():
    scripted = torch.jit.script(convolutional())
    for _ in range(4):
        explained = explain_each(Classifier(scripted), torch.rand(1, 1, 16, 16), ["deconvolution"], [1])
    assert "scripted or compiled network hides them" in str(explained.failed["deconvolution"])
