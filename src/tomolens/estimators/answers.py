"""A network's answers to questions of one kind, a batch at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.graph import Node

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
OF_PATCHES = "the network sees patches, and what its layers put out is of each of them and not of the whole image"
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
        kind: what is asked; a layer by its name, see `layer_of`.
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
    inputs = images.detach().requires_grad_(True)
    if kind.asks == "gradients":
        (gradient,), clamped, notes = _derived(
            classifier.for_gradients, kind.rule, inputs, targets, [inputs], "its input"
        )
        return Answers(list(gradient), clamped, notes)
    if kind.layer == ATTENTION:
        watched = _WatchedAttention(len(images))
        _, clamped, notes = _derived(classifier, watched, inputs, targets, [inputs], "its input")
        return Answers(list(zip(*watched.layers(), strict=True)), clamped, notes)
    layer = kind.layer
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


def layer_of(classifier: Classifier, images: Tensor, wanted: str) -> str:
    """The name of a layer that is asked for by what it puts out; other names are as they are.

    Args:
        classifier: inside `Classifier.frozen`.
        images: ``(N, C, *spatial)``, of which one is tried.
        wanted: `LAST_PLANES`, `LAST_TOKENS`, or a name.

    Raises:
        NetworkError: no such layer, with what to do.
    """
    if wanted and classifier.patches is not None:
        raise NetworkError(f"{OF_PATCHES}: leave this estimator out")
    if wanted not in (LAST_PLANES, LAST_TOKENS) or classifier.forward_only:
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
    in_tokens = planes is not None and any(one.grid for one in layers[layers.index(planes) :])
    if planes is not None and in_tokens and before_last_attention(network, classifier.network, image):
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


@dataclass
class _WatchedAttention:
    """A rule that changes nothing, and keeps the attention matrices of a pass with the score's gradients by them.

    Attributes:
        count: of images.
        matrices: of each attention layer, ``(N, heads, tokens, tokens)``, in the order in which they ran.
        gradients: by them, by the number of the layer.
    """

    count: int
    matrices: list[Tensor] = field(default_factory=list)
    gradients: dict[int, Tensor] = field(default_factory=dict)
    name: ClassVar[str] = "gradient"

    def attached(self, network: torch.nn.Module) -> AbstractContextManager[object]:
        """Nothing to do."""
        return nullcontext()

    def lay(self, root: Node) -> Coverage:
        """Watch every softmax over tokens.

        Raises:
            NetworkError: there is none, with how to get it.
        """
        softmaxes = sorted(filter(_is_over_tokens, nodes_of(root)), key=lambda node: node._sequence_nr())
        nodes = [node for node in softmaxes if _matrices_of(node).shape[0] == self.count]
        if len(nodes) < len(softmaxes):
            raise NetworkError(
                f"{len(softmaxes) - len(nodes)} of {len(softmaxes)} attention layers look at parts of an image apart, "
                "as in windows: their matrices cannot be followed from layer to layer; leave this estimator out"
            )
        if not nodes:
            raise NetworkError(
                "no attention matrices in the network's graph: it has no attention, or computes it without keeping "
                "them (torch's scaled_dot_product_attention): load it with attn_implementation='eager' (transformers) "
                "or use_flash_attention=False (MONAI)"
            )
        for number, node in enumerate(nodes):
            self.matrices.append(_matrices_of(node).detach())
            node.register_prehook(partial(self._keep, number))
        return Coverage()

    def layers(self) -> list[list[LayerFeatures]]:
        """What was seen of each image, a layer after the other.

        Raises:
            NetworkError: a layer that the score does not depend on.
        """
        if len(self.gradients) < len(self.matrices):
            raise NetworkError(DEAF.format("every attention layer"))
        pairs = ((matrix, self.gradients[number]) for number, matrix in enumerate(self.matrices))
        return [[LayerFeatures(*one) for one in zip(*pair, strict=True)] for pair in pairs]

    def _keep(self, number: int, incoming: tuple[Tensor, ...]) -> None:
        self.gradients[number] = incoming[0].detach()


def _matrices_of(node: Any) -> Tensor:
    matrices: Tensor = node._saved_result
    return matrices


def _is_over_tokens(node: Node) -> bool:
    """Whether a node of the graph is a softmax over tokens: ``(N, heads, tokens, tokens)``."""
    if not node.name().startswith("SoftmaxBackward"):
        return False
    shape = _matrices_of(node).shape
    return len(shape) == 4 and shape[-1] == shape[-2] > 1


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
