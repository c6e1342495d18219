"""Which layers maps of features can be taken from."""

import doctest

import pytest
import torch
from torch import nn

from tomolens.classifier import layers
from tomolens.classifier.layers import last_spatial, last_tokens, layers_seen, token_grid


def test_token_grids():
    assert token_grid(196, (224, 224)) == (14, 14)
    assert token_grid(8, (32, 32, 32)) == (2, 2, 2)
    assert token_grid(24, (32, 48)) == (4, 6)
    assert token_grid(25, (32, 32)) == ()
    assert token_grid(0, (32, 32)) == ()


class Tokens(nn.Module):
    def __init__(self, prefix, axes):
        super().__init__()
        self.axes, self.prefix = axes, prefix
        self.patches = (nn.Conv2d if axes == 2 else nn.Conv3d)(1, 6, 8, 8)
        self.block = nn.Linear(6, 6)
        self.out = nn.Linear(6, 2)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens[:, :1].repeat(1, self.prefix, 1), tokens], dim=1)
        return self.out(self.block(tokens).mean(dim=1))


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("size", [(32, 48), (16, 16, 24)])
def test_tokens_are_found_on_their_grid(prefix, size):
    network = Tokens(prefix, len(size))
    seen = layers_seen(network, network, torch.rand(1, 1, *size))
    tokens, planes = last_tokens(seen), last_spatial(seen)
    grid = tuple(side // 8 for side in size)
    assert (tokens.name, tokens.grid, tokens.prefix) == ("block", grid, prefix)
    assert (planes.name, planes.shape) == ("patches", (6, *grid))


def test_the_examples_run():
    assert doctest.testmod(layers) == (0, 2)
