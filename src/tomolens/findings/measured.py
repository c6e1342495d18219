"""Measurements of any number of cases, read block by block into what the findings need.

Values are kept for every case. Curves are added up over the cases of a patient and class, so that memory grows with
the patients and not with the cases; that is all that means and the resampling of patients need.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..declarations import FORMS, Output
from ..results.description import Description
from ..results.rows import FAILED, NOT_ASSESSED, REMARK, SAME, SCHEMA

Key = tuple[str, str]
"""Estimator and form of a map."""
Option = tuple[str, str]
"""Which choice was made otherwise than in the study, and how."""
BOTH = "both"
"""Form of a map that is its own absolute in every case: one map, which is counted, ranked and tested once."""
Values = NDArray[np.float64]
MOST_MISSING = 0.05
"""Share of the cases that a map may lack and still be compared with the others, in the cases that all of them have."""
MOST_MISSING_TO_BEAT = 0.5
"""The same of a map that others must beat: to leave out a strong opponent would make beating easy."""
CASE = ["index", "case", "patient", "label", "predicted", "fold", "mask", "note"]


@dataclass(frozen=True, eq=False)
class Curves:
    """Sums of the curves of one output, for each map.

    Attributes:
        groups: ``(G,)``, numbers of the groups, see `Measured.groups`.
        sums: ``(maps, G, points)`` over the cases of a group in which the curve is defined.
        counts: ``(maps, G)`` of those cases.
    """

    groups: NDArray[np.intp]
    sums: Values
    counts: Values


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that was measured.

    Attributes:
        cases: one row for each case that succeeded, see `CASE`; ``group`` is the number of its patient and class.
        failed: one row for each case that failed, its ``note`` says why.
        maps: in the order in which the study names them.
        groups: ``patient`` and ``label`` of each group; patient "" stands for all patients, where a curve's mean is
            all that is wanted of it.
        numbers: for each output that is a number, ``(cases, maps)``, NaN where it is not defined or not measured.
        varied: the same under each option of the choices that were varied.
        curves: for each output that is a curve.
        measured: for each number, ``(cases, maps)``: whether it was measured at all.
        of_network: numbers of the cases that concern no map, ``(cases,)`` each, NaN where not measured; added up over
            the options.
        remarks: what was not assessed, or needs a word: ``case``, ``estimator`` (empty for a metric), ``kind``
            (`NOT_ASSESSED` or `REMARK`), ``choice``, ``option`` and ``note``.
    """

    cases: pd.DataFrame
    failed: pd.DataFrame
    maps: tuple[Key, ...]
    groups: pd.DataFrame
    numbers: Mapping[str, Values]
    varied: Mapping[Option, Mapping[str, Values]]
    curves: Mapping[str, Curves]
    measured: Mapping[str, NDArray[np.bool_]]
    of_network: Mapping[str, Values]
    remarks: pd.DataFrame

    def of_cases(self, chosen: NDArray[np.bool_]) -> "Measured":
        """The study's own numbers of some of the cases; curves are added up already and cannot be told apart."""
        return replace(
            self,
            cases=self.cases[chosen],
            numbers={name: numbers[chosen] for name, numbers in self.numbers.items()},
            varied={},
            curves={},
            measured={name: there[chosen] for name, there in self.measured.items()},
            of_network={name: numbers[chosen] for name, numbers in self.of_network.items()},
        )

    def partial(
        self, output: Output, numbers: Values | None = None, opponents: Collection[str] = ()
    ) -> tuple[Key, ...]:
        """The maps that lack this number in more than `MOST_MISSING` of the cases in which another map has it.

        Of ``opponents``, the names of maps that others must beat, those that lack it in more than
        `MOST_MISSING_TO_BEAT`.

        Where the mean is taken over the classes, also those that lack it in all cases of a class. Their means are of
        other cases than those of the other maps, with which they are therefore not compared. ``numbers`` are those
        under an option, by default the study's own, which say in which cases there could be any.
        """
        if output.name not in self.numbers:
            return ()
        there = ~np.isnan(self.numbers[output.name])
        anywhere = there.any(axis=1)
        there = there if numbers is None else ~np.isnan(numbers)
        if not anywhere.any():
            return ()
        most = np.array([MOST_MISSING_TO_BEAT if name in opponents else MOST_MISSING for name, _ in self.maps])
        lacking = there[anywhere].mean(axis=0) < 1 - most
        labels = self.cases["label"].to_numpy()
        for label in np.unique(labels[anywhere]) if output.balanced else ():
            lacking |= ~there[labels == label].any(axis=0)
        some = np.any(there, axis=0).tolist()
        return tuple(key for key, one, any_ in zip(self.maps, lacking.tolist(), some, strict=True) if one and any_)

    def only(self, maps: Collection[Key]) -> "Measured":
        """Some of the maps, in the same order."""
        chosen = [place for place, key in enumerate(self.maps) if key in maps]
        # Neighbours, as the estimators' maps are, stay views of the arrays.
        runs = chosen == list(range(chosen[0], chosen[-1] + 1)) if chosen else False
        places = slice(chosen[0], chosen[-1] + 1) if runs else chosen
        return replace(
            self,
            maps=tuple(self.maps[place] for place in chosen),
            numbers={name: numbers[:, places] for name, numbers in self.numbers.items()},
            varied={
                option: {name: numbers[:, places] for name, numbers in changed.items()}
                for option, changed in self.varied.items()
            },
            curves={
                name: Curves(curves.groups, curves.sums[places], curves.counts[places])
                for name, curves in self.curves.items()
            },
            measured={name: there[:, places] for name, there in self.measured.items()},
        )


