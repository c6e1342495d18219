"""The last sigmoid or softmax of a network, seen through: what went into it is the logit."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SIGMOIDS, SOFTMAXES = {"sigmoid", "expit", "special_expit"}, {"softmax", "_softmax"}


class LastActivation(TorchFunctionMode):
    """While it is entered, remembers the last sigmoid or softmax, written as module, function or method.

    What a scripted or compiled network does inside cannot be seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Tensor, Tensor, bool] | None = None

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function, and note what it was given where it is a sigmoid or softmax."""
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "").split(".")[0]
        if name in SIGMOIDS | SOFTMAXES and args and isinstance(result, Tensor):
            self._last = args[0], result, name in SOFTMAXES  # where they saturate both may give the same
        return result

    def logits(self, output: Tensor, sigmoid_only: bool = False) -> Tensor | None:
        """What ``output`` was made of, in its shape, where that can be told and is finite; else None.

        Args:
            output: of the network, ``(N,)``, ``(N, 1)`` or ``(N, classes)``.
            sigmoid_only: leave a softmax alone: what went into it is no logit of a class by itself.
        """
        if self._last is None or (sigmoid_only and self._last[2]):
            return None
        for wanted, logits in _readings(*self._last, output):
            if wanted.numel() == output.numel() and torch.allclose(wanted.reshape(output.shape), output, 1e-4, 1e-6):
                return logits.reshape(output.shape) if bool(torch.isfinite(logits).all()) else None
        return None


def _readings(given: Tensor, result: Tensor, is_softmax: bool, output: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """What a network may return of an activation, and the logits of that: all of it, or one class of a softmax or one
    label of a sigmoid as one neuron, or both classes of a sigmoid."""
    has_classes = given.ndim == 2 and given.shape[1] > 1
    of_softmax = is_softmax and has_classes and torch.allclose(result, torch.softmax(given, dim=1))
    of_sigmoid = not is_softmax and torch.allclose(result, torch.sigmoid(given))
    if of_softmax or of_sigmoid:
        yield result, given
    for kind in range(given.shape[1]) if has_classes and (of_softmax or of_sigmoid) else ():
        if result[:, kind].data_ptr() != output.data_ptr():  # saturated columns are equal, and not the same
            continue
        others = torch.cat([given[:, :kind], given[:, kind + 1 :]], dim=1)
        yield result[:, kind], given[:, kind] - torch.logsumexp(others, dim=1) if of_softmax else given[:, kind]
    if of_sigmoid and result.numel() == len(result):
        p, z = result.reshape(-1), given.reshape(-1)
        yield torch.stack([1 - p, p], dim=1), torch.stack([-z, z], dim=1)
        yield torch.stack([p, 1 - p], dim=1), torch.stack([z, -z], dim=1)
