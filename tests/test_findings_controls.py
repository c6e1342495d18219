"""Controls: the truth must beat every negative control, in the cases in which it is known."""

import numpy as np
import pytest

import synthetic_results as made
from tomolens.declarations import BLURRED
from tomolens.findings.controls import turned

WITH_TRUTH = (*made.ESTIMATORS, made.TRUTH_MAP)


def controlled(folder, turns=lambda index: True, **options):
    return made.write_study(folder, estimators=WITH_TRUTH, turns=turns, **options)


def test_a_view_in_which_the_truth_wins_can_judge_and_its_numbers_are_those_of_the_rows(tmp_path):
    findings = controlled(tmp_path / "s")
    assert set(findings.can_judge.values()) == {"yes"}
    row = findings.controls_of(findings.views["inside"])
    rows = findings.measurements
    rows = rows[rows["metric"] == "share_inside"]
    means = rows.groupby(["estimator", "form"])["value"].mean()
    negative = {key: value for key, value in means.items() if made_blind(key)}
    best = max(negative, key=negative.get)
    assert best == ("mask-atlas", "original")
    assert (row["baseline"], row["baseline_form"]) == best
    assert row["value"] == pytest.approx(means["the-truth", "original"])
    assert row["gain"] == pytest.approx(means["the-truth", "original"] - negative[best])
    assert row["ci_low"] < row["gain"] < row["ci_high"]
    assert (row["cases"], row["patients"]) == (24, 24)


def made_blind(key):
    return next(one for one in WITH_TRUTH if one.name == key[0]).blind and key[1] == "original"


def test_a_view_in_which_it_does_not_beat_every_blind_map_cannot(tmp_path):
    findings = controlled(tmp_path / "s", skill={("the-truth", "drop"): 0.4})
    assert findings.can_judge == {"drop": "no", "inside": "yes", "touch": "yes", "twin": "yes"}
    tied = controlled(tmp_path / "tied", skill={("the-truth", "touch"): 0.45})  # as good as the atlas
    assert tied.can_judge["touch"] == "no"


def test_a_view_in_which_a_blurred_map_beats_it_cannot_and_a_tie_is_no_fault(tmp_path):
    beaten = controlled(tmp_path / "s", skill={("the-truth", "drop"): 0.5})
    row = beaten.controls_of(beaten.views["drop"])
    assert (row["can_judge"], row["baseline"], row["baseline_form"]) == ("no", "steep-slope", BLURRED)
    assert row["gain"] == pytest.approx(0.5 - 0.8 * 0.7, abs=0.03)
    tied = controlled(tmp_path / "tied", skill={("the-truth", "drop"): 0.56})
    assert tied.can_judge["drop"] == "yes"


def test_lower_is_better_the_other_way_round(tmp_path):
    up = controlled(tmp_path / "up", skill={("the-truth", "share_inside"): 0.5})
    down = controlled(
        tmp_path / "down", metrics=tuple(map(made.lower, made.METRICS)), skill={("the-truth", "share_inside"): 0.5}
    )
    assert up.can_judge == down.can_judge
    columns = ["gain", "ci_low", "ci_high", "p"]
    np.testing.assert_allclose(up.controls[columns].to_numpy(float), down.controls[columns].to_numpy(float))


def test_only_cases_that_the_network_tells_from_their_twins_count(tmp_path):
    findings = controlled(tmp_path / "s", turns=lambda index: index % 4 < 2)
    assert findings.controls["cases"].tolist() == [12] * 4
    assert turned(findings.measured) == (12, 24)
    few = controlled(tmp_path / "few", turns=lambda index: index < 4)
    assert set(few.can_judge.values()) == {"cannot be told"}


def test_without_a_truth_nothing_is_controlled(tmp_path):
    for findings in (made.write_study(tmp_path / "a"), controlled(tmp_path / "b", turns=lambda index: False)):
        assert set(findings.can_judge.values()) == {"not controlled"}
        assert findings.implant == ""


def test_the_truth_of_a_calibration_controls_the_studys_views(tmp_path):
    findings = controlled(tmp_path / "s", calibration="nodule", skill={("the-truth", "drop"): 0.5})
    assert findings.implant == "nodule"
    assert findings.can_judge == {"drop": "no", "inside": "yes", "touch": "yes", "twin": "yes"}
    assert findings.table("choices").empty, "a calibration is no option of a choice"
    assert "the-truth" not in set(findings.table("gains")["estimator"])


def test_blurred_maps_and_the_truth_rank_nowhere(tmp_path):
    findings = controlled(tmp_path / "s")
    plain = made.write_study(tmp_path / "plain")
    for name in ("ranks", "gains", "pairs", "strata", "patients", "baselines"):
        assert findings.table(name).equals(plain.table(name)), name
    assert set(findings.table("blurred")["form"]) == {BLURRED}
    assert "the-truth" not in set(findings.table("blurred")["estimator"])


def test_a_map_that_is_its_own_absolute_keeps_its_blurred_map_apart(tmp_path):
    """``positive`` is its own absolute: its blurred map, worse by a fifth, is not mixed with it."""
    findings = controlled(tmp_path / "s")
    own = findings.table("inside").set_index("estimator").loc["positive", "inside"]
    blurred = findings.table("blurred")
    blurred = blurred[(blurred["view"] == "inside") & (blurred["estimator"] == "positive")]["value"].item()
    assert blurred == pytest.approx(0.8 * own, abs=0.05)
    assert own == pytest.approx(0.5, abs=0.05)
