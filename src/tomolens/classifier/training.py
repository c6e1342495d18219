"""Training: augmentation, patient-wise validation, early stopping, everything seeded."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from ..cases.case import Cases
from ..cases.splits import hold_out, inseparable_groups
from ..errors import CaseError, SettingsError
from ..randomness import generator
from .architectures import arguments_for, make, output_of, require_arguments
from .classifier import Classifier, Output
from .layout import as_channels_last
from .perturbation import AUGMENTING, Perturbation

if TYPE_CHECKING:
    from monai.transforms import Compose

EpochProgress = Callable[[int, int, str], None]
"""Called after each epoch with epochs done, epochs at most, and a word on how it goes."""

SETTLING_CASES = 256
"""Training cases over which batch-norm statistics are averaged after each epoch."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        architecture: a name in `ARCHITECTURES`.
        epochs: at most so many passes over the training cases.
        batch_size: images a step.
        learning_rate: peak of the one-cycle schedule of AdamW.
        weight_decay: of AdamW.
        validation: share of the patients held out to choose the epoch.
        patience: stop after so many epochs without a better validation loss.
        rotation: largest random rotation in radians.
        augment: whether to flip, rotate, scale, shift, and change contrast and noise.
        arguments: of the architecture, by its own names, beside those that the cases tell.
        twins: whether to learn each case together with its twin, the same image with the other label, in one step: what
            both have in common then cancels, and small findings are learned from hundreds of cases, not thousands.
        perturb: whether random pixels of half of the images of a step become the image's mean, up to half of the image
            in areas of any size, so that images masked by fidelity are nothing foreign to the network: feature
            perturbation augmentation (Brocki & Chung 2023, arXiv 2303.01538). Validation sees images as they are.

    Raises:
        SettingsError: an unknown architecture or argument of it, or a number outside its range in `RANGES`.
    """

    architecture: str = "resnet50"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    validation: float = 0.2
    patience: int = 6
    rotation: float = 0.15
    augment: bool = True
    twins: bool = False
    perturb: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_arguments(self.architecture, self.arguments)
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} {value:g}, expected {low:g} to {high:g}")

    def makes_as(self, other: "Recipe") -> bool:
        """Whether both make the same network, so that one can start from the other's weights."""
        return (self.architecture, dict(self.arguments)) == (other.architecture, dict(other.arguments))


RANGES = {
    "epochs": (1, 100_000),
    "batch_size": (2, 100_000),
    "learning_rate": (1e-9, 10.0),
    "weight_decay": (0.0, 10.0),
    "validation": (0.01, 0.5),
    "patience": (1, 100_000),
    "rotation": (0.0, math.pi),
}
"""Of a recipe's numbers, both ends allowed; batch norm needs two cases a step."""


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    Attributes:
        network: with the weights of the best epoch, in eval mode.
        epoch: the best epoch, from 1.
        validation_loss: cross-entropy at that epoch, balanced over the classes.
        validation_accuracy: balanced accuracy at that epoch.
        history: (training loss, validation loss, validation accuracy) of each epoch.
        output: what the network returns, for `Classifier`: ``logit`` of two classes, ``logits`` of more.
        arguments: with which `make` makes such a network.
    """

    network: nn.Module
    epoch: int
    validation_loss: float
    validation_accuracy: float
    history: list[tuple[float, float, float]] = field(default_factory=list)
    output: Output = "logit"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classifier(self) -> Classifier:
        """The network with what its output means."""
        return Classifier(self.network, self.output)


def balanced_accuracy(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Mean of the accuracies within each class, the protocol's accuracy for unbalanced test sets."""
    return float(np.mean([np.mean(predictions[labels == label] == label) for label in np.unique(labels)]))


