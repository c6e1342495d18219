"""A table for each view and the answer as text, for the terminal."""

import io

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ..findings import Findings
from ..findings.views import VIEWS, View
from ..metrics.metric import SIGNS
from .answer import headline, printed, values_of, warnings
from .style import title


def summary(findings: Findings, width: int = 100) -> str:
    """Every estimator in every view, original and absolute with intervals, then the answer in words."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for view in VIEWS.values():
        values = values_of(findings, view)
        if not values.empty:
            console.print(_table(view, values))
    for sentence in (*headline(findings), *(f"Note: {warning}" for warning in warnings(findings))):
        console.print(sentence, highlight=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _table(view: View, values: pd.DataFrame) -> Table:
    drawn = Table(title=f"{view.label} ({view.judge})", box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("estimator")
    for signs in SIGNS:
        drawn.add_column(signs, justify="right")
    cells = {
        (row["estimator"], row["signs"]): "{} [{}, {}]".format(
            *(printed(view, row[name]) for name in ("value", "ci_low", "ci_high"))
        )
        for _, row in values.iterrows()
    }
    for estimator in values["estimator"].unique():
        drawn.add_row(title(estimator), *(cells.get((estimator, signs), "") for signs in SIGNS))
    return drawn
