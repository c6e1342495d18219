"""Metrics against metrics: tau against SciPy by hand, likes together, and nothing where there is too little."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import synthetic_results as made
from tomolens.declarations import Output
from tomolens.findings.metric_agreement import metrics_table

MAPS = [(f"map {number}", form) for number in range(5) for form in ("original", "absolute")]


def table_of(values, keys=MAPS, partial=()):
    frame = pd.DataFrame(keys, columns=["estimator", "form"])
    return frame.assign(value=values, partial=[key in partial for key in keys])


def test_pairs_are_compared_so_that_better_is_higher_and_likes_stand_together():
    random = np.random.default_rng(0)
    good = random.normal(size=len(MAPS))
    values = {
        "good": good,
        "bad": random.permutation(good),
        "error": -good + 0.01 * random.normal(size=len(MAPS)),
        "size": good,
        "tied": np.round(good),
    }
    outputs = [
        Output("good"),
        Output("bad"),
        Output("error", better="lower"),
        Output("size", better=None),
        Output("tied"),
        Output("unmeasured"),
    ]
    table = metrics_table(outputs, {name: table_of(one) for name, one in values.items()})
    assert {*table["first"], *table["second"]} == {"good", "bad", "error", "tied"}  # of a size neither end is good
    found = {frozenset(pair): tau for *pair, tau in table[["first", "second", "tau"]].itertuples(index=False)}
    assert found[frozenset(("good", "error"))] == pytest.approx(kendalltau(good, -values["error"]).statistic)
    assert found[frozenset(("good", "error"))] > 0.8
    assert found[frozenset(("good", "tied"))] == pytest.approx(kendalltau(good, values["tied"]).statistic)
    assert found[frozenset(("good", "bad"))] == pytest.approx(kendalltau(good, values["bad"]).statistic)
    ends = [
        table[[end, f"place_{end}", f"cluster_{end}"]].set_axis(["name", "place", "cluster"], axis=1)
        for end in ("first", "second")
    ]
    places = pd.concat(ends).drop_duplicates().set_index("name")
    assert sorted(places["place"]) == [1, 2, 3, 4]
    alike = places.loc[["good", "error", "tied"]]
    assert len(set(alike["cluster"])) == 1
    assert alike["place"].max() - alike["place"].min() == 2
    assert places.loc["bad", "cluster"] != alike["cluster"].iloc[0]


def test_of_too_few_maps_in_common_or_even_ones_nothing_is_told():
    outputs = [Output("one"), Output("other"), Output("even"), Output("few")]
    values = np.arange(len(MAPS), dtype=float)
    means = {
        "one": table_of(values, partial=MAPS[:2]),
        "other": table_of(np.where(values < 9, values, np.nan)),
        "even": table_of(np.ones(len(MAPS))),
        "few": table_of(np.arange(5.0), MAPS[:5]),
    }
    table = metrics_table(outputs, means).set_index(["first", "second"])
    assert table.loc[("one", "other"), "maps"] == len(MAPS) - 3
    assert table.loc[("one", "other"), "tau"] == 1.0
    assert np.isnan(table.loc[("one", "even"), "tau"])
    assert table.loc[("one", "few"), "maps"] == 3
    assert np.isnan(table.loc[("other", "few"), "tau"])
    assert metrics_table(outputs[:1], means).empty
    assert metrics_table(outputs, {}).empty


def test_rounding_ranks_nothing():
    values = np.array([3.0, 2.0, 1.0, 2.4e-7, 3.4e-7, 1.1e-7, 2.9e-7, 0.5, 1.5, 2.5])
    noise = np.array([3.0, 2.0, 1.0, 1.0e-7, 0.0, 3.0e-7, 2.0e-7, 0.5, 1.5, 2.5])
    outputs = [Output("one"), Output("other")]
    table = metrics_table(outputs, {"one": table_of(values), "other": table_of(noise)})
    assert table["tau"].iloc[0] == 1.0


def test_it_is_a_table_of_a_study_without_a_word_of_one_score(tmp_path):
    findings = made.write_study(tmp_path / "s")
    table = findings.table("metrics")
    assert {"drop", "inside", "touch"} <= {*table["first"], *table["second"]}
    assert not {"purity", "entropy"} & {*table["first"], *table["second"]}
