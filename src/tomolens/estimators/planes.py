"""From the planes or tokens of a layer to a map of the image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..classifier.layers import PREFIX_TOKENS, token_grid
from ..errors import NetworkError
from .subject import Subject

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def on_the_grid(values: Tensor, subject: Subject) -> Tensor:
    """A coarse map ``(*coarse)`` on the image's grid, ``(C, *spatial)``, its sum over channels being the map.

    It is interpolated linearly between the middles of the layer's pixels (``align_corners=False``), as if they covered
    the image evenly, and shared equally by the channels, which a layer does not tell apart.

    Raises:
        NetworkError: a map of another number of axes than the image has.
    """
    spatial = tuple(subject.image.shape[1:])
    if values.ndim != len(spatial):
        raise NetworkError(f"a layer's map of shape {tuple(values.shape)} for an image of {len(spatial)} axes")
    wide = interpolate(values[None, None].to(subject.zeros().dtype), size=spatial, mode=LINEAR[values.ndim])[0]
    channels = len(subject.image)
    return (wide / channels).expand(channels, *spatial).clone()


def of_tokens(values: Tensor, subject: Subject) -> Tensor:
    """Numbers of all tokens ``(T,)`` as the coarse map of those of the image, ``(*grid)``; those before them are left.

    Raises:
        NetworkError: tokens that make no grid of the image.
    """
    grid, prefix = grid_of(len(values), tuple(subject.image.shape[1:]))
    return values[prefix:].reshape(grid)


def grid_of(tokens: int, size: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Tokens along each axis of the image, and how many stand before them.

    Raises:
        NetworkError: tokens that make no grid of the image.

    Example:
        >>> grid_of(197, (224, 224))
        ((14, 14), 1)
    """
    for prefix in PREFIX_TOKENS:
        if grid := token_grid(tokens - prefix, size):
            return grid, prefix
    raise NetworkError(f"{tokens} tokens make no grid of an image of {' x '.join(map(str, size))}")


def readers(tokens: int, prefix: int, device: torch.device) -> Tensor:
    """What the head reads of all tokens, as weights ``(T,)``: the first one before the image's, else their mean."""
    weights = torch.zeros(tokens, device=device)
    if prefix:
        weights[0] = 1.0
    else:
        weights += 1.0 / tokens
    return weights
