import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import kendalltau

import synthetic_results as made
from tomolens.declarations import Output, View
from tomolens.errors import SettingsError
from tomolens.findings.bootstrap import Resampling, class_balanced_mean, grouped, interval
from tomolens.findings.measured import BOTH, read_measured
from tomolens.findings.tables import (
    agreement,
    by_view,
    chart_table,
    class_columns,
    keys_of,
    means_table,
    metric_table,
    ranks_table,
    undefined_masks,
)
from tomolens.results.rows import SAME, SCHEMA
from tomolens.results.store import Store

QUICK = Resampling(resamples=300)
DROP, INSIDE = made.ERASING.numbers[0], made.INSIDE.numbers[0]
OUTPUTS = made.description().outputs


def measurements(
    values, labels, patients, metric="drop", estimator="slope", form="original", mask="usable", choice=("", "")
):
    count = len(values)
    return pd.DataFrame(
        {
            "index": range(count),
            "case": [f"c{i}" for i in range(count)],
            "patient": patients,
            "label": labels,
            "predicted": labels,
            "fold": 0,
            "mask": mask,
            "estimator": estimator,
            "form": form,
            "metric": metric,
            "choice": choice[0],
            "option": choice[1],
            "value": [value if np.isscalar(value) else np.nan for value in values],
            "curve": [None if np.isscalar(value) else value for value in values],
            "note": "",
        }
    )


def read(*frames, blocks=1):
    """Measurements as they are read from disk, the cases in some blocks."""
    rows = pd.concat(frames).sort_values("index", kind="stable", ignore_index=True)
    block = rows["index"] * blocks // (rows["index"].max() + 1)
    tables = (pa.Table.from_pandas(part, schema=SCHEMA, preserve_index=False) for _, part in rows.groupby(block))
    return read_measured(tables, made.description())


def table_of(metric, measured):
    return metric_table(measured, metric, {one.name: means_table(measured, one, QUICK) for one in metric.numbers})


def test_classes_count_the_same_whatever_their_size():
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    assert class_balanced_mean(grouped(values, np.array([0, 0, 0, 1]), list("ppqr")))[0] == 0.5
    assert class_balanced_mean(grouped(values, np.zeros(4, int), list("ppqr")))[0] == 0.75


def test_the_interval_of_independent_patients_is_the_normal_one():
    values = np.random.default_rng(0).normal(2.0, 1.0, (400, 1))
    low, high = interval(grouped(values, np.zeros(400, int), [f"p{i}" for i in range(400)]), Resampling())
    half = 1.96 * values.std(ddof=1) / 20
    assert low[0] == pytest.approx(values.mean() - half, abs=0.02)
    assert high[0] == pytest.approx(values.mean() + half, abs=0.02)


def test_slices_of_one_patient_are_not_independent():
    patient = np.repeat(np.arange(40), 10)
    values = np.random.default_rng(0).normal(size=40)[patient][:, None]
    labels = np.zeros(400, int)
    low, high = interval(grouped(values, labels, [f"p{i}" for i in patient]), Resampling())
    naive_low, naive_high = interval(grouped(values, labels, [f"p{i}" for i in range(400)]), Resampling())
    assert (high - low)[0] > 2.5 * (naive_high - naive_low)[0]


def test_one_patient_has_no_interval():
    low, high = interval(grouped(np.ones((3, 2)), np.zeros(3, int), ["p"] * 3), QUICK)
    assert np.isnan([low, high]).all()


def test_a_metrics_table_has_its_headline_its_interval_and_its_basis():
    rows = measurements([0.2, 0.4] * 3 + [1.0, 0.9] * 6, [0] * 6 + [1] * 12, [f"p{i}" for i in range(18)])
    table = table_of(made.ERASING, read(rows))
    assert list(table.columns) == [
        *("estimator", "form", "drop", "ci_low", "ci_high", "class_0", "class_1", "cases", "patients", "undefined")
    ]
    assert table["drop"][0] == pytest.approx((0.3 + 0.95) / 2)
    assert table["ci_low"][0] <= table["drop"][0] <= table["ci_high"][0]
    assert table[["cases", "patients", "undefined"]].to_numpy().tolist() == [[18, 18, 0]]


