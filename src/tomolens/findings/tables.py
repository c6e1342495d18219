"""From measurements to the tables of the protocol, every number with its interval and the cases it rests on."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ..declarations import Chart, Declaration, Output
from .bootstrap import Grouped, Resampling, class_balanced_mean, class_means, grouped, interval
from .inference import Compared, rank_intervals
from .measured import Key, Measured, Values

MAP = ["estimator", "form"]
"""What a map is known by in tables."""
CLASS = "class_"
"""Begins the columns of the means of each class, by label."""


def means_table(
    measured: Measured, output: Output, resampling: Resampling, numbers: Values | None = None
) -> pd.DataFrame:
    """Mean of an output for each map over the cases in which it is defined, over the classes where it is balanced.

    One that is ``partial`` (`Measured.partial`) has a number and no rank. Where the mean is taken over the classes,
    that of each stands beside it, as ``class_0``, ``class_1``, ...

    Args:
        measured: the maps.
        output: a number.
        resampling: of the patients.
        numbers: ``(cases, maps)``, the study's own by default.
    """
    numbers = measured.numbers.get(output.name) if numbers is None else numbers
    if numbers is None:
        return pd.DataFrame()
    defined, partial = ~np.isnan(numbers), measured.partial(output, numbers)
    alike: dict[bytes, list[int]] = {}
    for which in range(len(measured.maps)):
        if defined[:, which].any():
            alike.setdefault(defined[:, which].tobytes(), []).append(which)
    rows = {}
    for maps in alike.values():  # nearly always all of them: the cases of one are those of every other
        cases = measured.cases[defined[:, maps[0]]]
        labels = cases["label"].to_numpy() if output.balanced else np.zeros(len(cases), dtype=np.int64)
        values = grouped(numbers[defined[:, maps[0]]][:, maps], labels, cases["patient"].tolist())
        columns = class_balanced_mean(values), *interval(values, resampling), class_means(values).T
        basis = {"cases": len(cases), "patients": cases["patient"].nunique()}
        of_class = [f"{CLASS}{label}" for label in np.unique(labels)] if output.balanced else []
        for which, value, low, high, means in zip(maps, *columns, strict=True):
            key = measured.maps[which]
            row = {**dict(zip(MAP, key, strict=True)), "value": value, "ci_low": low, "ci_high": high}
            row |= dict(zip(of_class, means, strict=False))
            rows[which] = row | basis | {"partial": key in partial}
    return pd.DataFrame([rows[which] for which in sorted(rows)])


def class_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold the means of each class, in the order of the labels."""
    return sorted((name for name in map(str, table.columns) if name.startswith(CLASS)), key=label_of)


def label_of(column: str) -> int:
    """The class whose means stand in a column.

    Example:
        >>> label_of("class_12")
        12
    """
    return int(column.removeprefix(CLASS))


def values_table(measured: Measured, views: Sequence[Output], resampling: Resampling) -> pd.DataFrame:
    """The one number of each map in each view with its interval: what ranks the maps."""
    return by_view({view.judges.name: means_table(measured, view, resampling) for view in views})


