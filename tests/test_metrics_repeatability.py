"""Other draws of an estimator's own: what draws nothing comes out the same, noise as unlike as another image's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import convolutional
from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.estimators import explain
from tomolens.estimators.registry import make_estimator
from tomolens.metrics.registry import METRICS


def looked(estimators):
    torch.manual_seed(0)
    classifier = Classifier(convolutional(1, 2), "logits")
    given = evaluand()

    def made(image, by, draws, target, scene=None):
        return {
            name: one[0] for name, one in explain(by, image[None], estimators, [target], names=[draws or "x"]).items()
        }

    given = replace(given, classifier=classifier, maps=made(given.image, classifier, "", 1), explanations=made)
    return {(key[0], name): value for key, name, value in METRICS["repeatability"].measure(given)}


def test_what_draws_nothing_is_the_same_and_noise_is_not():
    noisy, smooth = (make_estimator("smoothgrad", samples=count, sigma=1.0) for count in (1, 40))
    found = [looked([make_estimator("backpropagation"), make_estimator("random"), one]) for one in (noisy, smooth)]
    for name in ("similarity", "ssim", "hog"):
        assert found[0]["backpropagation", f"draws_{name}"] == pytest.approx(1.0)
    assert found[0]["backpropagation", "draws_margin"] > 0.5
    assert abs(found[0]["random", "draws_similarity"]) < 0.15
    assert found[0]["random", "draws_margin"] < 0.15
    few, many = (one["smoothgrad", "draws_similarity"] for one in found)
    assert few < many < 1.0


def test_the_margin_is_over_a_chance_likeness_and_never_over_unlikeness():
    given = evaluand()
    made = {"again": given.image, "": given.image}

    def explanations(image, by, draws, target, scene=None):
        return {"one": made.get(draws, 1 / (1 + given.image))}  # of another image: the very opposite

    shown = replace(given, maps={"one": given.image}, explanations=explanations)
    found = {name: value for _, name, value in METRICS["repeatability"].measure(shown)}
    assert found["draws_margin"] == pytest.approx(1.0)
    nothing = replace(shown, maps={"one": 0 * given.image})
    assert np.isnan({name: value for _, name, value in METRICS["repeatability"].measure(nothing)}["draws_margin"])
