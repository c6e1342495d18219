"""LaTeX tables ready for a paper: every map by every view, with intervals and what does not beat a blind baseline."""

from pathlib import Path

from ..findings import Findings
from ..findings.views import VIEWS, View
from . import style
from .answer import NOTHING, not_above_blind, printed, values_of

ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "{''}"}
)
HEADINGS = {"fidelity": "Fidelity $F \\times 10$", "auc": "AUC", "dice": "Dice", "evidence": "Evidence AUC"}


def write_latex(findings: Findings, file: Path) -> None:
    """Write one booktabs table of all views; needs ``\\usepackage{booktabs}``."""
    file.write_text(latex_table(findings), encoding="utf-8")


def escaped(text: str) -> str:
    """Text as LaTeX prints it; an empty line would end a caption, and control characters end the run."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split())).translate(ESCAPED)


def latex_table(findings: Findings) -> str:
    """The table: best of each view in bold, a dagger where the best blind baseline is not beaten."""
    columns = {HEADINGS[view.name]: _cells(findings, view) for view in VIEWS.values() if len(values_of(findings, view))}
    keys = list(dict.fromkeys(key for cells in columns.values() for key in cells))
    body = [
        " & ".join(
            [
                escaped(style.title(name)),
                signs,
                *(cells.get((name, signs), "--") for cells in columns.values()),
            ]
        )
        for name, signs in keys
    ]
    confidence = f"{100 * findings.settings.statistics.confidence:.0f}"
    patients = findings.measured.cases["patient"].nunique()
    caption = (
        f"{escaped(findings.settings.name)}: mean with {confidence}\\,\\% interval (BCa bootstrap over "
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


def _cells(findings: Findings, view: View) -> dict[tuple[str, str], str]:
    values, not_above = values_of(findings, view), not_above_blind(findings, view)
    best, cells = values["value"].max(), {}
    for _, row in values.iterrows():
        key = str(row["estimator"]), str(row["signs"])
        value, low, high = (printed(view, row[name]) for name in ("value", "ci_low", "ci_high"))
        ends = "" if low == NOTHING else f" [{low}, {high}]"
        shown = f"\\textbf{{{value}}}" if row["value"] == best else value
        mark = "\\textdagger" if key in not_above else ""
        cells[key] = f"{shown}{mark}{ends}"
    return cells
