"""Gradients of class scores with a rule for how rectifiers pass them back.

A rule is laid on the autograd graph of one forward pass, not on modules: every rectifier appears there,
whether it was written as a module, a function, in place or one module used many times, and the network
itself is never touched. A rule tells what it covered and what it did not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from ..classifier import Classifier
from ..classifier.classifier import of_targets
from ..errors import NetworkError

RELU = "ReluBackward"
OTHER_RECTIFIERS = {
    "LeakyReluBackward": "LeakyReLU",
    "PreluKernelBackward": "PReLU",
    "RreluWithNoiseBackward": "RReLU",
    "HardtanhBackward": "ReLU6 or Hardtanh",
    "ThresholdBackward": "Threshold",
    "ClampBackward": "clamp",
    "ClampMinBackward": "clamp",
    "MaximumBackward": "maximum",
    "SiluBackward": "SiLU",
    "HardswishBackward": "Hardswish",
    "GeluBackward": "GELU",
    "EluBackward": "ELU or SELU",
    "CeluBackward": "CELU",
    "SoftplusBackward": "Softplus",
    "MishBackward": "Mish",
    "SoftshrinkBackward": "Softshrink",
    "HardshrinkBackward": "Hardshrink",
    "HardsigmoidBackward": "Hardsigmoid",
    "LogSigmoidBackward": "LogSigmoid",
    "SigmoidBackward": "sigmoid",
    "GluBackward": "GLU",
    "WhereBackward": "where",
    "MaskedFillBackward": "masked fill",
    "IndexPutBackward": "assignment by index",
    "AbsBackward": "absolute value",
}
"""What rectifies or gates, and deconvolution has no rule for, by the start of its node's name. A rectifier that is
written as arithmetic, as ``x * (x > 0)``, cannot be told from any other product."""
OPAQUE = ("DifferentiableGraph", "CompiledFunction")
"""Nodes of scripted and compiled networks, which hide what is in them."""


@dataclass(frozen=True)
class Coverage:
    """Which rectifiers of a network a rule was laid on.

    Attributes:
        covered: how many.
        passed: how many of each other kind passed the plain gradient instead.
    """

    covered: int = 0
    passed: Mapping[str, int] = field(default_factory=dict)

    def words(self) -> str:
        """What must be said beside the map; empty where every rectifier was covered."""
        if not self.passed:
            return ""
        total = self.covered + sum(self.passed.values())
        others = ", ".join(f"{count} {kind}" for kind, count in self.passed.items())
        return f"the rule covers {self.covered} of {total} rectifiers; plain gradient through {others}"


class BackwardRule(Protocol):
    """How rectifiers pass gradients back. Frozen and hashable: equal rules are one rule."""

    name: ClassVar[str]

    def attach(self, root: Node) -> Coverage:
        """Lay the rule on the graph that ends in ``root``, for its next backward pass.

        Raises:
            NetworkError: a graph that it cannot be laid on.
        """


@dataclass(frozen=True)
class PlainGradient:
    """Every operation passes its gradient as calculus has it."""

    name: ClassVar[str] = "gradient"

    def attach(self, root: Node) -> Coverage:
        """Nothing to do."""
        return Coverage()


@dataclass(frozen=True)
class PositiveGradients:
    """Each ReLU passes the positive part of the incoming gradient, whatever its input was (Zeiler & Fergus 2014).

    Attributes:
        partial: whether other rectifiers may pass the plain gradient; otherwise a network that has any is refused.
    """

    partial: bool = False
    name: ClassVar[str] = "deconvolution"

    def attach(self, root: Node) -> Coverage:
        """Lay the rule on every ReLU.

        Raises:
            NetworkError: no ReLU, rectifiers of other kinds (named), or a graph that hides them.
        """
        nodes = list(_nodes(root))
        relus = [node for node in nodes if node.name().startswith(RELU)]
        others = Counter(
            kind for node in nodes for start, kind in OTHER_RECTIFIERS.items() if node.name().startswith(start)
        )
        others.update(node.name() for node in nodes if isinstance(node, BackwardCFunction))
        if any(word in node.name() for node in nodes for word in OPAQUE):
            raise NetworkError(
                "deconvolution needs to see every rectifier, and a scripted or compiled network hides them: give the "
                "network as a plain module, or leave this estimator out"
            )
        if not relus:
            found = f" but {_listed(others)}" if others else ""
            raise NetworkError(
                f"deconvolution needs ReLUs, and the network's graph has none{found}: leave this estimator out"
            )
        if others and not self.partial:
            raise NetworkError(
                f"deconvolution has no rule for {_listed(others)} (beside {len(relus)} ReLU): leave this estimator "
                "out, or let these pass the plain gradient with partial = true"
            )
        for node in relus:
            node.register_hook(_pass_positive_part)
        return Coverage(len(relus), dict(others))


GRADIENT = PlainGradient()


@dataclass(frozen=True)
class Gradients:
    """Gradients at some images.

    Attributes:
        values: dS_target/dx, ``(N, C, *spatial)``.
        clamped: bool ``(N,)``: the score was clamped there, so that its gradient is 0 whatever the network does.
        coverage: of the rule.
        log_odds: see `Scored`.
    """

    values: Tensor
    clamped: Tensor
    coverage: Coverage
    log_odds: bool


def gradients(classifier: Classifier, images: Tensor, targets: Tensor, rule: BackwardRule) -> Gradients:
    """dS_target/dx at each image, under a backward rule.

    Args:
        classifier: inside `Classifier.frozen`.
        images: ``(N, C, *spatial)``.
        targets: int64 ``(N,)``.
        rule: how rectifiers pass gradients.

    Raises:
        NetworkError: a rule that does not apply, a score that does not depend on the images, or gradients that
            are not finite.
    """
    deaf = "the network's score does not depend on its input by differentiable steps"
    with torch.enable_grad():
        inputs = images.detach().requires_grad_(True)
        scored = classifier.scored(inputs)
        total = of_targets(scored.scores, targets).sum()
        if total.grad_fn is None or scored.output.grad_fn is None:
            raise NetworkError(deaf)
        coverage = rule.attach(scored.output.grad_fn)
        (gradient,) = torch.autograd.grad(total, inputs, allow_unused=True)
    if gradient is None:
        raise NetworkError(deaf)
    if not bool(torch.isfinite(gradient).all()):
        raise NetworkError(
            f"the network's {rule.name} has {int((~torch.isfinite(gradient)).sum())} values that are not finite"
        )
    return Gradients(gradient, of_targets(scored.clamped, targets), coverage, scored.log_odds)


def _pass_positive_part(_: Sequence[Tensor], incoming: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(gradient.clamp(min=0) for gradient in incoming)


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _nodes(root: Node) -> Iterator[Node]:
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
