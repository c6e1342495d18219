"""Any estimator over noisy copies: what SmoothGrad is, and what a loop over the copies makes."""

import pytest
import torch

from conftest import convolutional, transformer
from tomolens.classifier import Classifier
from tomolens.errors import SettingsError
from tomolens.estimators import References, SmoothGrad, explain, make_estimator
from tomolens.estimators.explain import explain_each
from tomolens.estimators.points import WithNoise
from tomolens.estimators.smoothed import Smoothed, copy_of
from tomolens.estimators.subject import Subject
from tomolens.study.settings import EstimatorSettings

NAMES = ["a", "b", "c"]
SPATIAL = [(16, 16), (6, 8, 10)]


def given(spatial, outputs=3):
    torch.manual_seed(7)
    network = convolutional(2, outputs, dimensions=len(spatial)).double()
    return Classifier(network, "logits"), torch.rand(3, 2, *spatial, dtype=torch.float64)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_of_the_gradient_it_is_smoothgrad(spatial):
    classifier, images = given(spatial)
    smooth = make_estimator("smooth:backpropagation", samples=11, sigma=0.2)
    found = explain(classifier, images, [smooth, SmoothGrad(11, 0.2)], [0, 1, 2], names=NAMES, seed=3)
    assert list(found) == ["smooth-backpropagation", "smoothgrad"]
    torch.testing.assert_close(found["smooth-backpropagation"], found["smoothgrad"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("guided-backpropagation", {}),
        ("integrated-gradients", {"steps": 3}),
        ("expected-gradients", {"samples": 2}),
        ("grad-cam", {}),
        ("score-cam", {"most": 3}),
        ("guided-integrated-gradients", {"steps": 3}),
        ("lrp", {}),
        ("rise", {"samples": 5, "cells": 2}),
    ],
)
def test_it_is_a_loop_over_the_copies(spatial, name, parameters):
    classifier, images = given(spatial)
    lent = {"references": References(torch.rand(6, 2, *spatial, dtype=torch.float64), [0, 1, 2] * 2), "seed": 4}
    smooth = make_estimator(f"smooth:{name}", samples=9, sigma=0.01, of=parameters)
    images = 0.2 + 0.6 * images  # a copy is an image of its own only within the range
    found = explain(classifier, images, [smooth], [0, 1, 2], names=NAMES, **lent)[f"smooth-{name}"]
    inner = make_estimator(name, **parameters)
    wanted = torch.zeros_like(images)
    for number, (image, case) in enumerate(zip(images, NAMES, strict=True)):
        for k in range(9):
            copy = copy_of(Subject(image, number, case, 4), WithNoise(0.01, k))
            wanted[number] += explain(classifier, copy.image[None], [inner], [number], names=[copy.name], **lent)[name][
                0
            ]
    torch.testing.assert_close(found, wanted / 9, rtol=1e-9, atol=1e-12)


def test_draws_of_copies_differ():
    copies = [copy_of(Subject(torch.rand(1, 8, 8), 0, "a", 0), WithNoise(0.1, k)) for k in (0, 1)]
    again = [WithNoise(0.1, 0).image(copy) - copy.image for copy in copies]
    assert not torch.allclose(again[0], again[1])
    assert not torch.allclose(again[0], copies[0].image - Subject(torch.rand(1, 8, 8), 0, "a", 0).image)


def test_neither_batch_nor_order_nor_company_shows():
    classifier, images = given((16, 16))
    smooth = make_estimator("smooth:guided-grad-cam", samples=10)
    whole = explain(classifier, images, [smooth, "guided-grad-cam"], [0, 1, 2], names=NAMES)[smooth.name]
    for size in (1, 5):
        alone = explain(classifier, images[[2, 0]], [smooth], [2, 0], names=["c", "a"], batch_size=size)[smooth.name]
        torch.testing.assert_close(alone, whole[[2, 0]], rtol=1e-9, atol=1e-12)


def test_tokens_are_smoothed_too():
    classifier = Classifier(transformer(1, 2, (16, 16), 4), "logits")
    found = explain(classifier, torch.rand(2, 1, 16, 16), [make_estimator("smooth:cdam", samples=3)], [0, 1])
    assert bool(found["smooth-cdam"].any())


def test_it_is_named_in_a_study_file():
    settings = EstimatorSettings(
        names=["smooth:lrp"], parameters={"smooth:lrp": {"samples": 4, "of": {"rule": "gamma"}}}
    )
    (made,) = settings.make()
    assert made == Smoothed(make_estimator("lrp", rule="gamma"), 4)
    assert (made.name, made.title) == ("smooth-lrp", "Smooth: LRP")
    assert "1706.03825" in made.source


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("smooth:random", {}, "never looks at the network"),
        ("smooth:lpr", {}, "did you mean 'lrp'"),
        ("smooth:lrp", {"samples": 0}, "samples 0"),
        ("smooth:lrp", {"samples": 2.5}, "samples 2.5"),
        ("smooth:lrp", {"samples": True}, "samples 1"),
        ("smooth:lrp", {"rule": "gamma"}, "unexpected keyword argument 'rule'"),
        ("smooth:lrp", {"of": 3}, "of = 3, expected the parameters of lrp in a table"),
        ("smooth:lrp", {"of": {"rul": 1}}, "unexpected keyword argument 'rul'"),
    ],
)
def test_what_cannot_be(name, parameters, message):
    with pytest.raises(SettingsError, match=message):
        make_estimator(name, **parameters)


def test_what_must_be_said_of_the_other_is_said():
    classifier, images = given((16, 16))
    smooth = make_estimator("smooth:score-cam", samples=3, of={"most": 2})
    assert "the 2 that vary most" in explain_each(classifier, images, [smooth], [0, 1, 2]).notes[smooth.name]
