"""A table for each view and the answer as text, for the terminal."""

import io

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ..declarations import FORMS, Output
from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.printing import NOTHING, interval_words, judged, not_above_blind, printed, title, values_of
from ..findings.tables import keys_of
from .answer import headline, warnings


def summary(findings: Findings, width: int = 100) -> str:
    """Every estimator in every view, original and absolute with intervals, then the answer in words."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for view in findings.views.values():
        values = values_of(findings, view)
        if not values.empty:
            console.print(_table(findings, view, values))
    if not findings.tables["gains"].empty:
        console.print("† does not beat the best map that never looks at the network\n", highlight=False)
    for sentence in (*headline(findings), *(f"Note: {warning}" for warning in warnings(findings))):
        console.print(sentence, highlight=False, markup=False, emoji=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _table(findings: Findings, view: Output, values: pd.DataFrame) -> Table:
    marked = not_above_blind(findings, view)
    drawn = Table(title=f"{view.label} ({judged(view)})", box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("estimator")
    for form in FORMS:
        drawn.add_column(form, justify="right")
    cells: dict[tuple[str, str], str] = {}
    for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True):
        ends = interval_words(view, row, " [{}, {}]")
        cell = f"{printed(view, row['value'])}{'' if ends == NOTHING else ends}{' †' if key in marked else '  '}"
        cells[key] = cell
        if key[1] == BOTH:  # one map, shown where the eye looks for it
            cells[key[0], "original"], cells[key[0], "absolute"] = "the same  ", cell
    for estimator in values["estimator"].unique():
        drawn.add_row(title(findings, estimator), *(cells.get((estimator, form), "") for form in FORMS))
    return drawn
