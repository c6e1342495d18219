"""Chart of the choices that matter: the rank of each estimator under every option, a panel a view."""

from collections.abc import Iterator, Mapping

import pandas as pd
from markupsafe import Markup

from ..findings import Findings
from ..findings.choices import OF_ORIGINAL, OWN
from ..findings.printing import title
from .drawn import Drawn, Panel
from .svg import Scale, element

WIDE, NAMES, TOP, ROW = 460, 190, 22, 22
"""Of a panel: its width, the room for names, the height above the first row and of a row."""
SIGNS = ("▲", "■", "◆", "▼", "✚", "✖", "★")
"""Of the choices, in turn; the inks go round with them."""
APART = 0.3
"""Share of a row over which the marks of several choices are spread, so that none hides another."""


def choices_chart(findings: Findings) -> Drawn | None:
    """None where nothing was varied."""
    table = findings.tables["choices"]
    if table.empty:
        return None
    table = table[(table["choice"] != OF_ORIGINAL) & table["rank"].notna()]  # the former are ranked among other maps
    choices = [str(choice) for choice in table["choice"].unique() if choice != OWN]
    signs = {choice: (SIGNS[at % len(SIGNS)], f"ink-{1 + at % len(SIGNS)}") for at, choice in enumerate(choices)}
    panels = [
        _panel(findings, view.judges.title, rows, signs)
        for view in findings.views.values()
        if len(rows := table[table["view"] == view.column])
    ]
    legend = [("sign ink-0", "●", OWN), *((f"sign {ink}", sign, name) for name, (sign, ink) in signs.items())]
    return Drawn("choices", panels, "rank", "", legend)


def _panel(findings: Findings, heading: str, rows: pd.DataFrame, signs: Mapping[str, tuple[str, str]]) -> Panel:
    own = rows[rows["choice"] == OWN].sort_values("rank")
    names, count = [str(name) for name in own["estimator"]], len(own)
    x = Scale(1.0, float(max(2, rows["rank"].max())), NAMES + 14, WIDE - 14)
    high = TOP + ROW * count
    drawn, says = list(_ticks(x, high)), []
    for place, name in enumerate(names):
        of_map = rows[rows["estimator"] == name]
        middle, rank = TOP + (place + 0.5) * ROW, float(of_map[of_map["choice"] == OWN]["rank"].iloc[0])
        ends = x(of_map["rank"].min()), x(of_map["rank"].max())
        others = of_map[of_map["choice"] != OWN]
        told = ", ".join(f"{row.choice} {row.option} {row.rank:g}" for row in others.itertuples())
        words = f"{title(findings, name)}: rank {rank:g}{f'; {told}' if told else ''}"
        parts = [
            element("title", words),
            element("text", title(findings, name), x=NAMES - 6, y=middle + 4, class_="name end"),
            element("line", x1=ends[0], x2=ends[1], y1=middle, y2=middle, class_="reach"),
            *_marks(others, signs, x, middle),
            element("circle", cx=x(rank), cy=middle, r=4.6, class_="own"),
        ]
        drawn.append(element("g", *parts, class_="point ink-0", data_map=f"{name}/both", data_estimator=name))
        says.append(
            f"{title(findings, name)} {rank:g}, over all options {of_map['rank'].min():g} to {of_map['rank'].max():g}"
        )
    box = f"0 0 {WIDE} {high}"
    picture = element("svg", *drawn, viewBox=box, class_="panel-drawing", aria_hidden="true")
    return Panel(f"rank by {heading}", "; ".join(says), picture)


def _marks(others: pd.DataFrame, signs: Mapping[str, tuple[str, str]], x: Scale, middle: float) -> Iterator[Markup]:
    order = list(signs)
    for row in others.itertuples():
        sign, ink = signs[str(row.choice)]
        shift = APART * ROW * (order.index(str(row.choice)) / max(1, len(order) - 1) - 0.5)
        yield element("text", sign, x=x(float(str(row.rank))), y=round(middle + 3.5 + shift, 1), class_=f"sign {ink}")


def _ticks(x: Scale, high: float) -> Iterator[Markup]:
    for tick in x.ticks(8):
        if tick == int(tick):
            yield element("line", x1=x(tick), x2=x(tick), y1=TOP - 6, y2=high, class_="grid")
            yield element("text", f"{tick:g}", x=x(tick), y=TOP - 10, class_="tick middle")
