"""The three tables and the answer as text, for the terminal."""

import io

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ..findings import Findings
from ..findings.tables import own_share_rows
from ..metrics.metric import SIGNS
from .page import headline, warnings
from .style import number, title


def summary(findings: Findings, width: int = 100) -> str:
    """Fidelity, AUC and Dice of every estimator, original and absolute with intervals, then the answer in words."""
    views = (
        ("Fidelity F × 10 (the model's view)", findings.tables["fidelity"], "fidelity", 10.0, 2),
        ("AUC (the expert's view, by pixel)", findings.tables["roc"], "auc", 1.0, 3),
        ("Dice at the mask's share (by region)", own_share_rows(findings.tables["overlap"]), "dice", 1.0, 3),
    )
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for heading, table, column, factor, digits in views:
        if not table.empty:
            console.print(_table(heading, table, column, factor, digits))
    for sentence in (*headline(findings), *(f"Note: {warning}" for warning in warnings(findings))):
        console.print(sentence, highlight=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _table(heading: str, table: pd.DataFrame, column: str, factor: float, digits: int) -> Table:
    drawn = Table(title=heading, box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("estimator")
    for signs in SIGNS:
        drawn.add_column(signs, justify="right")
    cells = {
        (row["estimator"], row["signs"]): "{} [{}, {}]".format(
            *(number(factor * row[name], digits) for name in (column, "ci_low", "ci_high"))
        )
        for _, row in table.iterrows()
    }
    best = table.groupby("estimator", sort=False)[column].max().sort_values(ascending=False)
    for estimator in best.index:
        drawn.add_row(title(str(estimator)), *(cells.get((estimator, signs), "") for signs in SIGNS))
    return drawn
