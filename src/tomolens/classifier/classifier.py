"""A classifier: a network plus what its output means."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..errors import NetworkError, SettingsError
from .layout import as_channels_last
from .quick import Quick, quickest

Output = Literal["logit", "probability", "logits", "probabilities"]
Score = Literal["logit", "probability"]

PROBABILITY_MARGIN = 1e-7
"""Probabilities are kept this far from 0 and 1 where their logit is taken."""


@dataclass(frozen=True)
class Classifier:
    """Differentiable class scores and predictions of a network.

    Attributes:
        network: maps images ``(N, C, *spatial)`` to its outputs.
        output: what the network returns: ``logit`` or ``probability`` of class 1 from one neuron,
            ``(N,)`` or ``(N, 1)``; ``logits`` or ``probabilities`` ``(N, classes)`` from one neuron a class.
        score: the activation that estimators explain: before the sigmoid or softmax (``logit``, the
            protocol's) or after it (``probability``).
        quick: a quicker way to the same decisions, see `quickened`; gradients and scores never use it.
    """

    network: nn.Module
    output: Output = "logit"
    score: Score = "logit"
    quick: Quick | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise SettingsError(f"output '{self.output}', expected one of {', '.join(get_args(Output))}")
        if self.score not in get_args(Score):
            raise SettingsError(f"score '{self.score}', expected one of {', '.join(get_args(Score))}")

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        for tensor in (*self.network.parameters(), *self.network.buffers()):
            return tensor.device
        return torch.device("cpu")

    def class_scores(self, images: Tensor) -> Tensor:
        """Score S_c of every class, differentiable.

        With one neuron z: S_1 = z and S_0 = -z (probability: p and 1 - p), so that a positive gradient of
        the score always speaks for its class.

        Args:
            images: ``(N, C, *spatial)``.

        Returns:
            ``(N, classes)``.

        Raises:
            NetworkError: an output of another shape, or one that is not finite.
        """
        return self.read(self.network(as_channels_last(images)), len(images))

    def read(self, raw: object, count: int) -> Tensor:
        """Scores of every class from what the network returned for ``count`` images.

        Raises:
            NetworkError: an output of another shape, or one that is not finite.
        """
        if not isinstance(raw, Tensor):
            raise NetworkError(f"the network returned {type(raw).__name__}, expected a tensor")
        one_neuron = self.output in ("logit", "probability")
        if one_neuron and raw.shape == (count, 1):
            raw = raw[:, 0]
        expected = "(N,) or (N, 1)" if one_neuron else "(N, classes)"
        fits = raw.shape == (count,) if one_neuron else raw.ndim == 2 and raw.shape[1] > 1
        if not fits or len(raw) != count:
            raise NetworkError(
                f"the network returned shape {tuple(raw.shape)} for {count} images; "
                f"output='{self.output}' expects {expected}"
            )
        if not bool(torch.isfinite(raw).all()):
            raise NetworkError(f"the network returned {int((~torch.isfinite(raw)).sum())} values that are not finite")
        return self._scores_of(raw)

    def _scores_of(self, raw: Tensor) -> Tensor:
        margin = PROBABILITY_MARGIN
        if self.output == "logit":
            if self.score == "logit":
                return torch.stack([-raw, raw], dim=1)
            return torch.stack([torch.sigmoid(-raw), torch.sigmoid(raw)], dim=1)
        if self.output == "probability":
            if self.score == "logit":
                logit = torch.logit(raw, eps=margin)
                return torch.stack([-logit, logit], dim=1)
            return torch.stack([1.0 - raw, raw], dim=1)
        if self.output == "logits":
            return raw if self.score == "logit" else functional.softmax(raw, dim=1)
        return torch.log(raw.clamp(min=margin)) if self.score == "logit" else raw

    def scores(self, images: Tensor, targets: Tensor | None = None) -> Tensor:
        """Score of one class for each image, ``(N,)``, differentiable.

        Args:
            images: ``(N, C, *spatial)``.
            targets: int64 ``(N,)``; the predicted class by default.

        Raises:
            NetworkError: a target that the network does not have; see `class_scores` for more.
        """
        scores = self.class_scores(images)
        if targets is None:
            return scores.max(dim=1).values
        if int(targets.min()) < 0 or int(targets.max()) >= scores.shape[1]:
            bad = int(targets.max()) if int(targets.max()) >= scores.shape[1] else int(targets.min())
            raise NetworkError(f"target class {bad}, but the network has the classes 0 to {scores.shape[1] - 1}")
        return scores.gather(1, targets[:, None])[:, 0]

    def predict(self, images: Tensor, batch_size: int = 32) -> NDArray[np.int64]:
        """Predicted class of each image, int64 ``(N,)``; class 0 where one neuron gives exactly 0."""
        return np.asarray(self.predicted_scores(images, batch_size).argmax(axis=1), dtype=np.int64)

    def predicted_scores(self, images: Tensor, batch_size: int = 32) -> NDArray[np.float32]:
        """`class_scores` as an array, in batches, without gradients and with the network in eval mode."""
        with self.frozen(), torch.inference_mode():
            parts = [
                self.class_scores(batch.to(self.device)).float().cpu() for batch in torch.split(images, batch_size)
            ]
        return torch.cat(parts).numpy()

    def quickened(self, example: Tensor, images: int, like: Quick | None = None) -> "Classifier":
        """This classifier with the quickest way to its decisions on this machine; decisions stay the same.

        Networks that return probabilities are left as they are: near 0 and 1 their outputs say nothing of how sure
        a rounded decision is.

        Args:
            example: a full batch ``(N, C, *spatial)``, like those to come.
            images: about how many decisions are to come.
            like: what was found for another network of the same structure.
        """
        if self.output not in ("logit", "logits") or self.score != "logit":
            return self
        with self.frozen():
            return replace(self, quick=quickest(self.network, example.to(self.device), images, like))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Eval mode and no gradients for weights inside the block; afterwards everything as it was."""
        tf32 = torch.backends.cudnn.allow_tf32
        modes = [(module, module.training) for module in self.network.modules()]
        flags = [(weight, weight.requires_grad) for weight in self.network.parameters()]
        try:
            torch.backends.cudnn.allow_tf32 = False  # ten bits of mantissa are not float32
            for module, _ in modes:
                module.training = False
            for weight, _ in flags:
                weight.requires_grad_(False)
            yield
        finally:
            torch.backends.cudnn.allow_tf32 = tf32
            for module, mode in modes:
                module.training = mode
            for weight, flag in flags:
                weight.requires_grad_(flag)


def usable_device(name: str) -> torch.device:
    """The device of that name, once a number has been put on it.

    Raises:
        SettingsError: no such device here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"device '{name}' cannot be used here ({reason})") from error
    return device
