"""The memory layout of images in which convolutions are fastest."""

import torch
from torch import Tensor


def as_channels_last(images: Tensor) -> Tensor:
    """The memory layout in which convolutions are fastest on CPU and GPU; values unchanged.

    With one channel both layouts are the same bytes, and torch takes the strides' word for which one it is.
    """
    if images.ndim not in (4, 5):
        return images
    if images.shape[1] == 1:
        strides = torch.empty((1, *images.shape[2:]), device="meta").stride()
        return images.contiguous().as_strided(images.shape, (strides[0], 1, *strides[1:]))
    return images.contiguous(memory_format=torch.channels_last if images.ndim == 4 else torch.channels_last_3d)
