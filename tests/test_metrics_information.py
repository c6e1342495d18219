"""Performance information curves: the authors' package, images solved by hand, and what has no curve."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from saliency.metrics import pic
from scipy.ndimage import distance_transform_edt
from torch import nn

from conftest import convolutional
from test_metrics_contract import evaluand
from tomolens.cases import phantom
from tomolens.classifier import Classifier
from tomolens.classifier.intensity import Intensity
from tomolens.metrics.information import (
    KEPT,
    POINTS,
    THRESHOLDS,
    curve_of,
    information_curves,
    information_of,
    known_pixels,
    spread,
)
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.registry import METRICS
from tomolens.randomness import generator

SHAPES = [(24, 24), (10, 12, 14)]


def known_of(given):
    return known_pixels(given.image.shape[1:], generator(given.seed, given.name, "information"))


def telling(image, blurred, outputs, explained):
    """A network that gives the explained class a lead of 2 in the image, and of -2 in the blurred one."""
    network = convolutional(len(image), outputs, dimensions=image.ndim - 1)
    last, at = network[-1], explained if outputs > 1 else 0
    sign = -1.0 if outputs == 1 and explained == 0 else 1.0
    with torch.no_grad():
        last.weight[[row for row in range(outputs) if row != at]] = 0.0
        last.bias.zero_()
        clear, unclear = network(torch.stack([image, torch.from_numpy(blurred)]))[:, at]
        scale = 4.0 * sign / (clear - unclear)
        last.weight[at] *= scale
        last.bias[at] = 2.0 * sign - scale * clear
    return Classifier(network, "logit" if outputs == 1 else "logits")


def told(spatial=(24, 24), channels=1, outputs=1, explained=1, image=None, **changes):
    """A case whose image the network tells, in 256 steps from black to white, with maps with ties among them."""
    given = evaluand(spatial=spatial, channels=channels, outputs=outputs)
    image = given.image if image is None else image
    image = torch.round(image * 255) / 255
    given = replace(given, image=image, explained=explained)
    random = np.random.default_rng(8)
    tied = np.round(random.normal(size=(1, *image.shape[1:])))
    rankings = {**given.rankings, ("tied", "original"): rank_map(tied), ("even", "original"): rank_map(0 * tied)}
    blurred = spread(image.numpy(), known_of(given))
    return replace(given, rankings=rankings, classifier=telling(image, blurred, outputs, explained), **changes)


def by_the_authors(monkeypatch, given, ranked, name, own_entropy=False):
    """`compute_pic_metric` of a slice, by the same pixels that are known, and the same entropy unless it is its own."""

    def steps(values):
        return np.round(255 * values).astype(np.uint8).transpose(1, 2, 0)

    def predict(images):
        shown = torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2) / 255)
        outputs = given.classifier.network(shown).detach().double()
        logits = torch.cat([0 * outputs, outputs], dim=1) if outputs.shape[1] == 1 else outputs
        if name == "aic":
            return (logits.argmax(dim=1) == given.explained).double().tolist()
        return torch.softmax(logits, dim=1)[:, given.explained].tolist()

    def nearest(full_img, pixel_mask):
        return steps(spread(full_img.transpose(2, 0, 1) / 255, pixel_mask))

    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patched.setattr(np, "trapz", np.trapezoid, raising=False)
        patched.setattr(pic, "create_blurred_image", nearest)
        if own_entropy:
            entropy = pic.estimate_image_entropy
            patched.setattr(pic, "estimate_image_entropy", lambda image: entropy(image[:, :, 0]))
        else:
            patched.setattr(
                pic, "estimate_image_entropy", lambda image: information_of(image.transpose(2, 0, 1) / 255, Intensity())
            )
        scores = ranked.scores.reshape(ranked.shape)
        return pic.compute_pic_metric(
            steps(given.image.numpy()), scores, known_of(given), predict, THRESHOLDS, min_pred_value=0.0
        )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("outputs", "explained"), [(1, 1), (1, 0), (2, 0), (2, 1), (3, 2)])
@pytest.mark.parametrize("name", ["sic", "aic"])
def test_curves_are_those_of_the_authors_package(monkeypatch, channels, outputs, explained, name):
    given = told(channels=channels, outputs=outputs, explained=explained)
    found = {(key, output): value for key, output, value in METRICS["information"].measure(given)}
    distinct = list(given.rankings.values())
    for key, ranked, curves in zip(given.rankings, distinct, information_curves(given, distinct), strict=True):
        theirs = by_the_authors(monkeypatch, given, ranked, name)
        np.testing.assert_allclose(curves[name], theirs.curve_y, atol=1e-4)
        assert found[key, name] == pytest.approx(theirs.auc, abs=1e-4)
        np.testing.assert_array_equal(found[key, f"{name}_curve"], curves[name][::KEPT])
    areas = [found[key, name] for key in given.rankings]
    assert len({round(area, 3) for area in areas}) > 1 or name == "aic"


def test_what_is_not_known_is_the_nearest_pixel_as_in_the_authors_package():
    random = np.random.default_rng(4)
    image, known = random.integers(0, 256, (30, 40)).astype(np.uint8), known_pixels((30, 40), random)
    assert known.sum() in range(12, 17)
    assert known[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    distances = distance_transform_edt(~known)
    places = np.argwhere(known)
    all_distances = np.linalg.norm(np.indices((30, 40)).reshape(2, -1).T[:, None] - places[None], axis=2)
    alone = (np.isclose(all_distances, distances.reshape(-1, 1)).sum(axis=1) == 1).reshape(30, 40)
    theirs = pic.create_blurred_image(image, known, method="nearest")
    assert alone.mean() > 0.8
    np.testing.assert_array_equal(spread(image[None], known)[0][alone], theirs[alone])
    np.testing.assert_array_equal(spread(image[None], np.ones_like(known))[0], image)


def test_information_is_like_that_of_webp_of_ct(monkeypatch):
    case = phantom.cases(2, seed=0)[0]
    given = told(image=torch.from_numpy(case.image), outputs=2)
    rows, columns = np.indices(case.image.shape[1:])
    maps = {
        "noise": np.random.default_rng(0).random(rows.shape),
        "centre": -np.hypot(rows - 112, columns - 112),
        "edges": np.hypot(*np.gradient(case.image[0])),
    }
    for values in maps.values():
        ranked = rank_map(values[None])
        theirs = by_the_authors(monkeypatch, given, ranked, "sic", own_entropy=True)
        (curves,) = information_curves(given, [ranked])
        assert float(np.trapezoid(curves["sic"], dx=1 / POINTS)) == pytest.approx(theirs.auc, abs=0.05)


class Varied(nn.Module):
    """Certain of class 1 where the first half along the first axis varies from pixel to pixel by more than this."""

    def __init__(self, outputs, least):
        super().__init__()
        self.outputs, self.least = outputs, least

    def forward(self, x):
        z = 1e5 * (variation(x) - self.least)
        return z[:, None] if self.outputs == 1 else torch.stack([0 * z, z, 0 * z - 50][: self.outputs], dim=1)


def variation(images):
    return images[:, :, : images.shape[2] // 2].diff(dim=-1).abs().flatten(1).mean(dim=1)


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_map_that_knows_needs_less_information(spatial, outputs):
    given = evaluand(spatial=spatial, outputs=outputs)
    blurred = torch.from_numpy(spread(given.image.numpy(), known_of(given)))
    least = float(variation(torch.stack([given.image, blurred])).mean())
    right = np.random.default_rng(0).random((1, *spatial))
    right[:, : spatial[0] // 2] += 1.0
    given = replace(
        given,
        classifier=Classifier(Varied(outputs, least), "logit" if outputs == 1 else "logits"),
        rankings={("right", "original"): rank_map(right), ("wrong", "original"): rank_map(-right)},
    )
    found = {(key[0], name): value for key, name, value in METRICS["information"].measure(given)}
    for name in ("sic", "aic"):
        assert found["right", name] > found["wrong", name] + 0.2
        for which in ("right", "wrong"):
            curve = found[which, f"{name}_curve"]
            assert curve.shape == (POINTS // KEPT + 1,)
            assert (curve[0], curve[-1]) == (0.0, 1.0)
    np.testing.assert_allclose(found["right", "sic_curve"], found["right", "aic_curve"], atol=1e-3)  # saturated


def test_curves_solved_by_hand():
    # Half of the way at a quarter of the information, all of it at a half: then it stays.
    area = np.trapezoid(curve_of(np.array([0.25, 0.5]), np.array([0.5, 0.9]), 0.1, 0.9), dx=1 / POINTS)
    assert area == pytest.approx(0.25 * 0.25 + 0.25 * 0.75 + 0.5, abs=1e-6)
    # What falls again is kept at its best, and what is beyond either end counts as the end.
    curve = curve_of(np.array([0.25, 0.5, 1.5]), np.array([2.0, 0.0, -3.0]), 0.0, 1.0)
    assert np.trapezoid(curve, dx=1 / POINTS) == pytest.approx(0.25 / 2 + 0.75, abs=1e-6)
    # A map of ties reveals all at once: nothing is known between.
    curve = curve_of(np.ones(13), np.ones(13), 0.0, 1.0)
    assert np.trapezoid(curve, dx=1 / POINTS) == pytest.approx(0.5)


@pytest.mark.parametrize("spatial", SHAPES)
def test_no_curve_of_what_is_told_no_better_than_blurred_or_has_no_more_information(spatial):
    given = told(spatial=spatial, outputs=2)
    other = replace(given, explained=0)
    for one in (other, replace(given, image=torch.full_like(given.image, 0.5))):
        for _, name, value in METRICS["information"].measure(one):
            assert np.isnan(value).all(), name
    blurred = spread(given.image.numpy(), known_of(given))
    decided = telling(given.image, blurred, 2, 1)
    decided.network[-1].bias.data[1] += 5.0  # of class 1 blurred and not: surer of one of them, decided alike
    found = {name: value for _, name, value in METRICS["information"].measure(replace(given, classifier=decided))}
    assert np.isnan(found["aic"])
    assert np.isnan(found["aic_curve"]).all()
    assert np.isfinite(found["sic"])


def test_where_the_authors_package_raises_there_is_no_number(monkeypatch):
    given = replace(told(outputs=2), explained=0)
    ranked = next(iter(given.rankings.values()))
    with pytest.raises(pic.ComputePicMetricError):
        by_the_authors(monkeypatch, given, ranked, "sic")
    assert np.isnan(information_curves(given, [ranked])[0]["sic"]).all()


@pytest.mark.parametrize("channels", [1, 2])
def test_volumes_are_compressed_whole_and_in_steps_from_black_to_white(channels):
    random = np.random.default_rng(0)
    noise, smooth = random.random((channels, 10, 12, 14)), np.ones((channels, 10, 12, 14))
    assert information_of(noise, Intensity()) > 10 * information_of(smooth, Intensity())
    wide = Intensity(-1.0, 3.0)
    assert information_of(wide.at(noise), wide) == information_of(noise, Intensity())
