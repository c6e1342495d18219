"""The networks of a study: given, trained for each fold, or read back where the study was interrupted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ..cases import Cases, Preprocessing, phantom
from ..classifier import Classifier
from ..classifier.training import Recipe, train
from ..classifier.weights import load_weights, save_weights
from .progress import Progress
from .settings import StudySettings
from .sides import Side
from .store import Store


@dataclass(frozen=True)
class Fitted:
    """A classifier and what is known of its training."""

    classifier: Classifier
    facts: dict[str, Any]


def networks_of(
    settings: StudySettings,
    cases: Cases,
    sides: Sequence[Side],
    store: Store,
    classifier: Classifier | None,
    device: str,
    progress: Progress,
) -> Iterator[tuple[Side, Fitted]]:
    """Each fold with its network, which never saw the fold's held-out patients."""
    for side in sides:
        if classifier is not None:
            yield side, Fitted(classifier, {"source": "given"})
            continue
        file = store.weights_file(f"fold-{side.fold}")
        if not file.exists():
            stage = f"training network {side.fold + 1} of {len(sides)}"
            fit_network(settings, cases.select(side.training), file, device=device, progress=progress, stage=stage)
        network, facts = load_weights(file)
        yield side, Fitted(Classifier(network.to(device)), facts)


def fit_network(
    settings: StudySettings,
    cases: Cases,
    file: Path,
    *,
    device: str,
    progress: Progress,
    stage: str = "training the network",
) -> dict[str, Any]:
    """Train on ``cases`` as the study file says and write the weights; returns the notes stored with them.

    Pretraining on simulated cases is done once for a folder and kept beside the weights.
    """
    start: nn.Module | None = None
    if settings.classifier.pretraining is not None:
        pretrained = file.with_name("pretrained.safetensors")
        if not pretrained.exists():
            chosen = settings.classifier.pretraining
            preprocessing = Preprocessing(settings.cases.size, settings.cases.window)
            simulated = phantom.cases(chosen.cases, seed=settings.seed, preprocessing=preprocessing)
            name = "pretraining on simulated cases"
            _train_into(pretrained, settings, simulated, chosen.recipe, None, device, name, progress)
        start, _ = load_weights(pretrained)
    return _train_into(file, settings, cases, settings.classifier.recipe, start, device, stage, progress)


def _train_into(
    file: Path,
    settings: StudySettings,
    cases: Cases,
    recipe: Recipe,
    start: nn.Module | None,
    device: str,
    stage: str,
    progress: Progress,
) -> dict[str, Any]:
    progress(stage, 0, recipe.epochs)
    trained = train(
        cases,
        recipe,
        seed=settings.seed,
        start=start,
        device=device,
        progress=lambda done, total, note: progress(stage, done, total, note),
    )
    notes: dict[str, Any] = {
        "source": "trained",
        "cases": len(cases),
        "epoch": trained.epoch,
        "epochs_run": len(trained.history),
        "validation_accuracy": trained.validation_accuracy,
        "validation_loss": trained.validation_loss,
        "size": settings.cases.size,
        "window": list(settings.cases.window),
        "classes": list(settings.cases.classes),
    }
    save_weights(trained.network, file, recipe.architecture, notes)
    progress(stage, recipe.epochs, recipe.epochs, f"validation accuracy {trained.validation_accuracy:.3f}")
    return notes
