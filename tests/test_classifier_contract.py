"""The input contract: what a network is given of images from 0 to 1, solved by hand."""

import pytest
import torch

import tomolens as tl
from tomolens.classifier import Classifier
from tomolens.classifier.contract import InputContract
from tomolens.classifier.sourced import SourcedNetwork
from tomolens.errors import NetworkError, SettingsError


def test_nothing_declared_changes_nothing():
    images = torch.rand(2, 3, 4, 5)
    assert InputContract().given(images) is images


def test_grey_is_repeated_scaled_and_normalised():
    contract = InputContract(channels=3, black=-1.0, white=3.0, mean=(0.0, 1.0, 2.0), std=(1.0, 2.0, 4.0))
    given = contract.given(torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3))
    assert given.squeeze().tolist() == [[-1.0, 0.0, 3.0], [-1.0, -0.5, 1.0], [-0.75, -0.5, 0.25]]


def test_windows_are_channels_and_are_not_repeated():
    contract = InputContract(channels=2, mean=(0.5,), std=(0.5,))
    images = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    assert contract.given(images).flatten().tolist() == [-1.0, 1.0]
    with pytest.raises(NetworkError, match="images of 2 channels for a network of 3"):
        InputContract(channels=3).given(images)


def test_axes_are_turned_to_where_the_network_has_them():
    slices, rows, columns = torch.meshgrid(torch.arange(2), torch.arange(3), torch.arange(4), indexing="ij")
    volume = (100 * slices + 10 * rows + columns)[None, None].float()  # to the head, to the back, to the left
    given = InputContract(orientation="RAS").given(volume)[0, 0]
    assert given.shape == (4, 3, 2)
    assert given[0, 0, 0] == 23  # farthest to the left, farthest to the back, lowest
    assert given[3, 2, 1] == 100  # farthest to the right, in front, highest
    assert torch.equal(InputContract(orientation="SPL").given(volume), volume)
    plane = volume[:, :, 0]
    assert torch.equal(InputContract(orientation="LP").given(plane)[0, 0], plane[0, 0].T)
    assert torch.equal(InputContract(orientation="AL").given(plane)[0, 0], plane[0, 0].flip(0))
    with pytest.raises(NetworkError, match="orientation 'LP' for images of 3 axes"):
        InputContract(orientation="LP").given(volume)
    with pytest.raises(NetworkError, match="orientation 'SP' for images whose axes rise to PL"):
        InputContract(orientation="SP").given(plane)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (0, 3)}, r"size = \[0, 3\]"),
        ({"size": (3,)}, r"size = \[3\]"),
        ({"size": (32, 99999999)}, "1 to 65536 pixels"),
        ({"spacing": (-1.0, 1.0)}, "spacing"),
        ({"std": (0.0,)}, "std"),
        ({"mean": (float("nan"),)}, "mean"),
        ({"black": 1.0}, "black and white are both 1"),
        ({"channels": -1}, "channels = -1"),
        ({"channels": 2, "mean": (1.0, 2.0, 3.0)}, "3 numbers of mean for 2 channels"),
        ({"mean": (1.0, 2.0)}, "2 numbers of mean for unsaid channels"),
        ({"windows": ((0.0, 1.0), (0.0, 2.0)), "channels": 3}, "2 windows for 3 channels"),
        ({"windows": ((1.0, 0.0),)}, "HU from 1"),
        ({"orientation": "RL"}, "orientation 'RL'"),
        ({"orientation": "RAX"}, "orientation 'RAX'"),
        ({"orientation": "R"}, "orientation 'R'"),
    ],
)
def test_contracts_that_cannot_be(wrong, message):
    with pytest.raises(SettingsError, match=message):
        InputContract(**wrong)


def linear(images):
    weights = torch.linspace(-1, 1, images[0].numel()).reshape(images.shape[1:])
    return (images * weights).flatten(1).sum(dim=1)


class Linear(torch.nn.Module):
    def forward(self, images):
        return linear(images)


class Several(torch.nn.Module):
    def forward(self, images):
        z = linear(images)
        return {"features": images, "logits": torch.stack([z, -z], dim=1)}


def test_a_gradient_is_that_of_the_image_and_not_of_what_the_network_is_given():
    contract = InputContract(channels=3, black=-2.0, white=2.0, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    classifier = Classifier(SourcedNetwork(Linear(), contract))
    images = torch.rand(2, 1, 4, 4)
    found = tl.explain(classifier, images, "backpropagation", targets=[1, 1])["backpropagation"]
    weights = torch.linspace(-1, 1, 48).reshape(3, 4, 4)
    by_hand = (weights * (4.0 / torch.tensor([0.5, 1.0, 2.0])).reshape(3, 1, 1)).sum(dim=0)
    torch.testing.assert_close(found, by_hand.expand(2, 1, 4, 4))


def test_an_output_is_taken_by_its_name():
    images = torch.rand(2, 1, 4, 4)
    wanted = torch.stack([linear(images), -linear(images)], dim=1)
    assert torch.equal(SourcedNetwork(Several(), key="logits")(images), wanted)
    for key, message in (("", "which are the scores is not said"), ("score", "output 'score'")):
        with pytest.raises(NetworkError, match=rf"{message}: the network returned dict with features \(2, 1, 4, 4\)"):
            SourcedNetwork(Several(), key=key)(images)
    with pytest.raises(NetworkError, match="output 'logits': the network returned one tensor: leave out the key"):
        SourcedNetwork(Linear(), key="logits")(images)


def test_images_of_another_size_are_refused():
    with pytest.raises(NetworkError, match=r"images of \[4, 5\] pixels, the network takes \[4, 4\]"):
        SourcedNetwork(Linear(), InputContract(size=(4, 4)))(torch.rand(1, 1, 4, 5))
