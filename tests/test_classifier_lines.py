"""Decisions along a line: asked where they turn, filled in elsewhere, and what was filled in is audited."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tomolens.classifier import Classifier, decisions
from tomolens.classifier.decisions import AUDITED, FEWEST_AUDITED, decide
from tomolens.classifier.lines import EVERY, Gaps, coarse, fill_in, leads
from tomolens.classifier.quick import Quick


class Carried(nn.Module):
    """Scores that images carry: of one neuron, or of some classes."""

    def forward(self, images):
        return images[:, 0, 0] if images.shape[-1] > 1 else images[:, 0, 0, 0]


class Rough(nn.Module):
    """The same with an error."""

    def forward(self, images):
        carried = images[:, 0, 0, 0]
        return carried + 0.01 * torch.sin(1e4 * carried)


def decided(scores, lines, seed=0, sparing=True, quick=False):
    """Decisions on images that carry scores ``(N,)`` or ``(N, classes)``, and how many the network was asked for."""
    images = torch.as_tensor(np.asarray(scores, np.float32)).reshape(len(scores), 1, 1, -1)
    one = images.shape[-1] == 1
    backend = Quick("rough", Rough(), 16) if quick else None
    classifier = Classifier(Carried(), "logit" if one else "logits", sparing=sparing, quick=backend)
    chosen = [np.asarray(line, np.intp) for line in lines]
    return decide(
        classifier, lambda numbers: images[list(numbers)], len(images), 16, np.random.default_rng(seed), chosen
    )


def one_line(scores, **options):
    return decided(scores, [range(len(scores))], **options)


def asked_first(z):
    """Scores of one neuron, classes, and which images were asked: the coarse grid of one line."""
    scores = np.stack([-z, z], axis=1).astype(np.float32)
    return scores, scores.argmax(axis=1), np.isin(np.arange(len(z)), coarse([np.arange(len(z))]))


def test_by_hand():
    line = np.arange(18)
    assert coarse([line]).tolist() == [0, 5, 10, 15, 17]
    z = np.zeros(18)
    z[[0, 5, 10, 15, 17]] = 10.0, 9.0, 8.0, -8.0, -9.0
    scores, classes, asked = asked_first(z)
    assert leads(scores)[[0, 5, 10]].tolist() == [20.0, 18.0, 16.0]
    # Rates: 0.2, 0.2, 3.2, 0.5 a step. The first gap is beside none of the steep one: it reaches
    # 2 * 2 * sqrt(0.2 * 3.2) * 5 = 16 and its leads add up to 38; the second, beside it, reaches 64; the last
    # 2 * 2 * 3.2 * 2 = 25.6, and its leads add up to 34.
    assert Gaps.of([line], scores, classes, asked).in_doubt().tolist() == [7, 12]
    # Scores that may be wrong by e make two leads that may both be too high by 2 e: 16 + 4 e reaches 38 from 5.5 on.
    assert 2 not in Gaps.of([line], scores, classes, asked).in_doubt(5.4)
    assert 2 in Gaps.of([line], scores, classes, asked).in_doubt(5.6)
    z[17] = -4.0
    scores, classes, asked = asked_first(z)
    assert Gaps.of([line], scores, classes, asked).in_doubt().tolist() == [7, 12, 16]
    assert fill_in([line], classes, asked).tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16]
    assert classes.tolist() == [1] * 15 + [0] * 3


def test_the_tightest_by_hand():
    line = np.arange(18)
    z = np.zeros(18)
    z[[0, 5, 10, 15, 17]] = 10.0, 9.0, 8.0, -8.0, -9.0
    scores, classes, asked = asked_first(z)
    # Leads against change: 38 / 8, 34 / 32, 32 / 32 and 34 / 12.8; of a whole line that does not change: beyond all.
    assert Gaps.of([line], scores, classes, asked).tightest(3).tolist() == [12, 7, 16]
    still, tied = np.full(36, 3.0), np.r_[np.full(18, 3.0), np.zeros(18)]
    for other, expected in ((still, [12, 7]), (tied, [20, 25])):
        both = np.r_[z, other[18:]]
        scores = np.stack([-both, both], axis=1).astype(np.float32)
        seen = np.isin(np.arange(36), coarse([line, line + 18]))
        found = Gaps.of([line, line + 18], scores, scores.argmax(axis=1), seen).tightest(2)
        assert found.tolist() == expected
    assert Gaps.of([], scores, classes, seen).tightest(2).tolist() == []
    assert Gaps.of([line], scores[:18], classes, np.ones(18, bool)).tightest(2).tolist() == []


def test_where_the_tightest_turn_doubt_reaches_further(monkeypatch):
    """A dip between two images of the grid, of leads that are just beyond what the line shows."""
    z = np.linspace(10, 8.6, 41)
    z[21:25] = -1.0
    z[26:] -= 2.5
    missed = np.flatnonzero(z < 0)
    found = one_line(z)
    np.testing.assert_array_equal(found.classes, z > 0)
    assert found.filled_audited == FEWEST_AUDITED
    monkeypatch.setattr(decisions, "TIGHTEST", 0)
    monkeypatch.setattr(decisions, "FEWEST_AUDITED", 0)
    monkeypatch.setattr(decisions, "AUDITED", 0.0)
    without = one_line(z)
    assert without.classes[missed].all()  # none of which is so
    assert without.asked < found.asked < 41


@given(st.integers(0, 10_000), st.integers(2, 60), st.booleans())
def test_scores_that_only_rise_are_decided_right(seed, count, quick):
    random = np.random.default_rng(seed)
    z = np.sort(random.normal(random.normal(), 2, count)).astype(np.float32)
    found = one_line(z, seed=seed, quick=quick)
    np.testing.assert_array_equal(found.classes, z > 0)
    np.testing.assert_array_equal(one_line(z, sparing=False).classes, z > 0)
    assert found.images == count
    assert found.images == found.asked + found.audited + found.quick + found.filled + found.filled_audited


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 5]))
def test_several_classes_along_slow_changes(seed, classes):
    random = np.random.default_rng(seed)
    ends = random.normal(0, 3, (2, classes))
    shares = np.linspace(0, 1, 41)[:, None]
    scores = ((1 - shares) * ends[0] + shares * ends[1]).astype(np.float32)
    np.testing.assert_array_equal(one_line(scores, seed=seed).classes, scores.argmax(axis=1))


def test_ties_and_zeros_are_asked():
    for z in (np.zeros(41), np.r_[np.ones(20), np.zeros(21)]):
        assert one_line(z).filled <= 20
        np.testing.assert_array_equal(one_line(z).classes, z > 0)
    still = one_line(np.zeros(41))
    assert (still.asked, still.filled) == (41, 0)  # no lead is far above no change


def test_images_on_no_line_and_on_several_are_asked():
    z = np.linspace(-2, 3, 41)
    found = decided(np.r_[z, -7.0], [range(41), [*range(0, 41, 5), 40]])
    np.testing.assert_array_equal(found.classes, np.r_[z, -7.0] > 0)


def test_far_fewer_are_asked():
    z = np.linspace(3, -5, 4001)
    found = one_line(z)
    assert found.asked < 1.5 * 4001 / EVERY
    assert found.filled_audited >= AUDITED * found.filled
    assert found.filled_differed == 0
    assert one_line(z, sparing=False).asked == 4001
    by_quick = one_line(z, quick=True)
    assert by_quick.asked < 200
    np.testing.assert_array_equal(by_quick.classes, z > 0)


def excursions(random, lines=20, points=41):
    """Curves that are far above 0, with short turns that nothing on the coarse grid shows."""
    z = 9.0 + 0.1 * random.random((lines, points))
    for line in z[:8]:
        at = int(random.integers(0, points // EVERY)) * EVERY
        line[at + 1 : at + 5] = -9.0
    return z


def test_turns_that_no_grid_shows_are_audited_and_told():
    caught, wrong = 0, 0
    for seed in range(60):
        z = excursions(np.random.default_rng(seed))
        numbers = np.arange(z.size).reshape(z.shape)
        found = decided(z.ravel(), list(numbers), seed)
        wrong += int((found.classes != (z.ravel() > 0)).any())
        caught += int(found.filled_differed > 0)
        if found.filled_differed:
            np.testing.assert_array_equal(found.classes, z.ravel() > 0)
            assert found.filled == 0
    # 32 of 640 that were filled in are wrong, and 7 of them are looked at.
    assert np.ceil(AUDITED * 640) == 7
    expected = 1 - (1 - 32 / 640) ** 7
    assert caught + wrong == 60
    assert abs(caught / 60 - expected) < 0.2


def test_fewest_are_audited():
    found = one_line(np.linspace(3, -5, 101))
    assert found.filled_audited >= FEWEST_AUDITED


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_lines(count):
    found = one_line(np.full(count, 2.0))
    assert found.classes.tolist() == [1] * count
    assert (found.asked, found.filled) == (count, 0)