def by_view(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all views under one another, the view in the first column."""
    named = [table.assign(view=view) for view, table in tables.items() if not table.empty]
    if not named:
        return pd.DataFrame()
    joined = pd.concat(named, ignore_index=True)
    return joined[["view", *(name for name in joined.columns if name != "view")]]


def metric_table(measured: Measured, metric: Declaration, means: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each map: the metric's headline with its interval, its other numbers, and the areas of its mean curves.

    ``undefined`` counts the cases in which the headline was measured and has no value.
    """
    if not metric.numbers or means[metric.numbers[0].name].empty:
        return pd.DataFrame()
    headline, *others = metric.numbers
    table = means[headline.name].drop(columns="partial").rename(columns={"value": headline.column})
    for output in others:
        if not means[output.name].empty:
            names = {"value": "", "ci_low": "_ci_low", "ci_high": "_ci_high"}
            renamed = {name: f"{output.column}{end}" for name, end in names.items()}
            table = table.merge(means[output.name][[*MAP, *names]].rename(columns=renamed), on=MAP, how="left")
    balanced = {output.name: output.balanced for output in metric.outputs}
    for area in metric.areas:
        heights, widths = (_mean_curves(measured, name, balanced[name]) for name in (area.heights, area.widths))
        areas = [(*key, area.area(heights[key], widths[key])) for key in heights if key in widths]
        table = table.merge(pd.DataFrame(areas, columns=[*MAP, area.name]), on=MAP, how="left")
    undefined = (measured.measured[headline.name] & np.isnan(measured.numbers[headline.name])).sum(axis=0)
    count = dict(zip(measured.maps, undefined.tolist(), strict=True))
    return table.assign(undefined=[count[key] for key in keys_of(table)])


def keys_of(table: pd.DataFrame) -> list[Key]:
    """The map of each row."""
    return [] if table.empty else list(zip(table["estimator"], table["form"], strict=True))


def chart_table(
    measured: Measured, chart: Chart, outputs: Mapping[str, Output], resampling: Resampling
) -> pd.DataFrame:
    """The points of a chart's lines for each map, with the interval over patients where the curve has one.

    Where the mean is taken over the classes, that of each stands beside it, as in `means_table`.
    """
    across = _mean_curves(measured, chart.x, outputs[chart.x].balanced) if isinstance(chart.x, str) else {}
    frames = []
    for name in chart.lines:
        for key, (labels, curves) in _curves(measured, name, outputs[name].balanced).items():
            low, high = interval(curves, resampling)
            value = class_balanced_mean(curves)
            x = across.get(key) if isinstance(chart.x, str) else np.linspace(*chart.x, len(value))
            if x is not None:
                columns = {"line": name, "x": x, "value": value, "ci_low": low, "ci_high": high}
                means = class_means(curves)
                columns |= {f"{CLASS}{label}": mean for label, mean in zip(labels, means, strict=False)}
                frames.append(pd.DataFrame({**dict(zip(MAP, key, strict=True)), **columns}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def ranks_table(values: pd.DataFrame, views: Sequence[Output]) -> pd.DataFrame:
    """Rank of each map in each view; 1 is best, ties share the mean.

    The mean rank is over the views of the model and the expert.
    """
    table, compared = pd.DataFrame(columns=MAP), []
    for view in views:
        frame = values[values["view"] == view.judges.name] if len(values) else values
        if frame.empty:
            continue
        name = f"{view.judges.name}_rank"
        ranks = (view.sign * frame["value"]).where(~frame["partial"]).rank(ascending=False)
        own = frame[MAP].assign(**{name: ranks})
        table = own if table.empty else table.merge(own, on=MAP, how="outer", sort=False)
        compared += [name] if view.judges.compared else []
    return table.assign(mean_rank=table[compared].mean(axis=1)).sort_values("mean_rank", ignore_index=True)


def with_rank_intervals(ranks: pd.DataFrame, data: Mapping[str, Compared]) -> pd.DataFrame:
    """The ranks with the lowest and highest rank in each view that resampling the patients leaves possible."""
    for view, one in data.items():
        low, high = rank_intervals(one)
        ends = pd.DataFrame(one.maps, columns=MAP)
        ends = ends.assign(**{f"{view}_rank_low": low, f"{view}_rank_high": high})
        ranks = ranks.merge(ends, on=MAP, how="left")
    return ranks


def with_gains(table: pd.DataFrame, gains: pd.DataFrame, view: str) -> pd.DataFrame:
    """A metric's table with each map's gain over the best blind baseline, its interval, and whether it beats it."""
    chosen = gains if gains.empty else gains[gains["view"] == view]
    if table.empty or chosen.empty:
        return table
    names = {"gain": "gain", "ci_low": "gain_ci_low", "ci_high": "gain_ci_high", "beats": "beats_blind"}
    return table.merge(chosen[[*MAP, *names]].rename(columns=names), on=MAP, how="left")


def agreement(ranks: pd.DataFrame, views: Sequence[Output]) -> dict[str, float]:
    """Kendall's tau-b between the rankings by each two views: 1 the same order, 0 unrelated, -1 reversed."""
    taus = {}
    present = [view.judges for view in views if f"{view.judges.name}_rank" in ranks]
    for first, second in combinations(present, 2):
        both = ranks[[f"{first.name}_rank", f"{second.name}_rank"]].dropna()
        taus[f"{first.title} and {second.title}"] = (
            float(kendalltau(*both.to_numpy().T).statistic) if len(both) > 1 else float("nan")
        )
    return taus


def undefined_masks(measured: Measured) -> dict[str, list[str]]:
    """Names of the cases whose mask is empty or full, so that nothing can be measured against it."""
    cases = measured.cases
    return {state: cases["case"][cases["mask"] == state].tolist() for state in ("empty", "full")}


def _mean_curves(measured: Measured, name: str, balanced: bool) -> dict[Key, NDArray[np.float64]]:
    return {key: class_balanced_mean(curves) for key, (_, curves) in _curves(measured, name, balanced).items()}


def _curves(measured: Measured, name: str, balanced: bool) -> dict[Key, tuple[list[int], Grouped]]:
    """The curves of each map that has some, in the cases in which they are defined, and the classes of these.

    Where the mean is not taken over the classes there are none to tell.
    """
    if name not in measured.curves:
        return {}
    curves, found = measured.curves[name], {}
    for which, key in enumerate(measured.maps):
        there = curves.counts[which] > 0
        if there.any():
            groups = measured.groups.iloc[curves.groups[there]]
            labels = groups["label"].to_numpy() if balanced else np.zeros(len(groups), dtype=np.int64)
            patients, counts = groups["patient"].tolist(), curves.counts[which][there]
            present = np.unique(labels).tolist() if balanced else []
            found[key] = present, grouped(curves.sums[which][there], labels, patients, counts)
    return found
