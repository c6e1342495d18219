"""The runner: cases and networks for a study file, then `evaluate` mapped over all held-out cases."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.identity import identity_of
from ..classifier.training import balanced_accuracy
from ..classifier.weights import weights_hash
from ..errors import NetworkError, SettingsError
from ..estimators.schedule import needs_references
from ..progress import Progress, silent
from .executors import Executor, local_executor, workers_for
from .kept_maps import KeptMaps
from .networks import Fitted, networks_of
from .provenance import provenance
from .ray_executor import ray_executor
from .references import draw_references, mean_mask_of, missing_baselines
from .settings import NOT_IN_THE_NUMBERS, StudySettings
from .sides import Side, sides_of
from .stopping import stop_when_asked
from .store import Store
from .survey import Survey, survey
from .viewed import write_viewed
from .work import Job
from .writer import Writer

STAGE = "explaining and evaluating"
NUMERICS = 2
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
        ways: to decisions that this run took for the network at work, and how often.
    """

    total: int
    done: int = 0
    failed: int = 0
    succeeded: int = 0
    ways: Counter[str] = field(default_factory=Counter)


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
        settings: the study file.
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
    found = survey(cases, progress, on_error=on_error, intensity=intensity)
    if classifier is not None:
        _require_as_many_classes(classifier, found.cases)
    sides = sides_of(settings, found.cases, everything_held_out=classifier is not None)
    _require_references(settings, sides)
    description = describe(settings, found, classifier, resources)
    store.open(description)
    description["missing_baselines"] = missing_baselines(settings, found, sides)
    wanted = sorted(int(index) for side in sides for index in side.held_out)
    finished = store.shards.finished()
    left = len(set(wanted) - finished)
    tally = Tally(len(wanted))
    shown = order_of_showing(found, wanted)
    facts = []
    with _executor(settings, resources, left) as execute:
        for side, fitted in networks_of(settings, found.cases, sides, store, classifier, resources.device, progress):
            pending = [int(index) for index in side.held_out if int(index) not in finished]
            tally.done += len(side.held_out) - len(pending)
            tally.ways.clear()
            if pending:
                job = job_of(settings, found, side, fitted, resources, shown, left)
                _evaluate_all(execute, job, pending, Writer(store.shards, wanted), store, tally, progress)
            facts.append(_facts(store, side, fitted, tally))
    progress(STAGE, tally.done, tally.total)
    measured = {"measurements": store.shards.names(), "accuracy": accuracy_of(store)}
    store.write_description({**description, "networks": facts, **measured})


def _require_classes(settings: StudySettings, cases: Cases) -> None:
    count, labels = len(cases.classes), np.unique(cases.labels)
    if count != len(settings.cases.classes):
        raise SettingsError(f"the cases have {count} classes, cases.classes names {len(settings.cases.classes)}")
    if len(labels) < 2 or labels[0] < 0 or labels[-1] >= count:
        raise SettingsError(
            f"the cases have the labels {', '.join(map(str, labels))}, expected at least two of 0 to {count - 1}"
        )


def _require_as_many_classes(classifier: Classifier, cases: Cases) -> None:
    """Refuse a network of other classes than the cases', by its scores of the first one."""
    try:
        found = classifier.predicted_scores(torch.from_numpy(cases[0].image)[None]).shape[1]
    except Exception:  # a network that breaks on a case is told of as every such case is, when its turn comes
        return
    if found != len(cases.classes):
        raise SettingsError(f"the network has {found} classes, cases.classes names {len(cases.classes)}")


def _require_references(settings: StudySettings, sides: Sequence[Side]) -> None:
    wanted = any(needs_references(estimator) for estimator in settings.plan.estimators)
    if wanted and any(len(side.training) == 0 for side in sides):
        raise SettingsError(
            "expected-gradients draws training images and the study has none: mark some cases as train in the "
            "manifest's split column, or leave this estimator out of estimators.names"
        )


