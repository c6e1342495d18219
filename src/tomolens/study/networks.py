"""The networks of a study: given, trained for each fold, or read back where the study was interrupted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from ..cases import Cases, phantom
from ..cases.windows import in_words, windows_of
from ..classifier import Classifier
from ..classifier.training import Recipe, train
from ..classifier.weights import load_weights, save_weights
from ..errors import SettingsError
from ..metrics.evaluand import Rival
from ..metrics.registry import refines
from ..progress import Progress
from ..randomness import generator
from ..results.store import Store
from .folds import Fold
from .refining import refined
from .settings import StudySettings

AUGMENTED = (
    "The networks were trained with feature perturbation augmentation (Brocki & Chung 2023, arXiv 2303.01538): half of "
    "the images of a step had up to half of their pixels replaced by the mean of their channel."
)


@dataclass(frozen=True)
class Fitted:
    """A classifier and what is known of its training; and those of other trainings on the same cases.

    ``refined`` is a copy that went on learning from randomly masked images, or why there is none; None if none is
    wanted.
    """

    classifier: Classifier
    facts: dict[str, Any]
    rivals: tuple[Rival, ...] = ()
    refined: Classifier | str | None = None


@dataclass(frozen=True)
class Training:
    """One of the trainings of a fold's network.

    Attributes:
        again: how often it was trained before, with other seeds; 0 for the study's own.
        architecture: another one, by the names of `ARCHITECTURES`; empty for the study's own.
    """

    again: int = 0
    architecture: str = ""

    @property
    def name(self) -> str:
        """In words; empty for the study's own."""
        return self.architecture or (f"again {self.again}" if self.again else "")

    @property
    def ending(self) -> str:
        """Of the name of its weights' file."""
        return f"-{_plain(self.architecture)}" if self.architecture else f"-rival-{self.again}" if self.again else ""

    def recipe(self, own: Recipe) -> Recipe:
        """The study's, or that of another architecture with its own defaults."""
        return replace(own, architecture=self.architecture, arguments={}) if self.architecture else own

    def seed(self, own: int) -> int:
        """The study's, or one drawn from it."""
        key = self.architecture or self.again
        return int(generator(own, "rival", key).integers(2**31)) if key else own


def _plain(architecture: str) -> str:
    return architecture.replace(":", "-")


def trainings_again(settings: StudySettings) -> list[Training]:
    """The trainings beside the study's own, for each fold."""
    if settings.repeat is None:
        return []
    seeds = [Training(number) for number in range(1, settings.repeat.networks)]
    return [*seeds, *(Training(architecture=name) for name in settings.repeat.architectures)]


def networks_of(
    settings: StudySettings,
    cases: Cases,
    folds: Sequence[Fold],
    store: Store,
    classifier: Classifier | None,
    device: str,
    progress: Progress,
) -> Iterator[tuple[Fold, Fitted]]:
    """Each fold with its network, which never saw the fold's held-out patients.

    Raises:
        SettingsError: trainings to repeat of a network that is given.
    """
    if classifier is not None:
        require_no_repeat(settings)
    for fold in folds:
        which = f"{fold.number + 1} of {len(folds)}"
        if classifier is not None:
            found = Fitted(
                with_window(classifier, settings), {"source": "given", **_cited(classifier, settings.cases.dimensions)}
            )
            yield fold, _refined(settings, cases, fold, store, found, device, progress, which)
            continue
        trained = partial(_trained, settings, cases, fold, store, device, progress, which=which)
        fitted = trained(Training())
        rivals = [Rival(trained(one).classifier, one.name, one.architecture) for one in trainings_again(settings)]
        found = replace(fitted, rivals=tuple(rivals))
        yield fold, _refined(settings, cases, fold, store, found, device, progress, which)


def _refined(
    settings: StudySettings,
    cases: Cases,
    fold: Fold,
    store: Store,
    found: Fitted,
    device: str,
    progress: Progress,
    which: str,
) -> Fitted:
    """The networks of a fold with the refined one, where a metric asks for it."""
    if not refines(settings.plan.metrics):
        return found
    file, given = store.weights_file(f"fold-{fold.number}-refined"), found.facts.get("source") == "given"
    learned, stage = cases.select(fold.training), f"refining network {which}"
    made, facts = refined(settings, learned, found.classifier, file, device, stage, progress, given=given)
    told = [*found.facts.get("told", []), *facts["told"]]
    return replace(found, refined=made, facts={**found.facts, **facts, "told": told})


def require_no_repeat(settings: StudySettings) -> None:
    """Refuse trainings to repeat of a network that is given.

    Raises:
        SettingsError: there are any.
    """
    if settings.repeat is not None:
        raise SettingsError("repeat trains networks anew, and the network is given: leave one of them out")


