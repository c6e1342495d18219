"""On simulated CT the true evidence is known: it must win, and random must be worth nothing."""

import numpy as np
import pytest
import torch

from conftest import SMALL
from tomolens.cases import phantom
from tomolens.estimators import explain
from tomolens.findings.bootstrap import Resampling, grouped, interval
from tomolens.metrics import fidelity, region_overlap, roc
from tomolens.metrics.fidelity import area_between
from tomolens.regions import segment, xrai


@pytest.fixture(scope="module")
def held_out(trained):
    cases = phantom.cases(16, seed=11, first=5000, preprocessing=SMALL)
    images = torch.from_numpy(cases.images())
    oracle = torch.from_numpy(np.stack([case.evidence[None] for case in cases]))
    random = explain(trained, images, ["random"], names=cases.names)["random"]
    return cases, images, oracle, random


def test_the_network_knows_the_phantom(trained, held_out):
    cases, images, _, _ = held_out
    assert (trained.predict(images) == cases.labels).mean() >= 0.9


def test_the_oracle_beats_random_by_the_models_view(trained, held_out):
    cases, images, oracle, random = held_out
    best, chance = (fidelity(trained, images, cases.labels, maps, names=cases.names) for maps in (oracle, random))
    assert best.area > chance.area + 0.2
    correct = chance.decisions == cases.labels[:, None, None]
    areas = np.array([[area_between(*one)] for one in correct.astype(float)])
    low, high = interval(grouped(areas, cases.labels, cases.patients), Resampling())
    assert low[0] <= 0 <= high[0]


def test_the_oracle_beats_random_by_the_experts_view(held_out):
    cases, images, oracle, random = held_out
    masks = np.stack([case.mask for case in cases])
    assert roc(oracle, masks).mean_auc > 0.9
    assert roc(random, masks).mean_auc == pytest.approx(0.5, abs=0.03)
    best, chance = [], []
    for image, mask, true, noise in zip(images, masks, oracle, random, strict=True):
        segments = segment(image)
        best.append(region_overlap(xrai(image, true, segments=segments), mask).dice_own_share)
        chance.append(region_overlap(xrai(image, noise, segments=segments), mask).dice_own_share)
    assert np.mean(best) > np.mean(chance) + 0.2