@dataclass
class _Reading:
    """What is known while the blocks are read; the numbers by output, choice and option."""

    baselines: frozenset[str]
    by_patient: frozenset[str]
    cases: list[pd.DataFrame] = field(default_factory=list)
    maps: dict[Key, int] = field(default_factory=dict)
    groups: dict[tuple[str, int], int] = field(default_factory=dict)
    numbers: dict[tuple[str, ...], list[tuple[NDArray[np.int32], NDArray[np.int16], Values]]] = field(
        default_factory=dict
    )
    of_network: dict[str, list[tuple[NDArray[np.intp], Values]]] = field(default_factory=dict)
    sums: dict[tuple[str, int], dict[int, Values]] = field(default_factory=dict)
    counts: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    remarks: list[pd.DataFrame] = field(default_factory=list)


def read_measured(blocks: Iterable[pa.Table], description: Description) -> Measured:
    """Read blocks of rows as `Shards.blocks` gives them, in the order of the cases.

    Only curves that are to have intervals, of estimators, are kept by patient; of the others the mean is enough.
    """
    reading = _Reading(
        description.baselines,
        frozenset(name for name, output in description.outputs.items() if output.intervals),
    )
    for block in blocks:
        _read_block(reading, block)
    cases = pd.concat(reading.cases, ignore_index=True)
    failed = cases["failed"].to_numpy(dtype=bool)
    place = np.cumsum(~failed) - 1
    maps, column = _without_twins(reading)
    shape = int((~failed).sum()), len(maps)
    numbers: dict[str, Values] = {}
    varied: dict[Option, dict[str, Values]] = {}
    measured: dict[str, NDArray[np.bool_]] = {}
    for name, choice, option in list(reading.numbers):
        filled, there = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        for case, which, given in reading.numbers.pop((name, choice, option)):
            filled[place[case], column[which]] = given
            there[place[case], column[which]] = True
        if choice:
            varied.setdefault((choice, option), {})[name] = filled
        else:
            numbers[name], measured[name] = filled, there
    of_network = {name: _added_up(alone, place, shape[0]) for name, alone in reading.of_network.items()}
    return Measured(
        cases[~failed].drop(columns="failed").reset_index(drop=True),
        cases[failed].drop(columns="failed").reset_index(drop=True),
        maps,
        pd.DataFrame(list(reading.groups), columns=["patient", "label"]),
        numbers,
        varied,
        {name: _curves(reading, name, column) for name in reading.points},
        measured,
        of_network,
        pd.concat(reading.remarks, ignore_index=True),
    )


def _added_up(parts: Iterable[tuple[NDArray[np.intp], Values]], place: NDArray[np.intp], count: int) -> Values:
    """A number of each case, added up over the metrics and options that tell it; NaN where none does."""
    total, told = np.zeros(count), np.zeros(count, dtype=bool)
    for members, single in parts:
        np.add.at(total, place[members], single)
        told[place[members]] = True
    return np.where(told, total, np.nan)