def test_a_map_that_is_its_own_absolute_is_one_map_everywhere():
    labels, patients = [0, 1] * 12, [f"p{i}" for i in range(24)]
    random = np.random.default_rng(0)
    rows, curve, blur = [], np.linspace(0, 1, 41), ("fill", "blur")
    for name, same in (("positive", [1.0] * 24), ("slope", [1.0] * 23 + [0.0])):
        values = random.random(24).tolist()
        for form in ("original", "absolute"):
            rows.append(measurements(values, labels, patients, "drop", name, form))
            rows.append(measurements([curve] * 24, labels, patients, "top_first", name, form))
        rows.append(measurements(same, labels, patients, SAME, name, "absolute"))
        rows.append(measurements([0.5] * 24, labels, patients, "drop", name, "absolute", choice=blur))
        rows.append(measurements([0 * curve] * 24, labels, patients, "top_first", name, "absolute", choice=blur))
    measured = read(*rows, blocks=3)
    assert measured.maps == (("positive", BOTH), ("slope", "original"), ("slope", "absolute"))
    assert SAME not in measured.numbers
    assert set(measured.varied) == {blur}
    assert np.isnan(measured.varied[blur]["drop"][:, 1]).all()
    np.testing.assert_array_equal(measured.varied[blur]["drop"][:, [0, 2]], 0.5)
    curves = measured.curves["top_first"]
    np.testing.assert_array_equal(curves.counts.sum(axis=1), [24, 24, 24])
    np.testing.assert_allclose(curves.sums.sum(axis=1), [24 * curve] * 3)
    assert len(means_table(measured, DROP, QUICK)) == 3


def test_numbers_of_the_network_are_added_up_over_the_options():
    labels, patients = [0, 1], ["p", "q"]
    alone = {"metric": "decisions", "estimator": "", "form": ""}
    rows = [measurements([0.1, 0.2], labels, patients)]
    rows += [measurements([3.0, 4.0], labels, patients, **alone)]
    rows += [measurements([5.0, 6.0], labels, patients, **alone, choice=("fill", "blur"))]
    assert read(*rows).of_network["decisions"].tolist() == [8.0, 10.0]


def test_undefined_values_are_left_out_and_counted():
    labels, patients = [0, 0, 1], ["p", "q", "r"]
    curve = np.linspace(0, 1, 101)
    rows = pd.concat(
        [
            measurements([0.6, np.nan, 0.8], labels, patients, "share_inside"),
            measurements([0.5, np.nan, 0.7], labels, patients, "purity"),
            *(measurements([curve, curve * np.nan, curve], labels, patients, name) for name in ("heights", "widths")),
        ]
    )
    table = table_of(made.INSIDE, read(rows))
    assert table["inside"][0] == pytest.approx(0.7)
    assert table["purity"][0] == pytest.approx(0.6)
    assert {"purity_ci_low", "purity_ci_high"} < set(table.columns)
    assert table[["cases", "patients", "undefined"]].to_numpy().tolist() == [[2, 2, 1]]
    assert table["area_inside"][0] == pytest.approx(0.5)


def test_masks_without_use_are_named():
    rows = measurements([0.1, 0.2], [0, 1], ["p", "q"])
    rows.loc[0, "mask"] = "empty"
    assert undefined_masks(read(rows)) == {"empty": ["c0"], "full": []}


def test_curves_are_averaged_over_the_classes_where_they_are_balanced():
    good, bad = np.ones(41), np.zeros(41)
    rows = pd.concat(
        [
            measurements([good, good, bad], [0, 0, 1], list("pqr"), "top_first"),
            measurements([good, bad, good], [0, 0, 1], list("pqr"), "bottom_first"),
        ]
    )
    table = chart_table(read(rows), made.ERASING.charts[0], OUTPUTS, QUICK)
    means = table.groupby("line", sort=False)["value"].agg(["min", "max"])
    assert means.index.tolist() == ["top_first", "bottom_first"]
    np.testing.assert_allclose(means.to_numpy(), [[0.5, 0.5], [0.75, 0.75]])
    of_class = table.groupby("line", sort=False)[["class_0", "class_1"]].agg("mean").to_numpy()
    np.testing.assert_allclose(of_class, [[1.0, 0.0], [0.5, 1.0]])  # what the mean of the classes hides
    assert table["x"][:41].tolist() == np.linspace(0, 100, 41).tolist()


def test_a_curve_may_give_the_axis_of_another():
    rows = [
        measurements([np.array([0.0, 0.4, 1.0]), np.array([0.2, 0.6, 1.0])], [0, 1], ["p", "q"], "heights"),
        measurements([np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.3, 1.0])], [0, 1], ["p", "q"], "widths"),
    ]
    table = chart_table(read(*rows), made.INSIDE.charts[0], OUTPUTS, QUICK)
    np.testing.assert_allclose(table[["x", "value"]], [[0.0, 0.1], [0.2, 0.5], [1.0, 1.0]])
    assert class_columns(table) == []  # a plain mean


