import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import kendalltau

from tomolens.errors import SettingsError
from tomolens.findings.bootstrap import Resampling, class_balanced_mean, grouped, interval
from tomolens.findings.measured import BOTH, read_measured
from tomolens.findings.tables import (
    agreement,
    by_view,
    fidelity_table,
    overlap_table,
    perturbation_curves,
    ranks_table,
    roc_table,
    undefined_masks,
)
from tomolens.study.plan import SAME
from tomolens.study.rows import SCHEMA

QUICK = Resampling(resamples=300)


def measurements(values, labels, patients, metric="fidelity", estimator="random", signs="original", mask="usable"):
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
            "signs": signs,
            "metric": metric,
            "value": [value if np.isscalar(value) else np.nan for value in values],
            "curve": [None if np.isscalar(value) else value for value in values],
            "note": "",
        }
    )


def read(*frames, blocks=1):
    """Measurements as they are read from disk, the cases in some blocks."""
    rows = pd.concat(frames).sort_values("index", kind="stable", ignore_index=True)
    block = rows["index"] * blocks // (rows["index"].max() + 1)
    return read_measured(
        pa.Table.from_pandas(part, schema=SCHEMA, preserve_index=False) for _, part in rows.groupby(block)
    )


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


def test_the_fidelity_table():
    rows = measurements([0.2, 0.4] * 3 + [1.0, 0.9] * 6, [0] * 6 + [1] * 12, [f"p{i}" for i in range(18)])
    table = fidelity_table(read(rows), QUICK)
    assert list(table.columns) == ["estimator", "signs", "fidelity", "ci_low", "ci_high", "cases", "patients"]
    assert table["fidelity"][0] == pytest.approx((0.3 + 0.95) / 2)
    assert table["ci_low"][0] <= table["fidelity"][0] <= table["ci_high"][0]
    assert table[["cases", "patients"]].to_numpy().tolist() == [[18, 18]]


def test_a_map_that_is_its_own_absolute_is_one_map_everywhere():
    labels, patients = [0, 1] * 12, [f"p{i}" for i in range(24)]
    random = np.random.default_rng(0)
    rows, curve = [], np.linspace(0, 1, 41)
    for name, same in (("smoothgrad-squared", [1.0] * 24), ("deconvolution", [1.0] * 23 + [0.0])):
        values = random.random(24).tolist()
        for signs in ("original", "absolute"):
            rows.append(measurements(values, labels, patients, "fidelity", name, signs))
            rows.append(measurements([curve] * 24, labels, patients, "most_important_first", name, signs))
        rows.append(measurements(same, labels, patients, SAME, name, "absolute"))
        rows.append(measurements([0.5] * 24, labels, patients, "fidelity | fill = blur", name, "absolute"))
    measured = read(*rows, blocks=3)
    assert measured.maps == (("smoothgrad-squared", BOTH), ("deconvolution", "original"), ("deconvolution", "absolute"))
    assert SAME not in measured.numbers
    assert np.isnan(measured.numbers["fidelity | fill = blur"][:, 1]).all()
    np.testing.assert_array_equal(measured.numbers["fidelity | fill = blur"][:, [0, 2]], 0.5)
    curves = measured.curves["most_important_first"]
    np.testing.assert_array_equal(curves.counts.sum(axis=1), [24, 24, 24])
    np.testing.assert_allclose(curves.sums.sum(axis=1), [24 * curve] * 3)
    assert len(fidelity_table(measured, QUICK)) == 3


def test_undefined_values_are_left_out_and_counted():
    labels, patients = [0, 0, 1], ["p", "q", "r"]
    curve = np.linspace(0, 1, 101)
    names = ["true_positive_rate_quantile", "false_positive_rate_quantile"]
    names += ["true_positive_rate_linear", "false_positive_rate_linear"]
    rows = pd.concat(
        [
            measurements([0.6, np.nan, 0.8], labels, patients, "auc"),
            measurements([0.5, np.nan, 0.7], labels, patients, "average_precision"),
            *(measurements([curve, curve * np.nan, curve], labels, patients, name) for name in names),
        ]
    )
    table = roc_table(read(rows), QUICK)
    assert table["auc"][0] == pytest.approx(0.7)
    assert table["average_precision"][0] == pytest.approx(0.6)
    assert table[["cases", "patients", "undefined"]].to_numpy().tolist() == [[2, 2, 1]]
    assert table["auc_quantile_trapezoid"][0] == pytest.approx(0.5)