def _trained(
    settings: StudySettings,
    cases: Cases,
    fold: Fold,
    store: Store,
    device: str,
    progress: Progress,
    training: Training,
    *,
    which: str,
) -> Fitted:
    """The network of a fold by one of its trainings, read back or trained."""
    file = store.weights_file(f"fold-{fold.number}{training.ending}")
    if not file.exists():
        stage = f"training network {which}{f', {training.name}' if training.name else ''}"
        architecture = training.architecture
        before = store.weights_file(f"pretrained-{_plain(architecture)}" if architecture else "pretrained")
        start = _pretrained(settings, before, device, progress, architecture)
        recipe, seed = training.recipe(settings.classifier.recipe), training.seed(settings.seed)
        _train_into(file, settings, cases.select(fold.training), recipe, start, device, stage, progress, seed=seed)
    fitted, facts = load_weights(file)
    fitted.network.to(device)
    return Fitted(with_window(fitted, settings), facts)


def _cited(classifier: Classifier, axes: int) -> dict[str, Any]:
    """Which file a given network came from, and by which patches it sees images, as a study cites it."""
    found = classifier.sourced
    patches = {} if classifier.patches is None else {"patches": repr(classifier.patches.alike(axes))}
    if found is None or found.source is None:
        return patches
    cited = {"network": str(found.source), "file_hash": found.source.hash, "input": found.contract.said()}
    return {**cited, **patches}


def with_window(classifier: Classifier, settings: StudySettings) -> Classifier:
    """A classifier that knows which Hounsfield units its black and white are: those of the study's windows.

    Raises:
        SettingsError: it was declared for others.
    """
    known, window = classifier.intensity.windows, settings.cases.window
    if known and known != windows_of(window):
        raise SettingsError(f"the classifier takes {in_words(known)}, the study's cases.window is {in_words(window)}")
    return replace(classifier, intensity=replace(classifier.intensity, hounsfield=window))


def fit_network(
    settings: StudySettings, cases: Cases, file: Path, *, device: str, progress: Progress
) -> dict[str, Any]:
    """Train on ``cases`` as the study file says and write the weights; returns the notes stored with them."""
    with TemporaryDirectory() as folder:
        start = _pretrained(settings, Path(folder) / "pretrained.safetensors", device, progress)
    recipe = settings.classifier.recipe
    return _train_into(file, settings, cases, recipe, start, device, "training the network", progress)


def _pretrained(
    settings: StudySettings, file: Path, device: str, progress: Progress, architecture: str = ""
) -> nn.Module | None:
    """The network that learned from simulated cases, read from ``file`` or trained into it; None if none is wanted."""
    chosen = settings.classifier.pretraining
    if chosen is None:
        return None
    if not file.exists():
        simulated = phantom.cases(
            chosen.cases,
            seed=settings.seed,
            preprocessing=settings.cases.preprocessing,
            finding=settings.cases.task_finding,
            finding_mm=settings.cases.finding_mm,
            dimensions=settings.cases.dimensions,
        )
        stage = f"pretraining {architecture} on simulated cases".replace("  ", " ")
        recipe = Training(architecture=architecture).recipe(chosen.recipe)
        _train_into(file, settings, simulated, recipe, None, device, stage, progress)
    return load_weights(file)[0].network


def _train_into(
    file: Path,
    settings: StudySettings,
    cases: Cases,
    recipe: Recipe,
    start: nn.Module | None,
    device: str,
    stage: str,
    progress: Progress,
    *,
    seed: int | None = None,
) -> dict[str, Any]:
    progress(stage, 0, recipe.epochs)
    trained = train(
        cases,
        recipe,
        seed=settings.seed if seed is None else seed,
        start=start,
        device=device,
        progress=lambda done, total, note: progress(stage, done, total, note),
    )
    seen = settings.model_dump(mode="json")["cases"]
    notes: dict[str, Any] = {
        "source": "trained",
        "cases": len(cases),
        "epoch": trained.epoch,
        "epochs_run": len(trained.history),
        "validation_accuracy": trained.validation_accuracy,
        "validation_loss": trained.validation_loss,
        "size": seen["size"],
        "window": seen["window"],
        "spacing": seen["spacing"],
        "dimensions": seen["dimensions"],
        "crop": seen["crop"],
        "classes": list(settings.cases.classes),
        **({"told": [AUGMENTED]} if recipe.perturb else {}),
    }
    save_weights(trained.network, file, recipe.architecture, notes, trained.arguments)
    progress(stage, recipe.epochs, recipe.epochs, f"validation accuracy {trained.validation_accuracy:.3f}")
    return notes