def test_ranks_and_agreement():
    drop = pd.DataFrame({"estimator": list("abc"), "form": "original", "value": [0.1, 0.3, 0.2]})
    inside = pd.DataFrame({"estimator": list("cab"), "form": "original", "value": [0.9, 0.5, 0.8]})
    values = by_view({"drop": drop, "inside": inside}).assign(partial=False)
    ranks = ranks_table(values, [DROP, INSIDE]).set_index("estimator")
    assert ranks["drop_rank"].to_dict() == {"a": 3, "b": 1, "c": 2}
    assert ranks["inside_rank"].to_dict() == {"a": 3, "b": 2, "c": 1}
    assert ranks["mean_rank"].to_dict() == {"a": 3, "b": 1.5, "c": 1.5}
    taus = agreement(ranks, [DROP, INSIDE])
    assert taus == {"drop and share inside": pytest.approx(kendalltau([3, 1, 2], [3, 2, 1]).statistic)}
    truth = Output("t", view=View("inside", "t", "truth"))
    assert ranks_table(values, [DROP, truth]).set_index("estimator")["mean_rank"].to_dict() == {"a": 3, "b": 1, "c": 2}
    turned = ranks_table(values, [DROP, replace(INSIDE, better="lower")]).set_index("estimator")
    assert turned["inside_rank"].to_dict() == {"a": 1, "b": 2, "c": 3}


def test_nothing_measured_is_an_empty_table():
    measured = read(measurements([0.1, 0.2], [0, 1], ["p", "q"]))
    assert table_of(made.INSIDE, measured).empty
    assert chart_table(measured, made.INSIDE.charts[0], OUTPUTS, QUICK).empty


def test_blocks_do_not_show():
    random = np.random.default_rng(0)
    curves = [random.random(101) if i != 3 else np.full(101, np.nan) for i in range(12)]
    labels, patients = [0, 1] * 6, [f"p{i // 3}" for i in range(12)]
    rows = [
        measurements(random.random(12).tolist(), labels, patients, "drop"),
        measurements(curves, labels, patients, "heights"),
        measurements(curves, labels, patients, "heights", estimator="steep-slope"),
    ]
    whole, parts = read(*rows), read(*rows, blocks=5)
    assert whole.maps == parts.maps == (("slope", "original"), ("steep-slope", "original"))
    np.testing.assert_allclose(whole.curves["heights"].sums, parts.curves["heights"].sums)
    np.testing.assert_array_equal(whole.curves["heights"].counts.sum(axis=1), [11, 11])
    np.testing.assert_array_equal(whole.numbers["drop"], parts.numbers["drop"])
    assert np.isnan(whole.numbers["drop"][:, 1]).all()
    assert not whole.measured["drop"][:, 1].any()
    groups = whole.groups.iloc[whole.curves["heights"].groups]
    (place,) = np.flatnonzero((groups["patient"] == "p0") & (groups["label"] == 0))
    np.testing.assert_allclose(whole.curves["heights"].sums[0, place], curves[0] + curves[2])


def test_of_baselines_and_of_curves_without_intervals_only_the_mean_is_kept():
    labels, patients, curve = [0, 1] * 6, [f"p{i}" for i in range(12)], np.linspace(0, 1, 9)
    rows = [measurements([curve] * 12, labels, patients, "heights", estimator=name) for name in ("slope", "edges-only")]
    rows += [measurements([curve] * 12, labels, patients, "widths", estimator=name) for name in ("slope", "edges-only")]
    measured = read(*rows)
    for name, estimator, kept in (("heights", 0, 12), ("heights", 1, 2), ("widths", 0, 2)):
        curves = measured.curves[name]
        there = curves.counts[estimator] > 0
        assert there.sum() == kept
        assert (set(measured.groups["patient"].iloc[curves.groups[there]]) == {""}) == (kept == 2)
    bands = chart_table(measured, made.INSIDE.charts[0], OUTPUTS, QUICK).set_index("estimator")
    assert bands["ci_low"]["slope"].notna().all()
    assert bands["ci_low"]["edges-only"].isna().all()
    np.testing.assert_allclose(bands["value"]["edges-only"], curve)


def test_failed_cases_are_in_no_table():
    rows = measurements([0.1, 0.2, 0.3], [0, 1, 1], ["p", "q", "r"])
    failed = rows["index"] == 1
    rows.loc[failed, ["estimator", "form", "metric", "note"]] = ["", "", "failed", "it broke"]
    measured = read(rows)
    assert measured.failed["note"].tolist() == ["it broke"]
    assert means_table(measured, DROP, QUICK)["cases"].tolist() == [2]


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory):
    """The same study with its headlines better higher, and with all of them negative and better lower."""
    inside = replace(made.INSIDE, areas=())  # whose curves are not turned round
    metrics = (made.ERASING, inside, made.TOUCHING, made.TRUTH, made.PLANTED)
    folder = tmp_path_factory.mktemp("ways")
    return tuple(
        made.write_study(folder / name, chosen, varied=True, shortcut=True)
        for name, chosen in (("up", metrics), ("down", tuple(map(made.lower, metrics))))
    )


