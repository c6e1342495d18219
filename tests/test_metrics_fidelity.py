import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.errors import MapError
from tomolens.imputers.fills import imputer
from tomolens.metrics import fidelity, rank_map
from tomolens.metrics.fidelity import area_between
from tomolens.metrics.masking import masked_decisions, masked_fractions, steps_of_pixels


class Bright(torch.nn.Module):
    """Says class 1 where the mean of the left half exceeds a threshold."""

    def __init__(self, threshold=0.3):
        super().__init__()
        self.threshold, self.seen = threshold, 0

    def forward(self, x):
        self.seen += len(x)
        return x[..., : x.shape[-1] // 2].flatten(1).mean(1) - self.threshold


def plain_loop(classifier, images, labels, maps, steps=40):
    """The protocol, word by word, one image at a time; only for maps without ties."""
    correct = np.zeros((2, steps + 1, len(images)))
    for n, (image, label, importance) in enumerate(zip(images, labels, maps, strict=True)):
        ascending = np.argsort(importance.sum(0).flatten().numpy())
        for way, order in enumerate((ascending[::-1], ascending)):
            for step in range(steps + 1):
                hidden = order[: int(step / steps * len(order) + 0.5)].copy()
                masked = image.clone().reshape(len(image), -1)
                masked[:, hidden] = 0.0 if label == 1 else 1.0
                correct[way, step, n] = classifier.predict(masked.reshape(1, *image.shape))[0] == label
    curves = np.mean([correct[:, :, np.array(labels) == c].mean(2) for c in set(labels)], axis=0)
    return curves, np.trapezoid(curves[1] - curves[0], np.linspace(0, 1, steps + 1))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [16, 13])
def test_against_a_plain_loop(channels, size):
    random = np.random.default_rng(size)
    images = torch.from_numpy(random.random((5, channels, size, size))).float()
    images[images < 0.4] = 0.0
    maps = torch.from_numpy(random.normal(size=images.shape))
    labels = [0, 1, 1, 0, 1]
    classifier = Classifier(convolutional(channels))
    with torch.no_grad():
        classifier.network[-1].bias -= classifier.network(images).median()
    curves, area = plain_loop(classifier, images, labels, maps)
    ours = fidelity(classifier, images, labels, maps)
    np.testing.assert_allclose(ours.most_important_first, curves[0])
    np.testing.assert_allclose(ours.least_important_first, curves[1])
    assert ours.area == pytest.approx(area)
    assert len(ours.fractions) == 41
    assert np.ptp(curves) > 0


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_does_not_show(images, batch_size):
    maps = torch.from_numpy(np.random.default_rng(0).normal(size=images.shape))
    classifier = Classifier(convolutional())
    whole = fidelity(classifier, images, [0, 1, 0, 1, 1], maps)
    parts = fidelity(classifier, images, [0, 1, 0, 1, 1], maps, batch_size=batch_size)
    np.testing.assert_array_equal(whole.decisions, parts.decisions)


def test_the_order_of_cases_does_not_show(images):
    maps = torch.zeros_like(images)  # all tied: only the names decide
    labels, names, order = np.array([0, 1, 0, 1, 1]), list("abcde"), [4, 2, 0, 1, 3]
    classifier = Classifier(Bright(0.45))
    straight = fidelity(classifier, images, labels, maps, names=names)
    shuffled = fidelity(classifier, images[order], labels[order], maps[order], names=[names[i] for i in order])
    np.testing.assert_array_equal(straight.decisions[order], shuffled.decisions)


def test_several_images_share_batches():
    class Counting(Bright):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return super().forward(x)

    random = np.random.default_rng(0)
    images = torch.from_numpy(random.random((4, 1, 12, 12))).float()
    maps, found = torch.from_numpy(random.normal(size=images.shape)), []
    for batch_size in (400, 90):  # of all four images there are 4 * 80 masked ones, of one 80
        Counting.calls = 0
        found.append(fidelity(Classifier(Counting()), images, [0, 1, 0, 1], maps, batch_size=batch_size))
        assert Counting.calls == {400: 1, 90: 4}[batch_size]
    np.testing.assert_array_equal(found[0].decisions, found[1].decisions)


