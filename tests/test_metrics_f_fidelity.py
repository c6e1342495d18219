"""F-Fidelity: the loops of the authors' code, networks solved by hand, and what has no refined network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.errors import MapError
from tomolens.metrics import f_fidelity
from tomolens.metrics.f_fidelity import CHANCE, MOST, SAMPLES, SHARES, chance
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.registry import METRICS
from tomolens.randomness import generator

SHAPES = [(24, 24), (10, 12, 14)]


def measured(given):
    return {(key[0], name): value for key, name, value in METRICS["f-fidelity"].measure(given)}


def by_the_authors(given, scores, label, highest):
    """The loop of their `ours_random_MoRF` and `ours_random_LeRF`: keep what is not chosen, or is not drawn."""
    image, pixels, accuracies = given.image, scores.size, []
    order = np.argsort(-scores if highest else scores, kind="stable")
    for share in SHARES:
        size = int(share * pixels + 0.5)
        keep = np.ones(pixels)
        keep[order[:size]] = 0
        ratio = CHANCE
        if size * CHANCE > MOST * pixels:
            ratio = MOST * pixels / size
        for k in range(SAMPLES):
            drawn = generator(given.seed, given.name, "f-fidelity", k).random(pixels, dtype=np.float32)
            mask = torch.from_numpy(np.maximum(keep, drawn >= ratio).reshape(image.shape[1:])).float()
            means = image.mean(dim=tuple(range(1, image.ndim)), keepdim=True)
            outputs = given.refined.network((image * mask + means * (1 - mask))[None]).detach()[0]
            predicted = int(outputs[0] > 0) if len(outputs) == 1 else int(outputs.argmax())
            accuracies.append(predicted == label)
    return float(np.mean(accuracies))


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize(("outputs", "label"), [(1, 1), (1, 0), (2, 1), (3, 1)])
def test_numbers_are_those_of_the_authors_loop(spatial, outputs, label):
    given = replace(evaluand(spatial=spatial, outputs=outputs, channels=2), label=label)
    # A network that turns within the masks that it is asked about.
    hidden = torch.rand(spatial, generator=torch.Generator().manual_seed(5)) < MOST * 0.8
    means = given.image.mean(dim=tuple(range(1, given.image.ndim)), keepdim=True)
    refined = turning(given.classifier.network, given.image, torch.where(hidden, means, given.image), outputs)
    given = replace(given, refined=refined)
    found = measured(given)
    whole = float(int(refined.predict(given.image[None])[0]) == label)
    for (name, _), ranked in given.rankings.items():
        for output, highest in (("ffid_plus", True), ("ffid_minus", False)):
            # Ties of the maps of the contract are none.
            assert found[name, output] == pytest.approx(
                whole - by_the_authors(given, ranked.scores, label, highest), abs=1e-12
            )
    assert len({*found.values()}) > 1


def turning(network, image, altered, outputs):
    last = network[-1]
    with torch.no_grad():
        scores = network(torch.stack([image, altered]))
        lead = scores[:, 0] if outputs == 1 else scores[:, 1] - scores[:, 0]
        scale = torch.sign(lead[0] - lead[1])
        last.weight.mul_(scale)
        last.bias.mul_(scale)
        last.bias[0 if outputs == 1 else 1] -= scale * lead.mean()
        last.bias[2:] = -100.0
    return Classifier(network, "logit" if outputs == 1 else "logits")


class Corner(nn.Module):
    """Of class 1 as long as the first pixel is bright: 1, where the mean is less."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        z = 100 * (x.flatten(1)[:, 0] - 0.9)
        return z[:, None] if self.outputs == 1 else torch.stack([0 * z, z, 0 * z - 1][: self.outputs], dim=1)


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_one_pixel_that_counts_solved_by_hand(spatial, outputs, monkeypatch):
    monkeypatch.setattr(f_fidelity, "SAMPLES", 1500)
    image = torch.zeros(1, *spatial)
    image.view(-1)[0] = 1.0
    right = 1e-3 * np.random.default_rng(0).random((1, *spatial)) + image.numpy()
    given = replace(
        evaluand(spatial=spatial, outputs=outputs, batch_size=256),
        image=image,
        refined=Classifier(Corner(outputs), "logit" if outputs == 1 else "logits"),
        rankings={
            ("right", "original"): rank_map(right),
            ("wrong", "original"): rank_map(-right),
            ("even", "original"): rank_map(0 * right),
        },
    )
    found = measured(given)
    masked = np.mean([min(0.5, 0.1 / share) for share in SHARES])  # the first pixel is always among the highest
    assert masked == pytest.approx(np.mean([chance(round(1000 * share), 1000) for share in SHARES]))
    assert found["right", "ffid_plus"] == pytest.approx(masked, abs=0.03)
    assert found["right", "ffid_minus"] == 0.0
    assert found["wrong", "ffid_plus"] == 0.0
    assert found["wrong", "ffid_minus"] == pytest.approx(masked, abs=0.03)
    assert 0.0 <= found["even", "ffid_plus"] <= masked + 0.03  # ties in random order, the same for every map
    wrongly = measured(replace(given, label=0))
    assert wrongly["right", "ffid_plus"] == pytest.approx(-masked, abs=0.03)  # a wrong decision is set right


def test_no_more_is_masked_than_the_network_was_refined_on():
    for pixels in (576, 1680):
        for share in np.linspace(0.05, 1.0, 20):
            count = int(share * pixels)
            assert count * chance(count, pixels) <= MOST * pixels + 1e-9
            assert chance(count, pixels) <= CHANCE


def test_it_asks_the_refined_network_alone():
    given = evaluand()
    asked = []
    given.classifier.network.register_forward_pre_hook(lambda *_: asked.append(1))
    measured(replace(given, refined=Classifier(Corner(1), "logit")))
    assert not asked


def test_without_a_refined_network_it_is_not_measured_or_says_why():
    given = evaluand()
    assert not METRICS["f-fidelity"].applies(replace(given, refined=None))
    why = replace(given, refined="there are no training cases")
    assert METRICS["f-fidelity"].applies(why)
    with pytest.raises(MapError, match="no refined network: there are no training cases"):
        measured(why)
