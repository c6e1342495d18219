"""The section of a view: what it asks, its charts, how sure its ranking is, and its numbers."""

from collections.abc import Sequence

import pandas as pd

from ..declarations import Declaration, Output
from ..findings import Findings
from ..findings.measured import Key
from ..findings.printing import NOTHING, confidence, gains_of, interval_words, printed, title, values_of
from ..findings.tables import class_columns, keys_of
from . import rank_chart
from .classes import class_names, class_sentence, rest_sentence
from .curve_charts import IN_CLASSES
from .ranking import drawings
from .section import Section
from .table import NOT_ABOVE, NOT_TOLD, Table
from .trust import view_sentence

BY_CLASS = (
    "The same curves in each class, with the number that the class alone gives; its interval stands in the strata."
)
GAIN, RANK = "gain over the best blind baseline", "rank (possible)"


def view_section(findings: Findings, metric: Declaration, view: Output) -> Section:
    """What a view asks, whether it can judge maps, its charts and its numbers."""
    first = view == metric.numbers[0]
    charts = metric.charts if first else ()
    beside = [output for output in metric.numbers if first and not output.view and len(findings.means[output.name])]
    words = view.judges
    said = (view_sentence(findings, words.name), class_sentence(findings, view))
    rests = (rest_sentence(findings, chart) for chart in charts)
    return Section(
        words.heading or view.label,
        " ".join(filter(None, (words.text, *said, *rests))),
        _view_table(findings, view, beside),
        [*(charts_of(metric) if first else ()), *_ranks(findings, view)],
        view=words.name,
    )


def _ranks(findings: Findings, view: Output) -> list[tuple[str, str]]:
    there = view.column in findings.critical_differences
    return [(f"ranks-{view.column}", rank_chart.caption(findings, view))] if there else []


def charts_of(metric: Declaration) -> list[tuple[str, str]]:
    """Each chart, and where it is drawn for each class what that is."""
    balanced = {output.name: output.balanced for output in metric.outputs}
    found = []
    for chart in metric.charts:
        found.append((chart.name, chart.caption))
        found += [(f"{chart.name}{IN_CLASSES}", BY_CLASS)] if balanced[chart.lines[0]] else []
    return found


def _view_table(findings: Findings, view: Output, beside: Sequence[Output]) -> Table:
    """A row a map, best first, with its mean in each class; ``beside`` are the metric's other numbers."""
    gains, values = _gains(findings, view), values_of(findings, view)
    others = [dict(zip(keys_of(means := findings.means[one.name]), means["value"], strict=True)) for one in beside]
    rows, classes, ranks = [], class_columns(values), _ranked(findings, view)
    classes = classes if len(classes) > 1 else []  # of one class alone it would be the number again
    for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True):
        more = [printed(view, row[column]) for column in classes]
        more += [printed(one, found.get(key, float("nan"))) for one, found in zip(beside, others, strict=True)]
        shown = printed(view, row["value"]), interval_words(view, row), gains.get(key, NOTHING)
        rank = ranks.get(key, NOTHING)
        rows.append([title(findings, key[0]), key[1], *shown, *more, rank, row["cases"], row["patients"]])
    ends, of_class = confidence(findings), [class_names(findings, [column]) for column in classes]
    names = [*of_class, *(one.label for one in beside), RANK]
    lower = {view.label, ends, *of_class} if view.sign < 0 else set()
    drawn = drawings(findings, view)
    return Table(
        ["estimator", "map", view.label, ends, GAIN, *names, "cases", "patients"],
        rows,
        None if len({row[2] for row in rows}) == 1 < len(rows) else 0,  # all tied: none is best
        lower=lower | {RANK} | {one.label for one in beside if one.sign < 0},
        drawings=[drawn[key] for key in keys_of(values)],
        drawn_after=ends if len({row[3] for row in rows}) > 1 else view.label,
        drawn="dashed: the best blind map",
        kept={view.label},
    )


def _ranked(findings: Findings, view: Output) -> dict[Key, str]:
    """The rank of each map by its mean, with those that resampling the patients leaves possible."""
    table, name = findings.tables["ranks"], f"{view.column}_rank"
    found = {}
    for key, (_, row) in zip(keys_of(table), table.iterrows(), strict=True) if name in table else ():
        known = not pd.isna(row.get(f"{name}_low"))
        ends = f" ({row[f'{name}_low']:g} to {row[f'{name}_high']:g})" if known else ""
        if not pd.isna(row[name]):
            found[key] = f"{row[name]:g}{ends}"
    return found


def _gains(findings: Findings, view: Output) -> dict[Key, str]:
    """For each map its gain over the best blind baseline with the interval, and a mark where it is not sure."""
    words, gains = {}, gains_of(findings, view)
    for key, (_, row) in zip(keys_of(gains), gains.iterrows(), strict=True):
        ends = interval_words(view, row)
        told = f" {NOT_TOLD}" if pd.isna(row["p"]) else "" if row["beats"] else f" {NOT_ABOVE}"
        words[key] = f"{printed(view, row['gain'])}{'' if ends == NOTHING else f' ({ends})'}{told}"
    return words
