import numpy as np
import pytest
from scipy.stats import kendalltau

from test_findings import QUICK, measurements, read
from tomolens.findings.agreement import agreement_by_case, concordance


def test_agreement_is_by_case_and_names_where_the_views_part():
    random = np.random.default_rng(0)
    fidelity, auc = random.random((2, 6, 5))
    auc[4] = -fidelity[4]  # the other way round
    patients, labels = [f"p{i // 2}" for i in range(6)], [0, 1] * 3
    rows = [
        measurements(values[:, which].tolist(), labels, patients, metric, estimator=f"e{which}")
        for metric, values in (("fidelity", fidelity), ("auc", auc))
        for which in range(5)
    ]
    (found,) = agreement_by_case(read(*rows), QUICK).itertuples()
    taus = [kendalltau(one, other).statistic for one, other in zip(fidelity, auc, strict=True)]
    assert found.tau == pytest.approx(np.mean(taus))
    assert (found.view, found.other, found.part_most) == ("fidelity", "auc", "c4")
    assert found.disagree == pytest.approx(np.mean(np.array(taus) < 0))
    assert found.ci_low <= found.tau <= found.ci_high


def test_concordance_is_kendalls():
    same = np.array([[1.0, 2, 3, 4]] * 3)
    assert concordance(same) == pytest.approx(1)
    assert concordance(np.array([[1.0, 2, 3, 4], [4.0, 3, 2, 1]])) == pytest.approx(0)
    # W and the mean of Spearman's rho: rho = (m W - 1) / (m - 1).
    random = np.random.default_rng(1)
    ranks = np.stack([random.permutation(6) + 1.0 for _ in range(4)])
    rho = np.corrcoef(ranks)[np.triu_indices(4, 1)].mean()
    assert concordance(ranks) == pytest.approx((rho * 3 + 1) / 4)
