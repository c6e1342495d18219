"""What a bare network returns: found where its values tell it, refused where they do not."""

import numpy as np
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier.output_kind import kind_of, output_seen
from tomolens.errors import NetworkError, SettingsError


class Table(nn.Module):
    """Returns the row of a table that the first pixel of an image names."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.as_tensor(values)

    def forward(self, images):
        return self.values[images.flatten(1)[:, 0].long()]


def images_of(count, shape=(1, 4, 4)):
    return torch.arange(float(count)).reshape(-1, *[1] * len(shape)).expand(count, *shape)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([0.3, -1.2, 4.0], "logit"),
        ([[0.3], [-1.2], [4.0]], "logit"),
        ([[0.3, -1.2], [0.5, 0.5], [0.1, 0.9]], "logits"),
        ([[0.5, 0.2, 1.3], [0.5, 0.25, 0.25], [0.0, 0.5, 0.5]], "logits"),
    ],
)
def test_scores_beyond_zero_and_one_are_logits(values, word):
    found, seen = kind_of(Table(values), images_of(3))
    assert found == word
    assert (seen.low, seen.high) == pytest.approx((np.min(values), np.max(values)))
    assert seen.neurons == (1 if word == "logit" else len(values[0]))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_network_as_it_is(dimensions, outputs):
    network = convolutional(outputs=outputs, dimensions=dimensions)
    with torch.no_grad():
        network[-1].bias += 2.0
    images = torch.rand(5, 1, *[12] * dimensions)
    network.train()
    before = state_of(network)
    word, seen = kind_of(network, images, batch_size=2)
    assert word == ("logit" if outputs == 1 else "logits")
    assert_same_state(before, state_of(network))
    with torch.no_grad():
        expected = network.eval()(images)
    assert seen.high == pytest.approx(float(expected.max()), rel=1e-6)
    if outputs > 1:
        sums = expected.sum(dim=1)
        assert seen.worst_row_sum == pytest.approx(float(sums[(sums - 1).abs().argmax()]), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [0.3, 0.62],
            r"\(2,\) values from 0.3 to 0.62: a probability, or a logit that lies in \[0, 1\] here\? "
            r"declare it with tl.Classifier\(network, output='probability' or 'logit'\)",
        ),
        (
            [[0.3, 0.7], [0.25, 0.7505]],
            r"\(2, 2\) values from 0.25 to 0.7505, rows that sum to 1 but for \+0.0005: probabilities of classes, .* "
            r"output='probabilities' or 'logits'",
        ),
        (
            [[0.3, 0.7, 0.4], [0.25, 0.7, 0.1]],
            r"\(2, 3\) values from 0.1 to 0.7, rows that sum to 1 but for \+0.4: probabilities of several labels.*"
            "task='labels'",
        ),
    ],
)
def test_what_may_be_probabilities_is_refused_with_what_was_seen(values, words):
    with pytest.raises(SettingsError, match=words):
        kind_of(Table(values), images_of(2))


def test_the_ends_of_networks_are_not_guessed():
    images = torch.rand(4, 1, 16, 16)
    for end, outputs in ((nn.Sigmoid(), 1), (nn.Softmax(dim=1), 3), (nn.Sigmoid(), 3)):
        with pytest.raises(SettingsError, match="declare it with"):
            kind_of(nn.Sequential(convolutional(outputs=outputs), end), images)


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([0, 1, 1]),
        torch.tensor([True, False, True]),
        torch.tensor([0.0, 1.0, 1.0]),
        torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([2.0, 0.0, 1.0]),
        torch.tensor([[0, 5], [1, 2], [0, 1]]),
    ],
)
def test_decisions_are_no_scores(values):
    with pytest.raises(NetworkError, match="no score to explain"):
        kind_of(Table(values), images_of(3))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x: (x, x), "returned tuple, expected a tensor"),
        (lambda x: x, r"returned shape \(2, 1, 4, 4\) for 2 images, expected \(N,\) or \(N, 1\) from one neuron"),
        (lambda x: x.mean((1, 2, 3))[:1], r"returned shape \(1,\) for 2 images"),
        (lambda x: x.mean((1, 2, 3)) * torch.nan, "2 values that are not finite"),
    ],
)
def test_outputs_of_no_use(returned, words):
    class Own(nn.Module):
        def forward(self, images):
            return returned(images)

    with pytest.raises(NetworkError, match=words):
        output_seen(Own(), images_of(2))


def test_a_network_of_two_inputs():
    class Two(nn.Module):
        def forward(self, image, clinical):
            return image.mean((1, 2, 3)) + clinical

    with pytest.raises(NetworkError, match=r"takes 2 inputs \(image, clinical\)"):
        kind_of(Two(), images_of(2))
