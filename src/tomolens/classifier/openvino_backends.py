"""OpenVINO: a network converted and compiled, in float32, in bfloat16, or in eight bits as NNCF fits them.

Nothing is sent anywhere: both libraries tell Google Analytics what they are used for wherever the package that sends it
can be imported, so here it cannot be.
"""

import contextlib
import copy
import functools
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Backend = Callable[[Tensor], Tensor]
"""From images ``(N, C, *spatial)`` float32 to the network's outputs, float32, on the same device."""


def is_here(*, eight_bits: bool = False) -> bool:
    """Whether OpenVINO is installed, and NNCF where eight bits are wanted."""
    wanted = ("openvino", "nncf") if eight_bits else ("openvino",)
    return all(importlib.util.find_spec(name) is not None for name in wanted)


def library() -> Any:
    """OpenVINO, imported without what tells others of its use."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@functools.cache
def _core() -> Any:
    """One for the life of the process.

    OpenVINO gives the thread in which a core first compiles an alternate stack for signals, and a core that goes
    unmaps its own and puts back the one before it. Of two cores that go in the order in which they came, the second
    puts back the unmapped stack of the first, and the next signal (Ctrl-C, SIGTERM, an alarm) ends the process with a
    segmentation fault.
    """
    return library().Core()


def openvino_fp32(network: nn.Module, example: Tensor) -> Backend:
    """OpenVINO in float32."""
    return _compiled(_converted(network, example), "f32")


def openvino_bf16(network: nn.Module, example: Tensor) -> Backend:
    """OpenVINO in bfloat16."""
    return _compiled(_converted(network, example), "bf16")


def openvino_int8(network: nn.Module, example: Tensor, masked: Tensor) -> Backend:
    """OpenVINO in eight bits, fitted to images as they will come (NNCF's post-training quantisation).

    Args:
        network: in eval mode.
        example: a full batch.
        masked: at least a full batch of masked images.
    """
    model = _converted(network, example)
    import nncf

    nncf.set_log_level(logging.ERROR)
    full = [part.contiguous().numpy() for part in torch.split(masked, len(example)) if len(part) == len(example)]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        warnings.simplefilter("ignore")
        fitted = nncf.quantize(model, nncf.Dataset(full), subset_size=len(full))
    return _compiled(fitted, "f32")


def _converted(network: nn.Module, example: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return library().convert_model(
            copy.deepcopy(network).eval(), example_input=example, input=[tuple(example.shape)]
        )


def _compiled(model: Any, precision: str) -> Backend:
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = _core().compile_model(model, "CPU", options).create_infer_request()

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(request.infer([images.contiguous().numpy()])[0].copy())

    return run
