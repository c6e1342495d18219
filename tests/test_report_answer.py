"""The first screen and the ranking: what they say is what the tables say, in words and in marks."""

import doctest
import re

import numpy as np
import pytest

import synthetic_results as made
from tomolens.findings.printing import gains_of, map_title, printed, title, values_of
from tomolens.findings.tables import keys_of
from tomolens.report import glossary, svg
from tomolens.report import ranking as ranking_module
from tomolens.report.citation import bibtex
from tomolens.report.curve_charts import curve_charts
from tomolens.report.forest import Mark, forest
from tomolens.report.glossary import TERMS, Glossary
from tomolens.report.ranking import ranking
from tomolens.report.series import best_blind
from tomolens.report.svg import Scale, element
from tomolens.report.tiles import tiles
from tomolens.report.viewer import viewer
from tomolens.results.store import Store


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return made.write_study(tmp_path_factory.mktemp("answer"))


@pytest.fixture(scope="module")
def controlled(tmp_path_factory):
    estimators = (*made.ESTIMATORS, made.TRUTH_MAP)
    return made.write_study(tmp_path_factory.mktemp("controlled"), estimators=estimators, turns=lambda index: True)


def test_a_tile_for_each_judge(findings):
    found = tiles(findings)
    assert [tile.view for tile in found] == ["drop", "inside", "touch", "twin"]
    assert [tile.heading for tile in found][1:3] == ["The expert’s masks, by pixel", "The expert’s masks, by region"]
    for tile in found:
        view = findings.views[tile.view]
        gains = gains_of(findings, view)
        gains = gains[~gains["estimator"].isin(findings.description.blind)]
        best = gains.loc[gains["gain"].idxmax()]
        assert tile.best.name == map_title(findings, best["estimator"], best["form"])
        assert tile.best.key == f"{best['estimator']}/{best['form']}"
        assert tile.best.value == printed(view, best["value"])
        assert tile.blind.name == title(findings, best["baseline"])
        assert tile.blind.value == printed(view, best["baseline_value"])
        assert tile.gain.startswith(f"+{printed(view, best['gain'])} (95 % CI ")
        assert tile.state == ("passed" if best["beats"] else "failed")
        assert tile.basis == f"{best['cases']} cases of {best['patients']} patients"
    assert found[0].caution.startswith("Not controlled")
    assert found[-1].caution == ""  # the truth is its own


def test_too_few_patients_are_said(tmp_path):
    few = made.write_study(tmp_path, count=4)
    assert {(tile.state, tile.says) for tile in tiles(few)} == {("open", "Too few patients to tell")}


def test_nothing_to_beat_makes_no_tiles(tmp_path):
    alone = made.write_study(tmp_path, estimators=[one for one in made.ESTIMATORS if not one.blind])
    assert tiles(alone) == []


def test_an_estimator_may_be_the_best_blind_map(tmp_path):
    found = made.write_study(tmp_path, skill={"noise": 0.6})
    chart, view = made.ERASING.charts[0], found.views["drop"]
    assert tiles(found)[0].blind.name == "Noise"
    values = found.tables["baselines"].set_index(["view", "baseline"])["value"]
    assert best_blind(found, view) == pytest.approx(view.factor * values["drop", "noise"])
    drawn = curve_charts(found, chart)[chart.name]
    number = printed(view, values["drop", "noise"])
    assert f"Noise, the best blind map ({number}); dotted: {chart.line_labels[1]}" in [
        words for _, _, words in drawn.legend
    ]
    (own,) = [panel for panel in drawn.panels if panel.title == "Noise"]
    (other,) = [panel for panel in drawn.panels if panel.title == "Slope"]
    # In its own panel it has the colours and the bands of a map.
    assert 'class="curve line-0"' in own.drawing
    assert 'class="band line-0"' in own.drawing
    assert other.drawing.count('class="curve ink-blind"') == len(chart.lines)


