"""Stubs of checklists: every item there once, what is told is what the tables say, and the rest left open."""

import base64

import pytest

import synthetic_results as made
from tomolens.findings.printing import best_blind, map_title, printed, title, values_of
from tomolens.report.answer import headline
from tomolens.report.checklist import OPEN
from tomolens.report.checklists import checklists
from tomolens.report.claim import CLAIM_2020, CLAIM_2024
from tomolens.report.sections import sections
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


def test_wrong_predictions_are_told_where_they_were_measured(lists, tmp_path):
    _, found = lists
    items = {item.name: item.says for item in found["claim"].items}
    assert items["39"].startswith("1 of 24 cases were predicted wrongly. Maps of these were measured in 1 by drop")
    assert items["12"].startswith("None of 24 cases is missing")
    assert items["27"].startswith("Each case is decided by the network that was given")
    assert "Student's t" in items["29"]
    right = made.write_study(tmp_path / "right", count=4, accuracy={})
    items = {item.name: item.says for item in checklists(right)[0].items}
    assert items["39"] == "None of 4 cases was predicted wrongly."
    assert items["37"].startswith("Accuracy of the classifier: not known here.")
    assert "nan" not in " ".join(items.values())


def test_a_number_stands_beside_that_of_the_best_blind_map(tmp_path):
    estimators = (*made.ESTIMATORS, made.TRUTH_MAP)
    weak = {(made.TRUTH_MAP.name, "drop"): 0.1}
    findings = made.write_study(tmp_path, estimators=estimators, turns=lambda index: True, skill=weak)
    assert findings.can_judge["drop"] == "no"
    correctness = next(item.says for item in checklists(findings)[2].items if item.name == "Correctness")
    view = findings.views["drop"]
    blind = best_blind(findings, view)
    beside = f"the blind map “{title(findings, blind['baseline'])}” has {printed(view, blind['value'])}"
    assert f"; {beside}; this view cannot judge maps here." in correctness
    first, *others = headline(findings)[: len(findings.views)]
    assert "drop" not in first  # what can judge leads
    assert others[-1].endswith(f"; {beside}; this view cannot judge maps here.")


def test_strata_are_called_what_they_are(lists, tmp_path):
    (strata,) = [one for one in sections(lists[0]) if one.title == "Strata"]
    assert "by label, by right and wrong predictions, by thirds of the mask's size;" in strata.text
    (strata,) = [one for one in sections(made.write_study(tmp_path, count=4)) if one.title == "Strata"]
    assert "right and wrong" not in strata.text
    assert all(isinstance(row[-2], int) for row in strata.table.rows)
