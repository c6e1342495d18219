"""The line that says where a page comes from."""

import re
from datetime import UTC, date, datetime

import synthetic_results as made
from tomolens.report.glossary import views_in_words
from tomolens.report.page import write_page
from tomolens.report.provenance import command, data, provenance
from tomolens.report.warnings import warnings
from tomolens.results.description import Description


def changed(findings, **more):
    """The findings of a study whose description differs."""
    return type(findings)(findings.measured, Description({**findings.description.raw, **more}), findings.folder)


def with_cases(findings, **more):
    content = findings.description.raw["content"]
    settings = content["settings"]
    cases = {**settings["cases"], **more}
    return changed(findings, content={**content, "settings": {**settings, "cases": cases}})


def test_a_line_says_where_the_page_comes_from(tmp_path):
    findings = changed(made.write_study(tmp_path), commit="0123456789abcdef+changes")
    said = provenance(findings, date(2026, 2, 3))
    patients = findings.measured.cases["patient"].nunique()
    assert said == (
        f"Study “made up” · data h · 24 cases of {patients} patients · seed 0 · "
        "TomoLens 0 (0123456789, with changes) · m (cpu) · study id · page of 2026-02-03"
    )
    day = provenance(changed(findings, measured_on="2026-01-31"), date(2026, 2, 3))
    assert day.endswith(" · study id · measured on 2026-01-31 · page of 2026-02-03")
    write_page(findings, [], tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    day = re.search(r"page of (\d{4}-\d\d-\d\d)", text).group(1)
    assert abs((date.fromisoformat(day) - datetime.now(UTC).date()).days) <= 1  # midnight may have passed
    assert f"<code>{command(findings)}</code>" in text


def test_a_view_is_told_where_it_first_stands(tmp_path):
    findings = made.write_study(tmp_path)
    assert views_in_words(findings)["drop"] == "Pixels go, larger is better."
    write_page(findings, [], tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    assert text.count('data-means="Pixels go, larger is better."') == 1


def test_the_data_are_named_by_what_they_are(tmp_path):
    findings = made.write_study(tmp_path)
    assert data(with_cases(findings, source="phantom", finding="nodule")) == "simulated chest CT (nodule)"
    assert data(findings) == "data h"


def test_who_drew_the_masks_of_simulated_cases_is_told(tmp_path):
    findings = made.write_study(tmp_path)
    said = "the cases are simulated: the expert's masks are those of the simulation, and no reader drew them"
    assert said in warnings(with_cases(findings, source="phantom"))
    assert said not in warnings(findings)


def test_the_command_has_no_names_of_files(tmp_path):
    findings = made.write_study(tmp_path)
    assert command(with_cases(findings, source="phantom")) == "tomolens study study.toml"
    assert command(findings) == "tomolens study study.toml --cases cases.csv"
    content = {**findings.description.raw["content"], "classifier": {"network": "Net"}}
    machine = {"name": "m", "device": "cuda:0", "executor": "ray"}
    given = changed(findings, content=content, machine=machine)
    assert (
        command(given)
        == "tomolens study study.toml --cases cases.csv --model network.toml --device cuda --executor ray"
    )
