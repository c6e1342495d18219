import ast
import dataclasses
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

import synthetic_results as made
from tomolens import findings as findings_package
from tomolens import report as report_package
from tomolens.declarations import FORMS, Declaration, Output, View
from tomolens.errors import SettingsError
from tomolens.estimators.baselines import BASELINES
from tomolens.estimators.registry import ESTIMATORS
from tomolens.findings import Findings
from tomolens.findings.printing import in_sentence, judged, map_title, number, printed, title, values_of
from tomolens.metrics.registry import METRICS
from tomolens.progress import silent
from tomolens.report import agreement, curves, style
from tomolens.report.answer import agreement_sentences, headline, shortcut_sentences
from tomolens.report.charts import charts
from tomolens.report.checklists import checklists
from tomolens.report.latex import latex_table
from tomolens.report.methods import hashes, paragraphs, parameters
from tomolens.report.page import write_page
from tomolens.report.panels import maps_figure, regions_figure
from tomolens.report.sections import sections
from tomolens.report.series import best_blind, blind_series, series_of, upward
from tomolens.report.style import BLIND, looks
from tomolens.report.viewer import viewer
from tomolens.report.warnings import warnings
from tomolens.report.words import summary
from tomolens.report.write import _figures, write_report
from tomolens.results.example import Example
from tomolens.results.rows import NOT_ASSESSED
from tomolens.results.store import Store


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A made-up study with everything that a report can hold, drawn."""
    folder = tmp_path_factory.mktemp("reported")
    metrics = (*made.METRICS, made.PLANTED)
    findings = made.write_study(folder, metrics, varied=True, shortcut=True, failed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomolens.report.write._figures", _figures)
        write_report(findings, Store(folder), silent)
    return folder, findings


def test_the_page_is_one_file(reported):
    page = Page()
    page.feed((reported[0] / "report.html").read_text())
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    figures = sorted(file.stem for file in (reported[0] / "figures").glob("*.png"))
    assert page.tags.count("img") == 0  # charts are drawn in the page
    for name in figures:
        assert (reported[0] / "figures" / f"{name}.pdf").stat().st_size > 1000
        assert f"**{name}.pdf** " in (reported[0] / "figures" / "captions.md").read_text()
    ranks = [f"ranks-{name}" for name in ("drop", "inside", "touch", "twin")]
    examples = [f"example-{place}-{what}" for place in (1, 2) for what in ("maps", "regions")]
    assert figures == sorted(
        ["erased", "hits", "held", "agreement", "choices", "metrics", *ranks, *examples, "example-3-maps"]
    )


def test_figures_are_drawn_and_not_empty(reported):
    for file in (reported[0] / "figures").glob("*.png"):
        pixels = matplotlib.image.imread(file)
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.05


def test_every_section_is_there(reported):
    text = (reported[0] / "report.html").read_text()
    assert [section.title for section in sections(reported[1])] == [
        "Trust cards",
        "The checks",
        "Drop",
        "Share inside",
        "Touch",
        "Twin share",
        "The two views",
        "A planted shortcut",
        "Blind baselines",
        "Choices that matter",
        "Strata",
        "Other measures",
        "Metrics against metrics",
        "The networks",
    ]
    (others,) = (section for section in sections(reported[1]) if section.title == "Other measures")
    assert others.folded
    assert {row[0] for row in others.table.rows} == {"spread of the map"}
    assert [name for name, _ in others.charts] == ["held"]
    assert 'data-chart="held"' in text
    for section in sections(reported[1]):
        assert re.search(rf'<h2 id="[a-z0-9-]+-title">{re.escape(str(escape(section.title)))}</h2>', text)
        assert not section.table or all(len(row) == len(section.table.columns) for row in section.table.rows)


def test_sections_that_have_nothing_are_left_out(tmp_path):
    blind = [one for one in made.ESTIMATORS if not one.blind]
    findings = made.write_study(tmp_path, (made.TOUCHING,), blind, count=4, networks=[])
    assert [section.title for section in sections(findings)] == ["Touch", "Strata"]
    assert list(charts(findings)) == []
    assert [one.name for one in _figures(findings, Store(tmp_path / "nothing"))] == []
    write_page(findings, [], tmp_path / "p.html")
    assert headline(findings)[0].endswith("too few patients for an interval.")


def test_three_classes_and_volumes(tmp_path):
    classes = ("healthy", "benign", "malignant")
    metrics = (*made.METRICS, made.PLANTED)
    findings = made.write_study(tmp_path, metrics, classes=classes, spatial=(4, 12, 14), varied=True, shortcut=True)
    assert len(sections(findings)) == 14
    (strata,) = (section for section in sections(findings) if section.title == "Strata")
    assert {row[1] for row in strata.table.rows if row[0] == "label"} == set(classes)
    for one in _figures(findings, Store(tmp_path)):
        assert len(one.draw().axes) > 0
    write_page(findings, list(Store(tmp_path).gallery()), tmp_path / "p.html")
    shown = viewer(findings, list(Store(tmp_path).gallery()))
    assert shown["classes"] == list(classes)
    assert [(one["depth"], one["full"]) for one in shown["cases"]] == [(4, [4, 12, 14])] * 3
    assert {one["label"] for one in shown["cases"]} == {0, 1, 2}
    assert shown["two_views"]


def test_what_a_new_metric_estimator_and_baseline_put_out_appears_everywhere(tmp_path):
    view = View("fresh", "freshness", "expert", "by whim", heading="Freshness & co", text="How fresh a map is.")
    fresh = Declaration("novel", (Output("freshness", "Freshness (%)", 100.0, 1, view=view), Output("beside", "aside")))
    estimators = (
        *made.ESTIMATORS,
        made.described("newcomer", "The Newcomer"),
        made.described("guess", "Blind guess", blind=True, baseline=True),
    )
    findings = made.write_study(tmp_path, (*made.METRICS, fresh), estimators)
    write_report(findings, Store(tmp_path), silent)
    table = findings.table("novel")
    assert {"fresh", "beside", "beside_ci_low", "gain", "beats_blind"} <= set(table.columns)
    assert set(findings.table("ranks").columns) >= {"fresh_rank", "fresh_rank_low"}
    assert "guess" in set(findings.table("baselines")["baseline"])
    assert (tmp_path / "tables" / "novel.csv").read_text().startswith("estimator,form,fresh,ci_low")
    (row,) = table[(table["estimator"] == "newcomer") & (table["form"] == "absolute")].itertuples()
    shown = printed(findings.views["fresh"], row.fresh)
    page, words, latex = (tmp_path / "report.html").read_text(), summary(findings, 200), latex_table(findings)
    for text in ("Freshness &amp; co", "How fresh a map is.", "The Newcomer", "Blind guess", "aside", shown):
        assert text in page
    for text in ("Freshness (%) (the expert's view, by whim)", "The Newcomer", "leads freshness", shown):
        assert text in words
    for text in ("Freshness (\\%)", "The Newcomer", shown):
        assert text in latex
    assert "agreement-fresh" in charts(findings)
    assert "drop and freshness" in findings.agreement
    assert [one["name"] for one in viewer(findings, list(Store(tmp_path).gallery()))["outputs"]][-1] == "freshness"


def test_findings_and_report_know_nothing_by_name():
    outputs = {output.name for metric in METRICS.values() for output in metric.declaration.outputs}
    views = {one.view.name for metric in METRICS.values() for one in metric.declaration.outputs if one.view}
    names = {*METRICS, *outputs, *views, *ESTIMATORS, *BASELINES} - {"kept"}  # an ordinary word
    assert {"fidelity", "auc", "marker", "random", "mean-mask", "smoothgrad"} <= names
    word = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(names)))})(?![\w-])", re.IGNORECASE)
    found, files = [], []
    for package in (findings_package, report_package):
        files += sorted(path for folder in package.__path__ for path in Path(folder).glob("*.py"))
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
        found += [(file.name, one.value) for one in constants if isinstance(one.value, str) and word.search(one.value)]
    assert len(files) > 20
    titles = {one for one in found if one[0] == "checklists.py"}  # what a checklist calls its own items
    assert len(titles) == 2
    assert all("idelity" in words for _, words in titles)
    assert {one for one in found if one not in titles} == {("viewer.py", "soft tissue")}  # a window's name
    scripts = list((files[-1].parent / "web").glob("*.js"))
    assert len(scripts) > 10
    outside = re.compile(r"^.*//.*$", re.MULTILINE)
    assert [one.name for one in scripts if word.search(outside.sub("", one.read_text(encoding="utf-8")))] == []


def test_what_stands_below_each_heading_of_the_controls(tmp_path):
    findings = made.write_study(tmp_path, estimators=(*made.ESTIMATORS, made.TRUTH_MAP), turns=lambda index: True)
    (section,) = (one for one in sections(findings) if one.title == "Which views can judge maps")
    row = dict(zip(section.table.columns, section.table.rows[0], strict=True))
    found = findings.controls_of(findings.views["drop"])
    assert row["truth"] == printed(findings.views["drop"], found["value"])
    assert row["its value"] == printed(findings.views["drop"], found["baseline_value"])
    assert row["best control"] == "the blind map “Atlas of masks”"
    assert row["maps"] == "can judge maps here"
    assert row["cases"] == 24


def test_controls_that_cannot_be_told_are_shown_too(tmp_path):
    few = made.write_study(tmp_path, estimators=(*made.ESTIMATORS, made.TRUTH_MAP), turns=lambda index: index < 4)
    (section,) = (one for one in sections(few) if one.title == "Which views can judge maps")
    assert {row[1] for row in section.table.rows} == {"cannot be told"}


def test_where_lower_is_better_the_lowest_leads(tmp_path):
    metrics = (made.ERASING, dataclasses.replace(made.INSIDE, areas=()))  # whose curves are not turned round
    up = made.write_study(tmp_path / "up", metrics, varied=True)
    turned = tuple(map(made.lower, metrics))
    down = made.write_study(tmp_path / "down", turned, varied=True)
    for name in ("drop", "inside"):
        one, other = up.views[name], down.views[name]
        assert values_of(up, one)["estimator"].tolist() == values_of(down, other)["estimator"].tolist()
        assert values_of(down, other)["value"].is_monotonic_increasing
        assert best_blind(up, one) == -best_blind(down, other)
    for one, other in zip(up.description.metrics, down.description.metrics, strict=True):
        (chart,) = one.charts
        assert [series.key for series in series_of(up, chart)] == [series.key for series in series_of(down, chart)]
        assert [panel.estimator for panel in charts(up)[chart.name].panels] == [
            panel.estimator for panel in charts(down)[chart.name].panels
        ]
        assert other.numbers[0].better == "lower"
    bold = [re.findall(r"^(.*?) & (\w+) &.*textbf", latex_table(one), re.MULTILINE) for one in (up, down)]
    assert bold[0] == bold[1]
    assert ("Steep slope", "absolute") in bold[0]
    without = [re.sub(r"-?\d+\.\d+( to -?\d+\.\d+)?", "#", "\n".join(headline(one))) for one in (up, down)]
    assert without[0] == without[1]
    tables = [[row[:2] for row in sections(one)[0].table.rows] for one in (up, down)]
    assert tables[0] == tables[1]
    rows = [
        section.table.rows for one in (up, down) for section in sections(one) if section.title.startswith("Choices")
    ]
    assert rows[0] == rows[1]
    taus = [[one["tau"] for one in viewer(study, list(Store(study.folder).gallery()))["cases"]] for study in (up, down)]
    assert taus[0] == taus[1]
    assert None not in taus[0]


def test_cases_have_the_room_that_the_rest_of_the_page_leaves(tmp_path, monkeypatch):
    findings = made.write_study(tmp_path, spatial=(48, 48), kept=12)
    cases = list(Store(tmp_path).gallery())
    file = tmp_path / "p.html"
    write_page(findings, cases, file)
    whole = file.stat().st_size
    assert viewer(findings, cases)["cases"][0]["rows"] == 48
    monkeypatch.setattr("tomolens.report.viewer.PAGE", whole - 40_000)
    write_page(findings, cases, file)
    assert whole // 2 < file.stat().st_size <= whole - 40_000 + 5_000  # what all cases have in common is said beside


def test_the_agreement_within_a_case_is_that_of_the_study(tmp_path):
    findings = made.write_study(tmp_path, estimators=(*made.ESTIMATORS, made.TRUTH_MAP), kept=24)
    taus = {one["name"]: one["tau"] for one in viewer(findings, list(Store(tmp_path).gallery()))["cases"]}
    table = findings.tables["agreement"]
    model, expert = findings.view_of("model").judges.name, findings.view_of("expert").judges.name
    (row,) = table[(table["view"] == model) & (table["other"] == expert)].to_dict("records")
    assert len(taus) == row["cases"]
    assert np.mean(list(taus.values())) == pytest.approx(row["value"], abs=0.005)
    assert taus[row["part_most"]] == min(taus.values())


def test_the_page_and_the_figures_draw_the_same_numbers(reported):
    _, findings = reported
    drawn = {one.name: one.draw for one in _figures(findings, Store(findings.folder))}
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        lines = {
            (series.key, line.label): (line.x, line.value)
            for series in series_of(findings, chart)
            for line in series.lines
        }
        on_paper = [np.stack(one.get_data()) for axes in drawn[chart.name]().axes for one in axes.get_lines()]
        for points in lines.values():
            assert any(one.shape[1] == len(points[0]) and np.array_equal(one, np.stack(points)) for one in on_paper)
        shown = charts(findings)[chart.name]
        on_screen = list(drawn_lines(shown))
        blind = blind_series(findings, chart)
        assert len(on_screen) == len(lines) + (len(blind.lines) * len(shown.panels) if blind else 0)
        for points in lines.values():
            assert any(np.allclose(one, np.stack(points), atol=2e-4 * np.ptp(one, axis=1).max()) for one in on_screen)


def drawn_lines(shown):
    """The points of each line of a chart of the page, back in its own numbers."""
    ends = [np.array(shown.data[axis]) for axis in "xy"]
    for panel in shown.panels:
        for points in re.findall(r'<polyline points="([^"]+)"', panel.drawing):
            places = np.array([one.split(",") for one in points.split()], float).T
            yield np.stack(
                [
                    low + (one - start) / (end - start) * (high - low)
                    for one, (low, high, start, end) in zip(places, ends, strict=True)
                ]
            )


def test_no_two_estimators_look_alike():
    many = [made.described(f"e{place}", blind=place % 3 == 0) for place in range(45)]
    found = looks(made.description(estimators=many))
    assert len({(look.colour, look.dash) for look in found.values()}) > 36
    clear = [look for name, look in found.items() if int(name[1:]) % 3]
    assert len({(look.colour, look.dash) for look in clear}) == len(clear) == 30
    assert all((look.colour == BLIND) == (int(name[1:]) % 3 == 0) for name, look in found.items())


def test_the_methods_name_every_parameter_version_and_hash(reported):
    folder, findings = reported
    text = (folder / "report.html").read_text()
    terms = dict(parameters(findings))
    assert terms["metrics.steps"] == str(made.STEPS)
    assert terms["seed"] == "0"
    assert {f"estimator {one.name}" for one in made.ESTIMATORS if not one.baseline} <= set(terms)
    for term, value in (*parameters(findings), *hashes(findings)):
        assert f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" in text
    for one in checklists(findings):
        assert f'href="{one.link}" download="{one.name}.md"' in text
        for item in one.items:
            assert f"<td>{escape(item.name)}</td><td>{escape(item.asks)}</td><td>{escape(item.says)}</td>" in text


def test_words_from_files_are_escaped(reported, tmp_path):
    folder, findings = reported
    evil = "<script>alert(1)</script>"
    raw = json.loads(json.dumps(findings.description.raw))
    raw["content"]["settings"]["name"] = evil
    raw["estimators"][0]["title"] = evil
    cases = findings.measured.cases.assign(mask="empty", case=evil)
    measured = dataclasses.replace(findings.measured, cases=cases, failed=cases.head(1).assign(note=evil))
    cases = [dataclasses.replace(case, name=evil) for case in Store(folder).gallery()]
    write_page(Findings(measured, type(findings.description)(raw), tmp_path), cases, tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_the_headline_is_the_best_of_each_table(reported):
    _, findings = reported
    sentences = headline(findings)
    tables = {"drop": "erasing", "inside": "inside", "touch": "touching", "twin": "twin"}
    assert list(findings.views) == list(tables)
    for sentence, (name, table) in zip(sentences[: len(tables)], tables.items(), strict=True):
        best, view = findings.table(table).sort_values(name).iloc[-1], findings.views[name]
        assert sentence.startswith(map_title(findings, best["estimator"], best["form"]))
        assert f" leads {view.judges.title} ({judged(view)}, {best['cases']} cases of " in sentence
        for column in (name, "ci_low", "ci_high"):
            assert number(view.factor * best[column], view.digits) in sentence
    assert sentences[-1].startswith("Agreement of the rankings")
    shown = " ".join(summary(findings, width=200).split())
    assert all(" ".join(sentence.split()) in shown for sentence in sentences)


def test_remarks_name_the_option_under_which_they_hold(reported):
    said = warnings(reported[1])
    assert "Slope was not assessed in 23 of 23 cases under noise = strong: it is nothing" in said
    assert "Steep slope, 23 of 23 cases under noise = strong: it is saturated" in said
    assert any("1 of 24 cases failed" in sentence and "case-23: it broke" in sentence for sentence in said)


def test_a_shortcut_is_told_with_the_best_map_that_finds_it(reported):
    relied, vindicated = shortcut_sentences(reported[1])
    assert "balanced accuracy goes from 95 % to 48 % " in relied
    assert "(best: Steep slope (absolute), planted share 0." in vindicated
    maps = reported[1].shortcut.maps
    assert not maps[maps["estimator"] == "noise"]["faithful"].any()
    assert maps[maps["estimator"] != "noise"]["faithful"].all()


def test_a_wrong_prediction_is_said_and_volumes_show_their_middle():
    volume = np.zeros((1, 5, 16, 16), np.float32)
    maps = {("noise", form): np.random.default_rng(0).random(volume.shape[1:]) for form in ("original", "absolute")}
    figure = maps_figure(Example("v", 1, 0, volume, None, maps), made.description())
    assert figure.get_suptitle() == "Case v: with, predicted: without"
    (panel,) = (axes for axes in figure.axes if axes.get_title().endswith("\nabsolute"))
    (drawn,) = panel.get_images()
    np.testing.assert_array_equal(drawn.get_array(), maps["noise", "absolute"].max(axis=0))  # along the scan


def test_figures_show_the_first_channel_and_say_its_window():
    image = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    maps = {("noise", form): np.ones(image.shape[1:]) for form in ("original", "absolute")}
    example = Example("v", 1, 1, image, None, maps, maps)
    windows = [[-1000, 400], [-160, 240], [-100, 900]]
    for given, words in ((windows, "-1000 to 400 HU"), (windows[1], "channel 1 of 3")):
        described = made.description(window=given, channels=3)
        for figure in (maps_figure(example, described), regions_figure(example, described)):
            assert figure.get_suptitle() == f"Case v: with (image: {words})"
            np.testing.assert_array_equal(figure.axes[0].get_images()[0].get_array(), image[0])


def test_a_damaged_example_is_named(reported, tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    whole = next((reported[0] / "examples").glob("*.npz"))
    (folder / "one.npz").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(SettingsError, match=r"one\.npz: damaged"):
        Store(tmp_path).examples()


def test_an_example_is_read_as_it_was_written(tmp_path):
    store = Store(tmp_path)
    maps = {("a", "original"): np.eye(3, dtype=np.float32), ("a", "absolute"): np.ones((3, 3), np.float32)}
    store.write_example(Example("one", 2, 1, np.zeros((1, 3, 3), np.float32), None, maps, maps))
    (read,) = store.examples()
    assert (read.name, read.label, read.predicted, read.mask) == ("one", 2, 1, None)
    for found in (read.maps, read.region_maps):
        assert set(found) == set(maps)
        assert all(np.array_equal(found[key], maps[key]) for key in maps)


def test_what_rounds_to_zero_has_no_sign():
    assert [number(value, 1) for value in (-0.04, 0.04, -0.06, 3.14159)] == ["0.0", "0.0", "-0.1", "3.1"]


def test_numbers_that_differ_in_the_last_bits_print_the_same():
    assert number(10 * 0.5475, 2) == number(5.475, 2) == number(5.4750000000000005, 2) == number(5.4749999999999996, 2)
    assert [number(value, 2) for value in (float("nan"), -1e-9, 12345.678)] == ["nan", "0.00", "12345.68"]


def test_titles_within_a_sentence():
    assert [in_sentence(name) for name in ("Centre prior", "CT prior", "edges", "")] == [
        "centre prior",
        "CT prior",
        "edges",
        "",
    ]


def test_the_number_of_baselines_is_one_number(reported):
    _, findings = reported
    named = [title(findings, name) for name in findings.tables["baselines"]["baseline"].unique()]
    (robust,) = (item.says for item in checklists(findings)[0].items if item.name == "30")
    (said,) = (text for text in paragraphs(findings) if "Blind baselines: " in text)
    assert robust.startswith(f"{len(named)} blind baselines")
    assert said.split("Blind baselines: ")[1].rstrip(".").split("; ") == named


def test_cases_that_nobody_ranks_the_other_way_round_are_not_told_as_most(reported):
    _, findings = reported
    agreement = findings.tables["agreement"].assign(disagree=0.0)
    assert len(agreement)
    settled = Findings(findings.measured, findings.description, findings.folder)
    settled.__dict__["tables"] = {**findings.tables, "agreement": agreement}
    sentences = [text for text in agreement_sentences(settled) if text.startswith("Case by case")]
    assert sentences
    assert all("in none of" in text and "most in case" not in text.split("they part")[0] for text in sentences)


def test_baselines_that_could_not_be_drawn_are_told(tmp_path):
    missing = {"mask-atlas": "no masks in training"}
    estimators = [one for one in made.ESTIMATORS if one.name != "mask-atlas"]
    findings = made.write_study(tmp_path, estimators=estimators, missing_baselines=missing)
    assert "Not drawn, so not beaten: mask-atlas (no masks in training)." in headline(findings)
    (section,) = (section for section in sections(findings) if section.title == "Blind baselines")
    assert [row[3] for row in section.table.rows if row[1] == "mask-atlas"] == ["not drawn: no masks in training"] * 4
    assert "strong opponent" not in section.text


def test_of_many_maps_the_best_are_drawn_in_colour(reported, monkeypatch):
    findings = reported[1]
    chart = next(chart for metric in findings.description.metrics for chart in metric.charts if len(chart.lines) == 1)
    monkeypatch.setattr(curves, "MANY", 2)
    monkeypatch.setattr(curves, "MOST", 1)
    panel = curves.curves_figure(findings, chart).axes[0]
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    assert len(names) == 4
    assert names[3].endswith("\n(the best blind map)")
    best = next(one for one in series_of(findings, chart) if one.look.colour != BLIND and one.key[1] != "absolute")
    assert best.label.startswith(names[0].split("  ")[1])
    assert "Noise" in names[1]
    assert names[2] == "2 others, see the table"
    assert len([line for line in panel.lines if line.get_color() == style.GUIDE and len(line.get_xdata()) > 2]) == 2


def test_words_under_colours_never_meet():
    image = np.zeros((1, 16, 16), np.float32)
    for count in (1, 2, 3, 8):
        maps = {(f"e{number}", form): np.ones((16, 16)) for number in range(count) for form in FORMS}
        figure = maps_figure(Example("v", 1, 1, image, None, maps), made.description())
        figure.draw_without_rendering()
        for axes in figure.axes[-2:]:
            boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
            assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_curves_of_one_class_alone_are_no_mean(reported):
    findings = reported[1]
    charts = [chart for metric in findings.description.metrics for chart in metric.charts]
    chart = next(one for one in charts if findings.description.outputs[one.lines[0]].balanced)
    series = series_of(findings, chart)
    assert upward(findings, chart, series) == chart.y_label
    of_one = [
        dataclasses.replace(one, lines=tuple(dataclasses.replace(line, classes={1: line.value}) for line in one.lines))
        for one in series
    ]
    assert upward(findings, chart, of_one) == f"{chart.y_label.split(',')[0]} in “with”"
    plain = next(one for one in charts if not findings.description.outputs[one.lines[0]].balanced)
    assert upward(findings, plain, of_one) == plain.y_label


def test_figures_have_the_line_of_the_best_blind_map(reported):
    findings = reported[1]
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        blind = blind_series(findings, chart)
        figure = curves.curves_figure(findings, chart)
        for axes in (one for one in figure.axes if one.get_visible()):
            found = [line for line in axes.lines if "the best blind map" in str(line.get_label())]
            assert len(found) == (0 if blind is None else len(chart.lines))
            for line, drawn in zip(blind.lines if blind else (), found, strict=True):
                np.testing.assert_array_equal(drawn.get_ydata(), line.value)


def test_many_maps_in_two_views_have_numbers(reported, monkeypatch):
    findings = reported[1]
    assert not agreement.agreement_figure(findings).axes[0].texts
    monkeypatch.setattr(agreement, "MANY", 2)
    figure = agreement.agreement_figure(findings)
    written = [text.get_text() for text in figure.axes[0].texts]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert written == [str(number) for number in range(1, len(written) + 1)]
    assert [label.split("  ")[0] for label in labels[: len(written)]] == written


def test_regions_of_many_estimators_stand_in_several_rows():
    names = [f"e{number}" for number in range(11)]
    maps = {(name, form): np.random.default_rng(0).random((16, 16)) for name in names for form in FORMS}
    example = Example("c", 1, 1, np.zeros((1, 16, 16), np.float32), None, maps, maps)
    figure = regions_figure(example, made.description(estimators=tuple(map(made.described, names))))
    assert len([axes for axes in figure.axes if axes.images]) == 22
    assert figure.get_size_inches()[0] < 14
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [*FORMS, *FORMS]


def test_no_two_of_forty_estimators_look_alike():
    found = style.looks(made.description(estimators=tuple(made.described(f"e{number}") for number in range(40))))
    assert len({(look.colour, look.dash) for look in found.values()}) == 40
    assert len({(look.colour, look.screen_dashes) for look in found.values()}) == 40


def test_what_is_the_same_of_several_estimators_is_said_once(reported):
    findings = reported[1]
    remarks = findings.measured.remarks
    others = remarks[remarks["kind"] == NOT_ASSESSED].assign(estimator="positive")
    measured = dataclasses.replace(findings.measured, remarks=pd.concat([remarks, others]))
    said = warnings(Findings(measured, findings.description, findings.folder))
    assert "Slope, Positive were not assessed in 23 of 23 cases under noise = strong: it is nothing" in said
