"""Quick backends for a network's outputs, for decisions alone: folded batch norm, bf16, OpenVINO, compiled, eight bits.

A quick backend may be a little wrong; `decisions` finds the images for which that could matter and asks the network
itself. To add a backend, write a function and put it in `BACKENDS`.
"""

import copy
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ..errors import reason_of
from .following import followed, gradient, small_part
from .inputs import unwrapped
from .layout import as_channels_last
from .openvino_backends import Backend, is_here, openvino_bf16, openvino_fp32, openvino_int8
from .patches import PatchedNetwork
from .sourced import SourcedNetwork

SAFETY = 4.0
"""Largest error of a score to be expected of a backend anywhere, in units of the largest one seen."""
TRYING_PAYS, COMPILING_PAYS = 30.0, 300.0
"""Seconds of work from which on it is worth trying backends, and spending half a minute on compiling."""

QUANTISING_PAYS = 120.0
"""Seconds of decisions from which on it is worth trying eight bits, which take a quarter of a minute to fit."""
NEAR_TURNS = 2.0
"""Images that are asked lie near turns of the decision, and leave doubt so many times as often as others."""
ERRORS_SEEN = 32
"""Masked training images on which the errors of the backend that was found are seen."""
EIGHT_BITS = "openvino-int8"


Masked = Callable[[], Tensor | None]
"""Makes images with parts of them masked, ``(N, C, *spatial)``; None where there are none."""


@dataclass(frozen=True)
class Quick:
    """The quickest of the backends that were tried.

    Attributes:
        name: of the backend.
        run: the backend itself.
        batch: images that it takes at a time.
        speeds: images a second of every backend that was tried, ``plain`` being the network as it is.
        failed: backends that this network or machine does not allow, with the reason.
        finer: a slower one of smaller errors, asked where this one leaves doubt; None asks the network itself.
        error: the largest of an output that was seen on masked training images; 0 where none was seen.
        fills_up: whether it is given full batches alone, for compiled code knows one size.
    """

    name: str
    run: Backend
    batch: int
    speeds: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    finer: "Quick | None" = None
    error: float = 0.0
    fills_up: bool = True

    @property
    def told(self) -> str:
        """Its name, and that of the finer one."""
        return self.name if self.finer is None else f"{self.name}, in doubt {self.finer.name}"

    def outputs(self, images: Tensor) -> Tensor:
        """Outputs for up to `batch` images; a smaller batch is filled up where it must be full."""
        missing = self.batch - len(images) if self.fills_up else 0
        if missing:
            images = torch.cat([images, images[:1].expand(missing, *images.shape[1:])])
        return self.run(images)[: len(images) - missing]


def nothing() -> None:
    """No masked images."""


def folded(network: nn.Module) -> nn.Module:
    """A copy of the network in eval mode whose batch norms are part of the convolutions before them."""
    from torch.fx.experimental.optimization import fuse

    if isinstance(network, SourcedNetwork | PatchedNetwork):
        return network.around(folded(network.network))
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = fuse(copied)
    convolved = {weight.ndim for weight in made.parameters()} & {4, 5}
    if len(convolved) == 1:  # torch turns all weights of a module or none
        layout = torch.channels_last if convolved == {4} else torch.channels_last_3d
        made = made.to(memory_format=layout)  # type: ignore[call-overload]
    return made


ALIKE = 1e-4
"""Share of the largest output by which a folded network's may differ from the network's own: rounding."""
ALIKE_IN_GRADIENT = 0.05
"""Share of the gradient's norm. Rounding turns single rectifiers that are near 0, which moved 0.5 % of the norm in a
network that was not trained; a part whose gradients are others moves tens of per cent."""


