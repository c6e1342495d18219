"""A network's answers to questions of one kind, a batch at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from ..classifier import Classifier
from ..classifier.classifier import of_targets
from ..classifier.layers import before_last_attention, last_spatial, layers_seen
from ..classifier.layout import as_channels_last
from ..classifier.sourced import own
from ..errors import NetworkError
from .backward_rules import BackwardRule, Coverage, nodes_of
from .questions import ATTENTION, LAST_PLANES, LAST_TOKENS, Kind, LayerFeatures

Changing = Callable[[Tensor], Tensor]
"""From a layer's output for one image to what the network goes on with."""
DEAF = "the network's score does not depend on {} by differentiable steps"


@dataclass(frozen=True)
class Answers:
    """Answers to one batch of questions.

    Attributes:
        values: one for each question, see `Gradient`, `Score` and `Features`.
        clamped: for each, whether the score is clamped there, so that its gradient is 0 whatever the network does.
        notes: what must be said beside every map that is made of them.
    """

    values: Sequence[Any]
    clamped: Sequence[bool]
    notes: Sequence[str] = field(default=())


def answers(
    classifier: Classifier, kind: Kind, images: Tensor, targets: Tensor, changes: Sequence[Changing | None] = ()
) -> Answers:
    """Answer questions of one kind.

    Args:
        classifier: inside `Classifier.frozen`.
        kind: what is asked.
        images: ``(N, C, *spatial)``, where it is asked.
        targets: int64 ``(N,)``, the class that is explained at each.
        changes: what is done for each image to the output of the layer that is asked of.

    Raises:
        NetworkError: a rule that does not apply, a layer that is none, a score that does not depend on the images, or
            answers that are not finite.
    """
    if kind.asks == "scores" and not kind.layer:
        with torch.no_grad():
            scores = classifier.class_scores(images)
        return Answers(list(scores), [False] * len(scores))
    if classifier.forward_only:
        raise NetworkError(f"the network gives no {kind.asks}: {classifier.forward_only}")
    if kind.asks == "gradients":
        inputs = images.detach().requires_grad_(True)
        (gradient,), clamped, notes = _derived(
            classifier.for_gradients, kind.rule, inputs, targets, [inputs], "its input"
        )
        return Answers(list(gradient), clamped, notes)
    if kind.layer == ATTENTION:
        return attention(classifier, images, targets)
    layer = layer_of(classifier, kind.layer, images)
    _require_batch_first(classifier, layer, images)
    with _seen(classifier, layer, changes) as seen:
        if kind.asks == "scores":
            with torch.no_grad():
                scores = classifier.class_scores(images)
            _require_theirs(seen, layer, len(images))
            return Answers(list(scores), [False] * len(scores))
        (gradient,), clamped, notes = _derived(
            classifier, kind.rule, images.detach(), targets, seen, f"layer '{layer}'"
        )
        _require_theirs(seen, layer, len(images))
        values = seen[0].detach()
    pairs = [LayerFeatures(*one) for one in zip(values, gradient, strict=True)]
    return Answers(pairs, clamped, notes)


def layer_of(classifier: Classifier, wanted: str, images: Tensor) -> str:
    """The name of a layer that is asked for by what it puts out; other names are as they are.

    Raises:
        NetworkError: no such layer, with what to do.
    """
    if wanted not in (LAST_PLANES, LAST_TOKENS):
        return wanted
    network, image = own(classifier.network), as_channels_last(images[:1].detach())
    if any(isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule) for module in network.modules()):
        raise NetworkError("an exported or scripted network has no layers that can be asked: give it as a plain module")
    if wanted == LAST_TOKENS:
        found = before_last_attention(network, classifier.network, image)
        if not found:
            raise NetworkError(
                "no attention layer that is entered by tokens on the grid of the image was found: this estimator is of "
                "vision transformers; leave it out for other networks"
            )
        return found
    layers = layers_seen(network, classifier.network, image)
    planes = last_spatial(layers)
    if planes is not None and any(one.grid for one in layers[layers.index(planes) :]):
        raise NetworkError(
            f"its last planes are those of '{planes.name}', which cuts the image into tokens: maps of features are of "
            "convolutional networks; for vision transformers there are cdam and attention-rollout"
        )
    if planes is None:
        raise NetworkError(
            "no layer puts out planes of the image: maps of features are of convolutional networks; name a layer, or "
            "leave this estimator out"
        )
    return planes.name


def copied(value: Any) -> Any:
    """An answer that may be changed."""
    if isinstance(value, LayerFeatures):
        return LayerFeatures(value.values.clone(), value.gradients.clone())
    if isinstance(value, tuple):
        return tuple(map(copied, value))
    return value.clone()


