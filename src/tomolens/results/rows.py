"""What becomes of a case, as rows: one for (case, estimator, form, metric), or one that says why it failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..cases import CaseEntry

FAILED = "failed"
"""Metric of the row of a case that could not be evaluated; its note says why."""
NOT_ASSESSED, REMARK = "not assessed", "remark"
"""Metrics of rows that are a note alone: why there is no number, and what must be said beside an estimator's."""
SAME = "same_as_original"
"""Whether a map is the same as its absolute values, 0 or 1; measured of the absolute one."""
CORRECT, CORRECT_WITHOUT_SHORTCUT, MASK_SHARE = "correct", "correct_without_marker", "mask_share"
TWIN_TURNS = "twin_turns"
"""Numbers of a case, not of a map: whether its prediction is right, also where a planted shortcut is taken away, the
share of the image in a usable mask, 0..1, and whether the network decides otherwise about its twin; 0 or 1."""
CALIBRATION = "calibration"
"""In place of a choice: the option names the implant that was put into the case to see which views can judge maps."""
NETWORK = "network"
"""In place of a choice: the option names the network of another training that was explained and measured."""

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
        ("form", pa.string()),
        ("metric", pa.string()),
        ("choice", pa.string()),
        ("option", pa.string()),
        ("value", pa.float64()),
        ("curve", pa.list_(pa.float64())),
        ("note", pa.string()),
    ]
)


@dataclass(frozen=True)
class Measurement:
    """One value or curve of one map of one case; estimator and form are empty where it is of the case alone.

    Attributes:
        estimator: whose map.
        form: ``original`` or ``absolute``.
        metric: the output that was measured; `NOT_ASSESSED` or `REMARK` where there is only a note.
        value: the number, where it is one.
        curve: the curve, where it is one.
        note: why there is no number, or what must be said beside the estimator's.
        choice: which choice was made otherwise than in the study; empty for the study's own numbers.
        option: how it was made.
    """

    estimator: str
    form: str
    metric: str
    value: float | None = None
    curve: tuple[float, ...] | None = None
    note: str = ""
    choice: str = ""
    option: str = ""


def rows_of_evaluation(
    index: int, entry: CaseEntry, fold: int, mask: str, predicted: int, measured: Sequence[Measurement], note: str
) -> pa.Table:
    """All measurements of a case; a note stands in each of its rows that has none of its own."""
    curves = [measurement.curve for measurement in measured]
    lengths = [0 if curve is None else len(curve) for curve in curves]
    flat = np.concatenate(
        [np.asarray(curve, dtype=np.float64) for curve in curves if curve is not None] or [np.empty(0)]
    )
    words = ("estimator", "form", "metric", "choice", "option")
    return _table(
        len(measured),
        (index, entry, predicted, fold, mask, note),
        {
            **{word: [getattr(measurement, word) for measurement in measured] for word in words},
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
    empty = {word: [""] for word in ("estimator", "form", "choice", "option")}
    return _table(
        1, (index, entry, None, fold, mask, reason), {**empty, "metric": [FAILED], "value": [None], "curve": [None]}
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
