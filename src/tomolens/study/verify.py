"""Recompute a random sample of a finished study's cases and compare every number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..cases import Cases
from ..classifier import Classifier
from ..classifier.weights import load_weights, read_weights, state_hash, weights_hash
from ..declarations import AUDIT
from ..errors import NetworkError, SettingsError
from ..progress import Progress, silent
from ..results.store import Store
from .describe import describe
from .folds import folds_of
from .networks import networks_of
from .runner import Resources, job_of
from .settings import StudySettings
from .survey import survey
from .work import Worker


@dataclass(frozen=True)
class Verification:
    """What recomputing gave.

    Attributes:
        checked: names of the cases that were computed again.
        differing: of them, those of which any number differs, with the largest difference (infinite where one is
            missing).
    """

    checked: tuple[str, ...]
    differing: dict[str, float]


def verify(
    settings: StudySettings,
    store: Store,
    cases: Cases,
    *,
    classifier: Classifier | None = None,
    count: int = 5,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
) -> Verification:
    """Evaluate ``count`` finished cases again, with the stored networks as they are and no quick backend.

    Args:
        settings: of the study, as stored.
        store: its folder; nothing is written.
        cases: of the study.
        classifier: that was given to the study, if one was.
        count: of cases.
        seed: which ones.
        device: where networks run.
        progress: told how far it is.

    Raises:
        SettingsError: cases or a network that are not the study's, measurements or weights that are missing or not
            those that were written, or a study that is not finished.
    """
    require_whole(store)
    present = store.description().raw
    if classifier is None and present["content"]["classifier"] is not None:
        raise SettingsError(f"{store.folder}: its network was given, and must be given again: --model network.toml")
    intensity = None if classifier is None else classifier.intensity
    found = survey(cases, progress, on_error="skip", intensity=intensity)
    resources = Resources(device, workers=1)
    if describe(settings, found, classifier, resources.device, resources.executor)["identity"] != present["identity"]:
        raise SettingsError(f"{store.folder}: these cases, or this network, are not those of the study")
    folds = folds_of(settings, found.cases, everything_held_out=classifier is not None)
    stored = _rows_of_sample(store, count, seed)
    checked: list[str] = []
    differing: dict[str, float] = {}
    for fold, fitted in networks_of(settings, found.cases, folds, store, classifier, device, progress):
        members = [int(index) for index in fold.held_out if int(index) in stored]
        if not members:
            continue
        worker = Worker.ready(job_of(settings, found, fold, fitted, resources, (), len(stored), quick=False))
        for index in members:
            name = found.cases.entries[index].name
            difference = largest_difference(stored[index], worker.evaluate(index).rows)
            checked.append(name)
            if difference != 0:
                differing[name] = difference
            progress("computing again", len(checked), len(stored), name)
    return Verification(tuple(checked), differing)


def require_whole(store: Store) -> None:
    """Compare measurements and weights with what ``study.json`` says of them.

    Raises:
        SettingsError: a file that is missing or damaged, or a study that is not finished.
    """
    present = store.description().raw
    if not {"networks", "measurements"} <= set(present):
        raise SettingsError(f"{store.folder}: the study is not finished; the same command that began it goes on")
    store.shards.require_whole(present["measurements"])
    for network in present["networks"]:
        _require_refined(store, network)
        if network["source"] == "given":
            continue
        file = store.weights_file(f"fold-{network['fold']}")
        if not file.exists():
            raise SettingsError(f"{file}: missing; without the network nothing can be computed again")
        try:
            found = weights_hash(load_weights(file)[0].network)
        except NetworkError as error:
            raise SettingsError(f"{file}: damaged ({error})") from error
        if found != network["weights"]:
            raise SettingsError(f"{file}: damaged (its weights are not those that the study was made with)")


def _require_refined(store: Store, network: Mapping[str, Any]) -> None:
    refining = network.get("refining")
    if not isinstance(refining, dict):
        return
    file = store.weights_file(f"fold-{network['fold']}-refined")
    if not file.exists():
        raise SettingsError(f"{file}: missing; without the refined network its metrics cannot be computed again")
    try:
        found = state_hash(read_weights(file)[0])
    except NetworkError as error:
        raise SettingsError(f"{file}: damaged ({error})") from error
    if found != refining["weights"]:
        raise SettingsError(f"{file}: damaged (its weights are not those that the study was made with)")


def largest_difference(one: pa.Table, other: pa.Table) -> float:
    """Largest difference of any number in the rows of a case; 0 only where all are equal, infinite where rows are.

    How decisions were made is no part of it.
    """
    one, other = (
        table.filter(pc.invert(pc.starts_with(table["metric"].cast(pa.string()), next(iter(AUDIT)))))
        for table in (one, other)
    )
    names = ["case", "label", "predicted", "estimator", "form", "metric", "choice", "option"]
    if one.select(names).to_pydict() != other.select(names).to_pydict():
        return float("inf")
    worst = 0.0
    for rows in (
        (one["value"].to_numpy(), other["value"].to_numpy()),
        tuple(table["curve"].combine_chunks().flatten().to_numpy(zero_copy_only=False) for table in (one, other)),
    ):
        first, second = rows
        if first.shape != second.shape or not np.array_equal(np.isnan(first), np.isnan(second)):
            return float("inf")
        worst = max(worst, float(np.nanmax(np.abs(first - second), initial=0.0)))
    return worst


def _rows_of_sample(store: Store, count: int, seed: int) -> dict[int, pa.Table]:
    finished = sorted(store.shards.finished())
    if not finished:
        raise SettingsError(f"{store.folder}: no finished case to compute again")
    chosen = set(np.random.default_rng(seed).permutation(finished)[:count].tolist())
    rows = {}
    for block in store.shards.blocks():
        for index in chosen & set(pc.unique(block["index"]).to_pylist()):
            rows[index] = block.filter(pc.equal(block["index"], index))
    return rows
