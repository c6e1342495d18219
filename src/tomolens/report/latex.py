"""LaTeX tables ready for a paper: every map by every view, with intervals and what does not beat a blind baseline."""

from pathlib import Path

from ..declarations import Output
from ..findings import Findings
from ..findings.measured import Key
from ..findings.printing import NOTHING, interval_words, not_above_blind, printed, title, values_of
from ..findings.tables import class_columns, keys_of

ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "{''}", "×": "$\\times$"}
)


def write_latex(findings: Findings, file: Path) -> None:
    """Write one booktabs table of all views; needs ``\\usepackage{booktabs}``."""
    file.write_text(latex_table(findings), encoding="utf-8")


def escaped(text: str) -> str:
    """Text as LaTeX prints it; an empty line would end a caption, and control characters end the run."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split())).translate(ESCAPED)


def latex_table(findings: Findings) -> str:
    """The table: the verdict, best of each view in bold, a dagger where the best blind baseline is not beaten.

    A view that cannot judge maps is marked, and where means are of classes, that of each stands in brackets.
    """
    views = [view for view in findings.views.values() if len(values_of(findings, view))]
    marks = {"no": "\\textsection", "cannot be told": "?"}
    names = [f"{escaped(view.label)}{marks.get(findings.can_judge[view.column], '')}" for view in views]
    columns = {name: _cells(findings, view) for name, view in zip(names, views, strict=True)}
    keys = list(dict.fromkeys(key for cells in columns.values() for key in cells))
    body = [
        " & ".join([escaped(title(findings, key[0])), key[1], *(cells.get(key, "--") for cells in columns.values())])
        for key in keys
    ]
    patients = findings.measured.cases["patient"].nunique()
    caption = (
        f"{escaped(findings.description.name)}. {escaped(findings.verdict.sentence)} Mean with "
        f"{100 * findings.resampling.confidence:.0f}\\,\\% interval (BCa bootstrap over patients; "
        f"{len(findings.measured.cases)} cases of {patients} patients), in brackets of each class in turn. "
        "\\textdagger: does not beat the best blind baseline. \\textdaggerdbl: in some of the cases only, compared "
        "with no other. \\textsection: cannot judge maps here. ?: whether it can cannot be told."
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


def _cells(findings: Findings, view: Output) -> dict[Key, str]:
    values, not_above, cells = values_of(findings, view), not_above_blind(findings, view), {}
    best = (view.sign * values["value"][~values["partial"]]).max()
    for key, (_, row) in zip(keys_of(values), values.iterrows(), strict=True):
        value, ends = printed(view, row["value"]), interval_words(view, row, " [{}, {}]")
        leads = not row["partial"] and view.sign * row["value"] == best and findings.can_judge[view.column] != "no"
        shown = f"\\textbf{{{value}}}" if leads else value
        mark = "\\textdagger" if key in not_above else "\\textdaggerdbl" if row["partial"] else ""
        classes = [printed(view, row[name]) for name in class_columns(values)]
        by_class = f" ({' / '.join(classes)})" if classes else ""
        cells[key] = f"{shown}{mark}{'' if ends == NOTHING else ends}{by_class}"
    return cells
