"""From the planes or tokens of a layer to a map of the image."""

from collections.abc import Sequence

from torch import Tensor

from ..classifier.coarse import enlarged
from ..classifier.layers import grid_and_prefix
from ..errors import NetworkError
from .subject import Subject


def on_the_grid(values: Tensor, subject: Subject) -> Tensor:
    """A coarse map ``(*coarse)`` on the image's grid, ``(C, *spatial)``, its sum over channels being the map.

    It is `enlarged`, and shared equally by the channels, which a layer does not tell apart.

    Raises:
        NetworkError: a map of another number of axes than the image has.
    """
    spatial = tuple(subject.image.shape[1:])
    if values.ndim != len(spatial):
        raise NetworkError(f"a layer's map of shape {tuple(values.shape)} for an image of {len(spatial)} axes")
    wide = enlarged(values.to(subject.zeros().dtype), spatial)
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
    """
    grid, prefix = grid_and_prefix(tokens, size)
    if not grid:
        raise NetworkError(f"{tokens} tokens make no grid of an image of {' x '.join(map(str, size))}")
    return grid, prefix


def readers(tokens: int, prefix: int, like: Tensor) -> Tensor:
    """What the head reads of all tokens, as weights ``(T,)``: the first one before the image's, else their mean."""
    weights = like.new_zeros(tokens)
    if prefix:
        weights[0] = 1.0
    else:
        weights += 1.0 / tokens
    return weights
