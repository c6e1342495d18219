import pytest
import torch
from torch import nn

from conftest import FunctionalReluNetwork, convolutional
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.errors import NetworkError
from tomolens.estimators import explain

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
