"""The last sigmoid or softmax of a network, seen through: what went into it is the logit."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SEEN = {"sigmoid", "expit", "special_expit", "softmax", "_softmax"}


class LastActivation(TorchFunctionMode):
    """While it is entered, remembers the last sigmoid or softmax, written as module, function or method.

    What a scripted or compiled network does inside cannot be seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Tensor, Tensor] | None = None

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function, and note what it was given where it is a sigmoid or softmax."""
        result = function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "").split(".")[0] in SEEN and args and isinstance(result, Tensor):
            self._last = args[0], result
        return result

    def logits(self, output: Tensor) -> Tensor | None:
        """What ``output`` was made of, in its shape, where it is the result of that activation; else None.

        Args:
            output: of the network, ``(N,)``, ``(N, 1)`` or ``(N, classes)``.
        """
        if self._last is None:
            return None
        given, result = self._last
        if result.data_ptr() != output.data_ptr() or result.numel() != output.numel():
            return None
        logits = given.reshape(output.shape)
        again = torch.sigmoid(logits) if output.ndim == 1 or output.shape[1] == 1 else torch.softmax(logits, dim=1)
        return logits if torch.allclose(again, output, rtol=1e-4, atol=1e-6) else None
