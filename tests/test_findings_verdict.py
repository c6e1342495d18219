"""The verdict: its rule on studies made up for it, and how often it errs."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import synthetic_results as made
from tomolens.declarations import FORMS, Declaration, Output
from tomolens.findings import Findings, sentence
from tomolens.findings.measured import CASE, Measured
from tomolens.findings.printing import best_blind
from tomolens.findings.verdict import Check, TrustCard
from tomolens.report.curve_charts import curve_charts
from tomolens.report.tiles import tiles
from tomolens.report.warnings import left_out_sentences, warnings
from tomolens.results.rows import SCHEMA
from tomolens.results.store import Store

WITH_TRUTH = (*made.ESTIMATORS, made.TRUTH_MAP)


def judged(folder, skill=None, turns=lambda index: True, estimators=WITH_TRUTH, **options):
    return made.write_study(folder, estimators=estimators, skill=skill, turns=turns, **options)


def names(findings):
    return [card.estimator for card in findings.verdict.believed]


def test_what_beats_every_blind_map_and_finds_the_truth_is_believed(tmp_path):
    findings = judged(tmp_path / "s", {"positive": 0.46})  # as good as the atlas
    verdict = findings.verdict
    assert names(findings) == ["steep-slope"]
    card = verdict.believed[0]
    assert card.form == "absolute"
    assert [card.state(question) for question in ("faithful", "truth", "expert")] == ["passed"] * 3
    assert [card.state(question) for question in ("weights", "repeatable", "choices")] == ["not assessed"] * 3
    (faithful,) = card.of("faithful")
    row = findings.table("gains").query("view == 'drop' and estimator == 'steep-slope' and form == 'absolute'").iloc[0]
    assert (faithful.value, faithful.gain, faithful.p) == (row["value"], row["gain"], row["p_holm"])
    assert (faithful.cases, faithful.patients) == (24, 24)
    assert verdict.sentence.startswith("Believe only Steep slope (absolute), to say where this network looks")
    assert verdict.sentence.count("24 cases of 24 patients") == 1
    assert "of the blind map “Atlas of masks”" in verdict.sentence
    assert not verdict.next_steps


def test_there_is_a_card_for_all_that_looks_at_the_network_and_nothing_else(tmp_path):
    cards = judged(tmp_path / "s").verdict.cards
    assert sorted(card.estimator for card in cards) == ["positive", "slope", "steep-slope"]
    assert [card.believed for card in cards] == sorted((card.believed for card in cards), reverse=True)


def test_agreement_with_the_expert_is_never_asked_for(tmp_path):
    elsewhere = {("steep-slope", output): 0.1 for output in ("share_inside", "touch")}
    findings = judged(tmp_path / "s", {**elsewhere, "positive": 0.4})
    assert names(findings) == ["steep-slope"]
    assert findings.verdict.believed[0].state("expert") == "failed"


def test_a_map_that_finds_the_mask_and_is_not_faithful_is_not_believed(tmp_path):
    unfaithful = {(name, "drop"): 0.2 for name in ("slope", "steep-slope", "positive")}
    findings = judged(tmp_path / "s", unfaithful)
    assert names(findings) == []
    verdict = findings.verdict
    assert verdict.sentence.startswith("None can be believed: on these 24 cases of 24 patients no map surely beats the")
    assert verdict.sentence.endswith("Do not use these maps to say where the network looks.")
    assert "“Atlas of masks”, in the one view of the model that can judge here (the nearest, by drop: " in (
        verdict.sentence
    )
    assert "in which a good map can win" in verdict.next_steps[0]


def test_a_faithful_map_that_misses_a_known_truth_is_not_believed(tmp_path):
    missing = {(name, "twin_share"): 0.2 for name in ("slope", "steep-slope", "positive")}
    findings = judged(tmp_path / "s", missing)
    assert names(findings) == []
    assert "Steep slope (absolute) beats every map that never looks at the network" in findings.verdict.sentence
    assert "does not surely find the truth better than" in findings.verdict.sentence


def test_a_view_that_cannot_judge_takes_no_part(tmp_path):
    findings = judged(tmp_path / "s", {("the-truth", "drop"): 0.4})
    assert names(findings) == []
    assert (
        "no view of the model's behaviour by which these maps were measured can judge maps" in findings.verdict.sentence
    )
    assert "Cannot judge maps here, and took no part: drop." in findings.verdict.reasons
    assert "another fill" in findings.verdict.next_steps[0]
    no_truth = judged(tmp_path / "t", {("the-truth", "twin_share"): 0.2, ("steep-slope", "twin_share"): 0.1})
    assert "steep-slope" in names(no_truth), "what the truth itself does not find nobody need find"


def test_without_controls_a_verdict_says_so(tmp_path):
    findings = made.write_study(tmp_path / "s")
    assert "steep-slope" in names(findings)
    assert not findings.verdict.controlled
    assert findings.verdict.reasons[0].startswith("Views not controlled")
    assert "--calibrate" in findings.verdict.next_steps[0]


def test_few_patients_cannot_tell(tmp_path):
    findings = judged(tmp_path / "s", count=6)
    assert names(findings) == []
    assert findings.verdict.sentence.startswith("Cannot be told: too few patients.")


def two_views(folder, skill, **options):
    other = replace(made.ERASING.outputs[0], name="drop2", view=replace(made.ERASING.outputs[0].view, name="drop2"))
    second = replace(made.ERASING, name="erasing2", outputs=(other,), charts=())
    return judged(folder, skill, metrics=(made.ERASING, second, made.TRUTH), **options)


def test_the_sentence_names_a_view_that_was_failed(tmp_path):
    """Passed in the first view of the model and failed in the second: that is the one to be told."""
    findings = two_views(tmp_path / "s", {(name, "drop2"): 0.3 for name in ("slope", "steep-slope", "positive")})
    card = findings.verdict.cards[0]
    assert [check.state for check in card.of("faithful")] == ["passed", "failed"]
    assert names(findings) == []
    failed = card.of("faithful")[1]
    assert f"{10 * failed.value:.2f} against {10 * failed.against_value:.2f}" in findings.verdict.sentence


def lacking(folder, index, **options):
    """A study whose atlas lacks the cases below an index."""
    judged(folder, **options)
    store = Store(folder)
    tables = []
    for block in store.shards.blocks():
        left_out = (block["estimator"].to_pandas() == "mask-atlas") & (block["index"].to_pandas() < index)
        tables.append(block.filter(pa.array(~left_out)))
    for file in store.shards.folder.glob("*"):
        file.unlink()
    store.shards.write([pa.concat_tables(tables).cast(SCHEMA)], range(24))
    return Findings.from_folder(folder)


STRONG_ATLAS = {"mask-atlas": 0.45, "slope": 0.1, "positive": 0.1}


def test_a_blind_map_that_lacks_some_cases_must_be_beaten_in_those_it_has(tmp_path):
    found = lacking(tmp_path / "s", 3, skill=STRONG_ATLAS)
    rows = found.tables["gains"]
    rows = rows[rows["view"] == "drop"]
    assert set(rows["baseline"]) == {"mask-atlas"}
    assert set(rows["cases"]) == {21}
    values = found.measured.numbers["drop"][found.measured.cases["index"].to_numpy() >= 3]
    labels = found.measured.cases["label"].to_numpy()[found.measured.cases["index"].to_numpy() >= 3]
    for _, row in rows.iterrows():
        for name, key in (("value", (row["estimator"], row["form"])), ("baseline_value", ("mask-atlas", "original"))):
            column = values[:, found.measured.maps.index(key)]
            assert row[name] == pytest.approx(np.mean([column[labels == label].mean() for label in (0, 1)]))
    assert best_blind(found, found.views["drop"])["baseline"] == "mask-atlas"
    assert not left_out_sentences(found)


def test_a_blind_map_that_lacks_most_cases_is_said_not_to_be_beaten(tmp_path):
    found = lacking(tmp_path / "s", 18, skill=STRONG_ATLAS)
    assert "no number in many of the cases: “Atlas of masks”." in " ".join(found.verdict.reasons)
    assert (
        "beats every map that never looks at the network, apart from “Atlas of masks”, which could not be compared ("
        in found.verdict.sentence
    )
    view = found.views["drop"]
    assert best_blind(found, view)["baseline"] != "mask-atlas"  # the best of all, and not drawn as such
    assert found.tables["baselines"].set_index(["view", "baseline"])["value"].loc["drop"].idxmax() == "mask-atlas"
    (said,) = [one for one in warnings(found) if one.startswith("By drop the blind map Atlas of masks")]
    assert "6 of 24 cases only" in said
    assert tiles(found)[0].says == "Beats every blind map that was compared"
    chart = made.ERASING.charts[0]
    assert not any("Atlas" in words for _, _, words in curve_charts(found, chart)[chart.name].legend)


def test_controls_that_cannot_be_told_are_not_called_controlled(tmp_path):
    verdict = judged(tmp_path / "s", turns=lambda index: index < 3).verdict
    assert not verdict.controlled
    assert any(reason.startswith("Whether it can judge maps here cannot be told: drop") for reason in verdict.reasons)
    assert "tells few cases from their twins" in verdict.next_steps[0]
    nothing = judged(tmp_path / "t", turns=lambda index: False).verdict
    assert "--calibrate" not in " ".join(nothing.next_steps)


def test_controls_of_one_class_alone_are_told(tmp_path):
    verdict = judged(tmp_path / "s", turns=lambda index: index % 2 == 0).verdict
    assert (
        "Views are controlled by images of the class “without” alone: of others no truth is known." in verdict.reasons
    )


def test_what_a_shortcut_vindicates_must_be_faithful_by_its_card(tmp_path):
    unfaithful = {(name, "drop"): 0.2 for name in ("slope", "steep-slope", "positive")}
    verdict = judged(tmp_path / "s", unfaithful, metrics=(*made.METRICS, made.PLANTED), shortcut=True).verdict
    assert not any("looks elsewhere" in reason for reason in verdict.reasons)


def test_without_the_models_view_nothing_can_be_believed(tmp_path):
    findings = judged(tmp_path / "s", metrics=(made.INSIDE, made.TRUTH))
    assert names(findings) == []
    assert findings.verdict.sentence.startswith("Cannot be told: no view of the model's own behaviour")


def test_what_has_seen_the_twin_is_told_and_not_believed(tmp_path):
    estimators = tuple(replace(one, of_twin=one.name == "steep-slope") for one in WITH_TRUTH)
    findings = judged(tmp_path / "s", {"positive": 0.4}, estimators=estimators)
    assert names(findings) == []
    card = next(card for card in findings.verdict.cards if card.estimator == "steep-slope")
    assert "has seen the twin" in card.of("faithful")[0].reason
    assert card.state("expert") == "passed"


def test_a_twin_that_the_network_rarely_notices_is_no_truth(tmp_path):
    findings = judged(tmp_path / "s", turns=lambda index: index % 4 == 0, count=48, patients=24, **least_turned(0.5))
    checks = findings.verdict.cards[0].of("truth")
    assert [check.state for check in checks] == ["not assessed"]
    assert "the network tells 12 of 48 cases from their twins" in checks[0].reason
    assert "in 12 of 48 cases" in " ".join(findings.verdict.reasons)


def least_turned(share):
    return {"verdict": {"confidence": 0.95, "least_turned": share}}


def test_maps_that_cannot_be_told_apart_are_said_to_be(tmp_path):
    alike = judged(tmp_path / "s", {"positive": 0.7})
    assert sorted(names(alike)) == ["positive", "steep-slope"]
    assert "Which of them is best cannot be told: the intervals of their ranks meet." in alike.verdict.reasons
    apart = judged(tmp_path / "t", {"positive": 0.9})
    assert names(apart)[0] == "positive"
    assert not any("cannot be told" in reason for reason in apart.verdict.reasons)


def test_a_planted_shortcut_answers_for_the_truth(tmp_path):
    metrics = (*made.METRICS, made.PLANTED)
    miss = {(name, "twin_share"): 0.1 for name in ("slope", "steep-slope", "positive")}
    findings = judged(tmp_path / "s", miss, metrics=metrics, shortcut=True)
    assert "steep-slope" in names(findings)
    assert any("looks elsewhere than the expert's mask" in reason for reason in findings.verdict.reasons)


def test_lower_is_better_gives_the_same_verdict(tmp_path):
    up, down = judged(tmp_path / "a"), judged(tmp_path / "b", metrics=tuple(map(made.lower, made.METRICS)))
    assert names(up) == names(down)
    assert [card.checks[0].gain for card in up.verdict.cards] == pytest.approx(
        [card.checks[0].gain for card in down.verdict.cards]
    )


def test_its_json_holds_all_of_it_and_no_nan(tmp_path):
    verdict = judged(tmp_path / "s", turns=lambda index: False).verdict
    read = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert read["sentence"] == verdict.sentence
    assert [card["estimator"] for card in read["cards"]] == [card.estimator for card in verdict.cards]
    assert read["views"] == verdict.views
    assert str(verdict).splitlines()[0] == verdict.sentence


def test_the_state_of_a_question_is_the_worst_of_its_checks():
    check = judged_check("passed"), judged_check("not assessed"), judged_check("failed")
    assert TrustCard("e", "both", check[:2]).state("faithful") == "passed"
    assert TrustCard("e", "both", check).state("faithful") == "failed"
    assert TrustCard("e", "both", check[1:2]).state("faithful") == "not assessed"


def judged_check(state):
    return Check("faithful", state, "drop")


def simulated(random, patients, skill, folder, estimators=WITH_TRUTH):
    """Findings of numbers drawn for each patient: what all maps share, and what each has of its own, heavy-tailed."""
    maps = [
        (one.name, form)
        for one in estimators
        for form in (FORMS if not one.blind and not one.baseline else ("original",))
    ]
    shape = patients, len(maps)
    mean = np.array([skill.get(name, 0.5) for name, _ in maps])

    def numbers():
        return mean + 0.1 * random.normal(size=(patients, 1)) + 0.1 * random.standard_t(4, size=shape)

    cases = pd.DataFrame(
        dict.fromkeys(CASE, "") | {"index": range(patients), "patient": [f"p{i}" for i in range(patients)]}
    ).assign(label=np.arange(patients) % 2, predicted=np.arange(patients) % 2, mask="usable", group=0)
    drawn = {"drop": numbers(), "share_inside": numbers(), "touch": numbers(), "twin_share": numbers()}
    there = {name: np.ones(shape, bool) for name in drawn}
    remarks = pd.DataFrame(columns=["case", "estimator", "kind", "choice", "option", "note"])
    nobody = pd.DataFrame(columns=["patient", "label"])
    measured = Measured(cases, cases[:0], tuple(maps), nobody, drawn, {}, {}, there, {}, remarks)
    metrics = tuple(replace(one, charts=(), areas=()) for one in (made.ERASING, made.INSIDE, made.TOUCHING, made.TRUTH))
    metrics = tuple(replace(one, outputs=one.outputs[:1]) for one in metrics)
    return Findings(measured, made.description(metrics, estimators), folder)


@pytest.mark.slow
@pytest.mark.parametrize("estimators", [WITH_TRUTH, made.ESTIMATORS], ids=["controlled", "not controlled"])
def test_maps_that_know_nothing_are_believed_in_at_most_one_study_of_twenty(tmp_path, estimators):
    """All maps alike, and the truth better where there is one, so that every view can judge: 100 studies."""
    random = np.random.default_rng(0)
    studies = (simulated(random, 30, {"the-truth": 0.9}, tmp_path, estimators) for _ in range(100))
    assert sum(bool(findings.verdict.believed) for findings in studies) <= 5


@pytest.mark.slow
def test_a_good_map_is_believed_in_nine_studies_of_ten_with_thirty_patients(tmp_path):
    random = np.random.default_rng(1)
    skill = {"the-truth": 0.9, "steep-slope": 0.7}
    believed = [[card.estimator for card in simulated(random, 30, skill, tmp_path).verdict.believed] for _ in range(50)]
    assert sum("steep-slope" in one for one in believed) >= 45
    assert sum(len(set(one) - {"steep-slope"}) > 0 for one in believed) <= 5


DEPENDING = Declaration("depending", (Output("depends", "margin", answers="weights"),))


def test_a_map_that_does_not_depend_on_the_weights_is_not_believed(tmp_path):
    states = {}
    for place, depends in enumerate((0.5, -0.5, 0.0)):
        skill = {("steep-slope", "depends"): depends, "positive": 0.46}
        found = judged(tmp_path / str(place), skill, metrics=(*made.METRICS, DEPENDING)).verdict
        card = next(card for card in found.cards if card.estimator == "steep-slope")
        (check,) = card.of("weights")
        states[depends] = check.state, card.believed
        assert check.view == "depends"
        assert check.patients > 6
        assert check.interval[0] < check.value < check.interval[1]
        if depends == -0.5:
            assert "Steep slope (absolute) beats every map that never looks at the network in" in found.sentence
            assert "of a network with shuffled weights is more like it than that of another image is (margin -0." in (
                found.sentence
            )
        else:
            assert found.sentence.startswith("Believe only Steep slope")
        untold = "Whether it depends on the network's weights cannot be told of Steep slope (absolute)."
        assert (untold in found.reasons) == (depends == 0.0)
    assert states == {0.5: ("passed", True), -0.5: ("failed", False), 0.0: ("not assessed", True)}


@pytest.mark.parametrize("right", [0.5, 0.9])
def test_a_network_that_learned_nothing_has_nothing_to_depend_on(tmp_path, right):
    findings = judged(tmp_path, {("steep-slope", "depends"): 0.5, "positive": 0.46}, metrics=(*made.METRICS, DEPENDING))
    cases = findings.measured.cases
    wrong = np.arange(len(cases)) // 2 % 10 >= 10 * right  # in both classes alike
    predicted = np.where(wrong, 1 - cases["label"], cases["label"])
    changed = replace(findings, measured=replace(findings.measured, cases=cases.assign(predicted=predicted)))
    card = next(card for card in changed.verdict.cards if card.estimator == "steep-slope")
    (check,) = card.of("weights")
    assert check.state == ("failed" if right == 0.5 else "passed")
    assert card.believed == (right > 0.5)
    if right == 0.5:
        assert "not surely right more often than by chance (" in check.reason
        assert f"but {check.reason}" in changed.verdict.sentence


def test_chance_is_that_of_the_classes_there_are(tmp_path):
    """Of three classes two are there: who always says one of them is right in half of them, and knows nothing."""
    three, metrics = ("without", "with", "a third"), (*made.METRICS, DEPENDING)
    skill = {("steep-slope", "depends"): 0.5, "positive": 0.46}
    findings = judged(tmp_path, skill, metrics=metrics, classes=three, count=36)
    there = findings.measured.cases["label"].to_numpy() < 2
    findings = replace(findings, measured=findings.measured.of_cases(there))
    cases = findings.measured.cases

    def state(measured):
        changed = replace(findings, measured=replace(findings.measured, cases=measured))
        card = next(card for card in changed.verdict.cards if card.estimator == "steep-slope")
        (check,) = card.of("weights")
        return check.state

    assert state(cases.assign(predicted=1)) == "failed"
    assert state(cases.assign(label=1, predicted=1)) == "not assessed"
    assert state(cases.assign(label=1, predicted=0)) == "failed"


def test_what_was_not_measured_is_not_assessed(tmp_path):
    card = judged(tmp_path).verdict.cards[0]
    for question in ("weights", "draws", "repeatable"):
        (check,) = card.of(question)
        assert (check.state, check.reason) == ("not assessed", "not measured in this study")
    (check,) = card.of("choices")
    assert (check.state, check.reason) == ("not assessed", "no choice was varied in this study")


def test_of_several_absolute_maps_that_is_said_once(tmp_path):
    findings = judged(tmp_path / "s")
    cards = findings.verdict.cards[:2]
    said = {}
    for forms in (("absolute", "absolute"), ("absolute", "both"), ("both", "both"), ("absolute", "original")):
        chosen = [replace(card, form=form) for card, form in zip(cards, forms, strict=True)]
        said[forms] = sentence._maps(findings, chosen)
    titles = [findings.description.titles[card.estimator] for card in cards]
    assert (
        said["absolute", "absolute"] == said["absolute", "both"] == f"the absolute maps of {titles[0]} and {titles[1]}"
    )
    assert said["both", "both"] == f"{titles[0]} and {titles[1]}"
    assert said["absolute", "original"] == f"{titles[0]} (absolute) and {titles[1]} (original)"
    assert sentence._maps(findings, [replace(cards[0], form="absolute")]) == f"{titles[0]} (absolute)"


def test_a_view_in_which_several_maps_are_at_the_truth_says_so(tmp_path, monkeypatch):
    findings = judged(tmp_path / "s")
    assert not sentence._at_the_truth(findings)
    monkeypatch.setattr(sentence, "printed", lambda view, value: "9.75")
    count = sum(key[0] not in findings.description.blind for key in findings.explained.maps)
    assert sentence._at_the_truth(findings) == [
        f"{count} of {count} maps have the truth's own number by drop (9.75): it cannot tell them apart; more steps of "
        "masking might (metrics.steps)."
    ]
    monkeypatch.setitem(vars(findings), "can_judge", {"drop": "no"})
    assert not sentence._at_the_truth(findings)
