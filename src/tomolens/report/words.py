"""A table for each view and the answer as text, for the terminal."""

import io

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ..declarations import FORMS, Output
from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.printing import NOTHING, interval_words, judged, not_above_blind, number, printed, title, values_of
from ..findings.tables import class_columns, keys_of
from .answer import headline
from .classes import class_names
from .trust import CAN_JUDGE, card_columns, card_rows
from .warnings import warnings


def summary(findings: Findings, width: int = 100) -> str:
    """The verdict, every estimator in every view with intervals, the answer in words, and the verdict again."""
    console = Console(file=io.StringIO(), width=width, color_system=None)

    def say(*sentences: str) -> None:
        for sentence in sentences:
            console.print(sentence, highlight=False, markup=False, emoji=False)

    verdict = findings.verdict
    say(verdict.sentence, *verdict.reasons, *verdict.next_steps, "")
    if verdict.cards:
        console.print(_cards(findings))
    for view in findings.views.values():
        values = values_of(findings, view)
        if not values.empty:
            console.print(_table(findings, view, values))
    if not findings.tables["gains"].empty:
        console.print("† does not beat the best map that never looks at the network\n", highlight=False)
    say(*headline(findings), *(f"Note: {warning}" for warning in warnings(findings)), "", verdict.sentence)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _cards(findings: Findings) -> Table:
    drawn = Table(title="Trust cards", box=box.SIMPLE_HEAD, title_justify="left")
    rows = card_rows(findings)
    assessed = [any(row[place] != "not assessed" for row in rows) for place in range(len(card_columns()))]
    shown = [place for place, one in enumerate(assessed) if one]
    for place in shown:
        drawn.add_column(card_columns()[place])
    for row in rows:
        drawn.add_row(*(row[place] for place in shown))
    return drawn


def _table(findings: Findings, view: Output, values: pd.DataFrame) -> Table:
    marked = not_above_blind(findings, view)
    name, state = f"{view.label} ({judged(view)})", findings.can_judge[view.column]
    name += f": {CAN_JUDGE[state]}" if state in ("no", "cannot be told") else ""
    of_class = class_columns(values)
    name += f"\nthen in each class: {class_names(findings, of_class)}" if of_class else ""
    drawn = Table(title=name, box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("estimator")
    for form in FORMS:
        drawn.add_column(form, justify="right")
    cells: dict[tuple[str, str], str] = {}
    for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True):
        ends = interval_words(view, row, " [{}, {}]")
        short = [number(view.factor * row[column], max(0, view.digits - 1)) for column in of_class]
        classes = f" {'|'.join(short)}" if short else ""
        whole = f"{printed(view, row['value'])}{'' if ends == NOTHING else ends}"
        cell = f"{whole}{classes}{' †' if key in marked else '  '}"
        cells[key] = cell
        if key[1] == BOTH:  # one map, shown where the eye looks for it
            cells[key[0], "original"], cells[key[0], "absolute"] = "the same  ", cell
    for estimator in values["estimator"].unique():
        drawn.add_row(title(findings, estimator), *(cells.get((estimator, form), "") for form in FORMS))
    return drawn
