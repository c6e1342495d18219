"""Counts and sums that pass 32 bits, and what float64 holds, as those of large volumes do: against whole numbers."""

from fractions import Fraction

import numpy as np
import pytest

from tomolens.metrics.evidence import auc_among, evidence_auc
from tomolens.metrics.likeness import rank_correlation
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.roc import roc_of_map
from tomolens.regions import count_at, top_regions

SIDE = 64
VOXELS = SIDE**3
LARGEST = 512**3


@pytest.fixture(scope="module")
def large():
    """A map with ties, its ranking, and a mask of about half of its voxels."""
    random = np.random.default_rng(0)
    scores = random.integers(0, 5000, (SIDE,) * 3).astype(np.float64)
    return scores, rank_map(scores[None]), random.random((SIDE,) * 3) < 0.4 + scores / 20000


def exact_auc(scores, mask, others):
    """Mann-Whitney in whole numbers: half-pairs won, of all pairs."""
    below = np.bincount(scores[others].astype(np.int64), minlength=5000)
    inside = np.bincount(scores[mask].astype(np.int64), minlength=5000)
    won = before = 0
    for one, other in zip(inside.tolist(), below.tolist(), strict=True):
        won += one * (2 * before + other)
        before += other
    pairs = 2 * int(mask.sum()) * int(others.sum())
    assert pairs > 2**32
    return Fraction(won, pairs)


def test_areas_of_more_pairs_than_32_bits_count(large):
    scores, ranked, mask = large
    body = np.random.default_rng(1).random(mask.shape) < 0.9
    wanted = exact_auc(scores, mask, ~mask)
    assert roc_of_map(ranked, mask).auc == pytest.approx(float(wanted), abs=1e-13)
    assert evidence_auc(ranked, mask.astype(np.float32)) == pytest.approx(float(wanted), abs=1e-13)
    within = exact_auc(scores, mask & body, body & ~mask)
    assert auc_among(ranked, mask, body) == pytest.approx(float(within), abs=1e-13)


def test_weights_whose_sums_no_float_holds(large):
    """Sums of 2^60 and more, of which float64 has 53 bits: as near as those."""
    scores, ranked, mask = large
    weights = np.where(mask, np.float64(2**43 + 1), 0.0)
    assert weights.sum() > 2**53
    assert evidence_auc(ranked, weights) == pytest.approx(float(exact_auc(scores, mask, ~mask)), abs=1e-13)


def test_correlation_of_ranks_whose_squares_pass_53_bits():
    random = np.random.default_rng(2)
    one = random.permutation(VOXELS)
    other = (one + random.permutation(VOXELS) // 3).argsort().argsort()
    apart = sum(int(part.sum()) for part in np.array_split((one - other) ** 2, 64))
    wanted = 1 - Fraction(6 * apart, VOXELS * (VOXELS**2 - 1))
    assert VOXELS**3 // 12 > 2**50
    shape = (SIDE,) * 3
    found = rank_correlation(one.astype(float).reshape(shape), other.astype(float).reshape(shape))
    assert found == pytest.approx(float(wanted), abs=1e-12)


@pytest.mark.parametrize("percent", [0, 1, 33, 50, 99, 100])
def test_shares_of_the_largest_volume_are_whole_voxels(percent):
    assert count_at(percent / 100, LARGEST) == (2 * percent * LARGEST + 100) // 200


def test_the_top_of_a_large_map_is_as_many_voxels(large):
    _, ranked, _ = large
    assert top_regions(ranked.ranks.reshape(ranked.shape).astype(float), 25).sum() == VOXELS // 4
