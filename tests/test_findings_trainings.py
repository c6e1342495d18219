"""Numbers by other trainings: in the cases that all networks have, by hand, of seeds and of architectures apart."""

from dataclasses import replace

import numpy as np
import pytest

import synthetic_results as made
from tomolens.findings.trainings import trainings_table
from tomolens.results.rows import NETWORK


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return made.write_study(tmp_path_factory.mktemp("t") / "s")


def table_of(findings, others, architectures=("other",)):
    measured = replace(findings.explained, varied={(NETWORK, name): one for name, one in others.items()})
    outputs = [output for metric in findings.description.metrics for output in metric.numbers]
    return trainings_table(measured, outputs, architectures, findings.resampling)


def test_spreads_are_over_seeds_and_ends_over_all(findings):
    own = findings.explained.numbers["share_inside"]
    others = {name: {"share_inside": own + by} for name, by in (("again 1", 0.1), ("again 2", -0.3), ("other", 2.0))}
    table = table_of(findings, others)
    assert set(table["output"]) == {"inside"}
    means = dict(zip(findings.explained.maps, np.nanmean(own, axis=0), strict=True))
    for _, row in table.iterrows():
        mean = means[row["estimator"], row["form"]]
        assert row["value"] == pytest.approx(mean)
        assert row["between_networks"] == pytest.approx(np.std([0.0, 0.1, -0.3], ddof=1))
        assert (row["lowest"], row["highest"]) == pytest.approx((mean - 0.3, mean + 2.0))
        assert (row["trainings"], row["networks"]) == (3, 4)
        assert row["by other"] == pytest.approx(mean + 2.0)
    own_table = findings.means["share_inside"].iloc[0]
    width = (own_table["ci_high"] - own_table["ci_low"]) / (2 * 1.959964)
    assert table.iloc[0]["between_patients"] == pytest.approx(width, rel=1e-5)


def test_cases_that_a_network_lacks_count_for_none(findings):
    own = findings.explained.numbers["share_inside"]
    lacking = own + 0.1
    there = np.flatnonzero(~np.isnan(own[:, 0]))
    lacking[there[3:], 0] = np.nan
    table = table_of(findings, {"again 1": {"share_inside": lacking}})
    key = findings.explained.maps[0]
    row = table[(table["estimator"] == key[0]) & (table["form"] == key[1])].iloc[0]
    assert row["cases"] == 3
    assert row["between_networks"] == pytest.approx(np.std([0.0, 0.1], ddof=1))
    assert row["value"] == pytest.approx(own[there[:3], 0].mean())
    other = table[(table["estimator"] != key[0])].iloc[0]
    assert other["cases"] > 3


def test_a_map_that_no_other_network_has_has_no_row(findings):
    own = findings.explained.numbers["share_inside"]
    lacking = own + 0.1
    lacking[:, 0] = np.nan
    key = findings.explained.maps[0]
    table = table_of(findings, {"other": {"share_inside": lacking}})
    assert key not in set(zip(table["estimator"], table["form"], strict=True))
    assert table["between_networks"].isna().all()  # of one training there is no spread
    assert table_of(findings, {}).empty
