"""How rectifiers pass gradients back.

A rule is laid on the autograd graph of one forward pass where it can be: every rectifier appears there, whether it was
written as a module, a function, in place or one module used many times, and the network itself is never touched. A rule
that must may put hooks on modules for the length of a pass. Each tells what it covered and what it did not.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

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
        what: they are called.
    """

    covered: int = 0
    passed: Mapping[str, int] = field(default_factory=dict)
    what: str = "rectifiers"

    def words(self) -> str:
        """What must be said beside the map; empty where all were covered."""
        if not self.passed:
            return ""
        total = self.covered + sum(self.passed.values())
        others = ", ".join(f"{count} {kind}" for kind, count in self.passed.items())
        return f"the rule covers {self.covered} of {total} {self.what}; plain gradient through {others}"


class BackwardRule(Protocol):
    """How rectifiers pass gradients back. Frozen and hashable: equal rules are one rule."""

    @property
    def name(self) -> str:
        """In messages."""

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """A block in which passes of the network are made under the rule; after it the network is as it was."""

    def lay(self, root: Node) -> Coverage:
        """Lay the rule on the graph that ends in ``root``, for its next backward pass, and say what it covers.

        Raises:
            NetworkError: a graph that it cannot be laid on.
        """


@dataclass(frozen=True)
class PlainGradient:
    """Every operation passes its gradient as calculus has it."""

    name: ClassVar[str] = "gradient"

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """Nothing to do."""
        return nullcontext()

    def lay(self, root: Node) -> Coverage:
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

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """Nothing to do: the rule is laid on the graph."""
        return nullcontext()

    def lay(self, root: Node) -> Coverage:
        """Lay the rule on every ReLU; see `rectifiers_of`."""
        relus, coverage = rectifiers_of(root, self.name, self.partial)
        for node in relus:
            node.register_hook(_pass_positive_part)
        return coverage


@dataclass(frozen=True)
class GuidedGradients:
    """Each ReLU passes the positive part of the incoming gradient where its input was positive.

    Springenberg et al. 2014 (arXiv 1412.6806), section 3.4.

    Attributes:
        partial: whether other rectifiers may pass the plain gradient; otherwise a network that has any is refused.
    """

    partial: bool = False
    name: ClassVar[str] = "guided backpropagation"

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """Nothing to do: the rule is laid on the graph."""
        return nullcontext()

    def lay(self, root: Node) -> Coverage:
        """Lay the rule on every ReLU; see `rectifiers_of`."""
        relus, coverage = rectifiers_of(root, self.name, self.partial)
        for node in relus:
            node.register_prehook(lambda incoming: tuple(gradient.clamp(min=0) for gradient in incoming))
        return coverage


@dataclass(frozen=True)
class RectifiedGradients:
    """Each ReLU passes the gradient where its output times the gradient is among the largest of the image.

    Kim et al. 2019 (arXiv 1902.04467): above a percentile, which is taken of each layer and image.

    Attributes:
        percentile: of output times gradient, from 0 to 100.
        partial: whether other rectifiers may pass the plain gradient; otherwise a network that has any is refused.
    """

    percentile: float = 98.0
    partial: bool = False
    name: ClassVar[str] = "rectified gradient"

    def attached(self, network: nn.Module) -> AbstractContextManager[object]:
        """Nothing to do: the rule is laid on the graph."""
        return nullcontext()

    def lay(self, root: Node) -> Coverage:
        """Lay the rule on every ReLU; see `rectifiers_of`."""
        relus, coverage = rectifiers_of(root, self.name, self.partial)
        for node in relus:
            node.register_hook(self._rectifying(node._saved_result.detach()))  # type: ignore[attr-defined]
        return coverage

    def _rectifying(self, outputs: Tensor) -> Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, ...]]:
        def rectify(_: Sequence[Tensor], incoming: Sequence[Tensor]) -> tuple[Tensor, ...]:
            (gradient,) = incoming
            weights = (outputs * gradient).reshape(len(gradient), -1)
            rank = max(1, min(weights.shape[1], round(self.percentile / 100 * weights.shape[1])))
            threshold = weights.kthvalue(rank, dim=1).values.reshape(-1, *[1] * (gradient.ndim - 1))
            return (gradient * (outputs * gradient > threshold),)

        return rectify


def rectifiers_of(root: Node, rule: str, partial: bool) -> tuple[list[Node], Coverage]:
    """The ReLUs of a graph for a rule to be laid on, and what else rectifies in it.

    Args:
        root: in which the graph ends.
        rule: its name, for messages.
        partial: whether there may be others.

    Raises:
        NetworkError: no ReLU, rectifiers of other kinds (named), or a graph that hides them.
    """
    nodes = list(nodes_of(root))
    relus = [node for node in nodes if node.name().startswith(RELU)]
    others = Counter(
        kind for node in nodes for start, kind in OTHER_RECTIFIERS.items() if node.name().startswith(start)
    )
    others.update(node.name() for node in nodes if isinstance(node, BackwardCFunction))
    if any(word in node.name() for node in nodes for word in OPAQUE):
        raise NetworkError(
            f"{rule} needs to see every rectifier, and a scripted or compiled network hides them: give the "
            "network as a plain module, or leave this estimator out"
        )
    if not relus:
        found = f" but {_listed(others)}" if others else ""
        raise NetworkError(f"{rule} needs ReLUs, and the network's graph has none{found}: leave this estimator out")
    if others and not partial:
        raise NetworkError(
            f"{rule} has no rule for {_listed(others)} (beside {len(relus)} ReLU): leave this estimator out, or let "
            "these pass the plain gradient with partial = true"
        )
    return relus, Coverage(len(relus), dict(others))


GRADIENT = PlainGradient()


def _pass_positive_part(_: Sequence[Tensor], incoming: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(gradient.clamp(min=0) for gradient in incoming)


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def nodes_of(root: Node) -> Iterator[Node]:
    """Every node of an autograd graph, each once."""
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
