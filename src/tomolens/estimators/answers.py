"""A network's answers to questions of one kind, a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from ..classifier import Classifier
from ..classifier.classifier import of_targets
from ..classifier.sourced import own
from ..errors import NetworkError
from .backward_rules import BackwardRule, Coverage
from .questions import Kind, LayerFeatures

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


def answers(classifier: Classifier, kind: Kind, images: Tensor, targets: Tensor) -> Answers:
    """Answer questions of one kind.

    Args:
        classifier: inside `Classifier.frozen`.
        kind: what is asked.
        images: ``(N, C, *spatial)``, where it is asked.
        targets: int64 ``(N,)``, the class that is explained at each.

    Raises:
        NetworkError: a rule that does not apply, a layer that is none, a score that does not depend on the images, or
            answers that are not finite.
    """
    if kind.asks == "scores":
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
    _require_batch_first(classifier, kind.layer, images)
    with _seen(classifier, kind.layer) as seen:
        (gradient,), clamped, notes = _derived(
            classifier, kind.rule, images.detach(), targets, seen, f"layer '{kind.layer}'"
        )
        _require_theirs(seen, kind.layer, len(images))
        values = seen[0].detach()
    pairs = [LayerFeatures(*one) for one in zip(values, gradient, strict=True)]
    return Answers(pairs, clamped, notes)


def copied(value: Any) -> Any:
    """An answer that may be changed."""
    if isinstance(value, LayerFeatures):
        return LayerFeatures(value.values.clone(), value.gradients.clone())
    return value.clone()


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
def _seen(classifier: Classifier, name: str) -> Iterator[list[Tensor]]:
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
        seen.append(output.detach().requires_grad_(True))
        return seen[0].clone()  # what follows may work in place

    handle = layers[name].register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
