"""What becomes of a case, as rows: one for (case, estimator, signs, metric), or one that says why it failed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..cases import CaseEntry
from .evaluate import Evaluation

FAILED = "failed"
"""Metric of the row of a case that could not be evaluated; its note says why."""

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("case", pa.string()),
        ("patient", pa.string()),
        ("label", pa.int64()),
        ("predicted", pa.int64()),
        ("fold", pa.int64()),
        ("mask", pa.string()),
        ("estimator", pa.string()),
        ("signs", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("curve", pa.list_(pa.float64())),
        ("note", pa.string()),
    ]
)


def rows_of_evaluation(
    index: int, entry: CaseEntry, fold: int, mask: str, evaluation: Evaluation, note: str
) -> pa.Table:
    """All measurements of a case; a note stands in each of its rows that has none of its own."""
    measured = evaluation.measurements
    curves = [measurement.curve for measurement in measured]
    lengths = [0 if curve is None else len(curve) for curve in curves]
    flat = np.concatenate(
        [np.asarray(curve, dtype=np.float64) for curve in curves if curve is not None] or [np.empty(0)]
    )
    return _table(
        len(measured),
        (index, entry, evaluation.predicted, fold, mask, note),
        {
            "estimator": [measurement.estimator for measurement in measured],
            "signs": [measurement.signs for measurement in measured],
            "metric": [measurement.metric for measurement in measured],
            "note": [measurement.note or note for measurement in measured],
            "value": pa.array([measurement.value for measurement in measured], pa.float64()),
            "curve": pa.ListArray.from_arrays(
                np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
                pa.array(flat),
                mask=pa.array([curve is None for curve in curves]),
            ),
        },
    )


def rows_of_failure(index: int, entry: CaseEntry, fold: int, mask: str, reason: str) -> pa.Table:
    """The one row of a case that could not be evaluated."""
    return _table(
        1,
        (index, entry, None, fold, mask, reason),
        {"estimator": [""], "signs": [""], "metric": [FAILED], "value": [None], "curve": [None]},
    )


def _table(
    count: int, common: tuple[int, CaseEntry, int | None, int, str, str], columns: dict[str, Sequence[Any] | pa.Array]
) -> pa.Table:
    index, entry, predicted, fold, mask, note = common
    repeated = {
        "index": index,
        "case": entry.name,
        "patient": entry.patient,
        "label": entry.label,
        "predicted": predicted,
        "fold": fold,
        "mask": mask,
        "note": note,
    }
    every = {name: [value] * count for name, value in repeated.items()} | columns
    return pa.table([pa.array(every[field.name], field.type) for field in SCHEMA], schema=SCHEMA)