def folded_alike(network: nn.Module, example: Tensor) -> nn.Module | None:
    """The network with its batch norms folded, float32; None where that cannot be done, or is another network.

    That is so where its outputs for the example are others, or its gradients.

    Args:
        network: in eval mode; it is copied, never changed.
        example: images on the network's device.
    """
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    count = sum(isinstance(module, norms) for module in network.modules())
    if not count:
        return None
    try:
        followed(unwrapped(network))
        made = folded(network)
        with torch.no_grad():
            own, others = network(as_channels_last(example)), made(as_channels_last(example))
        same_gradients = _gradients_are_alike(network, made, example)
    except Exception:  # tracing fails in as many ways as networks differ
        return None
    if sum(isinstance(module, norms) for module in made.modules()) == count:
        return None
    same_outputs = bool((own - others).abs().max() <= ALIKE * own.abs().max())
    return made if same_outputs and same_gradients else None


def _gradients_are_alike(network: nn.Module, made: nn.Module, example: Tensor) -> bool:
    part = small_part(example)
    try:
        own = gradient(network, part)
    except Exception:  # it takes no other size
        part = example[:1]
        own = gradient(network, part)
    return bool((gradient(made, part) - own).norm() <= ALIKE_IN_GRADIENT * own.norm())


def folded_fp32(network: nn.Module, example: Tensor) -> Backend:
    """Batch norm folded, channels last."""
    made = folded(network)
    return lambda images: made(as_channels_last(images))


def folded_bf16(network: nn.Module, example: Tensor) -> Backend:
    """Batch norm folded, channels last, bfloat16."""
    made = folded(network).bfloat16()
    return lambda images: made(as_channels_last(images).bfloat16()).float()


def compiled_bf16(network: nn.Module, example: Tensor) -> Backend:
    """As `folded_bf16`, compiled by torch with the weights frozen into the code."""
    import torch._inductor.config as inductor

    made = folded(network).bfloat16()
    with inductor.patch(freezing=True):
        compiled = torch.compile(made, mode="reduce-overhead" if example.is_cuda else "default")
        compiled(as_channels_last(example).bfloat16())
    return lambda images: compiled(as_channels_last(images).bfloat16()).float().clone()


BACKENDS: dict[str, Callable[[nn.Module, Tensor], Backend]] = {
    "folded-fp32": folded_fp32,
    "folded-bf16": folded_bf16,
    "openvino-fp32": openvino_fp32,
    "openvino-bf16": openvino_bf16,
    "compiled-bf16": compiled_bf16,
}


def quickest(
    network: nn.Module, example: Tensor, images: int, like: Quick | None = None, masked: Masked = nothing
) -> Quick | None:
    """Try the backends that this machine has on a batch, and keep the one that is done first, its making included.

    Args:
        network: in eval mode; it is copied, never changed.
        example: a full batch ``(N, C, *spatial)`` on the network's device.
        images: about how many are to come; backends are tried where they take long enough.
        like: what was found for another network of the same structure, which is not tried again.
        masked: makes images as they will come, to which eight bits are fitted where they are tried.

    Returns:
        None where the network as it is is the quickest, or breaks on the example.
    """
    if like is not None:
        with torch.inference_mode():
            return _made_again(like, network, example, masked)
    speeds: dict[str, float] = {}
    totals: dict[str, float] = {}
    failed: dict[str, str] = {}
    backends: dict[str, Backend] = {"plain": lambda batch: network(as_channels_last(batch))}
    with torch.inference_mode():
        try:
            speeds["plain"] = _speed(backends["plain"], example)
        except Exception:  # no full batch fits, or the network breaks: the cases will tell, each for itself
            return None
        totals["plain"] = images / speeds["plain"]
        if totals["plain"] < TRYING_PAYS:
            return None
        for name, make in BACKENDS.items():
            if not _is_here(name, example):
                continue
            if name.startswith("compiled") and min(totals.values()) < COMPILING_PAYS:
                continue
            began = time.perf_counter()
            try:
                backends[name] = make(network, example)
                made = time.perf_counter() - began  # what every further network of the study would take again
                speeds[name] = _speed(backends[name], example)
                totals[name] = made + images / speeds[name]
            except Exception as error:  # tracing, converting and compiling fail in as many ways as networks differ
                failed[name] = reason_of(error)
        best = min(totals, key=lambda name: totals[name])
        found = None if best == "plain" else Quick(best, backends[best], len(example), speeds, failed)
        if totals[best] < QUANTISING_PAYS or example.is_cuda or not is_here(eight_bits=True):
            return found
        try:
            return _in_eight_bits(network, example, images, masked, found, totals[best])
        except Exception as error:  # quantising fails in as many ways as the others
            return None if found is None else replace(found, failed={**failed, EIGHT_BITS: reason_of(error)})


