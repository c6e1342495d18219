"""The line that says where a page comes from."""

import dataclasses
import re
from datetime import UTC, date, datetime

import numpy as np

import synthetic_results as made
from tomolens.report.beginnings import choices_of, explained, first_maps, map_of
from tomolens.report.glossary import views_in_words
from tomolens.report.methods import paragraphs
from tomolens.report.page import write_page
from tomolens.report.provenance import command, data, provenance
from tomolens.report.viewer import around
from tomolens.report.warnings import warnings
from tomolens.results.description import Description
from tomolens.results.store import Store


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


def test_what_a_view_asks_ends_as_a_sentence(tmp_path, monkeypatch):
    findings = made.write_study(tmp_path)
    view = findings.views["drop"]
    told = dataclasses.replace(view, view=dataclasses.replace(view.judges, text="It asks. It adds: much; and more."))
    monkeypatch.setattr(type(findings), "views", property(lambda _: {"drop": told}))
    assert views_in_words(findings)[view.judges.title] == "It asks. It adds."


def test_methods_say_how_networks_were_trained_how_right_they_are_and_by_what(tmp_path):
    findings = made.write_study(tmp_path)
    said = paragraphs(findings)
    assert "Accuracy, the mean of the classes, on the cases that are explained: 97.0 %." in said
    assert "Software: TomoLens 0." in said
    assert not any("was trained on" in text for text in said)  # it was given
    content = findings.description.raw["content"]
    recipe = {"architecture": "resnet18", "epochs": 8, "batch_size": 16, "learning_rate": 0.001, "validation": 0.2}
    settings = {**content["settings"], "classifier": {"recipe": recipe}}
    networks = [{"source": "trained", "cases": 240, "epoch": 7, "fold": 0, "weights": "w"}]
    trained = changed(findings, content={**content, "settings": settings}, networks=networks)
    assert (
        "The network (resnet18) was trained on 240 cases for at most 8 epochs (batches of 16, AdamW, largest learning "
        "rate 0.001), a share of 0.2 held out to choose the epoch that is kept (7)."
    ) in paragraphs(trained)


def test_only_views_with_numbers_can_be_chosen_and_the_two_that_part_are_named(tmp_path):
    findings = made.write_study(tmp_path)
    cases = list(Store(tmp_path).gallery())
    whole = around(findings, cases)
    assert "drop" in [one["name"] for one in whole["outputs"]]
    assert (
        whole["two_views"] == f"{findings.view_of('model').judges.title} and {findings.view_of('expert').judges.title}"
    )
    without = [
        dataclasses.replace(
            case, numbers={key: {**numbers, "drop": float("nan")} for key, numbers in case.numbers.items()}
        )
        for case in cases
    ]
    assert "drop" not in [one["name"] for one in around(findings, without)["outputs"]]


def test_a_case_is_said_to_show_a_lead_only_where_there_is_one(tmp_path):
    findings = made.write_study(tmp_path)
    cases = list(Store(tmp_path).gallery())
    choices = choices_of(findings, cases)
    best = first_maps(findings, choices)[0]
    found = explained(findings, cases, choices, best)
    shown = [map_of(one["key"]) for one in found["maps"]]

    def turning(at):
        """All cases, with the first map's decision turned at a step, and the others' at the fifth."""
        steps = len(next(iter(cases[0].correct.values()))[0])
        curves = {key: np.array([[1] * (at if key == shown[0] else 5) + [0] * steps] * 2)[:, :steps] for key in shown}
        return [dataclasses.replace(case, correct={**case.correct, **curves}) for case in cases]

    assert explained(findings, turning(2), choices, best)["ahead"] == 3
    for at in (5, 6):
        changed_cases = turning(at)
        assert explained(findings, changed_cases, choices, best)["ahead"] == 0
        write_page(findings, changed_cases, tmp_path / "p.html")
        assert "In no case on this page" in (tmp_path / "p.html").read_text()
    write_page(findings, turning(2), tmp_path / "p.html")
    assert "is most ahead of the others" in (tmp_path / "p.html").read_text()


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