def test_the_ranking_has_every_map_once_and_blind_ones_beside(findings):
    found = ranking(findings)
    kinds = {row.key: row.kind for row in found.rows}
    assert len(kinds) == len(found.rows)
    maps = [row for row in found.rows if row.kind == "map"]
    assert [row.key for row in maps] == [
        "/".join(key) for key in keys_of(values_of(findings, findings.views["drop"])) if key[0] != "noise"
    ]
    assert {row.key for row in found.rows if row.kind == "blind"} == {
        "noise/original",
        "edges-only/original",
        "mask-atlas/original",
    }
    assert sum(row.name.startswith("Positive") for row in found.rows) == 1  # it is its own absolute
    assert [column.name for column in found.columns] == ["drop", "inside", "touch", "twin"]
    assert found.columns[0].classes == "▽ without  △ with"
    assert found.columns[1].classes == ""
    for at, view in enumerate(findings.views.values()):
        table = gains_of(findings, view)
        gains = {"/".join(key): row for key, (_, row) in zip(keys_of(table), table.iterrows(), strict=True)}
        for row in maps:
            cell = row.cells[at]
            assert cell.value == printed(view, gains[row.key]["value"])
            assert cell.beats == bool(gains[row.key]["beats"])
            assert ("hollow" in cell.drawing) != cell.beats
            assert cell.says.startswith(f"{view.label} {cell.value}, 95 % CI ")
    assert not any(row.kind == "truth" for row in found.rows)


@pytest.mark.parametrize("given", [{"patients": 2, "count": 6}, {"count": 1}])
def test_what_cannot_be_told_is_not_sure(tmp_path, given):
    cells = [cell for row in ranking(made.write_study(tmp_path, **given)).rows for cell in row.cells if cell]
    assert not any(cell.beats for cell in cells)
    assert all("hollow" in cell.drawing for cell in cells)
    assert any(cell.compared == "too few patients to tell whether it beats the best blind map" for cell in cells)
    assert not any("surely" in cell.compared for cell in cells)


def test_without_blind_maps_none_is_beaten(tmp_path):
    alone = made.write_study(tmp_path, estimators=[one for one in made.ESTIMATORS if not one.blind])
    cells = [cell for row in ranking(alone).rows for cell in row.cells]
    assert {(cell.beats, cell.compared) for cell in cells} == {(False, "not compared with a blind map")}
    assert all("hollow" in cell.drawing for cell in cells)


def test_a_tile_shows_a_map_that_surely_beats_the_blind_ones_before_a_larger_gain(tmp_path):
    findings = made.write_study(tmp_path)
    gains = findings.tables["gains"]
    looking = (gains["view"] == "inside") & ~gains["estimator"].isin(findings.description.blind)
    best = gains[looking]["gain"].idxmax()
    assert gains[looking]["beats"].sum() > 1
    gains.loc[best, "beats"] = False
    left = gains[looking & gains["beats"].astype(bool)]
    (tile,) = (one for one in tiles(findings) if one.view == "inside")
    second = left.loc[left["gain"].idxmax()]
    assert (tile.state, tile.best.key) == ("passed", f"{second['estimator']}/{second['form']}")


def test_marks_of_classes_are_those_of_their_labels(findings):
    view = findings.views["drop"]
    values = values_of(findings, view).iloc[0]
    mark = ranking_module._mark(view, values, ["class_1"], True)
    assert np.isnan(mark.classes[0])
    assert mark.classes[1] == pytest.approx(view.factor * values["class_1"])
    drawn = forest(Scale(-1e3, 1e3), mark, None, "ink-0")
    assert re.findall(r"<text [^>]*>(.)</text>", drawn) == ["△"]


