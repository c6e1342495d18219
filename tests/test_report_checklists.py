"""Stubs of checklists: every item there once, what is told is what the tables say, and the rest left open."""

import base64

import pytest

import synthetic_results as made
from tomolens.findings.printing import map_title, printed, values_of
from tomolens.report.checklist import OPEN
from tomolens.report.checklists import checklists
from tomolens.report.claim import CLAIM_2020, CLAIM_2024
from tomolens.report.write import write_checklists


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    findings = made.write_study(tmp_path_factory.mktemp("c") / "s")
    return findings, {one.name: one for one in checklists(findings)}


def test_every_item_is_there_once(lists):
    _, found = lists
    assert [item.name for item in found["claim"].items] == [str(number) for number in range(1, 45)]
    assert len({item.name for item in found["clix-m"].items}) == len(found["clix-m"].items) == 14
    assert [item.name for item in found["four-criteria"].items] == [
        "Consistency",
        "Plausibility",
        "Fidelity",
        "Usefulness",
    ]
    for one in found.values():
        assert 0 < one.filled < len(one.items)
        assert all(item.asks and item.says for item in one.items)


def test_both_editions_of_claim_say_the_same_on_the_same_items(lists):
    _, found = lists
    update, first = found["claim"], found["claim-2020"]
    assert "2024 update" in update.title
    assert "2020" in first.title
    assert [item.name for item in first.items] == [str(number) for number in range(1, 43)]
    same = [number for _, number in CLAIM_2020 if number]
    assert len(set(same)) == len(same) == 40
    assert set(same) <= set(range(1, len(CLAIM_2024) + 1))
    for item, (_, number) in zip(first.items, CLAIM_2020, strict=True):
        assert item.says == (update.items[number - 1].says if number else OPEN)
    # Those that moved, by what they ask for.
    assert CLAIM_2020[19][0] == CLAIM_2024[18] == "how cases were assigned to partitions"
    assert CLAIM_2020[31][0] == CLAIM_2024[32] == "testing on external data"
    assert CLAIM_2020[41][0] == CLAIM_2024[43] == "funding"


def test_what_is_told_is_what_the_tables_say(lists):
    findings, found = lists
    output = findings.description.outputs["share_inside"]
    best = values_of(findings, output).iloc[0]
    said = next(item.says for item in found["four-criteria"].items if item.name == "Plausibility")
    assert f"Share inside: {printed(output, best['value'])}" in said
    assert map_title(findings, best["estimator"], best["form"]) in said
    explained = next(item.says for item in found["claim"].items if item.name == "31")
    assert findings.verdict.sentence in explained
    usefulness = found["four-criteria"].items[3].says
    assert usefulness.startswith(OPEN)  # nobody read with these maps
    assert next(item.says for item in found["claim"].items if item.name == "44") == OPEN


def test_what_was_not_measured_is_not_claimed(lists):
    _, found = lists
    consistency = next(item.says for item in found["four-criteria"].items if item.name == "Consistency")
    assert "Not measured in this study" in consistency


def test_what_was_left_out_and_what_was_given_is_told(tmp_path):
    findings = made.write_study(tmp_path / "s", failed=2, skipped={"a": "broken", "b": "broken", "c": "broken"})
    items = {item.name: item.says for item in checklists(findings)[0].items}
    assert "Of 27 cases 3 could not be read and 2 could not be evaluated" in items["12"]
    assert "22 cases of" in items["35"]
    assert "5 left out" in items["35"]
    assert items["43"].startswith("Tables and figures")  # the network was given, and is not there
    assert "not known here" in items["32"]
    assert items["24"] == OPEN
    assert "held-out" not in items["9"] + items["37"]


def test_blind_maps_are_nobodys_evidence(lists):
    findings, found = lists
    for one in found.values():
        for item in one.items:
            assert " of Noise" not in item.says, item
            assert "Strata by" not in item.says or len(findings.tables["strata"])


def test_they_are_files_and_links(lists, tmp_path):
    findings, found = lists
    write_checklists(findings, tmp_path / "checklists")
    for one in found.values():
        text = (tmp_path / "checklists" / f"{one.name}.md").read_text()
        assert text == one.markdown
        assert text.count("\n| ") == len(one.items) + 1
        assert base64.b64decode(one.link.partition("base64,")[2]).decode() == text
