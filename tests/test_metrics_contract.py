"""What every registered metric must keep: a new one is tested by being registered."""

import numpy as np
import pytest
import torch

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.metrics.metric import METRICS, Evaluand, MetricSettings
from tomolens.metrics.ranked import rank_map


def undecided(image, hidden):
    """A network that knows the image for the true class until about half of it is masked."""
    network = convolutional()
    last = network[-1]
    with torch.no_grad():
        whole, half = network(torch.stack([image, image * hidden]))
        sign = torch.sign(whole - half)
        last.weight.mul_(sign)
        last.bias.sub_((whole + half)[0] / 2).mul_(sign)
    return Classifier(network)


def evaluand(mask, batch_size=32, seed=0):
    random = np.random.default_rng(seed)
    image = random.random((1, 24, 24)).astype(np.float32)
    one, other = (random.normal(size=image.shape) for _ in range(2))
    first, alike, second = rank_map(one), rank_map(one.copy()), rank_map(other)  # two objects, one order
    rankings = {("one", "original"): first, ("one", "absolute"): alike, ("two", "original"): second}
    return Evaluand(
        name="case",
        seed=0,
        classifier=undecided(torch.from_numpy(image), torch.from_numpy(random.random(image.shape) < 0.5)),
        image=torch.from_numpy(image),
        label=1,
        mask=mask,
        rankings=rankings,
        body=np.ones((24, 24), bool),
        evidence=np.where(BOX, random.random((24, 24)), 0).astype(np.float32),
        marker=BOX,
        settings=MetricSettings(),
        batch_size=batch_size,
    )


WITHOUT_MASK = {"fidelity", "evidence", "marker"}
BOX = np.zeros((24, 24), bool)
BOX[3:9, 5:12] = True


def measured(name, *arguments, **options):
    return {(key, metric): value for key, metric, value in METRICS[name](evaluand(*arguments, **options))}


@pytest.mark.parametrize("name", METRICS)
class TestContract:
    def test_every_map_gets_every_measure(self, name):
        results = measured(name, BOX)
        maps = {key for key, _ in results}
        assert maps == {("one", "original"), ("one", "absolute"), ("two", "original")}
        for metric in {metric for _, metric in results}:
            assert all((key, metric) in results for key in maps)

    def test_finite_with_a_usable_mask(self, name):
        for value in measured(name, BOX).values():
            assert np.isfinite(value).all()
            assert isinstance(value, float) or value.dtype == np.float64

    def test_the_same_twice_and_for_any_batch(self, name):
        first = measured(name, BOX)
        for other in (measured(name, BOX), measured(name, BOX, batch_size=1), measured(name, BOX, batch_size=7)):
            assert all(np.array_equal(value, other[key]) for key, value in first.items())

    def test_equal_maps_measure_equal(self, name):
        rankings = evaluand(BOX).rankings
        assert rankings["one", "original"] is not rankings["one", "absolute"]
        results = measured(name, BOX)
        for (key, metric), value in results.items():
            if key[0] == "one":
                np.testing.assert_array_equal(value, results[("one", "original"), metric])

    @pytest.mark.parametrize("full", [False, True])
    def test_an_empty_or_full_mask_is_no_number(self, name, full):
        for (_, metric), value in measured(name, np.full((24, 24), full)).items():
            assert name in WITHOUT_MASK or np.isnan(value).all(), metric

    def test_no_mask_is_no_row(self, name):
        assert bool(measured(name, None)) == (name in WITHOUT_MASK)

    def test_it_is_described(self, name):
        assert METRICS[name].__doc__


def test_the_contract_is_of_decisions_that_turn():
    results = measured("fidelity", BOX)
    for way in ("most_important_first", "least_important_first"):
        one, two = (results[(name, "original"), way] for name in ("one", "two"))
        assert 0.2 < one.mean() < 0.9
        assert 0.2 < two.mean() < 0.9
        assert not np.array_equal(one, two)
