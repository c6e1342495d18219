"""What is run again when its gradients are needed, and keeps nothing until then."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self

from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop


def run_again(function: Callable[..., Any], *given: Any, to_its_end: bool = False) -> Any:
    """What a function makes, of which nothing is kept: it runs again when gradients are asked for.

    It runs until the last of what they need is there, or to its end: TorchScript cannot be left in the middle.

    What was entered around the first run, as a rule of layer-wise relevance is, is entered around the second.
    """
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]

    def contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
        return nullcontext(), _Entered(modes)

    with set_checkpoint_early_stop(False) if to_its_end else nullcontext():
        return checkpoint(function, *given, use_reentrant=False, context_fn=contexts)


class _Entered(ExitStack):
    """Modes that a backward pass has left."""

    def __init__(self, modes: Sequence[TorchFunctionMode]) -> None:
        super().__init__()
        self.modes = modes

    def __enter__(self) -> Self:
        for mode in self.modes:
            self.enter_context(mode)
        return super().__enter__()
