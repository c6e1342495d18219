"""How simple a map is: by hand, at both ends, and by the definitions written another way."""

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of_scipy

from tomolens.metrics.complexity import effective_complexity, entropy, gini


def gini_by_pairs(values):
    """Half the mean difference of all pairs, over the mean."""
    return np.abs(values[:, None] - values[None]).mean() / (2 * values.mean())


@pytest.mark.parametrize("seed", range(4))
def test_they_are_their_definitions(seed):
    values = np.abs(np.random.default_rng(seed).normal(size=200)) * (np.arange(200) % 3 > 0)
    values[:20] = values[20]  # ties, beside the zeros
    assert gini(values) == pytest.approx(gini_by_pairs(values), rel=1e-12)
    assert entropy(values) == pytest.approx(entropy_of_scipy(values) / np.log(200), rel=1e-12)
    assert effective_complexity(values) == (values > 1e-5 * values.max()).sum() / 200


def test_both_ends():
    even, single, nothing = np.ones(100), np.eye(100)[3], np.zeros(100)
    assert gini(even) == pytest.approx(0.0, abs=1e-12)
    assert gini(single) == pytest.approx(0.99)
    assert entropy(even) == pytest.approx(1.0)
    assert entropy(single) == 0.0
    assert (effective_complexity(even), effective_complexity(single), effective_complexity(nothing)) == (1.0, 0.01, 0.0)
    assert np.isnan(gini(nothing))
    assert np.isnan(entropy(nothing))
    assert gini(7 * single) == gini(single)
    assert entropy(7 * even) == pytest.approx(entropy(even))
