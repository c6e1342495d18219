"""Deletion, insertion and IROF: the loops of the papers, with ties, saturation and one to three classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.imputers import imputer
from tomolens.metrics.evaluand import MetricSettings
from tomolens.metrics.fidelity import area_under
from tomolens.metrics.irof import irof
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.registry import METRICS
from tomolens.metrics.removal import removal_curves
from tomolens.regions.parts import parts

SHAPES = [(24, 24), (10, 12, 14)]


def probability(given, image):
    outputs = given.classifier.network(image[None]).detach().double()[0]
    if len(outputs) == 1:
        return float(torch.softmax(torch.stack([0 * outputs[0], outputs[0]]), dim=0)[given.explained])
    return float(torch.softmax(outputs, dim=0)[given.explained])


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_pixels_go_and_come_most_important_first(spatial, outputs):
    given = replace(evaluand(spatial=spatial, outputs=outputs), explained=outputs - 1 if outputs > 1 else 1)
    given = replace(given, settings=replace(given.settings, fill="mean", steps=5))
    found = {(key, name): value for key, name, value in METRICS["removal"].measure(given)}
    image, (key, ranked) = given.image, next(iter(given.rankings.items()))
    for name, fill, inserting in (("deletion", "mean", False), ("insertion", "blur", True)):
        base = imputer(fill, image, 1).fill(torch.ones(1, *spatial).bool())[0]
        curve = []
        for share in np.linspace(0, 1, 6):
            first = ranked.order[::-1][: int(share * image[0].numel() + 0.5)]
            moved = torch.zeros(image[0].numel(), dtype=torch.bool)
            moved[first.copy()] = True
            hidden = ~moved if inserting else moved
            curve.append(probability(given, torch.where(hidden.reshape(spatial), base, image)))
        np.testing.assert_allclose(found[key, f"{name}_curve"], curve, rtol=1e-4, atol=1e-6)
        wanted = np.sum((np.array(curve)[1:] + np.array(curve)[:-1]) / 2) / 5
        assert found[key, name] == pytest.approx(wanted, rel=1e-4)


class Bright(nn.Module):
    """Certain of class 1 while a quarter of the image is bright, and of class 0 after."""

    def forward(self, x):
        z = 1000 * (x.flatten(1).mean(dim=1) - 0.24)
        return torch.stack([0 * z, z], dim=1)


def test_a_map_that_knows_is_best_and_saturates():
    image = torch.zeros(1, 20, 20)
    image[:, :10, :10] = 1.0
    given = replace(
        evaluand(),
        image=image,
        classifier=Classifier(Bright(), "logits"),
        settings=MetricSettings(fill=0.0, steps=20),
        rankings={
            ("right", "original"): rank_map(image.numpy()),
            ("wrong", "original"): rank_map(-image.numpy()),
        },
    )
    found = {(key[0], name): value for key, name, value in METRICS["removal"].measure(given)}
    assert found["right", "deletion"] == pytest.approx(1 / 40, rel=1e-3)  # gone with the first of twenty steps
    assert found["wrong", "deletion"] == pytest.approx(1 - (5 - 0.5) / 20 + 1 / 40 - 1 / 20, abs=0.03)
    assert found["right", "deletion"] < found["wrong", "deletion"]
    assert found["right", "insertion"] > found["wrong", "insertion"]
    assert area_under(np.ones(21)) == pytest.approx(1.0)
    curves = removal_curves(given, list(given.rankings.values()), imputer(0.0, image, 1), inserting=False)
    assert set(curves[0]) <= {0.0, 1.0} | set(curves[0][np.abs(curves[0] - 0.5) > 0.49])


@pytest.mark.parametrize("spatial", SHAPES)
def test_irof_is_its_loop(spatial):
    image = torch.rand(1, *spatial, generator=torch.Generator().manual_seed(3))
    image[:, : spatial[0] // 2] *= 0.3
    given = replace(evaluand(spatial=spatial, outputs=2), image=image)
    given = replace(given, explained=int(given.classifier.predict(image[None])[0]))
    labels = torch.from_numpy(parts(image.numpy()))
    masking = imputer("mean", image, 1)
    distinct = list(dict.fromkeys(given.rankings.values()))
    for ranked, value in zip(distinct, irof(given, distinct, masking), strict=True):
        scores = torch.from_numpy(ranked.scores.reshape(spatial))
        means = [float(scores[labels == label].mean()) for label in range(int(labels.max()) + 1)]
        gone, left = torch.zeros(spatial, dtype=torch.bool), []
        for label in np.argsort(-np.array(means), kind="stable"):
            gone |= labels == label
            left.append(probability(given, masking.fill(gone[None])[0]))
        assert value == pytest.approx(1 - np.mean(left) / probability(given, image), rel=1e-4)
    assert np.isnan(irof(replace(given, explained=1 - given.explained), distinct, masking)).all()


def test_one_step_has_its_two_ends():
    given = evaluand()
    given = replace(given, settings=replace(given.settings, steps=1))
    found = {(key, name): value for key, name, value in METRICS["removal"].measure(given)}
    for key in given.rankings:
        for name in ("deletion", "insertion"):
            first, last = found[key, f"{name}_curve"]
            assert found[key, name] == pytest.approx((first + last) / 2)
