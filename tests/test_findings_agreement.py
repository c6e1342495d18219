import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

import synthetic_results as made
from test_findings import QUICK, measurements, read
from tomolens.findings.agreement import agreement_by_case, concordance, kendall_tau_b, kendall_w

VIEWS = [metric.numbers[0] for metric in (made.ERASING, made.INSIDE, made.TOUCHING)]


def test_agreement_is_by_case_and_names_where_the_views_part():
    random = np.random.default_rng(0)
    one_view, other_view = random.random((2, 12, 5))
    other_view[4] = -one_view[4]  # the other way round
    patients, labels = [f"p{i // 2}" for i in range(12)], [0, 1] * 6
    rows = [
        measurements(values[:, which].tolist(), labels, patients, metric, estimator=f"e{which}")
        for metric, values in (("drop", one_view), ("share_inside", other_view))
        for which in range(5)
    ]
    (found,) = agreement_by_case(read(*rows), VIEWS, QUICK).itertuples()
    taus = [kendalltau(one, other).statistic for one, other in zip(one_view, other_view, strict=True)]
    assert found.statistic == "tau-b"
    assert found.value == pytest.approx(np.mean(taus))
    assert (found.view, found.other, found.part_most) == ("drop", "inside", "c4")
    assert found.disagree == pytest.approx(np.mean(np.array(taus) < 0))
    assert found.ci_low <= found.value <= found.ci_high


def test_concordance_is_kendalls():
    same = np.array([[1.0, 2, 3, 4]] * 3)
    assert concordance(same) == pytest.approx(1)
    assert concordance(np.array([[1.0, 2, 3, 4], [4.0, 3, 2, 1]])) == pytest.approx(0)
    # W and the mean of Spearman's rho: rho = (m W - 1) / (m - 1).
    random = np.random.default_rng(1)
    ranks = np.stack([random.permutation(6) + 1.0 for _ in range(4)])
    rho = np.corrcoef(ranks)[np.triu_indices(4, 1)].mean()
    assert concordance(ranks) == pytest.approx((rho * 3 + 1) / 4)


def test_rows_are_compared_as_one_at_a_time_ties_and_gaps_included():
    random = np.random.default_rng(2)
    one, other, third = np.round(random.random((3, 50, 7)), 1)
    one[3, 2] = np.nan
    one[4], other[4], third[4] = 0.5, 0.5, 0.5  # all tied
    taus, ws = kendall_tau_b(one, other), kendall_w([one, other, third])
    for row in range(50):
        there = ~np.isnan(one[row])
        expected = kendalltau(one[row][there], other[row][there]).statistic
        np.testing.assert_allclose(taus[row], expected)
        ranks = np.stack([rankdata(view[row]) for view in (one, other, third)])
        np.testing.assert_allclose(ws[row], np.nan if np.isnan(ranks).any() else concordance(ranks))


def test_all_three_views_of_a_case_are_compared():
    random = np.random.default_rng(0)
    patients, labels = [f"p{i // 2}" for i in range(6)], [0, 1] * 3
    values = random.random((6, 5))
    rows = [
        measurements(values[:, which].tolist(), labels, patients, metric, estimator=f"e{which}")
        for metric in ("drop", "share_inside", "touch")
        for which in range(5)
    ]
    table = agreement_by_case(read(*rows), VIEWS, QUICK)
    (whole,) = table[table["statistic"] == "W"].itertuples()
    assert whole.value == pytest.approx(1)
    assert (table["value"][table["statistic"] == "tau-b"] == 1).all()


def test_concordance_of_a_study_is_among_the_maps_that_all_views_rank(tmp_path):
    found = made.write_study(tmp_path)
    ranks, columns = found.tables["ranks"], [f"{view.column}_rank" for view in found._compared_views]
    for column, lacking in zip(columns, ([0, 1], [1, 4], [0, 4]), strict=False):
        ranks.loc[lacking, column] = np.nan
    whole = ranks[columns].dropna()
    assert 2 < len(whole) < len(ranks)
    again = rankdata(whole.to_numpy(), axis=0)
    total = again.sum(axis=1)
    judges, count = len(columns), len(whole)
    by_hand = 12 * ((total - total.mean()) ** 2).sum() / (judges**2 * (count**3 - count))
    assert found.concordance == pytest.approx(by_hand)
    assert 0 <= found.concordance <= 1