def train(
    cases: Cases,
    recipe: Recipe | None = None,
    seed: int = 0,
    start: nn.Module | Classifier | None = None,
    device: str = "cpu",
    progress: EpochProgress | None = None,
    perturbation: Perturbation | None = None,
) -> Trained:
    """Train a network: of one neuron for two classes, of a neuron a class for more.

    Args:
        cases: to train on, with any number of channels, in two or three dimensions; a share of their patients is held
            out for validation.
        recipe: how; the defaults suit a few hundred slices.
        seed: of weights, order, augmentation and validation split.
        start: begin from a copy of this network's weights instead of random ones; of the same classes and channels. A
            classifier's output means what it says.
        device: where to train.
        progress: called after each epoch.
        perturbation: of the images of a step, in place of the recipe's.

    Raises:
        CaseError: a case that cannot be read, a label outside the classes, too few patients to hold any out, or a case
            without a twin where the recipe asks for it.
        SettingsError: twins of more than two classes, or arguments with which the architecture cannot be built.
        NetworkError: a start of other outputs.
    """
    recipe = recipe or Recipe()
    images, labels, classes = torch.from_numpy(_images(cases, recipe)), cases.labels, len(cases.classes)
    if labels.min() < 0 or labels.max() >= classes:
        raise CaseError(f"labels from {labels.min()} to {labels.max()}, the cases have the classes 0 to {classes - 1}")
    groups = inseparable_groups(cases.patients, cases.fingerprints)
    try:
        held_out = hold_out(labels, groups, recipe.validation, seed)
    except CaseError as error:
        raise CaseError(
            f"the {len(cases)} training cases of {len(np.unique(groups))} patients are too few to hold out "
            f"validation = {recipe.validation:g} of the recipe for choosing the epoch ({error})"
        ) from error
    training, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if recipe.twins:  # they follow the cases, in the same order
        labels, validation = np.append(labels, 1 - labels), np.append(validation, validation + len(cases))
    shape = tuple(images.shape)
    arguments = arguments_for(recipe.architecture, shape[1], classes, len(shape) - 2, shape[2:], recipe.arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "weights").integers(2**31)))
        began = start.network if isinstance(start, Classifier) else start
        network = make(recipe.architecture, arguments) if began is None else copy.deepcopy(began)
    classifier = (
        replace(start, network=network.to(device), quick=None, folded=None)
        if isinstance(start, Classifier)
        else Classifier(network.to(device), output_of(classes))
    )
    with torch.random.fork_rng():
        torch.manual_seed(int(generator(seed, "dropout").integers(2**31)))
        fitted = _fit(
            classifier,
            images,
            torch.from_numpy(labels),
            classes,
            training,
            validation,
            recipe,
            seed,
            progress,
            perturbation or (AUGMENTING if recipe.perturb else None),
        )
    return replace(fitted, arguments=arguments)


def _images(cases: Cases, recipe: Recipe) -> NDArray[np.float32]:
    """All images, followed by those of all twins where the recipe learns from them."""
    if recipe.twins and len(cases.classes) != 2:
        raise SettingsError(f"twins: a twin has the other label of two, the cases have {len(cases.classes)} classes")
    return cases.images(twins=recipe.twins)


