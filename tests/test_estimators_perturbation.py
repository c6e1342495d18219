"""RISE, LIME, KernelSHAP and feature ablation, against scikit-learn, captum, and all coalitions."""

import doctest
import sys
from itertools import permutations, product

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation as CaptumFeatureAblation
from sklearn.linear_model import Ridge

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.errors import MapError, SettingsError
from tomolens.estimators import FeatureAblation, KernelShap, Lime, Occlusion, Rise, Scene, explain
from tomolens.estimators.coalitions import Showing, coalitions_of, ridge_regression, shapley_regression
from tomolens.estimators.given import require_scenes
from tomolens.estimators.rise import RandomlyMasked
from tomolens.estimators.subject import Subject
from tomolens.imputers import imputer
from tomolens.randomness import generator
from tomolens.regions import parts

SPATIAL = [(16, 16), (6, 8, 10)]


def given(spatial, channels=2, outputs=3):
    torch.manual_seed(7)
    network = convolutional(channels, outputs, dimensions=len(spatial)).double()
    images = torch.zeros(2, channels, *spatial, dtype=torch.float64)
    images[:, :, : spatial[0] // 2] = 0.4  # something for segments to find
    images[:, :, :, spatial[1] // 2 :] += 0.5
    images += 0.02 * torch.rand_like(images)
    return Classifier(network, "logits"), images


@pytest.mark.parametrize("spatial", SPATIAL)
def test_rise_is_the_mean_of_its_masks_by_the_score(spatial):
    classifier, images = given(spatial)
    estimator = Rise(30, 4, 0.3)
    maps = explain(classifier, images, [estimator], [0, 2], names=["a", "b"], seed=5)["rise"]
    for image, name, target, found in zip(images, "ab", (0, 2), maps, strict=True):
        subject, wanted = Subject(image, target, name, 5), torch.zeros(spatial, dtype=torch.float64)
        for k in range(30):
            mask = RandomlyMasked(4, 0.3, k).mask(subject)
            wanted += mask * classifier.class_scores((image * mask)[None])[0, target].detach() / (30 * 0.3)
        torch.testing.assert_close(found.sum(dim=0), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spatial", [(20, 30), (9, 8, 10), (50,)])
def test_masks_of_rise_keep_pixels_with_the_probability(spatial):
    subject = Subject(torch.ones(1, *spatial), 0, "a", 0)
    masks = torch.stack([RandomlyMasked(3, 0.3, k).mask(subject) for k in range(600)])
    assert 0 <= float(masks.min()) < 0.05
    assert 0.95 < float(masks.max()) <= 1 + 1e-6
    assert abs(float(masks.mean()) - 0.3) < 0.02
    assert float((masks.mean(dim=0) - 0.3).abs().max()) < 0.12  # everywhere


def test_ridge_regression_is_scikit_learns():
    random = np.random.default_rng(0)
    for samples, count in ((50, 8), (5, 12)):
        shown, scores = random.random((samples, count)) < 0.5, random.normal(size=samples)
        weights = random.random(samples) + 0.1
        wanted = Ridge(alpha=0.7).fit(shown.astype(float), scores, sample_weight=weights).coef_
        np.testing.assert_allclose(ridge_regression(shown, scores, weights, 0.7), wanted, rtol=1e-8, atol=1e-10)


def exact_shapley(value, count):
    """Mean over all orders of what a part adds when it comes."""
    found = np.zeros(count)
    orders = list(permutations(range(count)))
    for order in orders:
        shown = np.zeros(count, bool)
        for part in order:
            before = value(shown)
            shown[part] = True
            found[part] += (value(shown) - before) / len(orders)
    return found


@pytest.mark.parametrize("count", [2, 3, 5])
def test_all_coalitions_give_shapleys_values(count):
    random = np.random.default_rng(count)
    table = random.normal(size=2**count)

    def value(shown):
        return float(table[int(np.packbits(shown, bitorder="little")[0])])

    coalitions, weights = coalitions_of(count, 2**count, random)
    assert len(coalitions) == 2**count - 2
    scores = np.array([value(shown) for shown in coalitions])
    ends = value(np.zeros(count, bool)), value(np.ones(count, bool))
    found = shapley_regression(coalitions, scores, weights, *ends)
    np.testing.assert_allclose(found, exact_shapley(value, count), rtol=1e-9, atol=1e-12)


def test_drawn_coalitions_come_near_them_and_add_up():
    random, count = np.random.default_rng(1), 9
    pairs, single = random.normal(size=(count, count)), random.normal(size=count)

    def value(shown):
        return float(single @ shown + shown @ pairs @ shown)

    coalitions, weights = coalitions_of(count, 400, random)
    assert (weights == 1).all()
    sizes = coalitions.sum(axis=1)
    assert sizes.min() >= 1
    assert sizes.max() <= count - 1
    np.testing.assert_array_equal(coalitions[0::2], ~coalitions[1::2])
    scores = np.array([value(shown) for shown in coalitions])
    found = shapley_regression(coalitions, scores, weights, 0.0, value(np.ones(count, bool)))
    assert found.sum() == pytest.approx(value(np.ones(count, bool)))
    exact = single + np.diag(pairs) + (pairs + pairs.T - 2 * np.diag(np.diag(pairs))).sum(axis=1) / 2
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("spatial", SPATIAL)
def test_feature_ablation_is_captums(spatial):
    classifier, images = given(spatial)
    maps = explain(classifier, images, ["feature-ablation"], [0, 2])["feature-ablation"]
    for image, target, found in zip(images, (0, 2), maps, strict=True):
        labels = torch.from_numpy(parts(image.numpy()))
        assert len(labels.unique()) > 1
        captum = CaptumFeatureAblation(lambda x: classifier.class_scores(x))
        wanted = captum.attribute(image[None], target=target, feature_mask=labels[None, None].expand(1, 2, *spatial))
        sizes = torch.bincount(labels.flatten())[labels]
        torch.testing.assert_close(found, wanted[0] / sizes / 2, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_kernel_shap_adds_up_to_what_the_image_adds(spatial):
    classifier, images = given(spatial)
    found = explain(classifier, images, [KernelShap(250, fill=1.0)], [0, 2])["kernel-shap"]
    at, white = (classifier.class_scores(one).detach() for one in (images, torch.ones_like(images)))
    torch.testing.assert_close(found.flatten(1).sum(1), (at - white)[[0, 1], [0, 2]])


def test_lime_is_its_fit():
    classifier, images = given((16, 16))
    found = explain(classifier, images[:1], [Lime(80, 0.5, 0.1)], [2], names=["a"], seed=4)["lime"][0]
    labels = parts(images[0].numpy())
    sums = torch.bincount(torch.from_numpy(labels.ravel()), found.sum(dim=0).flatten())
    shown = generator(4, "a", "lime").random((80, labels.max() + 1)) < 0.5
    shown[0] = True
    subject = Subject(images[0], 2, "a", 4)
    seen = torch.stack([Showing(labels, one, 0.0).image(subject) for one in shown])
    scores = classifier.class_scores(seen)[:, 2].detach().numpy()
    cosines = shown.sum(axis=1) / np.sqrt(np.maximum(shown.sum(axis=1), 1) * shown.shape[1])
    weights = np.exp(-(((1 - cosines) / 0.5) ** 2))
    wanted = Ridge(alpha=0.1).fit(shown.astype(float), scores, sample_weight=weights).coef_
    np.testing.assert_allclose(sums, wanted, rtol=1e-6, atol=1e-9)


def test_the_example_of_parts_runs():
    assert doctest.testmod(sys.modules["tomolens.regions.parts"], extraglobs={"np": np}) == (0, 1)


def test_parts_cover_the_image_without_gaps_in_their_numbers():
    for shape in ((1, 40, 30), (2, 5, 20, 9), (1, 1, 20, 9)):
        image = np.random.default_rng(0).random(shape)
        labels = parts(image)
        assert labels.shape == shape[1:]
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    halves = np.zeros((1, 64, 64))
    halves[:, :, 30:] = 1.0
    labels = parts(halves)
    assert not set(np.unique(labels[8:-8, 8:28])) & set(np.unique(labels[8:-8, 33:-8]))


@pytest.mark.parametrize(
    ("estimator", "given", "message"),
    [
        (Rise, {"kept": 1.0}, "a probability between 0 and 1"),
        (Rise, {"samples": 0}, "at least one sample"),
        (Lime, {"samples": 1}, "expected two or more"),
        (Lime, {"width": 0.0}, "expected numbers above 0"),
        (KernelShap, {"fill": 2.0}, "a number from 0 \\(black\\) to 1 \\(white\\)"),
        (FeatureAblation, {"fill": -1.0}, "a number from 0 \\(black\\) to 1 \\(white\\)"),
    ],
)
def test_numbers_that_cannot_be(estimator, given, message):
    with pytest.raises(SettingsError, match=message):
        estimator(**given)


FILLS = [0.3, "mean", "blur", "road", "twin"]


def scenes_of(images, **given):
    twins = np.random.default_rng(3).random(images.shape)
    return [Scene(twin=twin, **given) for twin in twins]


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("fill", FILLS)
def test_windows_become_what_the_fill_says(spatial, fill):
    classifier, images = given(spatial)
    scenes = scenes_of(images)
    found = explain(classifier, images, [Occlusion(6, 3, fill)], [0, 2], names=["a", "b"], seed=2, scenes=scenes)
    for number, (image, target) in enumerate(zip(images, (0, 2), strict=True)):
        masked = imputer(fill, image, target, seed=2, name="ab"[number], twin=scenes[number].twin)
        total, count = torch.zeros(spatial, dtype=torch.float64), torch.zeros(spatial, dtype=torch.float64)
        whole = classifier.class_scores(image[None])[0, target].detach()
        for start in product(*(range(0, -(-(length - 6) // 3) * 3 + 1, 3) for length in spatial)):
            hidden = torch.zeros(spatial, dtype=torch.bool)
            hidden[tuple(slice(at, at + 6) for at in start)] = True
            fallen = whole - classifier.class_scores(masked.fill(hidden[None]))[0, target].detach()
            total[hidden] += fallen
            count[hidden] += 1
        torch.testing.assert_close(found["occlusion"][number][0], total / count, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_windows_in_millimetres_are_of_the_images_pixels(spatial):
    classifier, images = given(spatial)
    scenes = scenes_of(images, spacing=(2.0,) * len(spatial))
    found, wanted = (
        explain(classifier, images, [one], [0, 2], scenes=scenes)["occlusion"]
        for one in (Occlusion("12 mm", "5.8mm"), Occlusion(6, 3))
    )
    assert torch.equal(found, wanted)
    uneven = scenes_of(images, spacing=(4.0, *(1.0,) * (len(spatial) - 1)))
    sides = Occlusion("8 mm", "4 mm")._windows(Subject(images[0], 0, "a", 0, scene=uneven[0]))
    assert {one.sides for one in sides} == {(2, *(8,) * (len(spatial) - 1))}
    with pytest.raises(SettingsError, match=r"told in millimetres: give scenes=\[tl.Scene\(spacing"):
        explain(classifier, images, [Occlusion("12 mm", "6 mm")], [0, 2])


def test_too_many_windows_are_refused():
    classifier, images = given((128, 128))
    scenes = scenes_of(images, spacing=(0.5, 0.5))
    with pytest.raises(SettingsError, match="occlusion: 16129 windows, expected at most 10000"):
        explain(classifier, images, [Occlusion("1 mm", "0.5 mm")], [0, 2], scenes=scenes)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Occlusion("12 mm", 3),
        lambda: Occlusion("12 cm", "3 cm"),
        lambda: Occlusion(2.5, 1),
        lambda: Occlusion(True, 1),
        lambda: Occlusion(3, 4),
        lambda: Occlusion("0 mm", "0 mm"),
        lambda: Occlusion(fill="label"),
        lambda: FeatureAblation("none"),
        lambda: Lime(fill=(0, 1)),
        lambda: KernelShap(parts="organs"),
    ],
)
def test_windows_fills_and_parts_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match=r"expected|depends on the true class"):
        wrong()


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("fill", ["blur", "twin"])
def test_structures_of_a_label_map_are_left_out(spatial, fill):
    classifier, images = given(spatial)
    labels = np.zeros(spatial, np.int16)
    labels[2:5, 3:7], labels[4:, 6:] = 51, 7
    scenes = scenes_of(images, anatomy=labels)
    found = explain(classifier, images, [FeatureAblation(fill, "anatomy")], [0, 2], scenes=scenes)["feature-ablation"]
    for number, (image, target) in enumerate(zip(images, (0, 2), strict=True)):
        masked = imputer(fill, image, target, twin=scenes[number].twin)
        for label in (0, 7, 51):
            part = torch.from_numpy(labels == label)
            seen = torch.stack([image, masked.fill(part[None])[0]])
            whole, without = classifier.class_scores(seen)[:, target].tolist()
            assert float(found[number][:, part].sum()) == pytest.approx(whole - without, rel=1e-6, abs=1e-9)
    for one in (Lime(20, parts="anatomy"), KernelShap(parts="anatomy")):
        assert len(explain(classifier, images, [one], [0, 2], scenes=scenes)[one.name][0, 0].unique()) == 3
    with pytest.raises(SettingsError, match="leaves out structures: give scenes"):
        explain(classifier, images, [KernelShap(parts="anatomy")], [0, 2])
    with pytest.raises(MapError, match="anatomy of a scene has shape"):
        explain(classifier, images, [KernelShap(parts="anatomy")], [0, 2], scenes=scenes_of(images, anatomy=labels[:3]))


def test_too_few_samples_for_the_parts_are_refused():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1000, 2)).double().eval()
    image = torch.rand(1, 1, 10, 10, 10, dtype=torch.float64)
    classifier = Classifier(network, "logits")
    found = explain(classifier, image, ["kernel-shap"], [1])["kernel-shap"][0, 0]
    weights = network[1].weight[1].detach().reshape(10, 10, 10)
    labels = parts(image[0].numpy())
    count = int(labels.max()) + 1
    sums = [np.bincount(labels.ravel(), one.numpy().ravel()) for one in (found, weights * image[0, 0])]
    np.testing.assert_allclose(*sums, atol=1e-7)
    few = 2 * (count - 1) - 2
    with pytest.raises(
        SettingsError, match=f"kernel-shap: {few} samples cannot tell {count} parts apart, expected at least {few + 2}"
    ):
        explain(classifier, image, [KernelShap(few)], [1])


def test_half_precision_has_parts():
    classifier = Classifier(convolutional(1, 2).bfloat16(), "logits")
    images = torch.rand(2, 1, 16, 16).bfloat16()
    for name in ("lime", "kernel-shap", "feature-ablation"):
        assert bool(explain(classifier, images, [name], [0, 1])[name].isfinite().all())


def test_an_image_of_one_part_has_all_of_what_it_adds():
    classifier, _ = given((16, 16), channels=1)
    images = torch.full((1, 1, 16, 16), 0.5, dtype=torch.float64)
    at, black = (classifier.class_scores(one)[0, 0].item() for one in (images, 0 * images))
    for name in ("kernel-shap", "feature-ablation"):
        assert float(explain(classifier, images, [name], [0])[name].sum()) == pytest.approx(at - black, rel=1e-5)
    one = scenes_of(images, anatomy=np.ones((16, 16), int))
    found = explain(classifier, images, [KernelShap(parts="anatomy")], [0], scenes=one)["kernel-shap"]
    assert float(found.sum()) == pytest.approx(at - black, rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"spacing": (-1.0, 1.0)}, "millimetres above 0"),
        ({"spacing": (float("nan"), 1.0)}, "millimetres above 0"),
        ({"anatomy": np.full((16, 16), np.nan)}, "expected whole numbers"),
    ],
)
def test_scenes_that_cannot_be(wrong, message):
    classifier, images = given((16, 16))
    with pytest.raises(MapError, match=message):
        explain(classifier, images, ["backpropagation"], [0, 2], scenes=[Scene(**wrong)] * 2)
    with pytest.raises(SettingsError, match="expected whole pixels"):
        Occlusion(float("nan"), 1)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        ({"spacing": ("a", "b")}, "spacing of a scene is .*, expected millimetres above 0"),
        ({"spacing": (None, 1.0)}, "spacing of a scene"),
        ({"twin": torch.full((1, 8, 8), torch.nan)}, "twin of a scene holds values that are not finite"),
    ],
)
def test_scenes_that_cannot_be_are_refused(scene, message):
    with pytest.raises(MapError, match=message):
        require_scenes([Scene(**scene)], torch.zeros(1, 1, 8, 8))
