"""The runner: cases and networks for a study file, then `evaluate` mapped over all held-out cases."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.lines import USUALLY_ASKED
from ..classifier.weights import weights_hash
from ..errors import NetworkError
from ..progress import Progress, silent
from ..results.gallery import write_gallery_case
from ..results.kept_maps import KeptMaps
from ..results.store import Store
from ..results.writer import Writer
from .calibration import Calibration
from .describe import accuracies, day_of, describe
from .executors import Executor, local_executor, workers_for
from .fitting_estimators import without_gradients, without_layers, without_references, without_twins
from .folds import Fold, folds_of
from .given_network import require_outputs
from .look import Looked
from .networks import Fitted, networks_of, require_no_repeat
from .ray_executor import ray_executor
from .references import atlas_of, draw_references, missing_baselines
from .requirements import require_anatomy, require_classes, require_twins, require_windows
from .settings import StudySettings
from .stopping import stop_when_asked
from .survey import Survey, survey
from .work import Job

STAGE = "explaining and evaluating"
HOPELESS = 20
"""So many failures and not one success end a study: it is the network then, and not the cases."""


@dataclass(frozen=True)
class Resources:
    """Who does the work; none of it shows in the numbers.

    Attributes:
        device: where networks run.
        workers: processes on this machine; None chooses from its cores and the cases.
        executor: ``local``, or ``ray`` for a cluster.
        address: of the Ray cluster, ``auto`` to find it; None starts one on this machine.
    """

    device: str = "cpu"
    workers: int | None = None
    executor: Literal["local", "ray"] = "local"
    address: str | None = None


@dataclass
class Tally:
    """What is known while a study runs.

    Attributes:
        total: cases of the study.
        done: of them, in this run or before.
        failed: in this run.
        succeeded: in this run.
        decisions: how this run made those of the network at work, and how often.
    """

    total: int
    done: int = 0
    failed: int = 0
    succeeded: int = 0
    decisions: Counter[str] = field(default_factory=Counter)


def run_study(
    settings: StudySettings,
    store: Store,
    cases: Cases,
    *,
    classifier: Classifier | None = None,
    resources: Resources | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    progress: Progress = silent,
) -> None:
    """Run a study into its folder, or finish one that was interrupted; cases that failed are tried again.

    Args:
        settings: the study file; see `without_references` and `without_gradients` for what is left out.
        store: of the folder to write.
        cases: all cases, training and held out.
        classifier: to evaluate on all cases; None trains one for each fold, as the study file says.
        resources: who does the work.
        on_error: whether a case that cannot be read ends the study, or is left out and counted.
        progress: told how far it is.

    Raises:
        TomolensError: input that cannot be used, a folder that holds another study, or a network that fails on every
            case.
        KeyboardInterrupt: someone asked to stop; what was done is kept.
    """
    resources = resources or Resources()
    require_classes(settings, cases)
    intensity = None if classifier is None else classifier.intensity
    readers = resources.workers or workers_for(len(cases), "cpu")
    learns = classifier is None or any(entry.split == "train" for entry in cases.entries)
    found = survey(
        cases,
        progress,
        on_error=on_error,
        intensity=intensity,
        known=known_cases(store),
        workers=readers,
        hold=learns,
    )
    require_windows(settings, found)
    if classifier is not None:
        require_outputs(classifier, found.cases)
        require_no_repeat(settings)
    folds = folds_of(settings, found.cases, everything_held_out=classifier is not None)
    left_out: dict[str, str] = {}
    if classifier is not None and classifier.forward_only:
        settings, left_out = without_gradients(settings, classifier.forward_only)
    if classifier is not None and classifier.patches is not None:
        settings, asking = without_layers(settings)
        left_out = {**asking, **left_out}
    if any(len(fold.training) == 0 for fold in folds):
        settings, drawing = without_references(settings)
        left_out = {**drawing, **left_out}
    if not found.twins:
        settings, looking = without_twins(settings)
        left_out = {**looking, **left_out}
    require_twins(settings, found)
    require_anatomy(settings, found)
    calibration_of(settings, found.cases)  # refuses what cannot be calibrated before anything is written
    description = describe(settings, found, classifier, resources.device, resources.executor)
    description["missing_baselines"] = missing_baselines(settings, found, folds)
    description["missing_estimators"] = left_out
    store.open(description)
    store.write_surveyed({stamp: one.as_json() for stamp, one in found.known.items()})
    wanted = sorted(int(index) for fold in folds for index in fold.held_out)
    finished = store.shards.finished()
    left = len(set(wanted) - finished)
    tally = Tally(len(wanted))
    shown = order_of_showing(found, wanted)
    facts = []
    with _executor(settings, resources, left) as execute:
        for fold, fitted in networks_of(settings, found.cases, folds, store, classifier, resources.device, progress):
            pending = [int(index) for index in fold.held_out if int(index) not in finished]
            tally.done += len(fold.held_out) - len(pending)
            tally.decisions.clear()
            if pending:
                job = job_of(settings, found, fold, fitted, resources, shown, left)
                _evaluate_all(execute, job, pending, Writer(store.shards, wanted), store, tally, progress)
            facts.append(_facts(store, fold, fitted, tally))
    progress(STAGE, tally.done, tally.total)
    accuracy, by_fold = accuracies(store)
    facts = [{**network, **by_fold.get(network["fold"], {})} for network in facts]
    measured = {"measurements": store.shards.names(), "accuracy": accuracy, **day_of(store, tally.succeeded)}
    store.write_description({**description, "networks": facts, **measured})


def known_cases(store: Store) -> dict[str, Looked]:
    """What an earlier run of this study found of its cases, by their stamps; what cannot be read is found again."""
    try:
        return {stamp: Looked.from_json(one) for stamp, one in store.surveyed().items()}
    except (TypeError, ValueError, AttributeError):
        return {}


def _executor(settings: StudySettings, resources: Resources, left: int) -> AbstractContextManager[Executor]:
    if resources.executor == "ray":
        needs = settings.resources
        return ray_executor(resources.address, resources.device, needs.cpus, needs.gpus)
    return local_executor(resources.workers or workers_for(left, resources.device))


def job_of(
    settings: StudySettings,
    found: Survey,
    fold: Fold,
    fitted: Fitted,
    resources: Resources,
    shown: Sequence[int],
    left: int,
    *,
    quick: bool = True,
) -> Job:
    """What is to be done with the held-out cases of one network, ``left`` of all; ``quick`` allows quick backends."""
    plan = replace(settings.plan, structures=found.structures)
    sparing = settings.precision == "auto"
    decisions = round(left * plan.images(twins=found.twins > 0) * (USUALLY_ASKED if sparing else 1.0))
    quick = quick and sparing and decisions > 0
    return Job(
        cases=found.cases,
        masks=found.masks,
        fold=fold.number,
        classifier=fitted.classifier,
        plan=plan,
        references=draw_references(found, fold.training, settings),
        atlas=atlas_of(found, fold.training, settings),
        device=resources.device,
        decisions=decisions // (resources.workers or workers_for(left, resources.device)) if quick else 0,
        sparing=sparing,
        checkpoint=settings.resources.checkpoint,
        examples=frozenset(shown[: settings.examples]),
        gallery=frozenset(shown[: settings.gallery]),
        keep_maps=settings.keep_maps,
        calibration=calibration_of(settings, found.cases),
        rivals=fitted.rivals,
        refined=fitted.refined,
    )


def calibration_of(settings: StudySettings, cases: Cases) -> Calibration | None:
    """The cases with the study's calibration implant; None where none is asked for.

    Raises:
        SettingsError: cases that are not read from files in HU.
    """
    return None if settings.calibrate is None else Calibration.of(settings.calibrate, cases, settings.seed)


def _evaluate_all(
    execute: Executor,
    job: Job,
    pending: Sequence[int],
    writer: Writer,
    store: Store,
    tally: Tally,
    progress: Progress,
) -> None:
    """Every pending case of one network, stored as it comes."""
    kept: KeptMaps | None = None
    progress(STAGE, tally.done, tally.total)

    def say() -> None:
        writer.keep()
        progress(STAGE, tally.done, tally.total, "stopping after the cases at work; Ctrl-C again stops now")

    with stop_when_asked(say) as stopping, writer:
        for outcome in execute(job, pending, stopping):
            name = job.cases.entries[outcome.index].name
            if outcome.example is not None:
                store.write_example(outcome.example)
            if outcome.gallery:
                write_gallery_case(store.gallery_folder, outcome.index, outcome.gallery)
            if outcome.maps:
                kept = kept or _kept_maps(store, job)
                kept.write(outcome.index, outcome.maps)
            writer.add(outcome.rows, at_once=stopping())
            tally.done += 1
            if outcome.failure:
                tally.failed += 1
            else:
                tally.succeeded += 1
                tally.decisions[outcome.decisions] += 1
            note = f"{name} failed: {outcome.failure}" if outcome.failure else outcome.note or name
            progress(STAGE, tally.done, tally.total, note)
            if not tally.succeeded and (tally.failed >= HOPELESS or tally.failed == tally.total):
                raise NetworkError(f"every one of {tally.failed} cases failed; case {name}: {outcome.failure}")
        if tally.done < tally.total:
            stopping.raise_if_asked()


def _kept_maps(store: Store, job: Job) -> KeptMaps:
    names = [estimator.name for estimator in job.plan.estimators]
    return KeptMaps.open(store.folder / "maps.zarr", job.cases.names, names, job.cases[0].image.shape)


def _facts(store: Store, fold: Fold, fitted: Fitted, tally: Tally) -> dict[str, Any]:
    """What is told of a network; how decisions were made is that of an earlier run where this one made none."""
    decisions = ", ".join(sorted(tally.decisions))
    if not decisions:
        before = {network["fold"]: network for network in store.description().get("networks", [])}
        decisions = before.get(fold.number, {}).get("decisions", "plain")
    network = weights_hash(fitted.classifier.network)
    rivals = {one.name: weights_hash(one.classifier.network) for one in fitted.rivals}
    again = {"rivals": rivals} if rivals else {}
    return {**fitted.facts, "decisions": decisions, "fold": fold.number, "weights": network, **again}


def order_of_showing(found: Survey, held_out: Sequence[int]) -> list[int]:
    """The held-out cases in the order in which they are worth showing: usable masks first, the classes in turn."""
    entries = found.cases.entries
    first = sorted(held_out, key=lambda index: (found.masks[index] != "usable", index))
    by_label = [
        [index for index in first if entries[index].label == label] for label in range(len(found.cases.classes))
    ]
    order = sorted((place, label) for label, members in enumerate(by_label) for place in range(len(members)))
    return [by_label[label][place] for place, label in order]