def _read_block(reading: _Reading, block: pa.Table) -> None:
    words = pc.is_in(block["metric"], pa.array([NOT_ASSESSED, REMARK]))
    remarks = block.filter(words).select(["case", "estimator", "metric", "choice", "option", "note"]).to_pandas()
    reading.remarks.append(remarks.rename(columns={"metric": "kind"}).astype(object))
    block = block.filter(pc.invert(words))
    indices = block["index"].to_numpy()
    first = np.flatnonzero(np.diff(indices, prepend=-1))
    case_of_row = np.cumsum(np.diff(indices, prepend=-1) != 0) - 1
    names, codes = _words(block, "metric", "choice", "option")
    cases = block.select(CASE).take(first).cast(pa.schema([SCHEMA.field(name) for name in CASE])).to_pandas()
    cases["failed"] = np.isin(codes[first], [code for code, (name, *_) in enumerate(names) if name == FAILED])
    cases["group"] = [
        -1 if failed else reading.groups.setdefault((patient, label), len(reading.groups))
        for patient, label, failed in zip(cases["patient"], cases["label"], cases["failed"], strict=True)
    ]
    groups = cases["group"].to_numpy()
    everyone = np.array([reading.groups.setdefault(("", label), len(reading.groups)) for label in cases["label"]])
    maps = _map_of_row(reading, block)
    baseline = np.array([estimator in reading.baselines for estimator, _ in reading.maps], dtype=bool)
    values = block["value"].to_numpy()
    curves = block["curve"].combine_chunks()
    flat = curves.flatten().to_numpy(zero_copy_only=False)
    offsets = curves.offsets.to_numpy() - curves.offsets[0].as_py()
    for code, (name, choice, option) in enumerate(names):
        alone = np.flatnonzero((codes == code) & (maps < 0))
        if len(alone) and name != FAILED:
            reading.of_network.setdefault(name, []).append((case_of_row[alone] + reading.seen, values[alone]))
        rows = np.flatnonzero((codes == code) & (maps >= 0))
        if not len(rows):
            continue
        points = int(offsets[rows[0] + 1] - offsets[rows[0]])
        if points == 0:
            part = ((case_of_row[rows] + reading.seen).astype(np.int32), maps[rows].astype(np.int16), values[rows])
            reading.numbers.setdefault((name, choice, option), []).append(part)
        elif not choice:  # curves are drawn of the study itself alone
            reading.points[name] = points
            stacked = flat[offsets[rows][:, None] + np.arange(points)]
            by_patient = ~baseline[maps[rows]] & (name in reading.by_patient)
            chosen = np.where(by_patient, groups[case_of_row[rows]], everyone[case_of_row[rows]])
            _add(reading, name, maps[rows], chosen, stacked)
    reading.cases.append(cases)
    reading.seen += len(cases)


def _map_of_row(reading: _Reading, block: pa.Table) -> NDArray[np.intp]:
    """The number of each row's map, -1 for rows of the network alone."""
    keys, codes = _words(block, "estimator", "form")
    numbers = [reading.maps.setdefault((name, form), len(reading.maps)) if name else -1 for name, form in keys]
    return np.array(numbers, dtype=np.intp)[codes]


def _words(block: pa.Table, *columns: str) -> tuple[list[tuple[str, ...]], NDArray[np.intp]]:
    """The different words of some columns together, by first appearance, and the number of each row's."""
    codes, parts = np.zeros(len(block), dtype=np.intp), []
    for name in columns:
        column = block[name] if pa.types.is_dictionary(block[name].type) else block[name].dictionary_encode()
        whole = column.unify_dictionaries().combine_chunks()
        own = whole.indices.to_numpy(zero_copy_only=False).astype(np.intp)
        parts.append((whole.dictionary.to_pylist(), own))
        codes = codes * len(parts[-1][0]) + own
    _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    return [tuple(words[own[row]] for words, own in parts) for row in first[order]], place[numbers]


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


def _without_twins(reading: _Reading) -> tuple[tuple[Key, ...], NDArray[np.intp]]:
    """The maps without the absolute ones that are the same in every case, and the new number of each old one."""
    parts = reading.numbers.pop((SAME, "", ""), [])
    told = {int(which) for _, maps, _ in parts for which in np.unique(maps)}
    differing = {int(which) for _, maps, same in parts for which in np.unique(maps[same != 1])}
    twins = {key[0] for key, which in reading.maps.items() if which in told - differing}
    kept: dict[Key, int] = {}
    column = np.empty(len(reading.maps), dtype=np.intp)
    for (estimator, form), which in reading.maps.items():
        key = (estimator, BOTH if estimator in twins and form in FORMS else form)
        column[which] = kept.setdefault(key, len(kept))
    return tuple(kept), column


def _curves(reading: _Reading, name: str, column: NDArray[np.intp]) -> Curves:
    """The curves of one output; of two maps that are one the curves are the same, and either's serve."""
    present = sorted({group for which in range(len(column)) for group in reading.counts.get((name, which), {})})
    place = {group: number for number, group in enumerate(present)}
    shape = (int(column.max(initial=-1)) + 1, len(present))
    sums, counts = np.zeros((*shape, reading.points[name])), np.zeros(shape)
    for which, new in enumerate(column):
        for group, total in reading.sums.pop((name, which), {}).items():
            sums[new, place[group]] = total
            counts[new, place[group]] = reading.counts[name, which][group]
    return Curves(np.array(present, dtype=np.intp), sums, counts)
