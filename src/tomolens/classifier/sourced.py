"""A network with its input contract: what stands between images from 0 to 1 and what a file was trained on."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import NetworkError
from .contract import InputContract

if TYPE_CHECKING:
    from .sources import NetworkSource


class SourcedNetwork(nn.Module):
    """Images go in as the contract says, in batches that the network takes, and one of its outputs comes out.

    A process that is sent one with a source loads it there: what is sent is the source.

    Attributes:
        network: as it came.
        contract: what it takes.
        key: name or number of the output that is taken, where there are several; empty where there is one.
        source: where it came from; None where it was given in Python.
        batch: images that it takes at a time; None takes any number.
        forward_only: why it gives no gradients; empty where it does.
        notes: what is odd about it and no reason to refuse it, in words.
    """

    def __init__(
        self,
        network: nn.Module,
        contract: InputContract | None = None,
        key: str = "",
        source: "NetworkSource | None" = None,
        batch: int | None = None,
        forward_only: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.contract, self.key, self.source = contract or InputContract(), key, source
        self.batch, self.forward_only, self.notes = batch, forward_only, notes
        self.training = network.training

    def forward(self, images: Tensor) -> Tensor:
        """One output for images ``(N, C, *spatial)`` from 0 to 1.

        Raises:
            NetworkError: images that the contract does not take, or an output that is not there.
        """
        size = self.contract.size
        if size and tuple(images.shape[2:]) != size:
            raise NetworkError(f"images of {list(images.shape[2:])} pixels, the network takes {list(size)}")
        given = self.contract.given(images)
        if self.batch in (None, len(given)):
            return self._chosen(self.network(given))
        parts = []
        for part in torch.split(given, self.batch or 1):
            missing = (self.batch or 1) - len(part)
            filled = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
            parts.append(self._chosen(self.network(filled))[: len(part)])
        return torch.cat(parts)

    def _chosen(self, outputs: Any) -> Tensor:
        """The output that is taken; a table of outputs that has one tensor is that tensor."""
        if isinstance(outputs, Tensor) and not self.key:
            return outputs
        named = _by_name(outputs)
        if not self.key and len(named) == 1:
            return next(iter(named.values()))
        if self.key not in named:
            seen = (
                ", ".join(f"{name or 'the only one'} {tuple(one.shape)}" for name, one in named.items()) or "no tensor"
            )
            if isinstance(outputs, Tensor):
                raise NetworkError(f"output '{self.key}': the network returned one tensor: leave out the key")
            asked = f"output '{self.key}'" if self.key else "several outputs, and which are the scores is not said"
            raise NetworkError(
                f"{asked}: the network returned {type(outputs).__name__} with {seen}: name the scores, as in --output "
                f"logits:{next(iter(named), 'scores')}, or with key = in Python"
            )
        return named[self.key]

    def extra_repr(self) -> str:
        """What shows in the numbers beside the network."""
        return f"{self.contract}, key={self.key!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> "SourcedNetwork":
        try:
            network = copy.deepcopy(self.network, memo)
        except Exception:  # sessions of other libraries cannot be copied, and need not be: they hold no state
            if not self.forward_only:
                raise
            network = self.network
        return SourcedNetwork(network, self.contract, self.key, self.source, self.batch, self.forward_only, self.notes)

    def around(self, network: nn.Module) -> "SourcedNetwork":
        """The same contract and output of another network, which has no source."""
        return SourcedNetwork(network, self.contract, self.key, None, self.batch, self.forward_only, self.notes)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.source is None:
            return super().__reduce_ex__(protocol)
        device = next((str(one.device) for one in self.network.parameters()), "cpu")
        return loaded_again, (self.source, self.contract, self.key, device)


def loaded_again(source: "NetworkSource", contract: InputContract, key: str, device: str) -> SourcedNetwork:
    """In the process that was sent a sourced network: the network, loaded there."""
    from .sources import load_source  # it builds on classifiers, whose networks these are

    loaded = load_source(source)
    made = SourcedNetwork(loaded.network, contract, key, source, loaded.batch, loaded.forward_only, loaded.notes)
    return made.to(device)


def own(network: nn.Module) -> nn.Module:
    """The network as it came, whose layers have the names that its maker gave them."""
    return network.network if isinstance(network, SourcedNetwork) else network


def _by_name(outputs: Any) -> dict[str, Tensor]:
    if isinstance(outputs, Tensor):
        return {"": outputs}
    pairs: list[tuple[Any, Any]] = []
    if isinstance(outputs, Mapping):
        pairs = list(outputs.items())
    elif isinstance(outputs, list | tuple):
        pairs = list(enumerate(outputs))
    return {str(name): one for name, one in pairs if isinstance(one, Tensor)}
