"""The runner: cases and networks for a study file, then `evaluate` mapped over all held-out cases."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.identity import identity_of
from ..classifier.lines import USUALLY_ASKED
from ..classifier.training import balanced_accuracy
from ..classifier.weights import weights_hash
from ..errors import NetworkError, SettingsError
from ..estimators.baselines import TRUTH
from ..estimators.estimator import Estimator, is_blind
from ..estimators.registry import group_of
from ..metrics.registry import METRICS
from ..progress import Progress, silent
from ..results.description import Described, as_json
from ..results.gallery import write_gallery_case
from ..results.kept_maps import KeptMaps
from ..results.store import Store
from ..results.writer import Writer
from .calibration import Calibration
from .content import content_of
from .executors import Executor, local_executor, workers_for
from .fitting_estimators import without_gradients, without_layers, without_references, without_twins
from .folds import Fold, folds_of
from .given_network import network_notes, require_outputs
from .look import Looked
from .networks import Fitted, networks_of, require_no_repeat
from .provenance import provenance
from .ray_executor import ray_executor
from .references import atlas_of, draw_references, missing_baselines
from .settings import StudySettings
from .stopping import stop_when_asked
from .survey import Survey, survey
from .work import Job

STAGE = "explaining and evaluating"
NUMERICS = 6
"""Raised by one whenever a number of a study may come out otherwise than before: older results are not gone on with."""
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
    _require_classes(settings, cases)
    intensity = None if classifier is None else classifier.intensity
    readers = resources.workers or workers_for(len(cases), "cpu")
    found = survey(cases, progress, on_error=on_error, intensity=intensity, known=known_cases(store), workers=readers)
    _require_windows(settings, found)
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
    _require_twins(settings, found)
    _require_anatomy(settings, found)
    calibration_of(settings, found.cases)  # refuses what cannot be calibrated before anything is written
    description = describe(settings, found, classifier, resources)
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
    measured = {"measurements": store.shards.names(), "accuracy": accuracy}
    store.write_description({**description, "networks": facts, **measured})


def known_cases(store: Store) -> dict[str, Looked]:
    """What an earlier run of this study found of its cases, by their stamps; what cannot be read is found again."""
    try:
        return {stamp: Looked.from_json(one) for stamp, one in store.surveyed().items()}
    except (TypeError, ValueError, AttributeError):
        return {}


def _require_classes(settings: StudySettings, cases: Cases) -> None:
    count, labels = len(cases.classes), np.unique(cases.labels)
    if count != len(settings.cases.classes):
        raise SettingsError(f"the cases have {count} classes, cases.classes names {len(settings.cases.classes)}")
    if len(labels) < 2 or labels[0] < 0 or labels[-1] >= count:
        raise SettingsError(
            f"the cases have the labels {', '.join(map(str, labels))}, expected at least two of 0 to {count - 1}"
        )
    if settings.estimators.direction == "paper" and count != 2:
        raise SettingsError(f"estimators.direction = 'paper' is defined for two classes, not {count}")


def _require_windows(settings: StudySettings, found: Survey) -> None:
    """Several windows are of a channel each; one may be that of all."""
    windows, channels = settings.cases.preprocessing.windows, found.shape[0]
    if len(windows) not in (1, channels):
        raise SettingsError(f"cases.window has {len(windows)} windows, a channel each, and the images have {channels}")


def _require_twins(settings: StudySettings, found: Survey) -> None:
    wanting = [one.name for one in settings.plan.estimators if "twin" in one.needs]
    fills = [settings.metrics.fill, *(settings.vary.fills if settings.vary else ())]
    fills = [one for fill in fills for one in (fill if isinstance(fill, tuple) else (fill,))]
    wanting += ["the fill 'twin'"] if "twin" in fills else []
    if wanting and not found.twins:
        raise SettingsError(
            f"{', '.join(wanting)}: no case of the study has a twin; simulated cases have one, and cases with "
            "cases.implant"
        )


def _require_anatomy(settings: StudySettings, found: Survey) -> None:
    wanting = [one.name for one in settings.plan.of_anatomy]
    if wanting and not found.structures:
        raise SettingsError(
            f"{', '.join(wanting)}: parts = 'anatomy', and no case of the study has structures; a manifest's column "
            "anatomy brings them"
        )


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


def accuracies(store: Store) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
    """Accuracy of the networks on the held-out cases, and of each fold's; cases that failed do not count."""
    parts = [block.filter(pc.equal(block["metric"], "correct")) for block in store.shards.blocks()]
    cases: pd.DataFrame = pa.concat_tables(parts).select(["label", "predicted", "fold"]).to_pandas()

    def of(chosen: pd.DataFrame) -> float:
        return balanced_accuracy(chosen["label"].to_numpy(), chosen["predicted"].to_numpy(dtype=np.int64))

    plain = float(np.mean(cases["label"] == cases["predicted"]))
    by_fold = {
        int(str(fold)): {"accuracy": of(chosen), "cases_held_out": len(chosen)}
        for fold, chosen in cases.groupby("fold")
    }
    return {"balanced": of(cases), "plain": plain}, by_fold


def describe(
    settings: StudySettings, found: Survey, classifier: Classifier | None, resources: Resources
) -> dict[str, Any]:
    """The content of ``study.json``; ``identity`` is the hash of all that decides the numbers."""
    content: dict[str, Any] = {
        "settings": content_of(settings),
        "cases": {
            "count": len(found.cases),
            "hash": found.hash,
            "shape": list(found.shape),
            "windowed": hasattr(found.cases.read, "preprocessing"),
            **({"places": found.places} if settings.plan.looks_at_places else {}),
        },
        "classifier": None if classifier is None else identity_of(classifier),
        "task": list(found.cases.classes),
        "numerics": NUMERICS,
    }
    states = dict(zip(*np.unique(found.masks, return_counts=True), strict=True))
    return {
        "identity": _hash(content),
        "content": content,
        "settings_hash": _hash(content["settings"]),
        "fingerprints": dict(zip(found.cases.names, found.cases.fingerprints, strict=True)),
        "masks": {str(state): int(count) for state, count in states.items()},
        "skipped": found.skipped,
        "notes": found.notes,
        "network_notes": network_notes(classifier),
        "estimators": [asdict(one) for one in _described(settings)],
        "metrics": [as_json(METRICS[name].declared(found.structures)) for name in settings.plan.metrics.names],
        **provenance(resources.device, resources.executor),
    }


def _described(settings: StudySettings) -> list[Described]:
    """The estimators of the study, its blind baselines, and the truth."""
    plan = settings.plan

    def described(one: Estimator, baseline: bool) -> Described:
        of_masks, truth = bool(getattr(one, "of_masks", False)), one is TRUTH
        blind = is_blind(one) and not truth
        group = "blind" if blind or truth else group_of(one)
        return Described(
            one.name, one.title, one.source, repr(one), blind, baseline, of_masks, truth, "twin" in one.needs, group
        )

    return [*(described(one, False) for one in plan.estimators), *(described(one, True) for one in plan.baselines)]


def _hash(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def order_of_showing(found: Survey, held_out: Sequence[int]) -> list[int]:
    """The held-out cases in the order in which they are worth showing: usable masks first, the classes in turn."""
    entries = found.cases.entries
    first = sorted(held_out, key=lambda index: (found.masks[index] != "usable", index))
    by_label = [
        [index for index in first if entries[index].label == label] for label in range(len(found.cases.classes))
    ]
    order = sorted((place, label) for label, members in enumerate(by_label) for place in range(len(members)))
    return [by_label[label][place] for place, label in order]
