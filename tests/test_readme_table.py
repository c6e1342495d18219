"""The README's table of results is what `benchmarks/readme_table.py` writes, and its words are those of its numbers."""

import re
import runpy

import pytest

from tomolens.estimators.registry import ESTIMATORS, make_estimator
from tomolens.findings.measured import BOTH

NUMBER = r"-?\d+\.\d+"
INTERVAL = rf"(?: \({NUMBER} to {NUMBER}\))?"
CELL = re.compile(rf"({NUMBER})(?: / ({NUMBER}))?{INTERVAL}")
BASELINE = re.compile(rf"({NUMBER}) \(([^)]+)\)")


@pytest.fixture
def script(request):
    return runpy.run_path(str(request.config.rootpath / "benchmarks" / "readme_table.py"))


@pytest.fixture
def readme(request):
    return (request.config.rootpath / "README.md").read_text(encoding="utf-8")


def table_of(text, script):
    """Header and rows between the markers."""
    inside = text.split(script["BEGIN"])[1].split(script["END"])[0]
    header, line, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in inside.strip().splitlines()]
    assert set(line) == {"---"}
    return header, rows


def numbers(rows):
    """For each estimator the pairs (original, absolute) of all views; and of the baselines' row the best ones."""
    found = {}
    for name, *cells in rows[:-1]:
        matches = [CELL.fullmatch(cell) for cell in cells]
        assert all(matches), cells
        found[name] = [(float(match[1]), float(match[2] or match[1])) for match in matches]
    matches = [BASELINE.fullmatch(cell) for cell in rows[-1][1:]]
    assert all(matches), rows[-1]
    return found, [float(match[1]) for match in matches]


def test_the_command_writes_the_table_of_a_study(finished_study, script, readme, tmp_path, capsys):
    folder, findings = finished_study
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    script["main"]([str(folder), "--readme", str(tmp_path / "README.md")])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    header, rows = table_of(text, script)
    assert header == table_of(readme, script)[0]
    assert "\n".join(capsys.readouterr().out.splitlines()) in text
    outside = [part.split(script["END"])[-1] for part in (readme.split(script["BEGIN"])[0], readme)]
    assert text.startswith(outside[0])
    assert text.endswith(outside[1])
    found, _ = numbers(rows)
    values = findings.view_values
    titles = findings.description.titles
    views = {name: view for name, view in findings.views.items() if name in script["HEADINGS"]}
    values = values[values["view"].isin(views)]
    assert set(found) == {titles[name] for name in values["estimator"]}
    for _, row in values.iterrows():
        place = list(views).index(row["view"])
        pair = found[titles[row["estimator"]]][place]
        view, digits = views[row["view"]], script["DIGITS"][row["view"]]
        wanted = pytest.approx(view.factor * row["value"], abs=0.51 * 10**-digits)
        assert wanted == pair[row["form"] != "original"]
        alone = " / " not in {name: cells for name, *cells in rows}[titles[row["estimator"]]][place]
        assert alone == (row["form"] == BOTH)
    script["main"]([str(folder), "--readme", str(tmp_path / "README.md")])
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_without_markers_nothing_is_written(script):
    with pytest.raises(SystemExit, match="needs one line"):
        script["replaced"]("a text", "| a |")
    with pytest.raises(SystemExit, match="needs one line"):
        script["replaced"](f"{script['END']} {script['BEGIN']}", "| a |")


def test_the_readmes_table_has_the_form_of_the_command(script, readme):
    header, rows = table_of(readme, script)
    assert header == ["original / absolute (its 95 % CI)", *script["HEADINGS"].values()]
    assert all(len(row) == len(header) for row in rows)
    assert [row[0] for row in rows[:-1]] == list(dict.fromkeys(row[0] for row in rows[:-1]))
    assert {row[0] for row in rows[:-1]} <= {make_estimator(name).title for name in ESTIMATORS}
    assert rows[-1][0] == "*the best blind baseline*"
    found, _ = numbers(rows)
    by_fidelity = [pairs[0][1] for pairs in found.values()]
    assert by_fidelity == sorted(by_fidelity, reverse=True)


def test_what_the_readme_says_of_its_table_is_so(script, readme):
    """Where this fails after a new table, the paragraph above the table is to be rewritten, and this test with it."""
    said = " ".join(readme.split("The outcome of `make study`")[1].split(script["BEGIN"])[0].split())
    found, (blind, blind_auc, blind_dice, _) = numbers(table_of(readme, script)[1])
    assert "by fidelity no absolute map is worse than the map as it is" in said.lower()
    assert all(absolute >= original for (original, absolute), *_ in found.values())
    assert "SmoothGrad squared and integrated gradients lead" in said
    assert list(found)[:2] == ["SmoothGrad squared", "Integrated gradients"]
    assert "random is worth nothing" in said
    assert found["Random"][0][1] < 0.25
    assert found["Random"][1] == pytest.approx((0.5, 0.5), abs=0.02)
    assert "No map exceeds the best map that never looks at the network, by fidelity or by the masks" in said
    for fidelity, auc, dice, _ in found.values():
        assert max(fidelity) <= blind
        assert max(auc) <= blind_auc
        assert max(dice) <= blind_dice