def _executor(settings: StudySettings, resources: Resources, left: int) -> AbstractContextManager[Executor]:
    if resources.executor == "ray":
        needs = settings.resources
        return ray_executor(resources.address, resources.device, needs.cpus, needs.gpus)
    return local_executor(resources.workers or workers_for(left, resources.device))


def job_of(
    settings: StudySettings,
    found: Survey,
    side: Side,
    fitted: Fitted,
    resources: Resources,
    shown: Sequence[int],
    left: int,
) -> Job:
    """What is to be done with the held-out cases of one network, ``left`` of all networks."""
    plan = settings.plan
    decisions = left * plan.images
    quick = settings.precision == "auto" and "fidelity" in settings.metrics.names
    return Job(
        cases=found.cases,
        masks=found.masks,
        fold=side.fold,
        classifier=fitted.classifier,
        plan=plan,
        references=draw_references(found.cases, side.training, settings),
        mean_mask=mean_mask_of(found, side.training, settings),
        device=resources.device,
        decisions=decisions // (resources.workers or workers_for(left, resources.device)) if quick else 0,
        whole=frozenset(shown[: settings.examples]),
        viewed=frozenset(shown[: settings.viewed]),
        keep_maps=settings.keep_maps,
    )


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
                store.write_example(*outcome.example)
            if outcome.viewed:
                write_viewed(store.viewed_folder, outcome.index, outcome.viewed)
            if outcome.maps:
                kept = kept or _kept_maps(store, job)
                kept.write(outcome.index, outcome.maps)
            writer.add(outcome.rows, at_once=stopping())
            tally.done += 1
            if outcome.failure:
                tally.failed += 1
            else:
                tally.succeeded += 1
                tally.ways[outcome.decisions] += 1
            note = f"{name} failed: {outcome.failure}" if outcome.failure else outcome.note or name
            progress(STAGE, tally.done, tally.total, note)
            if not tally.succeeded and (tally.failed >= HOPELESS or tally.failed == tally.total):
                raise NetworkError(f"every one of {tally.failed} cases failed; case {name}: {outcome.failure}")
        if tally.done < tally.total:
            stopping.raise_if_asked()


def _kept_maps(store: Store, job: Job) -> KeptMaps:
    names = [estimator.name for estimator in job.plan.estimators]
    return KeptMaps.open(store.folder / "maps.zarr", job.cases.names, names, job.cases[0].image.shape)


def _facts(store: Store, side: Side, fitted: Fitted, tally: Tally) -> dict[str, Any]:
    """What is told of a network; the way to decisions is that of an earlier run where this one made none."""
    ways = ", ".join(sorted(tally.ways))
    if not ways:
        before = {network["fold"]: network for network in store.description().get("networks", [])}
        ways = before.get(side.fold, {}).get("decisions", "plain")
    network = weights_hash(fitted.classifier.network)
    return {**fitted.facts, "decisions": ways, "fold": side.fold, "weights": network}


def accuracy_of(store: Store) -> dict[str, float]:
    """Balanced and plain accuracy of the networks on the held-out cases; cases that failed do not count."""
    parts = [block.filter(pc.equal(block["metric"], "correct")) for block in store.shards.blocks()]
    cases: pd.DataFrame = pa.concat_tables(parts).select(["label", "predicted"]).to_pandas()
    labels, predicted = cases["label"].to_numpy(), cases["predicted"].to_numpy(dtype=np.int64)
    return {"balanced": balanced_accuracy(labels, predicted), "plain": float(np.mean(labels == predicted))}


def describe(
    settings: StudySettings, found: Survey, classifier: Classifier | None, resources: Resources
) -> dict[str, Any]:
    """The content of ``study.json``; ``identity`` is the hash of all that decides the numbers."""
    content: dict[str, Any] = {
        "settings": json.loads(settings.model_dump_json(exclude=NOT_IN_THE_NUMBERS)),
        "cases": {"count": len(found.cases), "hash": found.hash},
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
        **provenance(resources.device, resources.executor),
    }


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
