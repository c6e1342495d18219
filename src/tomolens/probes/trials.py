"""What is tried on a network: the same twice, one against many, gradients against differences, memory and time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..classifier import Classifier
from ..classifier.layers import last_spatial, last_tokens, layers_seen
from ..classifier.layout import as_channels_last
from ..errors import TomolensError, reason_of
from ..estimators.backward_rules import PositiveGradients
from .finding import Finding

REPEATED, BATCHED = 1e-6, 1e-4
"""Shares of the largest score by which the same image may differ: asked twice, and alone or among others."""
STEP, AGREEING = 1e-3, 0.05
"""Share of the image's range of the step of a finite difference, and share by which it may miss the gradient."""


@dataclass(frozen=True)
class Tried:
    """A network on trial.

    Attributes:
        classifier: its network in eval mode.
        images: ``(N, C, *spatial)`` from 0 to 1, at least two that differ.
    """

    classifier: Classifier
    images: Tensor


def same_twice(tried: Tried) -> Finding:
    """Whether the same images give the same scores again."""
    first, second = (_scores(tried, tried.images) for _ in range(2))
    differing = _share(first, second)
    if differing > REPEATED:
        return Finding(
            "same twice",
            f"scores of the same images differ by {differing:.2g} of the largest: something in it is random (dropout "
            "that stays on?), so that no map and no decision can be repeated",
            "refused",
        )
    return Finding("same twice", "the same images give the same scores")


def alone_and_among_others(tried: Tried) -> Finding:
    """Whether an image's scores depend on what else is in the batch."""
    together = _scores(tried, tried.images)
    alone = torch.cat([_scores(tried, image[None]) for image in tried.images])
    differing = _share(together, alone)
    if differing > BATCHED:
        return Finding(
            "alone and in a batch",
            f"scores differ by {differing:.2g} of the largest with what else is in the batch (batch norm in training "
            "mode?), so that a map would be of the company too",
            "refused",
        )
    return Finding(
        "alone and in a batch", f"the same but for {differing:.1g} of the largest score" if differing else "the same"
    )


def still_training(tried: Tried) -> Finding:
    """Modules that eval mode does not reach."""
    if tried.classifier.forward_only and not any(True for _ in tried.classifier.network.parameters()):
        return Finding("eval mode", "as it was exported: it has no modules whose mode could be seen")
    network = tried.classifier.network.eval() if not _has_graphs(tried) else tried.classifier.network
    left = [name or "the network" for name, module in network.named_modules() if module.training]
    if left and not _has_graphs(tried):
        return Finding("eval mode", f"{len(left)} modules stay in training mode: {', '.join(left[:4])}", "note")
    return Finding("eval mode", "every module is in eval mode")


def _has_graphs(tried: Tried) -> bool:
    return any(isinstance(module, torch.fx.GraphModule) for module in tried.classifier.network.modules())


def gradient(tried: Tried) -> Finding:
    """Whether the gradient exists and is that of the scores, by a finite difference along itself."""
    if reason := tried.classifier.forward_only:
        return Finding("gradient", f"none: {reason}", "note")
    images = tried.images[:1]
    try:
        derived, score = _derived(tried, images)
        if not bool(_derived(tried, images, of=0)[0].any()):
            return Finding("gradient", "0 everywhere for class 0: no map can be made of it", "refused")
    except (TomolensError, RuntimeError) as error:
        return Finding("gradient", f"none: {reason_of(error)}", "refused")
    if not bool(torch.isfinite(derived).all()):
        return Finding("gradient", f"{int((~torch.isfinite(derived)).sum())} values are not finite", "refused")
    norm = float(derived.double().norm())
    if norm == 0:
        return Finding("gradient", f"0 everywhere at a score of {score:.3g}: no map can be made of it", "refused")
    slope = _slope(tried, images, derived / norm)
    missed = abs(slope - norm) / norm
    found = f"its norm is {norm:.3g}, by a finite difference {slope:.3g}"
    if missed > AGREEING:
        return Finding("gradient", f"{found}: one of them misleads (rounding inside? a rectifier just here?)", "note")
    return Finding("gradient", found)


def _derived(tried: Tried, images: Tensor, of: int = -1) -> tuple[Tensor, float]:
    inputs = images.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        score = tried.classifier.class_scores(inputs)[0, of]
        (found,) = torch.autograd.grad(score, [inputs])
    return found, float(score.detach())