def attention(classifier: Classifier, images: Tensor, targets: Tensor) -> Answers:
    """The attention matrices of a pass and the score's gradients by them, read off the autograd graph.

    Raises:
        NetworkError: no softmax over tokens in the graph, with how to get it.
    """
    inputs = images.detach().requires_grad_(True)
    with torch.enable_grad():
        scored = classifier.scored(inputs)
        total = of_targets(scored.scores, targets).sum()
        if scored.output.grad_fn is None:
            raise NetworkError(DEAF.format("its input"))
        nodes = [node for node in nodes_of(scored.output.grad_fn) if _is_attention(node, len(images))]
        if not nodes:
            raise NetworkError(
                "no attention matrices in the network's graph: it has no attention, or computes it without keeping "
                "them (torch's scaled_dot_product_attention): load it with attn_implementation='eager' (transformers) "
                "or use_flash_attention=False (MONAI)"
            )
        nodes.sort(key=lambda node: node._sequence_nr())
        gradients: dict[int, Tensor] = {}

        def kept(number: int) -> Callable[[tuple[Tensor, ...]], None]:
            return lambda incoming: gradients.__setitem__(number, incoming[0].detach())

        handles = [node.register_prehook(kept(number)) for number, node in enumerate(nodes)]
        matrices = [node._saved_result.detach() for node in nodes]  # type: ignore[attr-defined]
        torch.autograd.grad(total, [inputs], allow_unused=True)
    for handle in handles:
        handle.remove()
    if len(gradients) < len(nodes):
        raise NetworkError("the score does not depend on every attention layer by differentiable steps")
    layers = [
        [LayerFeatures(*one) for one in zip(matrices[number], gradients[number], strict=True)]
        for number in range(len(nodes))
    ]
    return Answers(list(zip(*layers, strict=True)), of_targets(scored.clamped, targets).tolist())


def _is_attention(node: Any, count: int) -> bool:
    """Whether a node of the graph is a softmax over tokens: ``(N, heads, tokens, tokens)``."""
    if not node.name().startswith("SoftmaxBackward"):
        return False
    shape = node._saved_result.shape
    return len(shape) == 4 and shape[0] == count and shape[-1] == shape[-2] > 1


def _require_batch_first(classifier: Classifier, layer: str, images: Tensor) -> None:
    """Refuse a layer whose first axis is not that of the images: asked of one, for another may be as long as all."""
    with torch.no_grad(), _seen(classifier, layer) as seen:
        classifier.network(images[:1])
    _require_theirs(seen, layer, 1)


def _require_theirs(seen: Sequence[Tensor], layer: str, count: int) -> None:
    if seen and len(seen[0]) != count:
        raise NetworkError(
            f"layer '{layer}' puts out {tuple(seen[0].shape)} for {count} images: its first axis must be theirs"
        )


def _derived(
    classifier: Classifier, rule: BackwardRule, images: Tensor, targets: Tensor, by: Sequence[Tensor], what: str
) -> tuple[tuple[Tensor, ...], Sequence[bool], Sequence[str]]:
    """The derivative of the explained scores by some tensors of the pass, clamped scores, and what must be said."""
    with torch.enable_grad(), rule.attached(classifier.network):
        scored = classifier.scored(images)
        total = of_targets(scored.scores, targets).sum()
        if not by:
            raise NetworkError(f"{what} takes no part in the pass")
        if total.grad_fn is None or scored.output.grad_fn is None:
            raise NetworkError(DEAF.format(what))
        coverage: Coverage = rule.lay(scored.output.grad_fn)
        derived = torch.autograd.grad(total, list(by), allow_unused=True)
    for gradient in derived:
        if gradient is None:
            raise NetworkError(DEAF.format(what))
        if not bool(torch.isfinite(gradient).all()):
            count = int((~torch.isfinite(gradient)).sum())
            raise NetworkError(f"the network's {rule.name} has {count} values that are not finite")
    log_odds = "of the log-odds: the network's softmax could not be seen through" if scored.log_odds else ""
    notes = [words for words in (coverage.words(), log_odds) if words]
    return derived, of_targets(scored.clamped, targets).tolist(), notes


@contextmanager
def _seen(classifier: Classifier, name: str, changes: Sequence[Changing | None] = ()) -> Iterator[list[Tensor]]:
    """While it is entered, a pass leaves what a layer put out in the list, as the beginning of the graph behind it."""
    layers: Mapping[str, torch.nn.Module] = dict(own(classifier.network).named_modules())
    if not name or name not in layers:
        near = ", ".join(get_close_matches(name, list(layers), n=3, cutoff=0.3)) or ", ".join(list(layers)[1:6])
        raise NetworkError(f"the network has no layer '{name}'; near are {near}")
    seen: list[Tensor] = []

    def keep(layer: torch.nn.Module, given: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or seen:
            found = f"puts out {type(output).__name__}, expected a tensor" if not seen else "runs twice in one pass"
            raise NetworkError(f"layer '{name}' {found}")
        values = output.detach()
        if any(changes) and len(values) == len(changes):
            values = torch.stack(
                [one if change is None else change(one) for one, change in zip(values, changes, strict=True)]
            )
        seen.append(values.requires_grad_(True))
        return seen[0].clone()  # what follows may work in place

    handle = layers[name].register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
