"""Write the README's table of results from a study's folder: ``python benchmarks/readme_table.py RESULTS``."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tomolens.declarations import Output
from tomolens.findings import Findings
from tomolens.findings.measured import BOTH
from tomolens.findings.printing import confidence, in_sentence, number, title, values_of

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
    views = [view for name, view in findings.views.items() if name in set(values["view"]) and name in HEADINGS]
    rows = [
        [f"original / absolute (its {confidence(findings)})", *(HEADINGS[view.column] for view in views)],
        ["---"] * (1 + len(views)),
    ]
    best = values_of(findings, views[0])
    order = best["estimator"][best["form"].isin(["absolute", BOTH])]
    for estimator in dict.fromkeys([*order, *values["estimator"]]):
        own = values[values["estimator"] == estimator]
        rows.append([title(findings, estimator), *(_cell(view, own[own["view"] == view.column]) for view in views)])
    rows.append(["*the best blind baseline*", *(_blind(findings, view) for view in views)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(view: Output, own: pd.DataFrame) -> str:
    """``original / absolute (interval)``, or one number of a map that is its own absolute."""
    by_form = {row["form"]: row for _, row in own.iterrows()}
    shown = [BOTH] if BOTH in by_form else ["original", "absolute"]
    numbers = " / ".join(_printed(view, by_form[form]["value"]) if form in by_form else NOTHING for form in shown)
    last = by_form.get(shown[-1])
    if last is None or np.isnan(last["ci_low"]):
        return numbers
    return f"{numbers} ({_printed(view, last['ci_low'])} to {_printed(view, last['ci_high'])})"


def _blind(findings: Findings, view: Output) -> str:
    baselines = findings.tables["baselines"]
    rows = baselines if baselines.empty else baselines[(baselines["view"] == view.column) & baselines["value"].notna()]
    if rows.empty:
        return NOTHING
    best = rows.loc[(view.sign * rows["value"]).idxmax()]
    return f"{_printed(view, best['value'])} ({in_sentence(title(findings, best['baseline']))})"


def _printed(view: Output, value: float) -> str:
    return NOTHING if np.isnan(value) else number(view.factor * value, DIGITS[view.column])


if __name__ == "__main__":
    main()
