"""Names of any characters: drawn, printed and exported as they are, and never run."""

import csv
import re

import pandas as pd
import pytest

import synthetic_results as made
from tomolens.bars import bars
from tomolens.progress import silent
from tomolens.report import write
from tomolens.report.latex import escaped, latex_table
from tomolens.report.words import summary
from tomolens.report.write import for_spreadsheets
from tomolens.results.store import Store

EVIL = (
    "$x^2_{$ \\frac{",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "<script>alert(1)</script>",
    "a\n\nb",
    "[/bold] [red]x :smile:",
    "%s {0} {task}",
    "ünïcode ∑ 中",
    "</script><img src=x onerror=alert(1)>",
)
FIGURES = write._figures
CLASSES = ("$\\alpha", "=1<b>")


@pytest.fixture(scope="module")
def evil_study(tmp_path_factory):
    """Cases, patients, classes, estimators and a study called what nobody should call them; figures drawn."""
    out = tmp_path_factory.mktemp("evil") / "r"
    estimators = (made.described("slope", EVIL[0]), made.described("steep-slope", EVIL[6]), *made.ESTIMATORS[2:])
    name = EVIL[0] + "\n\n" + EVIL[6]
    findings = made.write_study(out, estimators=estimators, classes=CLASSES, name=name, names=EVIL, kept=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_figures", FIGURES)
        write.write_report(findings, Store(out), silent)
    return out, findings


def test_figures_are_drawn(evil_study):
    assert len(list((evil_study[0] / "figures").glob("example-*-maps.pdf"))) == 4


def test_the_page_escapes_them(evil_study):
    page = (evil_study[0] / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_no_cell_of_a_table_is_run(evil_study):
    cells = []
    for file in (evil_study[0] / "tables").glob("*.csv"):
        with file.open(newline="") as opened:
            cells += [cell for row in csv.reader(opened) for cell in row]
    number = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?( \w+)?", re.IGNORECASE)
    assert [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n")) and not number.fullmatch(cell)] == []
    assert any(cell.startswith("'=cmd|") for cell in cells)


def test_numbers_stay_numbers():
    table = pd.DataFrame({"value": [-1.5, 2.0], "option": ["-1000 HU", "-1+1"], "note": ["", "=1"]})
    made = for_spreadsheets(table)
    assert made["value"].tolist() == [-1.5, 2.0]
    assert made["option"].tolist() == ["-1000 HU", "'-1+1"]
    assert made["note"].tolist() == ["", "'=1"]


def test_latex_and_words(evil_study):
    table = latex_table(evil_study[1])
    assert "\\$x\\textasciicircum{}2\\_\\{\\$ \\textbackslash{}frac\\{" in table
    assert "\n\n" not in table
    assert escaped("a\x1b[31mb") == "a [31mb"
    assert "†" in summary(evil_study[1]) or "leads" in summary(evil_study[1])


def test_progress_prints_them_as_they_are(capsys):
    with bars() as progress:
        progress("stage", 1, 2, "[/bold] [red]x :smile:")
    assert capsys.readouterr().err == "stage: 1 of 2 [/bold] [red]x :smile:\n"
