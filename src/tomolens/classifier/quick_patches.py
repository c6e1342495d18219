"""Quick backends of a network that sees patches: they are given patches, and the whole is joined as ever."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from .patches import PatchedNetwork
from .quick import Masked, Quick, nothing, quickest


def quickest_of_patches(
    network: nn.Module, example: Tensor, images: int, like: Quick | None = None, masked: Masked = nothing
) -> Quick | None:
    """The quickest backend of what sees the patches, as one of whole images; see `quickest`.

    Args:
        network: a `PatchedNetwork`.
        example: a full batch of whole images.
        images: about how many are to come.
        like: what was found for another network of the same structure.
        masked: makes whole images as they will come.
    """
    assert isinstance(network, PatchedNetwork)
    batch = network.patches.batch
    patches = network.some_patches(example, batch)
    few = patches.repeat(-(-batch // len(patches)), *[1] * (patches.ndim - 1))[:batch]

    def of_patches() -> Tensor | None:
        whole = masked()
        # As many as there are images: all of them would fill the memory.
        return None if whole is None else network.some_patches(whole, max(batch, len(whole)))

    inner = None if like is None else _with_batch(like, batch)
    found = quickest(network.network, few, images * network.places(example), inner, of_patches)
    return None if found is None else _of_wholes(found, network, len(example))


def _with_batch(quick: Quick, batch: int) -> Quick:
    finer = None if quick.finer is None else _with_batch(quick.finer, batch)
    return replace(quick, batch=batch, finer=finer, fills_up=True)


def _of_wholes(quick: Quick, network: PatchedNetwork, batch: int) -> Quick:
    finer = None if quick.finer is None else _of_wholes(quick.finer, network, batch)
    # Its patches are filled up, and whole images need not be.
    return replace(quick, run=partial(_through, network, quick), batch=batch, finer=finer, fills_up=False)


def _through(network: PatchedNetwork, quick: Quick, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network.through(quick.outputs, images)