@pytest.mark.parametrize(
    ("count", "word"), [(24, "A map that surely beats blind ones:"), (4, "The map with the largest gain:")]
)
def test_what_is_measured_is_shown_with_the_map_of_the_models_tile(tmp_path, count, word):
    findings = made.write_study(tmp_path, count=count)
    tile = tiles(findings)[0]
    assert tile.state == ("passed" if count == 24 else "open")
    first, *others = viewer(findings, list(Store(tmp_path).gallery()))["explained"]["maps"]
    assert first == {"key": tile.best.key.replace("/both", "/original"), "words": word}
    assert {one["key"].split("/")[0] for one in others} <= set(findings.description.blind)


def test_lower_may_be_better(tmp_path):
    turned = made.write_study(tmp_path, tuple(map(made.lower, (made.ERASING, made.TOUCHING))))
    rows = [row for row in ranking(turned).rows if row.kind == "map"]
    numbers = [row.cells[0].sort for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert [float(row.cells[0].value) for row in rows] == sorted(float(row.cells[0].value) for row in rows)


def test_the_truth_stands_beside_where_it_controls(controlled):
    (truth,) = (row for row in ranking(controlled).rows if row.kind == "truth")
    view = controlled.views["drop"]
    assert truth.cells[0].value == printed(view, controlled.controls_of(view)["value"])
    assert "stroke-mark" in truth.cells[0].drawing  # it is not compared: neither filled nor hollow
    assert "dot" not in truth.cells[0].drawing


def test_a_mark_is_where_its_number_is():
    drawn = forest(Scale(0.0, 10.0), Mark(2.5, 1.0, 4.0, (2.0, float("nan"), 8.0), sure=False), 5.0, "ink-3")
    assert 'cx="25%"' in drawn
    assert re.search(r'y1="13.0" y2="13.0" class="interval" x1="10%" x2="40%"', drawn)
    assert 'x1="50%" x2="50%" y1="-9" y2="35" class="blind-line"' in drawn
    assert re.findall(r'<text x="(\d+)%"[^>]*>(.)</text>', drawn) == [("20", "▽"), ("80", "◇")]
    assert "hollow" in drawn
    assert "interval" not in forest(Scale(0.0, 10.0), Mark(2.5), None, "ink-3")


def test_a_scale_holds_all_numbers_and_has_round_ticks():
    scale = Scale.around([3.0, float("nan"), 7.0], 0.0, 100.0, 0.1)
    assert (scale.low, scale.high) == pytest.approx((2.6, 7.4))
    assert scale(5.0) == 50.0
    assert Scale.around([]).low < 0
    assert Scale(0.0, 1.0).ticks() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for low, high in ((-0.037, 0.41), (12.0, 1234.0), (0.0, 1e-7)):
        ticks = Scale(low, high).ticks()
        assert 3 <= len(ticks) <= 7
        assert ticks[0] >= low - 1e-12
        assert ticks[-1] <= high * (1 + 1e-9)
        np.testing.assert_allclose(np.diff(ticks), np.diff(ticks)[0], rtol=1e-6)


def test_examples_in_docstrings_hold():
    for module in (svg, glossary):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted > 0


def test_words_in_drawings_are_escaped():
    assert str(element("text", "<b>", data_name='"><i>')) == '<text data-name="&#34;&gt;&lt;i&gt;">&lt;b&gt;</text>'


def test_a_term_is_told_where_it_first_stands():
    told = Glossary({"W": "of ranks", "blind map": "a <blob>"})
    first = told.mark("Wide <W> and a blind map, W")
    assert str(first) == (
        'Wide &lt;<dfn tabindex="0" data-means="of ranks">W</dfn>&gt; and a <dfn tabindex="0" '
        'data-means="a &lt;blob&gt;">blind map</dfn>, W'
    )
    assert str(told.mark("W again")) == "W again"
    assert all(means.endswith(".") for means in TERMS.values())


def test_what_is_cited_names_version_and_study(findings):
    cited = bibtex(findings)
    assert cited.count("@") == 2
    assert cited.count("{") == cited.count("}")
    raw = findings.description.raw
    assert f"version = {{{raw['versions']['tomolens']}}}" in cited
    assert raw["identity"] in cited