def test_lower_is_better_mirrors_higher_is_better(both_ways):
    up, down = both_ways
    negative = {
        "gains": {"value", "baseline_value", "baseline_value_without_masks"},
        "baselines": {"value", "class_0", "class_1"},
        "choices": {"value"},
        "strata": {"value"},
        "patients": {"value"},
        "shortcut": {"planted", "inside"},
    }
    for name in ("ranks", "baselines", "gains", "pairs", "agreement", "strata", "patients", "shortcut", "choices"):
        one, other = up.tables[name], down.tables[name]
        assert len(one) > 1
        assert list(one.columns) == list(other.columns)
        for column in one.columns:
            if column in negative.get(name, ()):
                np.testing.assert_array_equal(one[column], -other[column])
            elif name in ("baselines", "strata") and column.startswith("ci_"):
                opposite = {"ci_low": "ci_high", "ci_high": "ci_low"}[column]
                np.testing.assert_allclose(one[column], -other[opposite], atol=1e-12)
            else:
                pd.testing.assert_series_equal(one[column], other[column], check_exact=True)
    pd.testing.assert_frame_equal(up.tables["rank_ranges"], down.tables["rank_ranges"])
    for view, found in up.critical_differences.items():
        assert found.maps == down.critical_differences[view].maps
        np.testing.assert_array_equal(found.mean_ranks, down.critical_differences[view].mean_ranks)
    assert up.agreement == down.agreement
    assert up.concordance == down.concordance
    assert up.tables["gains"]["beats"].any()
    assert len(up.shortcut.vindicated) == len(down.shortcut.vindicated) > 0


def test_a_shortcut_ranks_nothing(both_ways):
    up, _ = both_ways
    assert "planted" not in up.views
    assert not any("planted" in column for column in up.tables["ranks"].columns)
    for name in ("gains", "pairs", "baselines", "strata", "patients", "choices", "agreement"):
        assert "planted" not in set(up.tables[name]["view"])
    assert list(up.tables["planted"].columns)[2] == "planted"


def test_tables_of_a_study_are_its_metrics_its_charts_and_the_comparisons(tmp_path):
    findings = made.write_study(tmp_path / "r")
    own = ["erasing", "inside", "touching", "twin", "spread", "erased_curve", "hits_curve", "held_curve"]
    assert list(findings.tables)[: len(own)] == own
    maps = keys_of(findings.table("erasing"))
    assert len(maps) == len(set(maps)) == len(findings.table("ranks")) == 6
    assert {name for name, form in maps if form == BOTH} == {"positive", "noise"}
    assert len(findings.table("hits_curve")) == 6 * (made.STEPS + 1)
    assert len(findings.table("erased_curve")) == 6 * 2 * (made.STEPS + 1)
    assert len(findings.table("pairs")) == len(findings.compared) * 6 * 5 / 2
    assert {"gain", "gain_ci_low", "gain_ci_high", "beats_blind"} <= set(findings.table("inside").columns)
    assert "gain" not in findings.table("spread").columns
    with pytest.raises(
        SettingsError, match="no table 'drop', there are erasing, inside, touching, twin, spread, erased"
    ):
        findings.table("drop")


def test_a_metric_cannot_be_called_as_a_comparison_is(tmp_path):
    findings = made.write_study(tmp_path, (made.ERASING, replace(made.SPREAD, name="gains")))
    with pytest.raises(SettingsError, match="'gains', as a table of comparisons is"):
        findings.table("ranks")


def test_old_results_say_who_reads_them(tmp_path):
    (tmp_path / "study.json").write_text('{"identity": "i", "content": {}}')
    with pytest.raises(SettingsError, match="results of format 1"):
        Store(tmp_path).description()


def test_findings_and_report_load_no_network_and_no_engine():
    code = (
        "import sys, tomolens.findings, tomolens.report, tomolens.report.words\n"
        "print([name for name in ('torch', 'ray', 'loky', 'monai', 'pydantic') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_tables_of_a_real_study_are_the_protocols(finished_study):
    _, findings = finished_study
    maps = set(keys_of(findings.table("fidelity")))
    assert len(maps) == len(findings.table("fidelity")) == len(findings.table("roc")) == 14
    assert {estimator for estimator, form in maps if form == "both"} == {"smoothgrad-squared", "random"}
    assert len(findings.table("overlap")) == 14
    assert len(findings.table("dice_curve")) == 14 * 100
    assert len(findings.table("ranks")) == 14
    assert all(len(found.maps) == 14 for found in findings.critical_differences.values())
    assert len(findings.table("pairs")) == len(findings.compared) * 14 * 13 / 2
    with pytest.raises(
        SettingsError, match="no table 'dice', there are fidelity, fidelity-twin, roc, overlap, evidence"
    ):
        findings.table("dice")
