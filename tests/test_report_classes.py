"""What a mean over the classes hides, and that the page says and draws it."""

import re

import numpy as np
import pytest
from scipy.stats import kendalltau

import synthetic_results as made
from tomolens.findings.printing import printed
from tomolens.report.charts import charts
from tomolens.report.classes import class_sentence, rest_sentence, step_sentences
from tomolens.report.sections import sections
from tomolens.report.series import Line, series_of

DROP, CHART = made.ERASING.numbers[0], made.ERASING.charts[0]


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return made.write_study(tmp_path_factory.mktemp("classes"))


def with_means(findings, monkeypatch, of_class):
    """The findings with other means of each class, and the mean of these."""
    means = findings.means["drop"].copy()
    for column, values in of_class.items():
        means[column] = values
    means["value"] = means[list(of_class)].mean(axis=1)
    means["ci_low"], means["ci_high"] = means["value"] - 0.01, means["value"] + 0.01
    monkeypatch.setitem(findings.means, "drop", means)
    return means


def test_classes_that_differ_are_told_with_their_numbers(findings, monkeypatch):
    count = len(findings.means["drop"])
    first, second = np.linspace(0.1, 0.2, count), np.linspace(0.9, 0.5, count)
    with_means(findings, monkeypatch, {"class_0": first, "class_1": second})
    said = class_sentence(findings, DROP)
    best = int(np.argmax(first + second))
    assert f"{printed(DROP, first[best])} in “without”, {printed(DROP, second[best])} in “with”" in said
    assert f"τ = {kendalltau(first, second).statistic:+.2f}" in said
    leaders = re.search(r"the best is in “without” (.+); in “with” (.+)\.$", said)
    assert leaders.group(1) != leaders.group(2)
    assert said in next(one.text for one in sections(findings) if one.view == "drop")


def test_classes_that_are_alike_are_not_told(findings, monkeypatch):
    values = np.linspace(0.1, 0.6, len(findings.means["drop"]))
    with_means(findings, monkeypatch, {"class_0": values, "class_1": values + 0.005})
    assert class_sentence(findings, DROP) == ""
    assert class_sentence(findings, made.INSIDE.numbers[0]) == ""  # a plain mean


def test_classes_without_intervals_are_told_with_their_numbers(findings, monkeypatch):
    count = len(findings.means["drop"])
    first, second = np.linspace(0.1, 0.2, count), np.linspace(0.5, 0.9, count)
    means = with_means(findings, monkeypatch, {"class_0": first, "class_1": second})
    means["ci_low"] = means["ci_high"] = np.nan
    said = class_sentence(findings, DROP)
    assert f"it is {printed(DROP, first[-1])} in “without”, {printed(DROP, second[-1])} in “with”" in said
    assert "whether the classes differ cannot be told" in said
    means["class_1"] = means["class_0"]
    assert class_sentence(findings, DROP) == ""


def test_one_class_alone_is_said_to_be_one(tmp_path):
    alone = made.write_study(tmp_path, count=1)
    assert class_sentence(alone, DROP).endswith("could be measured in are of one class, “without”.")
    table = next(one.table for one in sections(alone) if one.view == "drop")
    assert "without" not in table.columns


def test_a_class_within_a_step_is_warned_of(findings, monkeypatch):
    count = len(findings.means["drop"])
    values = np.full(count, 0.7)
    values[:2] = 1 / made.STEPS, -1 / made.STEPS
    with_means(findings, monkeypatch, {"class_0": values, "class_1": np.full(count, 0.7)})
    (said,) = step_sentences(findings)
    assert said.startswith(f"drop, without: 2 of {count} maps are within one step of the masking (1.25)")


def test_where_a_curve_rests_is_explained(findings, monkeypatch):
    assert rest_sentence(findings, CHART) == ""
    series = series_of(findings, CHART)
    x, right = np.linspace(0, 100, 9), np.ones(9)
    wrong = np.where(x >= 50, 0.0, 1.0)
    line = Line("top first", x, (right + wrong) / 2, x * np.nan, x * np.nan, {0: right, 1: wrong})
    resting = [type(series[0])(series[0].key, "Slope", "1", series[0].look, (line,))]
    monkeypatch.setattr("tomolens.report.classes.series_of", lambda *_: resting)
    assert rest_sentence(findings, CHART) == (
        "Where a mean curve rests near 0.50, one class is right and another wrong: of Slope, top first, at 50 to 100 % "
        "of the pixels erased “without” is right in 100 % of its cases, “with” in 0 %."
    )


def test_a_gap_ends_where_a_curve_rests(findings, monkeypatch):
    series = series_of(findings, CHART)
    x, right = np.linspace(0, 100, 9), np.ones(9)
    wrong = np.array([1.0, 0, 0, 1, 1, 0, 0, 0, 0])
    turned = np.where(x == 100, 0.0, 1.0), np.where(x == 100, 1.0, wrong)  # the classes change places at the end
    for (first, second), ends in (((right, wrong), "62.5 to 100"), (turned, "62.5 to 87.5")):
        line = Line("top first", x, (first + second) / 2, x * np.nan, x * np.nan, {0: first, 1: second})
        resting = [type(series[0])(series[0].key, "Slope", "1", series[0].look, (line,))]
        monkeypatch.setattr("tomolens.report.classes.series_of", lambda *_, shown=resting: shown)
        said = rest_sentence(findings, CHART)
        assert f"at {ends} % of the pixels erased “without” is right in 100 % of its cases, “with” in 0 %." in said


def test_each_class_has_its_own_curves(findings):
    drawn = charts(findings)
    assert "hits-classes" not in drawn  # a plain mean
    chart, whole = drawn["erased-classes"], drawn["erased"]
    assert [panel.title for panel in chart.panels] == [panel.title for panel in whole.panels]
    low, high, start, end = chart.data["y"]
    table = findings.tables["erased_curve"]
    for panel in chart.panels:
        parts = panel.drawing.split('<span class="class-name">')[1:]
        assert [part.partition(" <b>")[0] for part in parts] == ["without", "with"]
        for label, part in enumerate(parts):
            found = re.findall(
                r'points="([^"]+)" class="curve [^"]*"[^>]* data-map="([^"]+)" data-name="([^"]+)"', part
            )
            found = [one for one in found if one[1].startswith(f"{panel.estimator}/")]
            assert len(found) in (2, 4)
            for points, key, name in found:
                estimator, form = key.split("/")
                line = {"top first": "top_first", "bottom first": "bottom_first"}[name.rsplit(", ", 1)[1]]
                rows = table[(table["estimator"] == estimator) & (table["form"] == form) & (table["line"] == line)]
                heights = np.array([float(one.split(",")[1]) for one in points.split()])
                values = low + (heights - start) / (end - start) * (high - low)
                np.testing.assert_allclose(values, rows[f"class_{label}"], atol=1e-3)
