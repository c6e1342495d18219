"""Inference that holds on simulated patients with 16 correlated slices each."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, wilcoxon

from tomolens.findings.bootstrap import Resampling, grouped, interval
from tomolens.findings.inference import (
    Compared,
    critical_difference,
    gains_table,
    holm,
    pairs_table,
    rank_intervals,
    signed_rank,
    with_beats,
)

PATIENTS, SLICES = 40, 16
QUICK = Resampling(resamples=1000)


def simulated(seed, maps=1, truth=0.0):
    """Slices of which half of the variance is the patient's (ICC 0.5), ``(N, maps)``."""
    random = np.random.default_rng(seed)
    own = random.normal(0, np.sqrt(0.5), (PATIENTS, 1, maps))
    values = truth + own + random.normal(0, np.sqrt(0.5), (PATIENTS, SLICES, maps))
    return values.reshape(-1, maps)


def patients(clustered=True):
    return [f"p{i // SLICES if clustered else i}" for i in range(PATIENTS * SLICES)]


def test_the_interval_covers_as_often_as_it_says_and_slices_would_not():
    covered = {True: 0, False: 0}
    runs, labels = 600, np.zeros(PATIENTS * SLICES, dtype=np.int64)
    for clustered in covered:
        count = runs if clustered else 100
        for seed in range(count):
            low, high = interval(grouped(simulated(seed), labels, patients(clustered)), Resampling(1000, 0.95, seed))
            covered[clustered] += bool(low[0] <= 0 <= high[0])
        covered[clustered] /= count
    assert 0.93 <= covered[True] <= 0.97
    assert covered[False] < 0.6


def test_the_test_finds_what_is_not_there_as_rarely_as_it_says_and_on_slices_would_not():
    found, on_slices = [], []
    for seed in range(400):
        one, other = simulated(seed, maps=2).T
        differences = one - other
        found.append(signed_rank(differences.reshape(PATIENTS, SLICES).mean(axis=1)) < 0.05)
        on_slices.append(wilcoxon(differences).pvalue < 0.05)
    assert np.mean(found) <= 0.06
    assert np.mean(on_slices) > 0.3


def test_with_few_patients_the_signed_rank_test_is_scipys_ties_and_zeros_included():
    random = np.random.default_rng(4)
    cases = [random.integers(-3, 4, count) / 40 for count in (1, 2, 6, 7, 9, 11) for _ in range(4)]
    cases += [random.normal(size=count) for count in (6, 12, 13, 14, 30)] + [random.integers(-9, 10, 40) / 8]
    for differences in cases:
        if np.any(differences):
            assert signed_rank(differences) == pytest.approx(wilcoxon(differences).pvalue, abs=1e-12)
    assert signed_rank(np.zeros(7)) == 1.0
    # By hand: ranks 1.5, 1.5, 3; of the 8 sums none but 6 is as large as that of all signs positive.
    assert signed_rank(np.array([1.0, 1.0, 2.0])) == 0.25


def test_bca_is_scipys():
    values = np.random.default_rng(2).exponential(size=60)
    low, high = interval(
        grouped(values[:, None], np.zeros(60, dtype=np.int64), [f"p{i}" for i in range(60)]), Resampling(20000)
    )
    ours = np.array([low[0], high[0]])
    theirs = bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(0))
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.01)


def test_holm_is_the_textbooks():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def compared(means, seed=0, noise=0.3):
    values = simulated(seed, maps=len(means)) * noise + np.asarray(means)
    maps = tuple((f"e{i}", "original") for i in range(len(means)))
    return Compared.of(maps, values, np.zeros(len(values), dtype=np.int64), patients(), QUICK)


def test_pairs_are_told_apart_where_they_differ():
    table = pairs_table(compared([1.0, 1.0, 0.0]))
    assert len(table) == 3
    same, *different = table.itertuples()
    assert same.p_holm > 0.05
    assert same.ci_low < 0 < same.ci_high
    assert all(pair.p_holm < 1e-4 and pair.ci_low > 0.5 for pair in different)
    assert (table["p_holm"] >= table["p"]).all()


def test_the_critical_difference_is_demsars():
    found = critical_difference(compared([0.0, 1.0, 0.5, 1.0], noise=0.1), 0.95)
    assert [key[0] for key in found.maps[2:]] == ["e2", "e0"]
    assert found.p < 1e-10
    # Demsar 2006, table 5: q = 2.569 for four classifiers at 0.05.
    assert found.difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * PATIENTS)), abs=1e-3)
    assert found.groups() == [(0, 1)]
    assert critical_difference(compared([0.0, 1.0]), 0.95) is None


def test_ranks_are_as_sure_as_the_data():
    low, high = rank_intervals(compared([0.0, 1.0, 1.0, 2.0], noise=0.2))
    assert (low[3], high[3]) == (1, 1)
    assert (low[0], high[0]) == (4, 4)
    assert list(low[1:3]) == [2, 2]
    assert list(high[1:3]) == [3, 3]


