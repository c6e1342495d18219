import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tomolens.errors import MapError
from tomolens.metrics.evidence import auc_among, evidence_auc
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.roc import roc_of_map

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed):
    """A map with ties, evidence in part of the image, a mask and a body."""
    random = np.random.default_rng(seed)
    scores = np.round(random.normal(size=(1, 9, 11)), 1)
    evidence = np.where(random.random((9, 11)) < 0.3, random.random((9, 11)), 0).astype(np.float32)
    return rank_map(scores), evidence, random.random((9, 11)) < 0.3, random.random((9, 11)) < 0.7


@given(SEEDS)
def test_it_is_scikit_learns_with_the_evidence_as_weight(seed):
    ranked, evidence, _, _ = drawn(seed)
    there = evidence.ravel() > 1e-3
    weights = np.where(there, evidence.ravel(), 1.0)
    expected = roc_auc_score(there, ranked.scores, sample_weight=weights)
    assert evidence_auc(ranked, evidence) == pytest.approx(expected, abs=1e-6)


@given(SEEDS)
def test_the_auc_among_some_pixels_is_that_of_those_pixels(seed):
    ranked, _, mask, among = drawn(seed)
    chosen = among.ravel()
    if len(set(mask.ravel()[chosen])) == 2:
        expected = roc_auc_score(mask.ravel()[chosen], ranked.scores[chosen])
        assert auc_among(ranked, mask, among) == pytest.approx(expected)
    whole = roc_of_map(ranked, mask).auc
    np.testing.assert_allclose(auc_among(ranked, mask, np.ones_like(mask)), whole)


def test_without_evidence_or_with_nothing_else_there_is_no_number():
    ranked, evidence, mask, _ = drawn(0)
    assert np.isnan(evidence_auc(ranked, np.zeros_like(evidence)))
    assert np.isnan(evidence_auc(ranked, np.ones_like(evidence)))
    assert np.isnan(auc_among(ranked, mask, np.zeros_like(mask)))


def test_the_evidence_itself_is_the_best_map_and_its_negative_the_worst():
    _, evidence, _, _ = drawn(1)
    assert evidence_auc(rank_map(evidence[None]), evidence) == 1
    assert evidence_auc(rank_map(-evidence[None]), evidence) == 0


def test_another_grid_is_named():
    ranked, _, mask, _ = drawn(0)
    with pytest.raises(MapError, match=r"mask or evidence of \(3, 3\), importance map of \(9, 11\)"):
        evidence_auc(ranked, np.zeros((3, 3)))
    with pytest.raises(MapError, match="they must be the same"):
        auc_among(ranked, mask, np.ones((3, 3), bool))
