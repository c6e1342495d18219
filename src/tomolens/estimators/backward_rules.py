"""Gradients of class scores with a rule for how ReLUs pass them back.

The rule is laid on the autograd graph of one forward pass, not on modules: every ReLU appears there,
whether it was written as a module, a function, in place or one module used many times, and the network
itself is never touched.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node

from ..classifier import Classifier
from ..errors import NetworkError
from .probes import Rule


def gradients(classifier: Classifier, images: Tensor, targets: Tensor, rule: Rule) -> Tensor:
    """dS_target/dx at each image, under a backward rule.

    Args:
        classifier: inside `Classifier.frozen`.
        images: ``(N, C, *spatial)``.
        targets: int64 ``(N,)``.
        rule: ``gradient`` or ``deconvolution``.

    Returns:
        ``(N, C, *spatial)``.

    Raises:
        NetworkError: deconvolution of a network without ReLU, a score that does not depend on the
            images, or gradients that are not finite.
    """
    with torch.enable_grad():
        inputs = images.detach().requires_grad_(True)
        total = classifier.scores(inputs, targets).sum()
        if total.grad_fn is None:
            raise NetworkError("the network's score does not depend on its input by differentiable steps")
        if rule == "deconvolution":
            _deconvolve(total.grad_fn)
        (gradient,) = torch.autograd.grad(total, inputs, allow_unused=True)
    if gradient is None:
        raise NetworkError("the network's score does not depend on its input by differentiable steps")
    if not bool(torch.isfinite(gradient).all()):
        raise NetworkError(
            f"the network's {rule} has {int((~torch.isfinite(gradient)).sum())} values that are not finite"
        )
    return gradient


def _deconvolve(root: Node) -> None:
    """Make every ReLU of the graph pass the positive part of the incoming gradient, whatever its input was."""
    relus = [node for node in _nodes(root) if node.name().startswith("ReluBackward")]
    if not relus:
        raise NetworkError("deconvolution needs ReLUs, and the network's graph has none: leave this estimator out")
    for node in relus:
        node.register_hook(_pass_positive_part)


def _pass_positive_part(_: Sequence[Tensor], incoming: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(gradient.clamp(min=0) for gradient in incoming)


def _nodes(root: Node) -> Iterator[Node]:
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