def test_equal_images_are_seen_once():
    image = torch.zeros(1, 20, 20)
    image[:, 5:15, 5:15] = 0.8
    network = Bright(0.05)
    ranked = rank_map(image)
    first = masked_decisions(Classifier(network), [ranked, ranked], imputer(0.0, image, 0), 40, 64).classes
    # 100 of 400 pixels can change: ten steps each way for each map, their ends shared.
    assert network.seen == 2 * (9 + 9) + 2
    np.testing.assert_array_equal(first[0], first[1])


def test_an_image_that_is_all_fill_is_seen_once():
    network = Bright()
    ranked = rank_map(np.random.default_rng(0).random((1, 8, 8)))
    decisions = masked_decisions(Classifier(network), [ranked], imputer(0.0, torch.zeros(1, 8, 8), 0), 40, 8).classes
    assert network.seen == 1
    assert (decisions == 0).all()


def test_a_perfect_map_beats_a_reversed_one():
    images = torch.full((4, 1, 16, 16), 0.2)
    images[:2, :, :, :8] = 0.9
    evidence = torch.zeros_like(images)
    evidence[..., :8] = 1.0
    labels = [1, 1, 0, 0]
    classifier = Classifier(Bright(0.5))
    good, bad = (fidelity(classifier, images, labels, maps).area for maps in (evidence, -evidence))
    assert good > 0.4
    assert bad == pytest.approx(-good, abs=0.03)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_area_is_between_the_curves(values):
    curve = np.array(values)
    assert area_between(curve, curve) == 0
    assert area_between(np.zeros_like(curve), curve) == pytest.approx(-area_between(curve, np.zeros_like(curve)))
    assert -1e-12 <= area_between(np.zeros_like(curve), curve) <= 1 + 1e-12


def test_mistakes_are_named(classifier, images):
    with pytest.raises(MapError, match=r"maps of \(4, 1, 16, 16\)"):
        fidelity(classifier, images, [0] * 5, images[:4])
    with pytest.raises(MapError, match=r"labels of \(4,\)"):
        fidelity(classifier, images, [0] * 4, images)
    with pytest.raises(MapError, match="2 values are not finite"):
        rank_map(np.array([[[1.0, np.nan, np.inf]]]))


def test_steps_of_pixels_are_those_of_the_masked_images():
    for shape, steps in (((7, 9), 40), ((3, 5, 4), 8), ((4, 4), 1)):
        values = np.random.default_rng(0).integers(-2, 3, shape).astype(np.float64)  # ties and zeros
        ranked = rank_map(values[None], seed=1, name="a")
        found = steps_of_pixels(ranked, steps)
        assert found.shape == shape
        for step, fraction in enumerate(masked_fractions(steps)):
            count = int(np.floor(fraction * values.size + 0.5))
            masked = np.zeros(values.size, bool)
            masked[ranked.order[values.size - count :]] = True
            np.testing.assert_array_equal(found.ravel() <= step, masked)
    with pytest.raises(MapError, match="256 steps"):
        steps_of_pixels(ranked, 256)


def test_scores_along_a_masking_are_those_of_its_images():
    image = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    classifier = Classifier(Bright())
    ranked = rank_map(image)
    fill = imputer("mean", image, 0)
    decided = masked_decisions(classifier, [ranked, rank_map(-image)], fill, 4, 8)
    assert decided.scores.shape == (*decided.classes.shape, 2)
    np.testing.assert_array_equal(decided.scores.argmax(axis=-1), decided.classes)
    hidden = torch.zeros(1, 36, dtype=torch.bool)
    hidden[0, ranked.order[-18:].copy()] = True
    masked = fill.fill(hidden.reshape(1, 6, 6))
    np.testing.assert_allclose(decided.scores[0, 0, 2], classifier.predicted_scores(masked)[0], rtol=1e-6)
