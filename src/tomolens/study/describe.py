"""What ``study.json`` says of a study: its content and identity, where it was made, and how right its networks are."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..classifier import Classifier
from ..classifier.identity import identity_of
from ..classifier.training import balanced_accuracy
from ..estimators.baselines import TRUTH
from ..estimators.estimator import Estimator, is_blind
from ..estimators.registry import group_of
from ..metrics.registry import METRICS
from ..results.description import Described, as_json
from ..results.store import Store
from .content import content_of
from .given_network import network_notes
from .provenance import provenance
from .settings import StudySettings
from .survey import Survey

NUMERICS = 6
"""Raised by one whenever a number of a study may come out otherwise than before: older results are not gone on with."""


def describe(
    settings: StudySettings, found: Survey, classifier: Classifier | None, device: str, executor: str
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
        **provenance(device, executor),
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


def day_of(store: Store, measured: int) -> dict[str, str]:
    """The day, in UTC, on which the last case was measured, where it is known; ``measured`` cases were in this run."""
    before = store.description().raw.get("measured_on")
    day = datetime.now(UTC).date().isoformat() if measured else before
    return {"measured_on": day} if isinstance(day, str) else {}


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