def test_masks_without_use_are_named():
    rows = measurements([0.1, 0.2], [0, 1], ["p", "q"])
    rows.loc[0, "mask"] = "empty"
    assert undefined_masks(read(rows)) == {"empty": ["c0"], "full": []}


def test_perturbation_curves_are_averaged_over_the_classes():
    good, bad = np.ones(41), np.zeros(41)
    rows = pd.concat(
        [
            measurements([good, good, bad], [0, 0, 1], list("pqr"), "most_important_first"),
            measurements([good, bad, good], [0, 0, 1], list("pqr"), "least_important_first"),
        ]
    )
    most, least = perturbation_curves(read(rows))["random", "original"]
    np.testing.assert_allclose(most, 0.5)
    np.testing.assert_allclose(least, 0.75)


def test_ranks_and_agreement():
    fidelity = pd.DataFrame({"estimator": list("abc"), "signs": "original", "value": [0.1, 0.3, 0.2]})
    roc = pd.DataFrame({"estimator": list("cab"), "signs": "original", "value": [0.9, 0.5, 0.8]})
    ranks = ranks_table(by_view({"fidelity": fidelity, "auc": roc})).set_index("estimator")
    assert ranks["fidelity_rank"].to_dict() == {"a": 3, "b": 1, "c": 2}
    assert ranks["auc_rank"].to_dict() == {"a": 3, "b": 2, "c": 1}
    assert ranks["mean_rank"].to_dict() == {"a": 3, "b": 1.5, "c": 1.5}
    taus = agreement(ranks)
    assert taus == {"fidelity and AUC": pytest.approx(kendalltau([3, 1, 2], [3, 2, 1]).statistic)}


def test_nothing_measured_is_an_empty_table():
    rows = measurements([0.1, 0.2], [0, 1], ["p", "q"])
    assert roc_table(read(rows), QUICK).empty
    assert overlap_table(read(rows), QUICK).empty


def test_tables_of_a_study_are_the_protocols(finished_study):
    _, findings = finished_study
    maps = set(zip(findings.table("fidelity")["estimator"], findings.table("fidelity")["signs"], strict=True))
    assert len(maps) == len(findings.table("fidelity")) == len(findings.table("roc")) == 14
    assert {estimator for estimator, signs in maps if signs == "both"} == {"smoothgrad-squared", "random"}
    overlap = findings.table("overlap")
    assert len(overlap) == 14 * 101
    assert set(overlap["at"]) == {*map(str, range(1, 101)), "mask share"}
    assert len(findings.table("ranks")) == 14
    assert all(len(found.maps) == 14 for found in findings.critical_differences.values())
    assert len(findings.table("pairs")) == len(findings.compared) * 14 * 13 / 2
    with pytest.raises(SettingsError, match="no table 'dice', there are fidelity, roc, overlap, evidence, ranks"):
        findings.table("dice")


def test_blocks_do_not_show():
    random = np.random.default_rng(0)
    curves = [random.random(101) if i != 3 else np.full(101, np.nan) for i in range(12)]
    labels, patients = [0, 1] * 6, [f"p{i // 3}" for i in range(12)]
    rows = [
        measurements(random.random(12).tolist(), labels, patients, "fidelity"),
        measurements(curves, labels, patients, "dice"),
        measurements(curves, labels, patients, "dice", estimator="smoothgrad"),
    ]
    whole, parts = read(*rows), read(*rows, blocks=5)
    assert whole.maps == parts.maps == (("random", "original"), ("smoothgrad", "original"))
    np.testing.assert_allclose(whole.curves["dice"].sums, parts.curves["dice"].sums)
    np.testing.assert_array_equal(whole.curves["dice"].counts.sum(axis=1), [11, 11])
    np.testing.assert_array_equal(whole.numbers["fidelity"], parts.numbers["fidelity"])
    assert np.isnan(whole.numbers["fidelity"][:, 1]).all()
    assert not whole.measured["fidelity"][:, 1].any()
    groups = whole.groups.iloc[whole.curves["dice"].groups]
    (place,) = np.flatnonzero((groups["patient"] == "p0") & (groups["label"] == 0))
    np.testing.assert_allclose(whole.curves["dice"].sums[0, place], curves[0] + curves[2])


def test_failed_cases_are_in_no_table():
    rows = measurements([0.1, 0.2, 0.3], [0, 1, 1], ["p", "q", "r"])
    failed = rows["index"] == 1
    rows.loc[failed, ["estimator", "signs", "metric", "note"]] = ["", "", "failed", "it broke"]
    measured = read(rows)
    assert measured.failed["note"].tolist() == ["it broke"]
    assert fidelity_table(measured, QUICK)["cases"].tolist() == [2]