def _fit(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    classes: int,
    training: NDArray[np.intp],
    validation: NDArray[np.intp],
    recipe: Recipe,
    seed: int,
    progress: EpochProgress | None,
    perturbation: Perturbation | None = None,
) -> Trained:
    network, device = classifier.network, classifier.device
    augment = augmentation(recipe, images.shape[2:], seed) if recipe.augment else None
    perturb = None if perturbation is None else partial(perturbation.apply, random=generator(seed, "perturbation"))
    # Batch norm has no variance of one case: an odd case joins another step.
    seen = len(training) * (2 if recipe.twins else 1)
    steps = max(1, min(-(-seen // recipe.batch_size), len(training) // 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    total = recipe.epochs * steps
    # A rise of a single step divides by zero in torch; from ten steps on the rise is a fifth of them.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=total, pct_start=max(0.2, min(0.9, 2 / total))
    )
    # A case and its twin are of both classes, and a step has as many of each.
    weight = torch.ones(classes) if recipe.twins else class_weights(labels[training], classes)
    best: Trained | None = None
    best_state: dict[str, Tensor] = {}
    history: list[tuple[float, float, float]] = []
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        order = generator(seed, "order", epoch).permutation(training)
        losses = []
        for chosen in np.array_split(order, steps):
            batch = _batch(images, chosen, recipe, augment, perturb)
            if recipe.twins:
                chosen = np.append(chosen, chosen + len(images) // 2)
            losses.append(_step(classifier, batch.to(device), labels[chosen].to(device), weight.to(device), optimizer))
            schedule.step()
        settling = generator(seed, "settle", epoch).permutation(training)[:SETTLING_CASES]
        if recipe.twins:  # in turn with their cases, so that every batch has both
            settling = np.stack([settling, settling + len(images) // 2], axis=1).ravel()[:SETTLING_CASES]
        settle_batch_norm(network, images[settling], recipe)
        loss, accuracy = validate(classifier, images[validation], labels[validation], classes)
        history.append((float(np.mean(losses)), loss, accuracy))
        if best is None or loss < best.validation_loss:
            best = Trained(network, epoch, loss, accuracy, history, classifier.output)
            best_state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        if progress is not None:
            progress(epoch, recipe.epochs, f"validation accuracy {accuracy:.3f}")
        if epoch - best.epoch >= recipe.patience:
            break
    assert best is not None
    network.load_state_dict(best_state)
    network.eval()
    return best


def _batch(
    images: Tensor,
    chosen: NDArray[np.intp],
    recipe: Recipe,
    augment: "Compose | None",
    perturb: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The images of a step, followed by their twins, which are moved and masked as they are; noise is their own."""
    shown = images[chosen]
    if recipe.twins:
        shown = torch.cat([shown, images[chosen + len(images) // 2]], dim=1)
    if augment is not None:
        shown = torch.stack([torch.as_tensor(augment(image)).clamp(0.0, 1.0) for image in shown])
    if perturb is not None:
        shown = perturb(shown)
    return torch.cat(shown.chunk(2, dim=1)) if recipe.twins else shown


def _step(
    classifier: Classifier, images: Tensor, labels: Tensor, weight: Tensor, optimizer: torch.optim.Optimizer
) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = balanced_cross_entropy(classifier, classifier.class_scores(images), labels, weight)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def settle_batch_norm(network: nn.Module, images: Tensor, recipe: Recipe) -> None:
    """Average the batch statistics anew: after few steps the running ones lag behind the weights and mislead."""
    device = next(network.parameters()).device
    with torch.no_grad():
        batches = [batch for batch in torch.split(images, recipe.batch_size) if len(batch) > 1]  # one has no variance
        update_bn(map(as_channels_last, batches), network, device=device)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """A weight for each class that makes all of them count the same, mean 1 over the cases."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (float(classes) * counts)


def balanced_cross_entropy(classifier: Classifier, scores: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Mean over the cases of ``weight[label]`` times the cross-entropy.

    Args:
        classifier: of one neuron, whose loss is that of a sigmoid, or of several, whose loss is that of a softmax.
        scores: its `Classifier.class_scores`, ``(N, classes)``.
        labels: int64 ``(N,)``.
        weight: of each class, see `class_weights`.
    """
    if classifier.output == "logit":
        logit = scores[:, 1]
        return functional.binary_cross_entropy_with_logits(logit, labels.to(logit.dtype), weight=weight[labels])
    # Torch's own weighting divides by the weights of a batch, so that its odd cases would count for more.
    return (weight[labels] * functional.cross_entropy(scores, labels, reduction="none")).mean()


def validate(classifier: Classifier, images: Tensor, labels: Tensor, classes: int) -> tuple[float, float]:
    """Class-balanced cross-entropy and balanced accuracy."""
    scores = classifier.predicted_scores(images)
    loss = balanced_cross_entropy(classifier, torch.from_numpy(scores), labels, class_weights(labels, classes))
    return float(loss), balanced_accuracy(labels.numpy(), scores.argmax(axis=1))


def augmentation(recipe: Recipe, shape: Sequence[int], seed: int) -> "Compose":
    """What may differ between scans without changing the label: place, size, turn, level and noise.

    Args:
        recipe: for the largest rotation.
        shape: spatial shape of the images.
        seed: of all draws.
    """
    from monai import transforms  # five seconds, which only training needs

    axes = len(shape)
    transform = transforms.Compose(
        [
            transforms.RandFlip(prob=0.5, spatial_axis=-1),
            transforms.RandAffine(
                prob=0.9,
                rotate_range=[recipe.rotation] * (1 if axes == 2 else 3),
                translate_range=[0.06 * length for length in shape],
                scale_range=[0.12] * axes,
                padding_mode="zeros",
            ),
            transforms.RandScaleIntensity(prob=0.5, factors=0.1),
            transforms.RandShiftIntensity(prob=0.5, offsets=0.03),
            transforms.RandAdjustContrast(prob=0.3, gamma=(0.85, 1.2)),
            transforms.RandGaussianNoise(prob=0.5, std=0.03),
        ]
    )
    transform.set_random_state(seed=int(generator(seed, "augmentation").integers(2**31)))
    return transform
