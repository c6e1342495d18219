"""Infidelity, sensitivity-n, monotonicity and robustness: against captum, and by hand."""

from dataclasses import replace

import captum.metrics
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from torch import jit, nn

from test_metrics_contract import evaluand
from tomolens.classifier import Classifier
from tomolens.imputers import imputer
from tomolens.metrics.perturbed import SETS, SHARES, infidelity, monotonicity, sensitivity_n
from tomolens.metrics.registry import METRICS
from tomolens.metrics.stability import COPIES, RADIUS, followed, noisy, sensitivity, stability
from tomolens.randomness import generator
from tomolens.regions.parts import parts

SHAPES = [(24, 24), (10, 12, 14)]


def parted(spatial, **options):
    given = evaluand(spatial=spatial, **options)
    image = given.image.clone()
    image[:, : spatial[0] // 2] *= 0.3  # something for segments to find
    return replace(given, image=image, settings=replace(given.settings, fill="mean"))


def sets_of(count):
    random = generator(0, "case", "perturbed")
    sizes = [max(1, round(SHARES[k % 5] * count)) for k in range(SETS)]
    return [set(random.permutation(count)[:size].tolist()) for size in sizes], np.array(sizes)


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("channels", [1, 2])
def test_infidelity_is_captums(spatial, channels):
    given = parted(spatial, channels=channels, outputs=2)
    found = {(key[0], name): value for key, name, value in METRICS["perturbed"].measure(given)}
    labels = torch.from_numpy(parts(given.image.numpy()))
    sets, _ = sets_of(int(labels.max()) + 1)
    hidden = torch.stack([torch.isin(labels, torch.tensor(sorted(one))) for one in sets])
    made = imputer("mean", given.image, 1).fill(hidden)
    differences = given.image - made
    scores = lambda images: given.classifier.class_scores(images)  # noqa: E731
    with torch.no_grad():
        lost = (scores(given.image[None]) - scores(made))[:, 1].double()
    for name, values in given.maps.items():
        theirs = captum.metrics.infidelity(
            scores,
            lambda inputs: (differences, made),
            given.image[None],
            values[None].float(),
            target=1,
            n_perturb_samples=SETS,
            max_examples_per_batch=SETS,
            normalize=True,
        )
        told = ((given.image - made).flatten(1).double() @ values.flatten()).numpy()
        turned = float((told * lost.numpy()).sum()) < 0  # captum's best scale may be below 0
        wanted = 1.0 if turned else float(theirs[0]) / float((lost**2).mean())
        assert found[name, "infidelity"] == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("spatial", SHAPES)
def test_sensitivity_n_and_monotonicity_are_their_loops(spatial):
    given = parted(spatial, outputs=3)
    given = replace(given, classifier=Classifier(given.classifier.network.double(), "logits"))
    given = replace(given, image=given.image.double())
    found = {(key[0], name): value for key, name, value in METRICS["perturbed"].measure(given)}
    labels = torch.from_numpy(parts(given.image.numpy()))
    masking = imputer("mean", given.image, 1)
    whole = given.classifier.class_scores(given.image[None])[0, 1].detach()

    def lost(one):
        hidden = torch.isin(labels, torch.tensor(sorted(one)))
        return float(whole - given.classifier.class_scores(masking.fill(hidden[None]))[0, 1].detach())

    sets, sizes = sets_of(int(labels.max()) + 1)
    losses = np.array([lost(one) for one in sets])
    each = np.array([lost({label}) for label in range(int(labels.max()) + 1)])
    for name, values in given.maps.items():
        plane = values.sum(dim=0)
        sums = np.array([float(plane[torch.isin(labels, torch.tensor(sorted(one)))].sum()) for one in sets])
        wanted = np.mean([pearsonr(sums[sizes == size], losses[sizes == size]).statistic for size in np.unique(sizes)])
        assert found[name, "sensitivity_n"] == pytest.approx(wanted, rel=1e-4)
        magnitudes = [float(plane[labels == label].abs().mean()) for label in range(len(each))]
        assert found[name, "monotonicity"] == pytest.approx(spearmanr(magnitudes, each**2).statistic, abs=1e-6)


def test_a_linear_network_is_foretold_whole():
    class Linear(nn.Module):
        def forward(self, x):
            z = (x * torch.linspace(-1, 1, x[0].numel()).reshape(x.shape[1:])).flatten(1).sum(dim=1)
            return torch.stack([-z, z], dim=1)

    given = parted((24, 24))
    weights = torch.linspace(-1, 1, 576).reshape(1, 24, 24)
    taken = given.image - imputer("mean", given.image, 1).fill(torch.ones(1, 24, 24).bool())[0]
    given = replace(
        given,
        classifier=Classifier(Linear(), "logits"),
        maps={"gradient": weights.double(), "times": (weights * taken).double(), "nothing": 0 * weights.double()},
        rankings={},
    )
    found = {(key[0], name): value for key, name, value in METRICS["perturbed"].measure(given)}
    assert found["gradient", "infidelity"] == pytest.approx(0.0, abs=1e-6)
    assert found["times", "sensitivity_n"] == pytest.approx(1.0, abs=1e-4)
    assert found["nothing", "infidelity"] == 1.0
    assert np.isnan(found["nothing", "sensitivity_n"])
    assert np.isnan(found["nothing", "monotonicity"])
    assert np.isnan(infidelity(np.ones(3), np.zeros(3)))
    assert infidelity(-np.arange(3.0), np.arange(3.0)) == 1.0
    assert np.isnan(sensitivity_n(np.full(6, 0.1) * 3, np.arange(6.0), np.ones(6, int)))
    assert np.isnan(sensitivity_n(np.arange(3.0), np.zeros(3), np.ones(3, int)))
    assert np.isnan(monotonicity(np.ones(5), np.arange(5.0)))


@pytest.mark.parametrize("spatial", SHAPES)
def test_max_sensitivity_is_captums(spatial):
    given = evaluand(spatial=spatial)
    given = replace(
        given,
        explanations=lambda image, *_: {"one": image.square(), "two": -(image**3)},
    )
    given = replace(given, maps=given.explain())
    copies = torch.stack(noisy(given))
    assert float((copies - given.image).abs().max()) <= RADIUS + 1e-6
    assert copies.min() >= 0
    assert copies.max() <= 1
    found = {(key[0], name): value for key, name, value in METRICS["stability"].measure(given)}
    for name in given.maps:
        theirs = captum.metrics.sensitivity_max(
            lambda inputs, name=name: torch.stack([given.explanations(one, None)[name] for one in inputs]),
            given.image[None],
            perturb_func=lambda inputs, perturb_radius: copies,
            n_perturb_samples=COPIES,
            max_examples_per_batch=COPIES,
        )
        assert found[name, "max_sensitivity"] == pytest.approx(float(theirs[0]), rel=1e-4)


def test_stability_by_hand():
    before, after = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    assert stability(before, 2 * before, before, after) == pytest.approx(1.0 / 0.1)
    assert stability(before, before, before, after) == 0.0
    assert stability(before, after, before, before) == pytest.approx(0.1 / 1e-6)  # nothing went in: the least stands in
    assert sensitivity(before, [after, 2 * before]) == 1.0
    assert np.isnan(sensitivity(np.zeros(2), [after]))
    assert followed(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0])) == pytest.approx(1.0)
    assert np.isnan(followed(np.zeros(4), np.arange(4.0)))


