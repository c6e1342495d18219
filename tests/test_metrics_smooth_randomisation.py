"""Averaged maps by shuffled networks: the average by hand, and noise that is no dependence on the weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from test_metrics_contract import evaluand
from tomolens.classifier import Intensity
from tomolens.metrics.randomisation import TOLERANCE
from tomolens.metrics.registry import METRICS
from tomolens.metrics.smooth_randomisation import COPIES, NOISE

METRIC = METRICS["smooth-randomisation"]


def test_noise_around_a_map_of_the_image_is_no_dependence_on_weights():
    """The test of single maps takes noise for dependence, the averaged one does not: what it is for."""
    given = evaluand(spatial=(32, 32))

    def noisy(image, by, draws, target, scene=None):
        seed = abs(hash((draws, by is given.classifier))) % 2**31
        return {"noisy": image + 2.0 * torch.rand(image.shape, generator=torch.Generator().manual_seed(seed))}

    shown = replace(given, maps=noisy(given.image, given.classifier, "", 1), explanations=noisy)
    single = {name: value for _, name, value in METRICS["randomisation"].measure(shown)}
    averaged = {name: value for _, name, value in METRIC.measure(shown)}
    assert averaged["smooth_weights_similarity"] > single["weights_similarity"] + 0.2
    assert averaged["smooth_margin"] < 0 < TOLERANCE


@pytest.mark.parametrize("intensity", [Intensity(), Intensity(-1.0, 1.0)])
def test_it_is_asked_of_noisy_copies_within_black_and_white(intensity):
    given = evaluand()
    given = replace(given, classifier=replace(given.classifier, intensity=intensity), image=intensity.at(given.image))
    asked = []

    def explanations(image, by, draws, target, scene=None):
        asked.append((image, by is given.classifier, draws))
        return {"one": image}

    shown = replace(given, maps={"one": given.image}, explanations=explanations)
    found = {name: value for _, name, value in METRIC.measure(shown)}
    assert len(asked) == METRIC.explanations == 3 * COPIES
    assert len({draws for *_, draws in asked}) == len(asked)
    for image, *_ in asked:
        assert intensity.black <= float(image.min())
        assert float(image.max()) <= intensity.white
    own = [image for image, *_ in asked[:COPIES]]
    spread = torch.stack([one - given.image for one in own]).std() / (intensity.white - intensity.black)
    assert 0.7 * NOISE < float(spread) < NOISE  # some is cut off at black and white
    mean = sum(image for image, *_ in asked[COPIES : 2 * COPIES]) / COPIES
    assert np.corrcoef(mean.ravel(), given.image.ravel())[0, 1] > 0.9
    assert found["smooth_weights_similarity"] > 0.9
