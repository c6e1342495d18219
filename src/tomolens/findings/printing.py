"""How names and numbers are printed, the same in words, tables, charts and figures."""

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..declarations import BLURRED, FORMS, Output
from .measured import BOTH, Key
from .tables import keys_of

if TYPE_CHECKING:
    from .findings import Findings

NOTHING = "–"
"""Where there is no number."""
JUDGES = {
    "model": "the model's view",
    "expert": "the expert's view",
    "truth": "the truth of simulated CT",
    "shortcut": "the place of a planted shortcut",
}


def title(findings: "Findings", estimator: str) -> str:
    """An estimator's or baseline's name as it is printed."""
    return findings.description.titles.get(estimator, estimator)


def in_sentence(name: str) -> str:
    """A title within a sentence; one that begins with two capitals keeps them."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def map_title(findings: "Findings", estimator: str, form: str) -> str:
    """A map's name as it is printed; one that is its own absolute, or is measured once, needs no word on its form."""
    name = title(findings, estimator)
    if form == BOTH or estimator in findings.description.baselines:
        return name
    return f"{name}, {form}" if form == BLURRED else f"{name} ({form})"


def forms(form: str) -> tuple[str, ...]:
    """Which of `FORMS` a map stands for: one that is its own absolute stands for both."""
    return FORMS if form == BOTH else (form,)


def judged(view: Output) -> str:
    """Whose view it is, and by what."""
    return ", ".join(filter(None, (JUDGES[view.judges.judge], view.judges.by)))


def number(value: float, digits: int) -> str:
    """A number with fixed digits, halves away from zero; what rounds to zero has no sign.

    It is rounded from ten significant digits, so that sums of other order, equal but for the last bits, print the same.
    """
    if not math.isfinite(value):
        return str(value)
    rounded = Decimal(f"{value:.10g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded + 0:.{digits}f}" if rounded else f"{0:.{digits}f}"


def printed(output: Output, value: float) -> str:
    """A number of an output as it is printed in tables and charts; a dash where there is none."""
    return NOTHING if np.isnan(value) else number(output.factor * value, output.digits)


def interval_words(output: Output, row: pd.Series, joined: str = "{} to {}") -> str:
    """The interval in a row as it is printed; a dash where there are too few patients for one."""
    low, high = row["ci_low"], row["ci_high"]
    return NOTHING if np.isnan(low) else joined.format(printed(output, low), printed(output, high))


def confidence(findings: "Findings") -> str:
    """How intervals are called."""
    return f"{100 * findings.resampling.confidence:.0f} % CI"


def values_of(findings: "Findings", output: Output) -> pd.DataFrame:
    """The means of the estimators' maps, best first, those that are compared with no other last."""
    values = findings.means[output.name]
    if values.empty:
        return values
    order = values.assign(badness=-output.sign * values["value"]).sort_values(["partial", "badness"], kind="stable")
    return order.drop(columns="badness")


def gains_of(findings: "Findings", view: Output) -> pd.DataFrame:
    """The gains over the best blind baseline in a view."""
    gains = findings.tables["gains"]
    return gains if gains.empty else gains[gains["view"] == view.column]


def best_blind(findings: "Findings", view: Output) -> pd.Series | None:
    """The row of the blind baseline that maps must beat in a view; None where there is none to compare with.

    Where no map is compared with any it is the best of all.
    """
    table, gains = findings.tables["baselines"], gains_of(findings, view)
    rows = table[(table["view"] == view.column) & table["value"].notna()] if len(table) else table
    if len(rows) and len(gains):
        rows = rows[rows["baseline"] == gains["baseline"].iloc[0]]
    return rows.iloc[int((view.sign * rows["value"]).to_numpy().argmax())] if len(rows) else None


def not_above_blind(findings: "Findings", view: Output) -> set[Key]:
    """The maps that do not beat the best blind baseline in a view, as far as there are patients enough to tell."""
    gains = gains_of(findings, view)
    return set() if gains.empty else set(keys_of(gains[~gains["beats"].astype(bool) & gains["p"].notna()]))
