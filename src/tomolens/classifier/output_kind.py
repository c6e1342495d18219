"""What a network's output means, as far as its values tell it: one neuron or one a class, scores or probabilities."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import NetworkError, SettingsError
from .classifier import Classifier, Output
from .inputs import require_one_input
from .layout import as_channels_last

ROUNDING = 1e-3
"""By so much probabilities may lie outside of [0, 1], and their rows miss a sum of 1."""


@dataclass(frozen=True)
class OutputSeen:
    """What a network returned for some images.

    Attributes:
        images: how many.
        neurons: 1 of ``(N,)`` or ``(N, 1)``, else K of ``(N, K)``.
        low: the lowest value.
        high: the highest value.
        worst_row_sum: of several neurons, the sum of a row that is farthest from 1; None of one neuron.
        whole: whether all are whole numbers, as of decisions.
        varies: whether any of them differs between images.
    """

    images: int
    neurons: int
    low: float
    high: float
    worst_row_sum: float | None
    whole: bool
    varies: bool

    @property
    def within_one(self) -> bool:
        """Whether all values are in [0, 1], as those of probabilities are, but for rounding."""
        return self.low >= -ROUNDING and self.high <= 1.0 + ROUNDING

    @property
    def rows_sum_to_one(self) -> bool:
        """Whether every row sums to 1, as of a softmax, but for rounding."""
        return self.worst_row_sum is not None and abs(self.worst_row_sum - 1.0) <= ROUNDING

    def __str__(self) -> str:
        shape = f"({self.images}, {self.neurons})" if self.neurons > 1 else f"({self.images},)"
        sums = (
            ""
            if self.worst_row_sum is None or not self.within_one
            else f", rows that sum to 1 but for {self.worst_row_sum - 1.0:+.2g}"
        )
        return f"{shape} values from {self.low:.4g} to {self.high:.4g}{sums}"


def output_seen(network: nn.Module, images: Tensor, batch_size: int = 32) -> OutputSeen:
    """Ask a network once, in eval mode and without gradients; it is left as it came.

    Args:
        network: of one image.
        images: ``(N, C, *spatial)``, like those that it was trained on.
        batch_size: images that it sees at a time.

    Raises:
        NetworkError: a network of several inputs, or an output that is no tensor, of another shape than ``(N,)``,
            ``(N, 1)`` and ``(N, K)``, or not finite.
    """
    require_one_input(network)
    classifier = Classifier(network)
    with classifier.frozen(), torch.inference_mode():
        parts = [_returned(network, batch.to(classifier.device)) for batch in torch.split(images.detach(), batch_size)]
    values = torch.cat(parts)
    columns = values.reshape(len(values), -1).double()
    sums = columns.sum(dim=1)
    several = columns.shape[1] > 1
    return OutputSeen(
        images=len(values),
        neurons=columns.shape[1],
        low=float(columns.min()),
        high=float(columns.max()),
        worst_row_sum=float(sums[(sums - 1.0).abs().argmax()]) if several else None,
        whole=bool((columns == columns.round()).all()),
        varies=bool((columns != columns[:1]).any()),
    )


def _returned(network: nn.Module, images: Tensor) -> Tensor:
    raw = network(as_channels_last(images))
    if not isinstance(raw, Tensor):
        raise NetworkError(f"the network returned {type(raw).__name__}, expected a tensor")
    if raw.ndim not in (1, 2) or len(raw) != len(images) or raw.numel() == 0:
        raise NetworkError(
            f"the network returned shape {tuple(raw.shape)} for {len(images)} images, expected (N,) or (N, 1) from one "
            "neuron, or (N, K) from one a class"
        )
    if not bool(torch.isfinite(raw).all()):
        raise NetworkError(f"the network returned {int((~torch.isfinite(raw)).sum())} values that are not finite")
    return raw.cpu()


def kind_of(network: nn.Module, images: Tensor, batch_size: int = 32) -> tuple[Output, OutputSeen]:
    """What a network returns, by asking it once: ``logit`` from one neuron, ``logits`` from one a class.

    Probabilities are never guessed: logits may lie in [0, 1] too, and a map of one is not that of the other.

    Args:
        network: of one image.
        images: ``(N, C, *spatial)``, like those that it was trained on.
        batch_size: images that it sees at a time.

    Returns:
        The word for ``Classifier(network, output=...)``, and what was seen.

    Raises:
        SettingsError: values that may be probabilities, with what was seen and how to say what they are.
        NetworkError: decisions in place of scores, or an output of no use; see `output_seen`.

    Example:
        >>> kind_of(network, images)[0]   # doctest: +SKIP
        'logits'
    """
    seen = output_seen(network, images, batch_size)
    if seen.whole:
        raise NetworkError(
            f"the network returned {seen}, all of them whole numbers, as an argmax or a threshold leaves: then there "
            "is no score to explain, so give the network without that step; if they are scores, declare them with "
            "tl.Classifier(network, output=...)"
        )
    if not seen.within_one:
        return ("logits" if seen.neurons > 1 else "logit"), seen
    raise SettingsError(f"the network returned {seen}: {_choices(seen)}")


def _choices(seen: OutputSeen) -> str:
    either = "'probability' or 'logit'" if seen.neurons == 1 else "'probabilities' or 'logits'"
    declared = f"declare it with tl.Classifier(network, output={either})"
    if seen.neurons == 1:
        return f"a probability, or a logit that lies in [0, 1] here? {declared}"
    if seen.rows_sum_to_one:
        return f"probabilities of classes, or logits that look like them here? {declared}"
    return (
        f"probabilities of several labels, or logits that lie in [0, 1] here? {declared}, with task='labels' beside it "
        "if each is a yes or no of its own"
    )