def test_where_lower_is_better_everything_is_turned_round_but_the_numbers():
    values = simulated(3, maps=4) + np.array([0.0, 1.0, 2.0, 1.0])
    names = tuple((f"e{i}", "original") for i in range(4))
    labels = np.zeros(len(values), dtype=np.int64)
    up = Compared.of(names, values, labels, patients(), QUICK)
    down = Compared.of(names, -values, labels, patients(), QUICK, sign=-1.0)
    pd.testing.assert_frame_equal(pairs_table(up), pairs_table(down))
    assert [one.tolist() for one in rank_intervals(up)] == [one.tolist() for one in rank_intervals(down)]
    assert critical_difference(up, 0.95).maps == critical_difference(down, 0.95).maps
    gains, turned = (gains_table(one, frozenset({"e0", "e1"})) for one in (up, down))
    assert set(turned["baseline"]) == {"e1"}  # the lowest of the negative ones
    np.testing.assert_array_equal(gains["baseline_value"], -turned["baseline_value"])
    np.testing.assert_array_equal(gains["value"], -turned["value"])
    same = ["gain", "ci_low", "ci_high", "p"]
    pd.testing.assert_frame_equal(gains[same], turned[same])
    assert gains["gain"][0] > 0.5


def test_gains_are_over_the_best_baseline():
    data = compared([0.0, 1.0, 2.0, 1.0], noise=0.2)
    table = gains_table(data, frozenset({"e0", "e1"}))
    assert table["estimator"].tolist() == ["e2", "e3"]
    assert set(table["baseline"]) == {"e1"}
    assert table["gain"].tolist() == pytest.approx([1.0, 0.0], abs=0.12)
    assert with_beats(table, 0.95)["beats"].tolist() == [True, False]
    assert gains_table(data, frozenset()).empty
    assert isinstance(table, pd.DataFrame)


@pytest.mark.parametrize(("count", "slices", "clear"), [(12, 4, True), (24, 4, True), (24, 4, False), (7, 2, True)])
def test_some_map_that_knows_nothing_beats_the_blind_in_few_studies(count, slices, clear):
    """Fourteen maps that are no better than the best of seven blind baselines, in two views; six of these far below."""
    said, runs, maps, blind = 0, 400, 14, 7
    names = tuple((f"e{i}", "original") for i in range(maps)) + tuple((f"b{i}", "original") for i in range(blind))
    who = [f"p{i // slices}" for i in range(count * slices)]
    for seed in range(runs):
        random, tables = np.random.default_rng(seed), []
        for view in ("one", "other"):
            own = random.normal(0, np.sqrt(0.5), (count, 1, maps + blind))
            values = (
                own + random.normal(0, np.sqrt(0.5), (count, slices, maps + blind)) + random.normal(0, 1, (count, 1, 1))
            )
            values[:, :, maps + 1 :] -= 5.0 * clear
            data = Compared.of(
                names, values.reshape(-1, maps + blind), np.zeros(len(who), np.int64), who, Resampling(500, 0.95, seed)
            )
            tables.append(gains_table(data, frozenset(name for name, _ in names[maps:])).assign(view=view))
        said += bool(with_beats(pd.concat(tables, ignore_index=True), 0.95)["beats"].any())
    assert said / runs <= 0.06


def test_a_map_that_knows_beats_the_blind():
    random, who = np.random.default_rng(0), [f"p{i // 4}" for i in range(24 * 4)]
    values = random.normal(0, 0.5, (24 * 4, 6)) + np.repeat(random.normal(0, 0.5, (24, 6)), 4, axis=0)
    values[:, 0] += 2.0
    names = tuple((f"e{i}", "original") for i in range(6))
    data = Compared.of(names, values, np.zeros(len(who), np.int64), who, QUICK)
    table = with_beats(gains_table(data, frozenset({"e4", "e5"})), 0.95)
    assert table["beats"].tolist() == [True, False, False, False]


@pytest.mark.parametrize("labels", [[0] * 5, [0] * 20 + [1] * 5])
def test_with_too_few_patients_in_a_class_nothing_is_printed_as_if_it_held(labels):
    count = len(labels)
    values = np.random.default_rng(0).normal([0.0, 0.0, 3.0, 9.0], 0.1, (count, 4))
    maps = tuple((f"e{i}", "original") for i in range(4))
    data = Compared.of(maps, values, np.array(labels), [f"p{i}" for i in range(count)], QUICK)
    pairs = pairs_table(data)
    assert pairs[["ci_low", "ci_high", "p", "p_holm"]].isna().all().all()
    assert pairs["difference"].notna().all()
    assert critical_difference(data, 0.95) is None
    low, high = rank_intervals(data)
    assert (low == 1).all()
    assert (high == 4).all()
    gains = with_beats(gains_table(data, frozenset({"e0"})), 0.95)
    assert gains[["ci_low", "ci_high", "p", "p_holm"]].isna().all().all()
    assert not gains["beats"].any()
    assert gains["gain"].notna().all()
    enough = np.concatenate([labels, [labels[-1]]])
    more = np.concatenate([values, values[-1:]])
    held = Compared.of(maps, more, enough, [f"p{i}" for i in range(count + 1)], QUICK)
    assert pairs_table(held)["ci_low"].notna().all()
