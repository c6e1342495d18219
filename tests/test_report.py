import dataclasses
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from markupsafe import escape

from tomolens.errors import SettingsError
from tomolens.findings import Findings
from tomolens.findings.tables import OWN_SHARE
from tomolens.findings.views import VIEWS
from tomolens.report.answer import headline, view_sentences
from tomolens.report.methods import claim, hashes, paragraphs, parameters
from tomolens.report.page import write_page
from tomolens.report.panels import maps_figure
from tomolens.report.style import map_title, number, title
from tomolens.report.words import summary
from tomolens.study.store import Example, Store


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]


def test_the_page_is_one_file(finished_study):
    page = Page()
    page.feed((finished_study[0] / "report.html").read_text())
    assert page.sources
    assert all(source.startswith("data:") for source in page.sources)
    assert page.tags.count("img") == len(list((finished_study[0] / "figures").glob("ranks-*.png")))
    for figure in (finished_study[0] / "figures").glob("*.png"):
        assert figure.with_suffix(".pdf").stat().st_size > 1000
        assert f"**{figure.stem}.pdf**" in (finished_study[0] / "figures" / "captions.md").read_text()


def test_the_methods_name_every_parameter_version_and_hash(finished_study):
    folder, findings = finished_study
    text = (folder / "report.html").read_text()
    terms = dict(parameters(findings))
    assert terms["metrics.steps"] == str(findings.settings.metrics.steps)
    assert terms["seed"] == str(findings.settings.seed)
    assert {f"estimator {name}" for name in findings.settings.estimators.names} <= set(terms)
    for term, value in (*parameters(findings), *hashes(findings)):
        assert f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" in text
    items = {item for item, _, _ in claim(findings)}
    assert "31" in items
    for _, asked, said in claim(findings):
        assert f"<td>{escape(asked)}</td><td>{escape(said)}</td>" in text


def test_words_from_files_are_escaped(finished_study, tmp_path):
    _, findings = finished_study
    evil = "<script>alert(1)</script>"
    settings = findings.settings.model_copy(update={"name": evil})
    cases = findings.measured.cases.assign(mask="empty", case=evil)
    measured = dataclasses.replace(findings.measured, cases=cases, failed=cases.head(1).assign(note=evil))
    cases = [dataclasses.replace(case, name=evil) for case in Store(findings.folder).viewed()]
    write_page(Findings(measured, findings.description, settings, tmp_path), {}, cases, tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_the_headline_is_the_best_of_each_table(finished_study):
    _, findings = finished_study
    sentences = headline(findings)
    dice = findings.table("overlap").query("at == @own", local_dict={"own": OWN_SHARE})
    tables = {
        "fidelity": findings.table("fidelity"),
        "auc": findings.table("roc"),
        "dice": dice,
        "evidence": findings.table("evidence"),
    }
    assert list(tables) == list(VIEWS)
    for sentence, (name, table) in zip(sentences[: len(tables)], tables.items(), strict=True):
        best, view = table.sort_values(name).iloc[-1], VIEWS[name]
        assert sentence.startswith(map_title(best["estimator"], best["signs"]))
        assert f" leads {view.title} ({view.judge}, {best['cases']} cases of " in sentence
        for column in (name, "ci_low", "ci_high"):
            assert number(view.factor * best[column], view.digits) in sentence
    assert sentences[-1].startswith("Agreement of the rankings")
    printed = " ".join(summary(findings, width=200).split())
    assert all(" ".join(sentence.split()) in printed for sentence in sentences)


def test_figures_are_drawn_and_not_empty(finished_study):
    for file in (finished_study[0] / "figures").glob("*.png"):
        pixels = matplotlib.image.imread(file)
        assert min(pixels.shape[:2]) > 250
        assert pixels[..., :3].std() > 0.05


def test_a_wrong_prediction_is_said_and_volumes_show_their_middle():
    volume = np.zeros((1, 5, 16, 16), np.float32)
    example = Example("v", 1, 0, volume, None, {"random": np.random.default_rng(0).random(volume.shape)}, {})
    figure = maps_figure(example, ("without", "with"))
    assert figure.get_suptitle() == "Case v: with, predicted: without"


def test_a_damaged_example_is_named(finished_study, tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    whole = next((finished_study[0] / "examples").glob("*.npz"))
    (folder / "one.npz").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(SettingsError, match=r"one\.npz: damaged"):
        Store(tmp_path).examples()


def test_what_rounds_to_zero_has_no_sign():
    assert [number(value, 1) for value in (-0.04, 0.04, -0.06, 3.14159)] == ["0.0", "0.0", "-0.1", "3.1"]


def test_numbers_that_differ_in_the_last_bits_print_the_same():
    assert number(10 * 0.5475, 2) == number(5.475, 2) == number(5.4750000000000005, 2) == number(5.4749999999999996, 2)
    assert [number(value, 2) for value in (float("nan"), -1e-9, 12345.678)] == ["nan", "0.00", "12345.68"]


def test_the_number_of_baselines_is_one_number(finished_study):
    _, findings = finished_study
    named = [title(name) for name in findings.tables["baselines"]["baseline"].unique()]
    (robust,) = (text for item, _, text in claim(findings) if item == "30")
    (said,) = (text for text in paragraphs(findings) if "Blind baselines: " in text)
    assert robust.startswith(f"{len(named)} blind baselines")
    assert said.split("Blind baselines: ")[1].rstrip(".").split(", ") == named


def test_cases_that_nobody_ranks_the_other_way_round_are_not_told_as_most(finished_study):
    _, findings = finished_study
    views = findings.tables["views"].assign(disagree=0.0)
    assert len(views)
    settled = Findings(findings.measured, findings.description, findings.settings, findings.folder)
    settled.__dict__["tables"] = {**findings.tables, "views": views}
    sentences = [text for text in view_sentences(settled) if text.startswith("Case by case")]
    assert sentences
    assert all("in none of" in text and "most in case" not in text.split("they part")[0] for text in sentences)
