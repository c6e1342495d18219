"""LaTeX tables ready for a paper: every map by every view, with intervals and what does not beat a blind baseline."""

from pathlib import Path

import pandas as pd

from ..findings import Findings
from ..findings.tables import own_share_rows
from . import style

ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
)
VIEWS = (("fidelity", "Fidelity $F \\times 10$", 10.0, 2), ("auc", "AUC", 1.0, 3), ("dice", "Dice", 1.0, 3))


def write_latex(findings: Findings, file: Path) -> None:
    """Write one booktabs table of all views; needs ``\\usepackage{booktabs}``."""
    file.write_text(latex_table(findings), encoding="utf-8")


def latex_table(findings: Findings) -> str:
    """The table: best of each view in bold, a dagger where the best blind baseline is not beaten."""
    tables = {
        "fidelity": findings.tables["fidelity"],
        "auc": findings.tables["roc"],
        "dice": own_share_rows(findings.tables["overlap"]),
    }
    columns = {}
    for view, heading, factor, digits in VIEWS:
        if not tables[view].empty:
            columns[heading] = _cells(findings, view, tables[view], factor, digits)
    keys = list(dict.fromkeys(key for cells in columns.values() for key in cells))
    body = [
        " & ".join(
            [
                style.title(name).translate(ESCAPED),
                signs,
                *(cells.get((name, signs), "--") for cells in columns.values()),
            ]
        )
        for name, signs in keys
    ]
    confidence = f"{100 * findings.settings.statistics.confidence:.0f}"
    patients = findings.measured.cases["patient"].nunique()
    caption = (
        f"{findings.settings.name.translate(ESCAPED)}: mean with {confidence}\\,\\% interval (BCa bootstrap over "
        f"patients; {len(findings.measured.cases)} cases of {patients} patients). \\textdagger: does not beat the best "
        "blind baseline."
    )
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{caption}}}",
        f"\\begin{{tabular}}{{ll{'r' * len(columns)}}}",
        "\\toprule",
        " & ".join(["Estimator", "Map", *columns]) + " \\\\",
        "\\midrule",
        *(f"{row} \\\\" for row in body),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cells(
    findings: Findings, view: str, table: pd.DataFrame, factor: float, digits: int
) -> dict[tuple[str, str], str]:
    gains = findings.tables["gains"]
    beaten = (
        set() if gains.empty else {(r.estimator, r.signs) for r in gains.itertuples() if r.view == view and r.beats}
    )
    judged = set() if gains.empty else {(r.estimator, r.signs) for r in gains.itertuples() if r.view == view}
    best, cells = table[view].max(), {}
    for _, row in table.iterrows():
        key = str(row["estimator"]), str(row["signs"])
        value, low, high = (style.number(factor * row[name], digits) for name in (view, "ci_low", "ci_high"))
        shown = f"\\textbf{{{value}}}" if row[view] == best else value
        mark = "\\textdagger" if key in judged and key not in beaten else ""
        cells[key] = f"{shown}{mark} [{low}, {high}]"
    return cells
