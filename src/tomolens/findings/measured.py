"""Measurements of any number of cases, read block by block into what the findings need.

Values are kept for every case. Curves are added up over the cases of a patient and class, so that memory grows with
the patients and not with the cases; that is all that means and the resampling of patients need.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..study.rows import FAILED

Key = tuple[str, str]
"""Estimator and signs of a map."""
Values = NDArray[np.float64]
CASE = ["index", "case", "patient", "label", "predicted", "fold", "mask", "note"]


@dataclass(frozen=True, eq=False)
class Curves:
    """Sums of the curves of one metric, for each map.

    Attributes:
        sums: ``(maps, groups, points)`` over the cases of a group in which the curve is defined.
        counts: ``(maps, groups)`` of those cases.
    """

    sums: Values
    counts: Values


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that was measured.

    Attributes:
        cases: one row for each case that succeeded, see `CASE`; ``group`` is the number of its patient and class.
        failed: one row for each case that failed, its ``note`` says why.
        maps: in the order in which the study names them.
        groups: ``patient`` and ``label`` of each group.
        numbers: for each metric with one number, ``(cases, maps)``, NaN where it is not defined or not measured.
        curves: for each metric with a curve.
        measured: for each metric, ``(cases, maps)``: whether it was measured at all.
    """

    cases: pd.DataFrame
    failed: pd.DataFrame
    maps: tuple[Key, ...]
    groups: pd.DataFrame
    numbers: Mapping[str, Values]
    curves: Mapping[str, Curves]
    measured: Mapping[str, NDArray[np.bool_]]


@dataclass
class _Reading:
    """What is known while the blocks are read."""

    cases: list[pd.DataFrame] = field(default_factory=list)
    maps: dict[Key, int] = field(default_factory=dict)
    groups: dict[tuple[str, int], int] = field(default_factory=dict)
    numbers: dict[str, list[tuple[NDArray[np.intp], NDArray[np.intp], Values]]] = field(default_factory=dict)
    sums: dict[tuple[str, int], dict[int, Values]] = field(default_factory=dict)
    counts: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    seen: int = 0


def read_measured(blocks: Iterable[pa.Table]) -> Measured:
    """Read blocks of rows as `Shards.blocks` gives them, in the order of the cases."""
    reading = _Reading()
    for block in blocks:
        _read_block(reading, block)
    cases = pd.concat(reading.cases, ignore_index=True)
    failed = cases["failed"].to_numpy(dtype=bool)
    place = np.cumsum(~failed) - 1
    shape = int((~failed).sum()), len(reading.maps)
    values = {name: np.full(shape, np.nan) for name in reading.numbers}
    measured = {name: np.zeros(shape, dtype=bool) for name in reading.numbers}
    for name, parts in reading.numbers.items():
        for case, which, numbers in parts:
            values[name][place[case], which] = numbers
            measured[name][place[case], which] = True
    groups = pd.DataFrame(list(reading.groups), columns=["patient", "label"])
    return Measured(
        cases[~failed].drop(columns="failed").reset_index(drop=True),
        cases[failed].drop(columns="failed").reset_index(drop=True),
        tuple(reading.maps),
        groups,
        values,
        {name: _curves(reading, name, shape[1], len(groups)) for name in reading.points},
        measured,
    )


def _read_block(reading: _Reading, block: pa.Table) -> None:
    indices = block["index"].to_numpy()
    first = np.flatnonzero(np.diff(indices, prepend=-1))
    case_of_row = np.cumsum(np.diff(indices, prepend=-1) != 0) - 1
    cases = block.select(CASE).take(first).to_pandas()
    cases["failed"] = block["metric"].take(first).to_numpy(zero_copy_only=False) == FAILED
    cases["group"] = [
        -1 if failed else reading.groups.setdefault((patient, label), len(reading.groups))
        for patient, label, failed in zip(cases["patient"], cases["label"], cases["failed"], strict=True)
    ]
    groups = cases["group"].to_numpy()
    maps = _map_of_row(reading, block)
    metric_codes = block["metric"].combine_chunks().dictionary_encode()
    names, codes = metric_codes.dictionary.to_pylist(), metric_codes.indices.to_numpy(zero_copy_only=False)
    values = block["value"].to_numpy()
    curves = block["curve"].combine_chunks()
    flat = curves.flatten().to_numpy(zero_copy_only=False)
    offsets = curves.offsets.to_numpy() - curves.offsets[0].as_py()
    for code, name in enumerate(names):
        rows = np.flatnonzero((codes == code) & (maps >= 0))
        if not len(rows):
            continue
        points = int(offsets[rows[0] + 1] - offsets[rows[0]])
        if points == 0:
            part = (case_of_row[rows] + reading.seen, maps[rows], values[rows])
            reading.numbers.setdefault(name, []).append(part)
            continue
        reading.points[name] = points
        stacked = flat[offsets[rows][:, None] + np.arange(points)]
        _add(reading, name, maps[rows], groups[case_of_row[rows]], stacked)
    reading.cases.append(cases)
    reading.seen += len(cases)


def _map_of_row(reading: _Reading, block: pa.Table) -> NDArray[np.intp]:
    """The number of each row's map, -1 for rows of the network alone."""
    joined = pc.binary_join_element_wise(block["estimator"], block["signs"], "\x1f").combine_chunks()
    codes = joined.dictionary_encode()
    numbers = []
    for name in codes.dictionary.to_pylist():
        estimator, signs = name.split("\x1f")
        numbers.append(reading.maps.setdefault((estimator, signs), len(reading.maps)) if estimator else -1)
    every: NDArray[np.intp] = np.asarray(numbers, dtype=np.intp)[codes.indices.to_numpy(zero_copy_only=False)]
    return every


def _add(reading: _Reading, name: str, maps: NDArray[np.intp], groups: NDArray[np.intp], stacked: Values) -> None:
    defined = np.flatnonzero(~np.isnan(stacked).any(axis=1))
    if not len(defined):
        return
    count = len(reading.groups)
    key = maps[defined] * count + groups[defined]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    totals = np.add.reduceat(stacked[defined[order]], starts, axis=0)
    for place, total, members in zip(key[order][starts], totals, np.diff([*starts, len(order)]), strict=True):
        which, group = divmod(int(place), count)
        sums = reading.sums.setdefault((name, which), {})
        counts = reading.counts.setdefault((name, which), {})
        sums[group] = sums[group] + total if group in sums else total
        counts[group] = counts.get(group, 0) + int(members)


def _curves(reading: _Reading, name: str, maps: int, groups: int) -> Curves:
    sums, counts = np.zeros((maps, groups, reading.points[name])), np.zeros((maps, groups))
    for which in range(maps):
        for group, total in reading.sums.get((name, which), {}).items():
            sums[which, group] = total
            counts[which, group] = reading.counts[name, which][group]
    return Curves(sums, counts)
