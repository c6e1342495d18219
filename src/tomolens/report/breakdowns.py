"""Where the maps lie: a bar for each map, in the parts of the image, below the bar that an even map has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from ..declarations import OTHER_STRUCTURES, Breakdown
from ..findings import Findings
from ..findings.measured import Key
from ..findings.printing import NOTHING, map_title, title, values_of
from ..findings.tables import MAP, keys_of
from . import style

MOST_PARTS, MOST_MAPS = 7, 24
"""Parts that are shown by name, beside what is left of the image; and bars of maps."""
EVEN = "an even map"
"""What has in each part the part's share of the image."""
ACROSS, TICKS = "negative ← share (%) → positive", [-100, -50, 0, 50, 100]


@dataclass(frozen=True)
class Bar:
    """One sign of a map.

    Attributes:
        key: the map; None of an even one.
        sign: ``positive`` or ``negative``.
        shares: of each part that is shown.
        areas: the parts' own shares of the image.
    """

    key: Key | None
    sign: str
    shares: Mapping[str, float]
    areas: Mapping[str, float]

    def words(self, part: str) -> str:
        """Its share of a part, and how many times an even map's that is."""
        share, area = self.shares[part], self.areas[part]
        if self.key is None:
            return f"{100 * share:.1f} %"
        return f"{100 * share:.1f} % ({share / area:.1f} ×)" if area > 0 else NOTHING


@dataclass(frozen=True)
class Shown:
    """A breakdown as it is drawn.

    Attributes:
        parts: with their colours.
        even: bar of an even map.
        bars: of the maps, best by the first view first, positive before negative values.
    """

    parts: Mapping[str, str]
    even: Bar
    bars: Sequence[Bar]

    @property
    def keys(self) -> list[Key]:
        """The maps, in order."""
        return list(dict.fromkeys(bar.key for bar in self.bars if bar.key is not None))


def breakdowns(findings: Findings) -> list[Breakdown]:
    """Those for which there are measurements."""
    told = [metric.breakdown for metric in findings.description.metrics if metric.breakdown is not None]
    return [one for one in told if len(findings.tables[one.name])]


def shown(findings: Findings, breakdown: Breakdown) -> Shown:
    """The bars of a breakdown, its parts with the least of any map joined where there are too many."""
    table = findings.tables[breakdown.name]
    joined = _joined(table, breakdown)
    table = table.assign(part=table["part"].map(joined))
    parts = list(dict.fromkeys(joined.values()))
    bars = {
        ((str(name), str(form)), str(sign)): _bar((str(name), str(form)), str(sign), frame)
        for (name, form, sign), frame in table.groupby([*MAP, "sign"], sort=False)
    }
    signs = [side.name for side in breakdown.sides]
    ordered = [bars[key, sign] for key in _in_order(findings, table) for sign in signs if (key, sign) in bars]
    most = table[table["cases"] == table["cases"].max()]
    first = _bar(("", ""), "", next(frame for _, frame in most.groupby([*MAP, "sign"], sort=False)))
    left = len(parts) - breakdown.rest
    colours = [*style.PALETTE[1 : left + 1], *style.RESTS[-breakdown.rest :]]
    return Shown(dict(zip(parts, colours, strict=True)), Bar(None, "", first.areas, first.areas), ordered)


def _joined(table: pd.DataFrame, breakdown: Breakdown) -> dict[str, str]:
    """What each part is drawn as: itself, or one of the others where it has least of any map."""
    named, rest = breakdown.parts[: -breakdown.rest], breakdown.parts[-breakdown.rest :]
    if len(named) <= MOST_PARTS:
        return dict(zip(breakdown.parts, breakdown.parts, strict=True))
    largest = table.groupby("part")["share"].max()
    kept = sorted(named, key=lambda part: -float(largest[part]))[: MOST_PARTS - 1]
    order = [part for part in named if part in kept] + [part for part in named if part not in kept]
    return {part: part if part in kept else OTHER_STRUCTURES for part in order} | dict(zip(rest, rest, strict=True))


def _bar(key: Key, sign: str, frame: pd.DataFrame) -> Bar:
    sums = frame.groupby("part", sort=False)[["share", "area"]].sum()
    shares, areas = (dict(zip(map(str, sums.index), sums[name].tolist(), strict=True)) for name in ("share", "area"))
    return Bar(key, sign, shares, areas)


def _in_order(findings: Findings, table: pd.DataFrame) -> list[Key]:
    """The maps of a table, the best by the first view first."""
    there, best = list(dict.fromkeys(keys_of(table))), []
    for view in list(findings.views.values())[:1]:
        best = [key for key in keys_of(values_of(findings, view)) if key in there]
    return [*best, *(key for key in there if key not in best)]


def rows(findings: Findings, breakdown: Breakdown) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the page's table: an even map, then every map, both signs."""
    found = shown(findings, breakdown)
    columns = ["estimator", "map", "values", *found.parts]
    made = [[EVEN, NOTHING, NOTHING, *map(found.even.words, found.parts)]]
    for bar in found.bars:
        assert bar.key is not None
        made.append([title(findings, bar.key[0]), bar.key[1], bar.sign, *map(bar.words, found.parts)])
    return columns, made


def caption(findings: Findings, breakdown: Breakdown) -> str:
    """Below the figure."""
    found = shown(findings, breakdown)
    cut = f" The first {MOST_MAPS} of {len(found.keys)} maps." if len(found.keys) > MOST_MAPS else ""
    return (
        f"{breakdown.heading}: shares of the positive values to the right, of the negative ones to the left, beside "
        f"those of an even map. Intervals are in tables/{breakdown.name}.csv.{cut}"
    )


def lines_of(findings: Findings, found: Shown) -> list[tuple[str, list[Bar]]]:
    """A label and its bars for each line of the figure, from above."""
    named = [(map_title(findings, *key), [bar for bar in found.bars if bar.key == key]) for key in found.keys]
    return [(EVEN, [found.even]), *named[:MOST_MAPS]]


def across(bar: Bar, part: str) -> float:
    """How far a part reaches, in %: negative values to the left."""
    return float(f"{(-100 if bar.sign == 'negative' else 100) * bar.shares[part]:.5g}")


def breakdown_figure(findings: Findings, breakdown: Breakdown) -> Figure:
    """The same bars for a paper."""
    found = shown(findings, breakdown)
    lines = lines_of(findings, found)
    figure = style.figure(9.5, 1.9 + 0.24 * len(lines))
    axes = figure.subplots()
    style.tidy(axes)
    for place, bars in enumerate(bars for _, bars in lines):
        for bar in bars:
            for part, start, length in _stacked(bar, found.parts):
                label = part if place == 0 else None
                colour = found.parts[part]
                axes.barh(place, length, left=start, color=colour, height=0.75, label=label, linewidth=0)
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(lines)), [label for label, _ in lines], fontsize=style.SMALL)
    axes.invert_yaxis()
    axes.set_xticks(TICKS, [str(abs(tick)) for tick in TICKS])
    axes.set_xlabel(ACROSS)
    style.legend(figure, [axes], "upper", 4)
    return figure


def _stacked(bar: Bar, parts: Mapping[str, str]) -> Iterator[tuple[str, float, float]]:
    """Where the piece of each part begins, and how long it is."""
    start = 0.0
    for part in parts:
        length = across(bar, part)
        yield part, start, length
        start += length
