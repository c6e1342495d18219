"""Networks whose weights are in random order: as large, as deep and as busy, and knowing nothing.

Each weight of a layer takes the place of another of its own, so that their spread stays what training made it. That
is gentler than drawing them anew (Adebayo et al. 2018, arXiv 1810.03292), and works for every network with weights.
"""

import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import NetworkError
from ..randomness import generator
from .classifier import Classifier

_Sums = tuple[float, ...]
_MADE: "WeakKeyDictionary[nn.Module, dict[tuple[_Sums, tuple[float, ...]], nn.Module]]" = WeakKeyDictionary()
"""Of each network those that were made of it in this process; they are never stored."""


def with_shuffled_weights(
    classifier: Classifier, seed: int, draw: int = 0, after: float = 0.0, until: float = 1.0
) -> Classifier:
    """The classifier with the weights of some of its layers in random order.

    Args:
        classifier: whose network is copied, never changed.
        seed: of the study.
        draw: which of several shuffled networks.
        after: share of the layers with weights that keep theirs, from the last one on, in the order in which the
            network lists them.
        until: share up to which they are shuffled; at least one layer is.

    Raises:
        NetworkError: a network without weights that can be reached.
    """
    made = _MADE.setdefault(classifier.network, {})
    sums, asked = _sums(classifier.network), (seed, draw, after, until)
    if any(of != sums for of, _ in made):  # weights have been changed since
        made.clear()
    key = (sums, asked)
    if key not in made:
        made[key] = _shuffled(classifier.network, *asked)
    return replace(classifier, network=made[key], quick=None, folded=None)


def _shuffled(network: nn.Module, seed: int, draw: int, after: float, until: float) -> nn.Module:
    layers = [name for name, module in network.named_modules() if _weights(module)]
    if not layers:
        raise NetworkError("the network has no weights that can be reached, so they cannot be put in random order")
    first = min(round(after * len(layers)), len(layers) - 1)
    last = max(round(until * len(layers)), first + 1)
    copied = copy.deepcopy(network)
    modules = dict(copied.named_modules())
    with torch.no_grad():
        for name in layers[::-1][first:last]:
            for weight, values in _weights(modules[name]).items():
                random = generator(seed, "shuffled weights", draw, name, weight)
                order = torch.from_numpy(random.permutation(values.numel())).to(values.device)
                values.copy_(values.flatten()[order].reshape(values.shape))
    return copied


def _sums(network: nn.Module) -> _Sums:
    """Of each weight and of its square, by which a change of weights is seen."""
    own = (one for module in network.modules() for one in _weights(module).values())
    return tuple(float(part.sum()) for one in own for part in (one.double(), one.double().square()))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """Floating parameters and buffers of a layer's own."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: one.data for name, one in own if one.is_floating_point()}
