"""What a study will take, said before it starts."""

import pytest

from conftest import SMALL_STUDY
from test_study import own_cases
from test_study_folds import scans
from tomolens.api import Study
from tomolens.classifier.lines import USUALLY_ASKED
from tomolens.estimators import Cost
from tomolens.study import cost as study_cost
from tomolens.study.settings import StudySettings

TINY = {"recipe": {"architecture": "resnet18", "epochs": 3, "batch_size": 4}}


def cost_of(own=None, **changed):
    settings = StudySettings.model_validate({**SMALL_STUDY, **changed})
    return Study(settings, cases=own).estimate()


def test_counts_of_the_built_in_kind_of_study():
    cost = cost_of()
    assert (cost.cases, cost.maps, cost.asked) == (4, 16 + 7 + 6 + 1, Cost(gradients=92, scores=3))
    assert cost.images == 2 * (16 + 7 + 6 + 1) * 2 * 39
    assert cost.training == 3 * 40
    assert set(cost.seconds) == {"reading cases", "training", "explaining", "decisions", "masking", "other metrics"}
    assert all(seconds > 0 for seconds in cost.seconds.values())
    assert cost.total == pytest.approx(sum(cost.seconds.values()))
    assert 0 < cost.megabytes < 200
    lines = "\n".join(cost.lines())
    assert "passes a case      92 forward and backward, 3 forward for scores, at most 4680 for decisions" in lines
    assert "expected time" in lines


@pytest.mark.parametrize(
    ("split", "explained", "learned"),
    [
        ({"folds": 2}, 80, 2 * 40),
        ({"hold_out": 0.2}, 16, 64),
        ({"hold_out": 0.2, "train_per_scan": 2}, 16, 16),
    ],
)
def test_counts_of_each_way_to_split(split, explained, learned):
    cost = cost_of(scans(slices=8), cases={"size": 8, **split}, classifier=TINY, metrics={"names": ["fidelity"]})
    assert (cost.cases, cost.training) == (explained, 3 * learned)


def test_metrics_and_training_that_are_left_out_cost_nothing(trained):
    settings = StudySettings.model_validate({**SMALL_STUDY, "metrics": {"names": ["roc"]}})
    cost = Study(settings, cases=own_cases(), classifier=trained).estimate()
    assert (cost.cases, cost.training) == (6, 0)
    assert set(cost.seconds) == {"reading cases", "explaining", "other metrics"}


def test_time_is_counts_times_measured_speeds(monkeypatch):
    """With every measured call taking two seconds, the rest is arithmetic."""
    monkeypatch.setattr(study_cost, "_timed", lambda work: 2.0)
    monkeypatch.setattr(study_cost, "workers_for", lambda *_: 5)
    batch, few, many = SMALL_STUDY.get("batch_size", 32), cost_of(), cost_of(cases={**SMALL_STUDY["cases"], "test": 80})
    assert few.seconds == pytest.approx(
        {
            "reading cases": 2 * 44 * 2.0,
            "training": few.training * 1.5 * 2.0 / batch,
            "explaining": 4 * (92 + 3) * 2.0 / batch,
            "decisions": 4 * USUALLY_ASKED * few.images * 2.0 / batch,
            "masking": 4 * USUALLY_ASKED * few.images * 2.0 / 8,
            "other metrics": 4 * 2.0 / 5,  # one map and three take as long: all of it is once for the case
        }
    )
    for stage in ("explaining", "decisions", "other metrics"):
        assert many.seconds[stage] == pytest.approx(20 * few.seconds[stage]), stage
    assert many.seconds["training"] == few.seconds["training"]
    assert many.seconds["reading cases"] == pytest.approx(2 * 120 * 2.0)


def test_scores_are_asked_of_the_network_itself_and_maps_made_again(monkeypatch):
    monkeypatch.setattr(study_cost, "_timed", lambda work: 2.0)
    names = ["removal", "perturbed", "randomisation", "stability"]
    plain = cost_of(metrics={"names": ["roc"]})
    cost = cost_of(metrics={"names": names, "steps": 10}, repeat={"networks": 2})
    maps = plain.maps
    assert cost.images == maps * 2 * 11 + (64 + 343 + 1) + (6 + 1)
    batch = SMALL_STUDY.get("batch_size", 32)
    assert cost.seconds["scores of altered images"] == pytest.approx(4 * cost.images * 2.0 / batch)
    assert cost.seconds["explaining"] == pytest.approx((1 + 2 * 1 + 7 + 6 + 1) * plain.seconds["explaining"])
    assert "decisions" not in cost.seconds