def _in_eight_bits(
    network: nn.Module, example: Tensor, images: int, make: Masked, found: Quick | None, total: float
) -> Quick | None:
    """Eight bits before what was found quickest, where both together are done first; else what was found.

    Eight bits are a quarter of the time and of errors that leave doubt, so that many images are asked again.
    """
    masked = make()
    if masked is None or len(masked) < len(example):
        return found
    began = time.perf_counter()
    run = openvino_int8(network, example, masked)
    made = time.perf_counter() - began
    speed = _speed(run, example)
    rough, own = run(masked[: len(example)]), network(as_channels_last(masked[: len(example)]))
    error, lead = float((rough - own).abs().max()), leads_of(rough)
    doubtful = min(1.0, NEAR_TURNS * float((lead <= 2 * SAFETY * error).float().mean()))
    if made + images / speed + doubtful * total >= total:
        return found
    speeds = {**(found.speeds if found else {}), EIGHT_BITS: speed}
    return Quick(EIGHT_BITS, run, len(example), speeds, found.failed if found else {}, found)


def with_errors(quick: Quick, network: nn.Module, images: Tensor) -> Quick:
    """A quick backend with the largest error of an output that it and each finer one make on some images.

    Args:
        quick: of the network.
        network: in eval mode.
        images: like those to come, ``(N, C, *spatial)`` on the network's device.
    """
    batches = torch.split(images, quick.batch)
    with torch.inference_mode():
        own = torch.cat([network(as_channels_last(batch)) for batch in batches])

        def of(one: Quick) -> Quick:
            missed = (torch.cat([one.outputs(batch) for batch in batches]).reshape(own.shape) - own).abs()
            # What overflows the network itself decides, whatever the others' errors are.
            error = float(torch.where(torch.isfinite(missed), missed, 0.0).max())
            return replace(one, error=error, finer=None if one.finer is None else of(one.finer))

        return of(quick)


def leads_of(outputs: Tensor) -> Tensor:
    """By how much the winning score leads, of one neuron ``(N,)`` or ``(N, 1)`` or of several ``(N, K)``."""
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return 2 * outputs.flatten().abs()
    highest = outputs.topk(2, dim=1).values
    return highest[:, 0] - highest[:, 1]


def _made_again(like: Quick, network: nn.Module, example: Tensor, make: Masked) -> Quick:
    """The backends of another network of the same structure for this one."""
    finer = None if like.finer is None else _made_again(like.finer, network, example, make)
    if like.name != EIGHT_BITS:
        return replace(like, run=BACKENDS[like.name](network, example))
    masked = make()
    if masked is None:
        raise ValueError("eight bits are fitted to masked images, and there are none")
    return replace(like, run=openvino_int8(network, example, masked), finer=finer)


def _is_here(name: str, example: Tensor) -> bool:
    return not name.startswith("openvino") or (example.device.type == "cpu" and is_here())


def _speed(backend: Backend, example: Tensor) -> float:
    """Images a second: the better of two, after one to warm up."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        backend(example)
        if example.is_cuda:
            torch.cuda.synchronize(example.device)
        taken.append(time.perf_counter() - start)
    return len(example) / min(taken[1:])