def _slope(tried: Tried, images: Tensor, direction: Tensor) -> float:
    """By central differences, halved until two of them agree, for rectifiers turn within a long step."""
    step, before = STEP * float(images[0].numel()) ** 0.5, float("nan")
    for _ in range(8):
        high, low = (_scores(tried, images + sign * step * direction)[0, -1].double() for sign in (1, -1))
        slope = float((high - low) / (2 * step))
        if abs(slope - before) <= 0.01 * abs(slope):
            break
        step, before = step / 2, slope
    return slope


def rectifiers(tried: Tried) -> Finding:
    """Which rectifiers deconvolution's rule covers."""
    check = "rectifiers"
    if tried.classifier.forward_only:
        return Finding(check, "not looked at without gradients", "note")
    inputs = tried.images[:1].detach().clone().requires_grad_(True)
    rule = PositiveGradients(partial=True)
    try:
        with torch.enable_grad(), rule.attached(tried.classifier.network):
            scored = tried.classifier.scored(inputs)
            if scored.output.grad_fn is None:
                return Finding(check, "the scores have no graph", "note")
            coverage = rule.lay(scored.output.grad_fn)
    except TomolensError as error:
        return Finding(check, f"deconvolution cannot be laid on it: {error}", "note")
    if coverage.passed:
        others = ", ".join(f"{count} {kind}" for kind, count in coverage.passed.items())
        return Finding(check, f"{coverage.covered} ReLUs; deconvolution has no rule for {others}", "note")
    return Finding(check, f"{coverage.covered} ReLUs, all covered by deconvolution")


def layers(tried: Tried) -> Finding:
    """Layers that maps of features can be taken from."""
    sourced = tried.classifier.sourced
    inner = tried.classifier.network if sourced is None else sourced.network
    if any(isinstance(module, torch.jit.ScriptModule) for module in inner.modules()):
        return Finding("layers", "cannot be seen: TorchScript's layers do not tell what they return", "note")
    try:
        seen = layers_seen(inner, tried.classifier.network, as_channels_last(tried.images[:1]))
    except (RuntimeError, TypeError) as error:
        return Finding("layers", f"cannot be looked into ({reason_of(error)})", "note")
    planes, tokens = last_spatial(seen), last_tokens(seen)
    words = []
    if tokens is not None:
        grid, prefix = (
            " x ".join(map(str, tokens.grid)),
            f" after {tokens.prefix} of another kind" if tokens.prefix else "",
        )
        words.append(f"tokens on a grid of {grid}{prefix}, last in '{tokens.name}'")
    if planes is not None:
        count, *extent = planes.shape
        words.append(f"{count} planes of {' x '.join(map(str, extent))}, last in '{planes.name}'")
    if not words and (_has_graphs(tried) or not any(True for _ in inner.children())):
        return Finding("layers", "cannot be seen: its graph has operators and no layers that go by a name", "note")
    return Finding("layers", "; ".join(words) or "none with spatial extent or tokens", "ok" if words else "note")


def cost(tried: Tried) -> Finding:
    """Seconds and memory of one image."""
    image = tried.images[:1]
    seconds = _timed(lambda: _scores(tried, image))
    words = f"{1000 * seconds:.3g} ms a decision of one image"
    if not tried.classifier.forward_only:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        try:
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                _derived(tried, image)
            seconds = _timed(lambda: _derived(tried, image))
        except (TomolensError, RuntimeError):
            return Finding("time and memory", words)
        words += f", {1000 * seconds:.3g} ms and {sum(kept.values()) / 2**20:.3g} MiB a gradient"
    return Finding("time and memory", words)


def _timed(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _scores(tried: Tried, images: Tensor) -> Tensor:
    with torch.no_grad():
        return tried.classifier.class_scores(images)


def _share(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest score; NaN is as far as can be."""
    difference = float((one - other).abs().max()) / max(float(one.abs().max()), 1e-12)
    return difference if difference == difference else float("inf")


TRIALS: tuple[Callable[[Tried], Finding], ...] = (
    same_twice,
    alone_and_among_others,
    still_training,
    gradient,
    rectifiers,
    layers,
    cost,
)
"""In the order in which they are tried; nothing after one that is refused."""
