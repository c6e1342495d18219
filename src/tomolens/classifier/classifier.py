"""A classifier: a network plus what its output means."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..errors import NetworkError, SettingsError
from .activation import LastActivation
from .checkpoints import in_segments
from .contract import InputContract
from .inputs import require_one_input
from .intensity import Intensity
from .label import OneLabel
from .layout import as_channels_last
from .numerics import plain_numerics
from .patches import PatchedNetwork, Patches
from .quick import ERRORS_SEEN, Masked, Quick, folded_alike, nothing, quickest, with_errors
from .quick_patches import quickest_of_patches
from .sourced import SourcedNetwork

Output = Literal["logit", "probability", "logits", "probabilities"]
Score = Literal["logit", "probability"]
Task = Literal["classes", "labels"]

PROBABILITY_MARGIN = 1e-7
"""Probabilities are kept this far from 0 and 1 where their logit is taken."""


@dataclass(frozen=True)
class Scored:
    """Scores of some images.

    Attributes:
        scores: S_c of every class (or label), ``(N, classes)``, differentiable.
        clamped: bool ``(N, classes)``: the score is that of a probability within `PROBABILITY_MARGIN` of 0 or 1, whose
            gradient is 0 by clamping or by saturation.
        output: of the network, as far as the score depends on it: the logit where that was seen.
        log_odds: whether scores are log-odds of probabilities whose softmax could not be seen through.
    """

    scores: Tensor
    clamped: Tensor
    output: Tensor
    log_odds: bool = False


@dataclass(frozen=True)
class Classifier:
    """Differentiable class scores and predictions of a network.

    Attributes:
        network: maps images ``(N, C, *spatial)`` to its outputs.
        output: what the network returns: ``logit`` or ``probability`` of class 1 from one neuron,
            ``(N,)`` or ``(N, 1)``; ``logits`` or ``probabilities`` ``(N, classes)`` from one neuron a class or label.
        score: the activation that estimators explain: before the sigmoid or softmax (``logit``, the
            protocol's) or after it (``probability``). Of a network that returns probabilities the last sigmoid or
            softmax is seen through; where it cannot be (scripted, compiled, or no such end) the score is the log-odds
            ``log p_c - log(1 - p_c)``, clamped where p_c is within `PROBABILITY_MARGIN` of 0 or 1.
        intensity: which values are black and white in the images.
        task: ``classes``, of which an image has one; or ``labels``, each with a yes or no of its own: S_l is the logit
            z_l or its sigmoid, and the labels' probabilities need not sum to 1.
        quick: a quicker backend for decisions, checked and audited, see `quickened`; gradients and scores never use it.
        sparing: whether decisions along a line of images are asked only where they turn, and filled in and audited
            elsewhere, see `decisions`.
        folded: the same network for gradients: with its batch norms in the convolutions before them, see
            `with_folded`, which has other last bits; or with less in memory, see `with_checkpoints`. None takes the
            network as it is.

    Raises:
        SettingsError: a word that is none, or labels with one neuron or with a quick backend.
    """

    network: nn.Module
    output: Output = "logit"
    score: Score = "logit"
    intensity: Intensity = Intensity()
    task: Task = "classes"
    quick: Quick | None = field(default=None, repr=False, compare=False)
    sparing: bool = field(default=False, repr=False, compare=False)
    folded: nn.Module | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        network: nn.Module,
        output: Output = "logit",
        *,
        contract: InputContract | None = None,
        key: str = "",
        score: Score = "logit",
        task: Task = "classes",
    ) -> "Classifier":
        """A classifier of a network that takes something else than images from 0 to 1, or returns several things.

        Args:
            network: as it was trained.
            output: what it returns.
            contract: what it takes; the classifier's images are from 0 to 1 all the same.
            key: name or number of the output that holds the scores, where it returns a table or several.
            score: see `Classifier`.
            task: see `Classifier`.

        Example:
            >>> contract = InputContract(((-160.0, 240.0),), channels=3, mean=(0.5,), std=(0.25,))
            >>> Classifier.of(network, "logits", contract=contract, key="logits")   # doctest: +SKIP
        """
        sourced = SourcedNetwork(network, contract, key)
        return cls(sourced, output, score, sourced.contract.intensity, task)

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise SettingsError(f"output '{self.output}', expected one of {', '.join(get_args(Output))}")
        if self.score not in get_args(Score):
            raise SettingsError(f"score '{self.score}', expected one of {', '.join(get_args(Score))}")
        if self.task not in get_args(Task):
            raise SettingsError(f"task '{self.task}', expected one of {', '.join(get_args(Task))}")
        if self.task == "labels" and self.output not in ("logits", "probabilities"):
            raise SettingsError(
                f"labels with output '{self.output}', expected logits or probabilities, one of each label"
            )
        if self.task == "labels" and self.quick is not None:
            raise SettingsError(
                "labels with a quick backend, whose checks are those of classes: take one with of_label"
            )

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        for tensor in (*self.network.parameters(), *self.network.buffers()):
            return tensor.device
        return torch.device("cpu")

    @property
    def sourced(self) -> SourcedNetwork | None:
        """The network with its contract and source, where it was given so."""
        inner = self.network
        while isinstance(inner, OneLabel | PatchedNetwork):
            inner = inner.network
        return inner if isinstance(inner, SourcedNetwork) else None

    @property
    def patches(self) -> Patches | None:
        """How the network is shown whole images, where it sees patches of them alone."""
        return self.network.patches if isinstance(self.network, PatchedNetwork) else None

    @property
    def forward_only(self) -> str:
        """Why the network gives scores and no gradients; empty where it gives both."""
        return "" if self.sourced is None else self.sourced.forward_only

    def class_scores(self, images: Tensor) -> Tensor:
        """Score S_c of every class, differentiable.

        With one neuron z: S_1 = z and S_0 = -z (probability: p and 1 - p), so that a positive gradient of
        the score always speaks for its class. Of labels S_l = z_l (probability: the sigmoid of it).

        Args:
            images: ``(N, C, *spatial)``.

        Returns:
            ``(N, classes)``.

        Raises:
            NetworkError: a network of several inputs, an output of another shape, or one that is not finite.
        """
        return self.scored(images).scores

    def scored(self, images: Tensor) -> Scored:
        """`class_scores` with all that is known of them.

        Raises:
            NetworkError: see `class_scores`.
        """
        require_one_input(self.network)
        returns_probabilities = self.output in ("probability", "probabilities")
        whole = self.network.network if isinstance(self.network, OneLabel) else self.network
        hidden = hasattr(whole, "_orig_mod") or self.patches is not None  # compiled, or joined of many activations
        if not returns_probabilities or self.score == "probability" or hidden:
            return self.read(self.network(as_channels_last(images)), len(images))
        with LastActivation() as activation:
            raw = self.network(as_channels_last(images))
        read = self.read(raw, len(images))
        logits = activation.logits(raw, sigmoid_only=self.task == "labels")
        if logits is None:
            return read
        stripped = replace(self, output="logit" if self.output == "probability" else "logits")
        return stripped.read(logits, len(images))

    def read(self, raw: object, count: int) -> Scored:
        """Scores of every class from what the network returned for ``count`` images.

        Raises:
            NetworkError: an output of another shape, one that is not finite, or probabilities that are none.
        """
        if not isinstance(raw, Tensor):
            raise NetworkError(
                f"the network returned {type(raw).__name__}, expected a tensor: of several outputs name the one that "
                "holds the scores with Classifier.of(network, output, key=...)"
            )
        one_neuron = self.output in ("logit", "probability")
        values = raw[:, 0] if one_neuron and raw.shape == (count, 1) else raw
        expected = "(N,) or (N, 1)" if one_neuron else f"(N, {self.task})"
        least = 1 if self.task == "labels" else 2
        fits = values.shape == (count,) if one_neuron else values.ndim == 2 and values.shape[1] >= least
        if not fits or len(values) != count:
            raise NetworkError(
                f"the network returned shape {tuple(raw.shape)} for {count} images; "
                f"output='{self.output}' expects {expected}"
            )
        if not bool(torch.isfinite(values).all()):
            raise NetworkError(
                f"the network returned {int((~torch.isfinite(values)).sum())} values that are not finite"
            )
        if self.output in ("logit", "logits"):
            scores = torch.stack([-values, values], dim=1) if one_neuron else values
            if self.score == "logit":
                return Scored(scores, torch.zeros_like(scores, dtype=torch.bool), raw)
            alone = one_neuron or self.task == "labels"
            scores = torch.sigmoid(scores) if alone else functional.softmax(scores, dim=1)
            return Scored(scores, _saturated(scores), raw)
        return self._of_probabilities(torch.stack([1.0 - values, values], dim=1) if one_neuron else values, raw)

    def _of_probabilities(self, probabilities: Tensor, raw: Tensor) -> Scored:
        low, high = float(probabilities.detach().min()), float(probabilities.detach().max())
        each = self.task == "labels"
        worst = 0.0 if each else float((probabilities.detach().float().sum(dim=1) - 1.0).abs().max())
        if low < -1e-3 or high > 1 + 1e-3 or worst > 0.05:
            found = (
                f"values from {low:.3g} to {high:.3g}" if worst <= 0.05 else f"rows that miss a sum of 1 by {worst:.3g}"
            )
            raise NetworkError(
                f"the network returned {found}; output='{self.output}' expects probabilities: is it "
                f"output='{'logit' if self.output == 'probability' else 'logits'}'?"
            )
        if self.score == "probability":
            return Scored(probabilities, _saturated(probabilities), raw)
        margin = PROBABILITY_MARGIN
        # Of classes added up, not 1 - p: of a p near 1 that would keep a few bits only.
        others = 1.0 - probabilities if each else _of_the_others(probabilities)
        clamped = (probabilities < margin) | (others < margin)
        log_odds = torch.log(probabilities.clamp(min=margin)) - torch.log(others.clamp(min=margin))
        # Half of a clamped quotient would still have a gradient, of what rounding left of it.
        log_odds = torch.where(clamped, log_odds.detach(), log_odds)
        return Scored(log_odds, clamped, raw, log_odds=self.output == "probabilities" and not each)

    def probability_of(self, scores: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """Probability of one class, ``(...)``, from scores of all, ``(..., classes)``; NaN where it cannot be told.

        That is so where a network returns probabilities and scores are of a layer before them.

        Example:
            >>> from torch import nn
            >>> one_neuron = Classifier(nn.Flatten(), output="logit")
            >>> one_neuron.probability_of(np.array([[-2.0, 2.0]], np.float32), 1).round(3)
            array([0.881], dtype=float32)
        """
        values = torch.from_numpy(np.asarray(scores, dtype=np.float32))
        if self.score == "probability":
            return np.asarray(values[..., index].numpy())
        if self.output == "logits" and self.task == "classes":
            return np.asarray(functional.softmax(values, dim=-1)[..., index].numpy())
        if self.output == "probabilities":
            return np.full(values.shape[:-1], np.nan, np.float32)
        return np.asarray(torch.sigmoid(values[..., index]).numpy())

    def scores(self, images: Tensor, targets: Tensor | None = None) -> Tensor:
        """Score of one class for each image, ``(N,)``, differentiable.

        Args:
            images: ``(N, C, *spatial)``.
            targets: int64 ``(N,)``; the predicted class by default.

        Raises:
            NetworkError: a target that the network does not have; see `class_scores` for more.
        """
        scores = self.class_scores(images)
        return scores.max(dim=1).values if targets is None else of_targets(scores, targets)

    def predict(self, images: Tensor, batch_size: int = 32) -> NDArray[np.int64]:
        """Predicted class of each image, int64 ``(N,)``; class 0 where one neuron gives exactly 0.

        Of labels the one with the highest score, though an image may have several or none: see `decided`.
        """
        return np.asarray(self.predicted_scores(images, batch_size).argmax(axis=1), dtype=np.int64)

    def predicted_scores(self, images: Tensor, batch_size: int = 32) -> NDArray[np.float32]:
        """`class_scores` as an array, in batches, without gradients and with the network in eval mode."""
        with self.frozen(), torch.inference_mode():
            parts = [
                self.class_scores(batch.to(self.device)).float().cpu() for batch in torch.split(images, batch_size)
            ]
        return torch.cat(parts).numpy()

    def decided(self, scores: NDArray[np.floating] | Tensor, classes: NDArray[np.int64] | Tensor) -> NDArray[np.bool_]:
        """Whether a class, or a label, is what the network decides.

        Args:
            scores: `class_scores`, ``(N, classes)``.
            classes: int64 ``(N,)``, which of them is asked for, for each image.

        Returns:
            Bool ``(N,)``: of classes, whether it is the one of the highest score (of equal ones the first, as in
            `predict`); of labels, whether its logit is above 0, or its probability above one half.

        Raises:
            NetworkError: a class that the network does not have.
        """
        positive, chosen = torch.from_numpy(self.positive(scores)), torch.as_tensor(classes).cpu()
        return np.asarray(of_targets(positive, chosen).numpy())

    def positive(self, scores: NDArray[np.floating] | Tensor) -> NDArray[np.bool_]:
        """What the network decides of every class or label, bool ``(N, classes)``; see `decided`."""
        values = torch.as_tensor(scores).detach().cpu().double().numpy()
        if self.task == "labels":
            return np.asarray(values > (0.0 if self.score == "logit" else 0.5))
        return np.asarray(values.argmax(axis=1)[:, None] == np.arange(values.shape[1]))

    def of_label(self, index: int) -> "Classifier":
        """The classifier of one label alone, with one neuron: class 1 where the label is there, class 0 where not.

        Raises:
            SettingsError: a classifier of classes, or an index below 0. An index beyond the labels is a `NetworkError`
                when the network is asked.
        """
        if self.task != "labels" or index < 0:
            raise SettingsError(
                f"label {index} of a classifier of {self.task}: expected task='labels', index from 0 on"
            )
        output: Output = "logit" if self.output == "logits" else "probability"
        if isinstance(self.network, PatchedNetwork):  # within: what folds and quickens knows what sees patches
            network: nn.Module = self.network.around(OneLabel(self.network.network, index), output)
        else:
            network = OneLabel(self.network, index)
        return replace(self, network=network, output=output, task="classes")

    def in_patches(self, patches: Patches, spacing: tuple[float, ...] | None = None) -> "Classifier":
        """The classifier of whole images whose network sees patches of them, see `Patches`.

        Args:
            patches: how it is shown images.
            spacing: millimetres of a voxel along each axis, where the patches' size is in millimetres.

        Raises:
            SettingsError: a network that is shown patches already, or a score of the whole that its outputs have not.

        Example:
            >>> whole = Classifier(nn.Flatten(), output="logit").in_patches(Patches(1))
            >>> whole.class_scores(torch.tensor([[[[1.0, 3.0]]]]))
            tensor([[-2.,  2.]])
        """
        if self.patches is not None:
            raise SettingsError("patches: the network is shown patches already")
        one_of_several = self.task == "classes" and self.output in ("logits", "probabilities")
        if one_of_several and patches.score == "noisy-or":
            raise SettingsError(f"patches: score 'noisy-or' of output '{self.output}', expected one neuron, or labels")
        if one_of_several and patches.score == "max" and self.output == "probabilities":
            raise SettingsError("patches: score 'max' of output 'probabilities': the highest ones do not sum to 1")
        network = PatchedNetwork(self.network, patches, self.output, self.intensity.black, spacing)
        return replace(self, network=network, quick=None, folded=None)

    def quickened(
        self, example: Tensor, images: int, like: Quick | None = None, masked: Masked = nothing
    ) -> "Classifier":
        """This classifier with this machine's quickest backend for its decisions, checked and audited (`decisions`).

        Networks that return probabilities are left as they are: near 0 and 1 their outputs say nothing of how sure
        a rounded decision is. So are those of several labels, whose decisions have each a lead of their own.

        Args:
            example: a full batch ``(N, C, *spatial)``, like those to come.
            images: about how many decisions are to come.
            like: what was found for another network of the same structure.
            masked: makes images as they will come, on which errors are seen, and to which eight bits are fitted where
                they are tried.
        """
        if self.output not in ("logit", "logits") or self.score != "logit" or self.task == "labels":
            return self
        made_once = cache(masked)
        with self.frozen():
            find = quickest if self.patches is None else quickest_of_patches
            found = find(self.network, example.to(self.device), images, like, made_once)
            shown = None if found is None else made_once()
            if found is not None and shown is not None:
                found = with_errors(found, self.network, shown[:ERRORS_SEEN].to(self.device))
            return replace(self, quick=found)

    def with_folded(self, example: Tensor) -> "Classifier":
        """This classifier with a folded copy of its network for gradients, where there is anything to fold.

        Networks that `torch.fx` cannot follow, parts of which turn gradients off or have gradients of their own, whose
        batch norms have no statistics of training, or whose folded copy gives other scores or gradients for the example
        than rounding explains, are left as they are.

        Args:
            example: images ``(N, C, *spatial)``.
        """
        if self.output not in ("logit", "logits") or self.score != "logit" or self.forward_only:
            return self
        with self.frozen():
            return replace(self, folded=folded_alike(self.network, example.to(self.device)))

    def with_checkpoints(self, example: Tensor) -> "Classifier":
        """This classifier whose gradients take less memory and more time.

        It keeps what goes from one segment of the network to the next, and computes what is within again
        (gradient checkpointing), to the same bits. Networks that `torch.fx` cannot follow, or parts of which turn
        gradients off or have gradients of their own, are left as they are.

        Args:
            example: an image ``(1, C, *spatial)``.
        """
        if self.forward_only:
            return self
        with self.frozen():
            made = in_segments(self.for_gradients.network, example.to(self.device))
        return self if made is None else replace(self, folded=made)

    @property
    def for_gradients(self) -> "Classifier":
        """The classifier that gradients are asked of: of the folded network where there is one."""
        return self if self.folded is None else replace(self, network=self.folded, quick=None, folded=None)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Eval mode, no gradients for weights and `plain_numerics` inside the block; afterwards all as it was."""
        modes = [(module, module.training) for module in self.network.modules()]
        flags = [(weight, weight.requires_grad) for weight in self.network.parameters()]
        try:
            for module, _ in modes:
                module.training = False
            for weight, _ in flags:
                weight.requires_grad_(False)
            with plain_numerics(self.device):
                yield
        finally:
            for module, mode in modes:
                module.training = mode
            for weight, flag in flags:
                weight.requires_grad_(flag)


def _of_the_others(probabilities: Tensor) -> Tensor:
    """For each class the sum of the others' probabilities, ``(N, classes)``."""
    alone = torch.eye(probabilities.shape[1], dtype=torch.bool, device=probabilities.device)
    return torch.where(alone, 0.0, probabilities[:, None, :]).sum(dim=2)


def _saturated(probabilities: Tensor) -> Tensor:
    return (probabilities < PROBABILITY_MARGIN) | (probabilities > 1.0 - PROBABILITY_MARGIN)


def of_targets(values: Tensor, targets: Tensor) -> Tensor:
    """The column of each row's target class, ``(N,)`` of ``(N, classes)``.

    Raises:
        NetworkError: a target that the network does not have.
    """
    for bad in (int(targets.max()), int(targets.min())):
        if not 0 <= bad < values.shape[1]:
            raise NetworkError(f"target class {bad}, but the network has the classes 0 to {values.shape[1] - 1}")
    return values.gather(1, targets[:, None])[:, 0]


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
