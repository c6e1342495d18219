import numpy as np
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.classifier.classifier import as_channels_last
from tomolens.errors import NetworkError, SettingsError


class Fixed(nn.Module):
    """Returns what it was given, whatever the image."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.as_tensor(value)

    def forward(self, x):
        return self.value + 0 * x.flatten(1).sum(1).reshape(-1, *([1] * (self.value.ndim - 1)))


ONE = torch.zeros(2, 1, 4, 4)


def test_one_neuron_speaks_for_both_classes():
    z = torch.tensor([[0.7], [-2.0]])
    scores = Classifier(Fixed(z)).class_scores(ONE)
    torch.testing.assert_close(scores, torch.cat([-z, z], 1))
    assert Classifier(Fixed(z)).predict(ONE).tolist() == [1, 0]
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE), torch.tensor([0.7, 2.0]))
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE, torch.tensor([0, 1])), torch.tensor([-0.7, -2.0]))
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE, torch.tensor([1, 0])), torch.tensor([0.7, 2.0]))


def test_the_four_outputs_of_one_network_agree():
    z = torch.tensor([0.7, -2.0])
    logits = torch.stack([torch.zeros(2), z], 1)
    wanted = torch.stack([-z, z], 1)
    probability = torch.sigmoid(z)
    for network, output in ((z, "logit"), (probability, "probability")):
        torch.testing.assert_close(Classifier(Fixed(network), output).class_scores(ONE), wanted)
    torch.testing.assert_close(Classifier(Fixed(logits), "logits").class_scores(ONE), logits)
    torch.testing.assert_close(
        Classifier(Fixed(logits.softmax(1)), "probabilities").class_scores(ONE), logits.log_softmax(1)
    )
    both = torch.stack([1 - probability, probability], 1)
    for network, output in ((z, "logit"), (probability, "probability"), (logits, "logits"), (both, "probabilities")):
        torch.testing.assert_close(Classifier(Fixed(network), output, "probability").class_scores(ONE), both)


@pytest.mark.parametrize(
    ("value", "output", "message"),
    [
        (torch.zeros(2, 3), "logit", r"shape \(2, 3\) for 2 images; output='logit' expects \(N,\) or \(N, 1\)"),
        (torch.zeros(2, 1), "logits", r"expects \(N, classes\)"),
        (torch.tensor([0.0, float("nan")]), "logit", "1 values that are not finite"),
    ],
)
def test_outputs_that_do_not_fit(value, output, message):
    with pytest.raises(NetworkError, match=message):
        Classifier(Fixed(value), output).class_scores(ONE)


def test_wrong_words_are_refused():
    with pytest.raises(SettingsError, match="output 'softmax', expected one of logit, probability"):
        Classifier(Fixed(torch.zeros(2)), "softmax")
    with pytest.raises(NetworkError, match="target class 4, but the network has the classes 0 to 1"):
        Classifier(Fixed(torch.zeros(2))).scores(ONE, torch.tensor([0, 4]))
    with pytest.raises(SettingsError, match="unknown architecture 'resnet5', did you mean"):
        build("resnet5")


def test_frozen_gives_everything_back_even_after_an_error():
    network = convolutional().train()
    network[0].weight.requires_grad_(False)
    before = state_of(network)

    def fail_inside():
        with Classifier(network).frozen():
            assert not network.training
            assert not any(weight.requires_grad for weight in network.parameters())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert_same_state(before, state_of(network))


def test_predictions_do_not_depend_on_the_batch(images):
    classifier = Classifier(convolutional(outputs=4), "logits")
    whole = classifier.predicted_scores(images)
    np.testing.assert_allclose(classifier.predicted_scores(images, 1), whole, rtol=1e-5, atol=1e-6)


def test_the_papers_network_has_its_shape():
    network = build("resnet50").eval()
    assert network.conv1.stride == (2, 2)
    assert network.conv1.in_channels == 1
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(23.5e6, rel=0.01)
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 1)


@pytest.mark.parametrize("shape", [(3, 1, 5, 7), (3, 2, 5, 7), (2, 1, 4, 5, 6), (2, 3, 4, 5, 6), (4, 9)])
def test_channels_last_changes_strides_and_nothing_else(shape):
    images = torch.rand(shape)
    laid = as_channels_last(images)
    assert torch.equal(laid, images)
    assert laid.ndim == 2 or laid.stride(1) == 1
    images.requires_grad_(True)
    (as_channels_last(images) ** 2).sum().backward()
    torch.testing.assert_close(images.grad, 2 * images.detach())
