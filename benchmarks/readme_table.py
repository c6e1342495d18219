"""Write the README's table of results from a study's folder: ``python benchmarks/readme_table.py RESULTS``."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tomolens.findings import Findings
from tomolens.findings.measured import BOTH
from tomolens.findings.views import VIEWS, View
from tomolens.report.style import number, title

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results: begin (benchmarks/readme_table.py) -->", "<!-- results: end -->"
HEADINGS = {"fidelity": "fidelity F × 10", "auc": "AUC", "dice": "Dice", "evidence": "AUC against the truth"}
DIGITS = {"fidelity": 1, "auc": 2, "dice": 2, "evidence": 2}
"""Fewer than in the report: a table to be read at a glance."""
NOTHING = "–"


def main(arguments: list[str] | None = None) -> None:
    """Replace the table between the two markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of a finished study")
    parser.add_argument("--readme", type=Path, default=README, help="file to change")
    given = parser.parse_args(arguments)
    text = given.readme.read_text(encoding="utf-8")
    table = results_table(Findings.from_folder(given.results))
    given.readme.write_text(replaced(text, table), encoding="utf-8")
    print(table)


def replaced(text: str, table: str) -> str:
    """The text with another table between its markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"the README needs one line {BEGIN!r} and, after it, one line {END!r}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def results_table(findings: Findings) -> str:
    """Markdown: a row for each estimator, the best by fidelity first, and the best blind baseline."""
    values = findings.view_values
    views = [view for name, view in VIEWS.items() if name in set(values["view"])]
    confidence = f"{100 * findings.settings.statistics.confidence:.0f}"
    rows = [
        [f"original / absolute (its {confidence} % CI)", *(HEADINGS[view.name] for view in views)],
        ["---"] * (1 + len(views)),
    ]
    absolute = values[values["signs"].isin(["absolute", BOTH])]
    order = absolute[absolute["view"] == views[0].name].sort_values("value", ascending=False, kind="stable")
    for estimator in dict.fromkeys([*order["estimator"], *values["estimator"]]):
        own = values[values["estimator"] == estimator]
        rows.append([title(estimator), *(_cell(view, own[own["view"] == view.name]) for view in views)])
    rows.append(["*the best blind baseline*", *(_blind(view, findings.tables["baselines"]) for view in views)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(view: View, own: pd.DataFrame) -> str:
    """``original / absolute (interval)``, or one number of a map that is its own absolute."""
    by_signs = {row["signs"]: row for _, row in own.iterrows()}
    shown = [BOTH] if BOTH in by_signs else ["original", "absolute"]
    numbers = " / ".join(_printed(view, by_signs[signs]["value"]) if signs in by_signs else NOTHING for signs in shown)
    last = by_signs.get(shown[-1])
    if last is None or np.isnan(last["ci_low"]):
        return numbers
    return f"{numbers} ({_printed(view, last['ci_low'])} to {_printed(view, last['ci_high'])})"


def _blind(view: View, baselines: pd.DataFrame) -> str:
    if baselines.empty:
        return NOTHING
    rows = baselines[(baselines["view"] == view.name) & baselines["value"].notna()]
    if rows.empty:
        return NOTHING
    best = rows.loc[rows["value"].idxmax()]
    return f"{_printed(view, best['value'])} ({title(best['baseline']).lower()})"


def _printed(view: View, value: float) -> str:
    return NOTHING if np.isnan(value) else number(view.factor * value, DIGITS[view.name])


if __name__ == "__main__":
    main()
