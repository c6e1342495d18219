"""What every registered metric must keep: a new one is tested by being registered."""

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest
import torch

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.declarations import Output
from tomolens.estimators.subject import Scene
from tomolens.metrics.evaluand import Evaluand, MetricSettings, Other, Rival
from tomolens.metrics.metric import Need
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.registry import METRICS

MAY_BE_UNDEFINED = {"information"}
"""Of images that the network tells no better than blurred ones, as these are; see its own tests."""


def box_of(spatial):
    box = np.zeros(spatial, bool)
    box[tuple(slice(length // 8, length // 2) for length in spatial)] = True
    return box


def undecided(image, hidden, outputs):
    """A network that knows the image for class 1 until about half of it is masked."""
    network = convolutional(len(image), outputs, dimensions=image.ndim - 1)
    last = network[-1]
    with torch.no_grad():
        whole, half = network(torch.stack([image, image * hidden]))
        lead = [scores[-1] if outputs == 1 else scores[1] - scores[0] for scores in (whole, half)]
        sign = torch.sign(lead[0] - lead[1])
        middle = (lead[0] + lead[1]) / 2
        last.weight.mul_(sign)
        last.bias.mul_(sign)
        last.bias[0 if outputs == 1 else 1] -= sign * middle
        if outputs > 2:
            last.bias[2:] -= 100.0
    return Classifier(network, "logit" if outputs == 1 else "logits")


def evaluand(mask="box", batch_size=32, seed=0, spatial=(24, 24), channels=1, outputs=1, **changes):
    random = np.random.default_rng(seed)
    image = random.random((channels, *spatial)).astype(np.float32)
    one, other = (random.normal(size=image.shape) for _ in range(2))
    first, alike, second = rank_map(one), rank_map(one.copy()), rank_map(other)  # two objects, one order
    box = box_of(spatial)
    hidden = torch.from_numpy(random.random(image.shape) < 0.5)
    classifier = undecided(torch.from_numpy(image), hidden, outputs)
    return Evaluand(
        name="case",
        seed=0,
        classifier=classifier,
        image=torch.from_numpy(image),
        label=1,
        explained=1,
        mask=box if isinstance(mask, str) else mask,
        rankings={("one", "original"): first, ("one", "absolute"): alike, ("two", "original"): second},
        body=np.ones(spatial, bool),
        evidence=np.where(box, random.random(spatial), 0).astype(np.float32),
        marker=box,
        settings=MetricSettings(fill=(1.0, 0.0, "mean")) if outputs > 2 else MetricSettings(),
        batch_size=batch_size,
        maps={"one": torch.from_numpy(one), "two": torch.from_numpy(other)},
        completeness={"one": 0.25, "two": 0.5},
        explanations=lambda image, *_: {"one": image, "two": -image},
        twin=np.where(random.random(image.shape) < 0.7, 1 - image, image).astype(np.float32),
        other=Other(torch.from_numpy(random.random(image.shape).astype(np.float32)), Scene()),
        refined=classifier,
        anatomy=box + 2 * (random.random(spatial) < 0.2),
        structures=("box", "dots", "dots in the box"),
        tissue=random.integers(0, 7, spatial).astype(np.uint8),
        rivals=tuple(
            Rival(undecided(torch.from_numpy(image), hidden, outputs), name, name * (name == "other"))
            for name in ("again 1", "again 2", "other")
        ),
        **changes,
    )


def evaluand_for(name, **options):
    """Of a network with as many neurons as the metric needs, where none are asked for."""
    return evaluand(**{"outputs": 2 if "another_class" in METRICS[name].needs else 1, **options})


def measured(name, **options):
    given = evaluand_for(name, **options)
    metric = METRICS[name]
    if not metric.applies(given):
        return {}
    return {(key, output): value for key, output, value in metric.measure(given)}


def outputs_of(name):
    return {output.name: output for output in METRICS[name].declaration.outputs}


@pytest.mark.parametrize("name", METRICS)
class TestContract:
    @pytest.mark.parametrize("spatial", [(24, 24), (10, 12, 14)], ids=["slices", "volumes"])
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("outputs", [1, 2, 3])
    def test_every_declared_output_and_no_other_of_every_kind_of_image(self, name, spatial, channels, outputs):
        if "regions" in METRICS[name].depends_on and len(spatial) > 2:
            pytest.skip("regions are of slices")
        if "another_class" in METRICS[name].needs and outputs == 1:
            assert not METRICS[name].applies(evaluand(spatial=spatial, channels=channels))
            return
        results = measured(name, spatial=spatial, channels=channels, outputs=outputs)
        assert {output for _, output in results} == set(outputs_of(name))
        for (_, output), value in results.items():
            assert np.isfinite(value).all() or (name in MAY_BE_UNDEFINED and np.isnan(value).all())
            assert isinstance(value, np.ndarray) == outputs_of(name)[output].curve
            assert isinstance(value, float) or value.dtype == np.float64

    def test_every_map_gets_every_output_or_every_estimator_does(self, name):
        results = measured(name)
        maps = {key for key, _ in results}
        assert maps in (
            {("one", "original"), ("one", "absolute"), ("two", "original")},
            {("one", "original"), ("two", "original")},
        )
        for output in outputs_of(name):
            assert all((key, output) in results for key in maps)

    def test_the_same_twice_and_for_any_batch(self, name):
        first, again = measured(name), measured(name)
        assert all(np.array_equal(value, again[key]) for key, value in first.items())
        for other in (measured(name, batch_size=1), measured(name, batch_size=7)):
            # Scores of another batch may differ in their last bits; decisions do not.
            tolerance = 1e-4 if METRICS[name].needs & {"scores", "probabilities"} else 0.0
            for key, value in first.items():
                np.testing.assert_allclose(other[key], value, rtol=tolerance, atol=tolerance)

    def test_equal_maps_measure_equal(self, name):
        results = measured(name)
        for (key, output), value in results.items():
            if key == ("one", "absolute"):
                np.testing.assert_array_equal(value, results[("one", "original"), output])

    @pytest.mark.parametrize("full", [False, True])
    def test_an_empty_or_full_mask_is_no_number(self, name, full):
        for (_, output), value in measured(name, mask=np.full((24, 24), full)).items():
            assert "mask" not in METRICS[name].needs or np.isnan(value).all(), output

    def test_what_it_needs_is_what_it_cannot_do_without(self, name):
        given = evaluand_for(name)
        for need in METRICS[name].needs & {field.name for field in fields(Evaluand)}:
            assert not METRICS[name].applies(replace(given, **{need: None}))
        unneeded = {field.name for field in fields(Evaluand)} & {*get_args(Need)} - METRICS[name].needs
        without = replace(given, **dict.fromkeys(unneeded))
        assert METRICS[name].applies(without)
        assert list(METRICS[name].measure(without))

    def test_it_shows_the_network_no_more_images_than_it_says(self, name):
        given, shown = evaluand_for(name), []
        network = given.classifier.network
        network.register_forward_pre_hook(lambda module, images: shown.append(len(images[0])))
        list(METRICS[name].measure(given))
        most = METRICS[name].images(given.settings) * len(set(map(id, given.rankings.values())))
        most += METRICS[name].images_a_case(given.settings)
        assert sum(shown) <= most + 2  # the two ends of every masking are shared
        assert bool(shown) == bool(most)

    def test_it_is_described(self, name):
        metric = METRICS[name]
        assert metric.name == name
        assert metric.measure.__doc__
        assert all(output.label for output in metric.declaration.outputs)
        curves = {output.name for output in metric.declaration.outputs if output.curve}
        for chart in metric.declaration.charts:
            assert set(chart.lines) <= curves
            assert chart.headline in set(outputs_of(name)) - curves
            assert not isinstance(chart.x, str) or chart.x in curves
        for area in metric.declaration.areas:
            assert {area.heights, area.widths} <= curves
            assert area.of in outputs_of(name)
        for output in metric.declaration.outputs:
            assert output.view is None or (output.better is not None and not output.curve)


def test_outputs_have_names_of_their_own():
    names = [output.name for metric in METRICS.values() for output in metric.declaration.outputs]
    assert len(set(names)) == len(names)


def test_the_contract_is_of_decisions_that_turn():
    for outputs in (1, 2, 3):
        results = measured("fidelity", outputs=outputs)
        for order in ("most_important_first", "least_important_first"):
            one, two = (results[(name, "original"), order] for name in ("one", "two"))
            assert 0.1 < one.mean() < 0.95, (outputs, order)
            assert not np.array_equal(one, two)


def test_a_lower_number_may_be_the_better_one():
    assert Output("x", better="lower").sign == -Output("x").sign == -1


def test_an_evaluand_answers_what_metrics_of_altered_images_ask():
    given = evaluand(outputs=3)
    altered = torch.stack([given.image, 1 - given.image])
    scores, probabilities = given.scores(altered), given.probabilities(altered)
    logits = given.classifier.network(altered).detach()
    np.testing.assert_allclose(scores, logits.numpy(), rtol=1e-5)
    np.testing.assert_allclose(probabilities, torch.softmax(logits, dim=1).numpy(), rtol=1e-5)
    assert torch.equal(given.explain()["one"], given.image)
    assert torch.equal(given.explain(image=1 - given.image)["two"], given.image - 1)


@pytest.mark.parametrize("name", ["fidelity", "fidelity-twin", "road"])
def test_each_way_of_masking_leaves_the_page_its_probabilities_and_the_first_stays(name):
    given = evaluand()
    results = {(key, output): value for key, output, value in METRICS[name].measure(given)}
    first = dict(given.along)
    assert set(first) == set(given.rankings)
    curves = [output for output in METRICS[name].declaration.outputs if output.masked]
    assert [output.masked for output in curves] == ["most important", "least important"]
    assert {output.filled for output in curves} == {{"fidelity-twin": "twin", "road": "neighbours"}.get(name, "fill")}
    for key, probabilities in first.items():
        for output, along in zip(curves, probabilities, strict=True):
            known = ~np.isnan(along)
            assert known.any()
            # The network decides for the class of which the probability is above a half.
            np.testing.assert_array_equal(along[known] > 0.5, results[key, output.name][known] == 1)
    list(METRICS["fidelity" if name != "fidelity" else "road"].measure(given))
    assert all(given.along[key] is first[key] for key in first)
