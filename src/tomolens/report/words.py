"""A table for each view and the answer as text, for the terminal."""

import io

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.views import VIEWS, View
from ..metrics.metric import SIGNS
from .answer import headline, not_above_blind, printed, values_of, warnings
from .style import title


def summary(findings: Findings, width: int = 100) -> str:
    """Every estimator in every view, original and absolute with intervals, then the answer in words."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for view in VIEWS.values():
        values = values_of(findings, view)
        if not values.empty:
            console.print(_table(findings, view, values))
    if not findings.tables["gains"].empty:
        console.print("† does not beat the best map that never looks at the network\n", highlight=False)
    for sentence in (*headline(findings), *(f"Note: {warning}" for warning in warnings(findings))):
        console.print(sentence, highlight=False, markup=False, emoji=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _table(findings: Findings, view: View, values: pd.DataFrame) -> Table:
    marked = not_above_blind(findings, view)
    drawn = Table(title=f"{view.label} ({view.judge})", box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("estimator")
    for signs in SIGNS:
        drawn.add_column(signs, justify="right")
    cells: dict[tuple[str, str], str] = {}
    for _, row in values.iterrows():
        key = (row["estimator"], row["signs"])
        ends = "" if np.isnan(row["ci_low"]) else f" [{printed(view, row['ci_low'])}, {printed(view, row['ci_high'])}]"
        cells[key] = f"{printed(view, row['value'])}{ends}{' †' if key in marked else '  '}"
        if row["signs"] == BOTH:  # one map, shown where the eye looks for it
            cells[row["estimator"], "original"], cells[row["estimator"], "absolute"] = "the same  ", cells.pop(key)
    for estimator in values["estimator"].unique():
        drawn.add_row(title(estimator), *(cells.get((estimator, signs), "") for signs in SIGNS))
    return drawn
