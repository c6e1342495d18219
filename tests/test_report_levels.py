"""Levels of a map tell the order in which the network saw its pixels go, in few bytes."""

import base64
import doctest
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolens.report import levels as module
from tomolens.report.levels import FINE, PARTS, levels_of, told_by
from tomolens.report.viewer import pack
from tomolens.results.gallery import GalleryCase, by_rank


def masked_at(magnitude, steps, random):
    """At which step each pixel goes, the largest first, ties at random."""
    order = np.lexsort((random.random(magnitude.size), -magnitude.ravel()))
    found = np.empty(magnitude.size, np.uint8)
    found[order] = 1 + np.arange(magnitude.size) * steps // magnitude.size
    return found.reshape(magnitude.shape)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8, 40, 115]), st.sampled_from([(20, 21), (4, 9, 11)]))
def test_levels_keep_sign_step_and_order(seed, steps, shape):
    random = np.random.default_rng(seed)
    importance = np.round(random.normal(size=shape) ** 3, 1)  # ties and zeros
    ranks, values = by_rank(importance)
    at = masked_at(np.abs(importance), steps, random)
    levels, means = levels_of(ranks, values, at)
    assert np.abs(levels.astype(int)).max() <= 127
    assert (levels != 0).all()
    np.testing.assert_array_equal(levels < 0, importance < 0)
    size = np.abs(levels.astype(int))
    for step in np.unique(at):  # a level is of one step, and lies above those of later ones
        assert size[at == step].min() > size[at > step].max(initial=0)
    other, _ = levels_of(np.asfortranarray(ranks), values, np.asfortranarray(at))  # as arrays lie is nothing to it
    np.testing.assert_array_equal(other, levels)
    table, rest = told_by(size.astype(np.int8), at)
    assert not rest.any()
    np.testing.assert_array_equal(table[size + 128], at)
    for level in np.unique(size):
        np.testing.assert_allclose(means[level], values[np.abs(ranks.astype(int))][size == level].mean(), rtol=1e-5)


def test_the_top_is_finer():
    importance = np.arange(1.0, 4001.0).reshape(40, 100)
    ranks, values = by_rank(importance)
    levels, _ = levels_of(ranks, values, masked_at(importance, 40, np.random.default_rng(0)))
    _, counts = np.unique(levels, return_counts=True)
    assert counts.tolist() == [100] * (40 - FINE) + [100 // PARTS] * (FINE * PARTS)


def test_more_steps_than_levels_leave_the_map_as_it_is():
    ranks, values = by_rank(np.arange(256.0).reshape(16, 16))
    same, means = levels_of(ranks, values, np.arange(1, 257).reshape(16, 16).clip(max=255).astype(np.uint8))
    assert same is ranks
    assert means is values


def test_steps_are_told_whatever_the_levels_are():
    random = np.random.default_rng(0)
    levels, steps = random.integers(-128, 128, (9, 9)).astype(np.int8), random.integers(1, 41, (9, 9)).astype(np.uint8)
    table, rest = told_by(levels, steps)
    np.testing.assert_array_equal(table[levels.astype(int) + 128] + rest, steps)
    assert doctest.testmod(module) == (0, 2)


@pytest.mark.parametrize("beside", [True, False])
def test_what_is_packed_holds_the_order_of_each_map(beside):
    random = np.random.default_rng(0)
    own, blind = random.normal(size=(16, 16)), np.round(random.random((16, 16)), 1)
    orders = {("a", "original"): own - own.min(), ("a", "absolute"): np.abs(own), ("b", "original"): blind}
    steps = {key: masked_at(one, 8, random) for key, one in orders.items()}
    maps = {("a", "original"): by_rank(own), ("b", "original"): by_rank(blind)}
    case = GalleryCase(
        "c", 1, 1, (0.5,), np.zeros((1, 16, 16), np.uint8), None, 1,
        {key: one[0] for key, one in maps.items()}, {key: one[1] for key, one in maps.items()}, {}, {}, {},
        beside=("b",), steps=steps,
    )  # fmt: skip
    packed = pack(case, 1.0, beside)
    content = np.frombuffer(zlib.decompress(base64.b85decode(packed["data"].replace(",", "<"))), np.uint8)
    at, ranks = 256, {}
    for one in packed["maps"]:
        ranks[one["key"]] = content[at : at + 256].view(np.int8).astype(int)
        at += 256 + 128
    for key in packed["steps"]:
        table, rest = content[at : at + 256], content[at + 256 : at + 512].view(np.int8)
        found = table[ranks[f"{key.split('/')[0]}/original"] + 128] + rest
        np.testing.assert_array_equal(found, steps[tuple(key.split("/"))].ravel())
        at += 512
    assert at == len(content)
    assert ("b/original" in packed["steps"]) == beside
    assert len(np.unique(ranks["b/original"])) <= 27