def test_stability_leaves_out_copies_that_are_decided_otherwise():
    class Edge(nn.Module):
        def forward(self, x):
            return (x.flatten(1).mean(dim=1) - given.image.mean())[:, None]

    given = evaluand(outputs=1)
    given = replace(given, classifier=Classifier(Edge(), "logit"))
    copies = torch.stack(noisy(given))
    own = int(given.classifier.predict(given.image[None])[0])
    alike = np.asarray(given.classifier.predict(copies)) == own
    assert 0 < alike.sum() < COPIES
    found = {(key[0], name): value for key, name, value in METRICS["stability"].measure(given)}
    image = given.image.double().numpy().ravel()
    wanted = max(
        stability(
            given.maps["one"].numpy().ravel(), copy.double().numpy().ravel(), image, copy.double().numpy().ravel()
        )
        for copy, kept in zip(copies, alike, strict=True)
        if kept
    )
    assert found["one", "input_stability"] == pytest.approx(wanted, rel=1e-6)


def test_stability_against_the_representation_by_hand():
    """Of a network whose last layer is given the means of the two halves of the image."""
    halves = nn.Sequential(nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(2, 2))
    given = evaluand(outputs=2)
    given = replace(given, classifier=Classifier(halves, "logits"), explanations=lambda image, *_: {"one": image**2})
    given = replace(given, maps={"one": given.image**2})
    found = {name: value for _, name, value in METRICS["stability"].measure(given)}

    def inside(image):
        return image[0].reshape(24, 2, 12).mean(dim=(0, 2)).double().numpy()

    own = halves(given.image[None]).argmax()
    alike = [one for one in noisy(given) if halves(one[None]).argmax() == own]
    wanted = max(
        stability(
            (given.image**2).double().numpy().ravel(),
            (one**2).double().numpy().ravel(),
            inside(given.image),
            inside(one),
        )
        for one in alike
    )
    assert found["representation_stability"] == pytest.approx(wanted, rel=1e-3)
    blind = replace(
        given, classifier=Classifier(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, -1)), Mean()), "logits")
    )
    without = {name: value for _, name, value in METRICS["stability"].measure(blind)}
    assert np.isnan(without["representation_stability"])  # a network without layers that have weights


@pytest.mark.parametrize("scripted", [False, True])
def test_the_representation_is_of_the_layer_that_runs_last(scripted):
    class HeadFirst(nn.Module):
        def __init__(self, in_order):
            super().__init__()
            if in_order:
                self.body = nn.Conv2d(1, 3, 3)
            self.head = nn.Linear(3, 2)
            if not in_order:
                self.body = nn.Conv2d(1, 3, 3)

        def forward(self, x):
            return self.head(self.body(x).relu().mean(dim=(2, 3)))

    torch.manual_seed(0)
    ordered, swapped = HeadFirst(True).eval(), HeadFirst(False).eval()
    swapped.load_state_dict(ordered.state_dict())
    given, found = evaluand(outputs=2), []
    for network in (ordered, jit.script(swapped) if scripted else swapped):
        changed = replace(given, classifier=Classifier(network, "logits"))
        found.append({(*key, name): value for key, name, value in METRICS["stability"].measure(changed)})
    for key, value in found[0].items():
        hidden = scripted and key[-1] == "representation_stability"  # which takes no hooks
        assert found[1][key] == pytest.approx(np.nan if hidden else value, nan_ok=True)
    assert any(np.isfinite(value) for key, value in found[0].items() if key[-1] == "representation_stability")


def test_an_image_is_not_its_own_representation():
    given = evaluand(outputs=2)
    pixels = given.image[0].numel()
    given = replace(given, classifier=Classifier(nn.Sequential(nn.Flatten(), nn.Linear(pixels, 2)), "logits"))
    found = {name: value for _, name, value in METRICS["stability"].measure(given)}
    assert np.isnan(found["representation_stability"])
    assert np.isfinite(found["input_stability"])


class Mean(nn.Module):
    def forward(self, values):
        return values.mean(dim=2)
