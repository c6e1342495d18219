"""Tables of the page: what all rows share is told once, doubts are marks, and intervals are drawn."""

import re
from dataclasses import replace

import pytest

import synthetic_results as made
from tomolens.findings.printing import printed, values_of
from tomolens.findings.tables import keys_of
from tomolens.report.answer import headline
from tomolens.report.page import write_page
from tomolens.report.sections import sections
from tomolens.report.table import NOT_ABOVE, NOT_TOLD, Table
from tomolens.report.view_section import GAIN, RANK


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return made.write_study(tmp_path_factory.mktemp("tables"))


def table_of(findings, view):
    return next(section.table for section in sections(findings) if section.view == view)


def test_what_all_rows_have_in_common_is_told_below():
    table = Table(("map", "value", "cases", "patients"), [("a", "1", 24, 12), ("b", "2", 24, 11)], left=1)
    assert table.common == {"cases": 24}
    assert [table.columns[at] for at in table.shown] == ["map", "value", "patients"]
    assert table.note == "In all rows: cases 24"
    assert Table(("map", "cases"), [("a", 24), ("a", 24)], left=1).shown == [0]  # words stay, whatever they are
    alone = Table(("map", "value", "cases"), [("a", "1", 24)], left=1)
    assert (alone.common, alone.note, alone.shown) == ({}, "", [0, 1, 2])  # of a row alone nothing is in common


def test_gains_that_are_not_sure_have_a_mark(findings, tmp_path):
    table, gains = table_of(findings, "drop"), findings.tables["gains"]
    beats = gains[gains["view"] == "drop"]["beats"].astype(bool)
    at = list(table.columns).index(GAIN)
    cells = [row[at] for row in table.rows if row[at] != "–"]
    assert sum(cell.endswith(f" {NOT_ABOVE}") for cell in cells) == (~beats).sum()
    assert "not above" not in " ".join(cells)
    assert f"{NOT_ABOVE} does not surely beat the best blind map" in table.note
    few = table_of(made.write_study(tmp_path, count=4), "drop")
    assert all(row[at].endswith(NOT_TOLD) for row in few.rows if row[at] != "–")
    assert f"{NOT_TOLD} too few patients" in few.note
    assert NOT_ABOVE not in few.note


def test_intervals_are_drawn_beside_the_line_of_the_best_blind_map(findings):
    table, view = table_of(findings, "drop"), findings.views["drop"]
    values, blind = values_of(findings, view), findings.tables["baselines"]
    best = blind[blind["view"] == "drop"]["value"].max()
    dots, lines = [], set()
    for drawing in table.drawings:
        dots.append(float(re.search(r'<circle cx="([\d.]+)%"', drawing).group(1)))
        lines.add(float(re.search(r'<line x1="([\d.]+)%" x2="[\d.]+%"[^>]*class="blind-line"', drawing).group(1)))
    assert len(dots) == len(table.rows) == len(values)
    (line,) = lines
    ratio = [(dot - line) / (value - best) for dot, value in zip(dots, values["value"], strict=True)]
    assert ratio == pytest.approx([ratio[0]] * len(ratio), rel=0.02)
    beaten = {key for key, cell in zip(keys_of(values), table.rows, strict=True) if cell[4][-1:] != NOT_ABOVE}
    beaten -= {key for key in keys_of(values) if key[0] == "noise"}  # it is blind itself
    full = {key for key, one in zip(keys_of(values), table.drawings, strict=True) if 'class="dot"' in one}
    assert full == beaten


def test_ranks_stand_with_those_that_are_possible(findings):
    table, ranks = table_of(findings, "drop"), findings.tables["ranks"].set_index(["estimator", "form"])
    at = list(table.columns).index(RANK)
    for key, row in zip(keys_of(values_of(findings, findings.views["drop"])), table.rows, strict=True):
        rank, low, high = ranks.loc[key, ["drop_rank", "drop_rank_low", "drop_rank_high"]]
        assert row[at] == f"{rank:g} ({low:g} to {high:g})"
        assert low <= rank <= high
    assert [row[at].split(" ")[0] for row in table.rows][:3] == ["1", "2", "3"]


def test_where_lower_is_better_a_heading_says_so(findings, tmp_path):
    assert table_of(findings, "drop").lower == {RANK}
    turned = made.write_study(tmp_path, (made.lower(made.ERASING), *made.METRICS[1:]))
    table = table_of(turned, "drop")
    assert {"Drop D × 10", "95 % CI", "without", "with"} <= set(table.lower)
    assert GAIN not in table.lower
    write_page(turned, [], tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    assert '<th scope="col" data-better="low"><button type="button">Drop D × 10</button></th>' in text
    first = values_of(turned, turned.views["drop"]).iloc[0]
    assert table.rows[0][2] == printed(turned.views["drop"], first["value"])


def test_the_number_of_a_view_stays_where_all_maps_are_tied(tmp_path, monkeypatch):
    rows_of = made.case_rows

    def tied(*given):
        for one in rows_of(*given):
            yield replace(one, value=0.5) if one.metric == "drop" and one.estimator else one

    monkeypatch.setattr(made, "case_rows", tied)
    found = made.write_study(tmp_path)
    table = table_of(found, "drop")
    assert table.columns[2] in [table.columns[at] for at in table.shown]
    assert table.best is None
    assert headline(found)[0].startswith(f"All {len(table.rows)} maps are tied by drop")


def test_intervals_are_no_condition_of_the_drawing(tmp_path):
    few = table_of(made.write_study(tmp_path, count=4), "drop")
    assert "95 % CI" in few.common
    assert few.drawn_after == few.columns[2]
    assert few.drawn_after in [few.columns[at] for at in few.shown]
    assert all("<circle" in one and 'class="interval"' not in one for one in few.drawings)
