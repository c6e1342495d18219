"""What the surroundings of a call may not do to its numbers: autocast, TF32, tuned and unsettled kernels."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_BACKENDS: Any = torch.backends
REDUCED = (
    _BACKENDS.cuda.matmul,
    _BACKENDS.cudnn.conv,
    _BACKENDS.cudnn.rnn,
    _BACKENDS.mkldnn.matmul,
    _BACKENDS.mkldnn.conv,
    _BACKENDS.mkldnn.rnn,
)
"""Where torch may be told to multiply float32 numbers with fewer bits."""


@contextmanager
def plain_numerics(device: torch.device) -> Iterator[None]:
    """Inside the block a network computes in its own precision, whatever the caller has set; afterwards all as it was.

    Autocast and inference mode are off, float32 is multiplied with all of its bits (no TF32, no bf16), and cuDNN
    neither tunes its kernels nor takes one whose sums fall in another order each time. On CUDA torch's deterministic
    algorithms are asked for; an operation that has none runs as it is. A reduced precision that a part of torch
    followed from a general setting is afterwards its own: torch does not tell the two apart.

    Args:
        device: where the network is.
    """
    cudnn = _BACKENDS.cudnn
    precisions = [(part, said) for part in REDUCED if (said := part.fp32_precision) not in ("ieee", "none")]
    tuned, settled = cudnn.benchmark, cudnn.deterministic
    with ExitStack() as stack:
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        if device.type == "cuda":
            stack.enter_context(_deterministic())
        try:
            for part, _ in precisions:
                part.fp32_precision = "ieee"
            cudnn.benchmark, cudnn.deterministic = False, True
            yield
        finally:
            for part, before in precisions:
                part.fp32_precision = before
            cudnn.benchmark, cudnn.deterministic = tuned, settled


@contextmanager
def _deterministic() -> Iterator[None]:
    before, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*deterministic.*")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warns)
