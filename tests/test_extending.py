"""What is registered, and nothing else, makes an estimator, a baseline or a metric part of a study and its report."""

from dataclasses import dataclass, field
from html import unescape

import numpy as np
import pytest

from quick_study import quick_study
from tomolens.declarations import Chart, Declaration, Output, View
from tomolens.estimators import AtInput, Cost, Gradient, Round
from tomolens.estimators.baselines import BASELINES, Baseline
from tomolens.estimators.registry import ESTIMATORS
from tomolens.metrics.metric import Metric
from tomolens.metrics.registry import METRICS
from tomolens.report import write
from tomolens.report.latex import latex_table
from tomolens.report.words import summary


@dataclass(frozen=True)
class GradientTimesInput:
    """x dS_c/dx."""

    name: str = field(default="gradient-x-input", repr=False)
    title: str = field(default="Gradient × input", repr=False)
    source: str = "Shrikumar et al. 2016, arXiv 1605.01713"
    needs: frozenset = frozenset()
    of_prediction: bool = True

    def cost(self, shape):
        return Cost(gradients=1)

    def explain(self, subject):
        total = subject.zeros()
        yield Round([Gradient(AtInput())], lambda k, gradient: total.add_(subject.image * gradient))
        return total


def corner(subject):
    """1 in one corner."""
    values = np.zeros(subject.image.shape[1:])
    values[tuple(slice(0, 5) for _ in values.shape)] = 1.0
    return values


def measure_spread(evaluand):
    """Entropy of the magnitudes, as a share of the largest there can be, and how much the top pixels hold of all."""
    for key, ranked in evaluand.rankings.items():
        share = np.abs(ranked.scores) + 1e-12
        share /= share.sum()
        yield key, "spread", float(-(share * np.log(share)).sum() / np.log(share.size))
        yield key, "held", np.cumsum(np.sort(share)[::-1])[:: share.size // 16]


SPREAD = Metric(
    Declaration(
        "spread",
        (
            Output(
                "spread",
                "Spread (entropy)",
                digits=4,
                better="lower",
                view=View("spread", "spread", "model", heading="Spread: how focused a map is", text="Low is focused."),
            ),
            Output("held", "share held", curve=True, intervals=True),
        ),
        (
            Chart(
                "held", ("held",), (0.0, 100.0), "top pixels (%)", "share held", "What the top pixels hold.", "spread"
            ),
        ),
    ),
    measure_spread,
)


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ESTIMATORS, "gradient-x-input", GradientTimesInput)
        patch.setitem(BASELINES, "corner", Baseline("corner", "One corner", corner))
        patch.setitem(METRICS, "spread", SPREAD)
        study = quick_study(
            count=28,
            estimators={
                "names": ["backpropagation", "gradient-x-input", "random"],
                "baselines": ["centre-prior", "corner"],
            },
            metrics={"steps": 6, "roc_points": 11, "names": ["fidelity", "roc", "spread"]},
        )
        out = tmp_path_factory.mktemp("extended") / "r"
        study.run(out, workers=1)
    from tomolens.findings import Findings

    return Findings.from_folder(out)  # nothing of it is registered any more: the results say what they are


def test_it_is_in_the_tables(findings):
    table = findings.table("spread")
    assert {"gradient-x-input", "backpropagation"} <= set(table["estimator"])
    assert {"spread", "ci_low", "ci_high", "gain", "beats_blind"} <= set(table.columns)
    assert set(findings.table("held_curve")["estimator"]) >= {"gradient-x-input"}
    assert "gradient-x-input" in set(findings.table("fidelity")["estimator"])
    assert "corner" in set(findings.table("baselines")["baseline"])
    assert {"fidelity", "auc", "spread"} == set(findings.table("gains")["view"])
    assert {"fidelity", "auc", "spread"} == set(findings.table("pairs")["view"])


def test_the_lowest_spread_is_ranked_first_and_is_the_baseline_to_beat(findings):
    ranks, values = findings.table("ranks"), findings.table("spread")
    joined = ranks.merge(values, on=["estimator", "form"]).sort_values("spread")
    assert joined["spread_rank"].is_monotonic_increasing
    gains = findings.table("gains").query("view == 'spread'")
    baselines = findings.table("baselines").query("view == 'spread'")
    assert set(gains["baseline"]) == {"corner"}  # a few pixels hold all of it
    assert gains["baseline_value"].iloc[0] == baselines["value"].min()
    np.testing.assert_allclose(gains["gain"], gains["baseline_value"] - gains["value"])
    assert (gains["gain"] < 0).all()
    assert not gains["beats"].any()


def test_it_is_in_the_words_the_page_and_latex(findings, tmp_path, monkeypatch):
    words = summary(findings, width=200)
    page = unescape((findings.folder / "report.html").read_text(encoding="utf-8"))
    table = latex_table(findings)
    for text in (words, page, table):
        assert "Gradient × input" in text or "Gradient $\\times$ input" in text
        assert "Spread (entropy)" in text
    assert "leads spread (the model's view" in words
    assert "one corner" in words  # of the baseline that is not beaten
    assert "Spread: how focused a map is" in page
    assert "One corner" in page
    names = [name for name, _ in write._figures.__wrapped__(findings)] if hasattr(write._figures, "__wrapped__") else []
    assert not names or "held" in names
