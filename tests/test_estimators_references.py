"""Every estimator against captum, in float64."""

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._core import gradient_shap

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.errors import SettingsError
from tomolens.estimators import (
    ExpectedGradients,
    GradientShap,
    IntegratedGradients,
    IntegratedGradientsTwin,
    Occlusion,
    References,
    Scene,
    SmoothGrad,
    explain,
)
from tomolens.estimators.points import WithNoise, drawn_from_references
from tomolens.estimators.subject import Subject
from tomolens.randomness import generator


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def setting(request):
    network = convolutional(request.param).double()
    images = torch.from_numpy(np.random.default_rng(1).random((3, request.param, 16, 16)))
    return network, images, torch.tensor([1, 0, 1])


def close(ours, theirs):
    scale = theirs.abs().max()
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5, check_dtype=False)


def signed(network, targets):
    """The score S_c of the target class as a network of one output."""
    sign = (2.0 * targets - 1.0).double()
    return lambda x: network(x)[:, 0] * sign.repeat(len(x) // len(sign))


def test_backpropagation(setting):
    network, images, targets = setting
    maps = explain(Classifier(network), images, ["backpropagation"], targets)
    close(maps["backpropagation"], captum.attr.Saliency(signed(network, targets)).attribute(images, abs=False))


def test_integrated_gradients_for_both_references(setting):
    network, images, targets = setting
    maps = explain(Classifier(network), images, ["integrated-gradients", "integrated-gradients-bw"], targets)
    method = captum.attr.IntegratedGradients(signed(network, targets))
    black, white = (
        method.attribute(images, baselines=value, n_steps=25, method="riemann_right") for value in (0.0, 1.0)
    )
    close(maps["integrated-gradients"], black)
    close(maps["integrated-gradients-bw"], (black + white) / 2)


@pytest.mark.parametrize(("window", "stride"), [(4, 2), (5, 3), (16, 16), (40, 7), (3, 1)])
@pytest.mark.parametrize("share", [0.0, 0.75])
def test_occlusion(setting, window, stride, share):
    network, images, targets = setting
    ours = explain(Classifier(network), images, [Occlusion(window, stride, share)], targets)["occlusion"]
    side = min(window, 16)
    theirs = captum.attr.Occlusion(signed(network, targets)).attribute(
        images, (images.shape[1], side, side), strides=(images.shape[1], stride, stride), baselines=share
    )
    close(ours, theirs)


def test_occlusion_of_volumes():
    network = convolutional(2, dimensions=3).double()
    images = torch.from_numpy(np.random.default_rng(3).random((2, 2, 6, 8, 10)))
    targets = torch.tensor([0, 1])
    ours = explain(Classifier(network), images, [Occlusion(4, 3)], targets)["occlusion"]
    method = captum.attr.Occlusion(signed(network, targets))
    close(ours, method.attribute(images, (2, 4, 4, 4), strides=(2, 3, 3, 3)))


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (4, 0), (4, 5)])
def test_windows_that_leave_pixels_out_are_refused(window, stride):
    with pytest.raises(SettingsError, match="so that no pixel is left out"):
        Occlusion(window, stride)


def test_gauss_legendre(setting):
    network, images, targets = setting
    maps = explain(Classifier(network), images, [IntegratedGradients(quadrature="gauss-legendre")], targets)
    theirs = captum.attr.IntegratedGradients(signed(network, targets)).attribute(images, n_steps=25)
    close(maps["integrated-gradients"], theirs)


def test_deconvolution_of_a_network_of_modules(setting):
    network, images, targets = setting
    maps = explain(Classifier(network), images, ["deconvolution"], targets)
    sign = torch.nn.Linear(1, 1, bias=False).double()
    for index, target in enumerate(targets):
        with torch.no_grad():
            sign.weight.fill_(2.0 * target - 1.0)
        one = torch.nn.Sequential(network, sign)
        theirs = captum.attr.Deconvolution(one).attribute(images[index : index + 1], target=0)
        close(maps["deconvolution"][index], theirs[0])


def test_smoothgrad_with_the_same_noise(setting):
    network, images, targets = setting
    names = ["a", "b", "c"]
    maps = explain(
        Classifier(network), images, ["smoothgrad", "smoothgrad-squared"], targets, seed=9, names=names, batch_size=4
    )
    gradients = []
    for k in range(15):
        noise = np.stack([generator(9, name, "smoothgrad", k).standard_normal(images.shape[1:]) for name in names])
        spread = 0.15 * (images.amax((1, 2, 3)) - images.amin((1, 2, 3)))
        noisy = images + spread[:, None, None, None] * torch.from_numpy(noise)
        gradients.append(captum.attr.Saliency(signed(network, targets)).attribute(noisy, abs=False))
    close(maps["smoothgrad"], torch.stack(gradients).mean(0))
    close(maps["smoothgrad-squared"], torch.stack(gradients).square().mean(0))


def test_smoothgrad_of_one_sample_without_noise_is_the_gradient(setting):
    network, images, targets = setting
    maps = explain(Classifier(network), images, ["backpropagation", SmoothGrad(samples=1, sigma=0.0)], targets)
    close(maps["smoothgrad"], maps["backpropagation"])


def test_expected_gradients_with_the_same_draws(setting, monkeypatch):
    network, images, targets = setting
    random = np.random.default_rng(4)
    references = References(torch.from_numpy(random.random((30, *images.shape[1:]))), torch.arange(30) % 2)
    names = ["a", "b", "c"]
    maps = explain(
        Classifier(network), images, ["expected-gradients"], targets, references=references, seed=2, names=names
    )
    for index, name in enumerate(names):
        subject = Subject(images[index], 1, name, 2, references)
        drawn = torch.stack([drawn_from_references(subject, k).reference.of(subject) for k in range(25)])
        positions = np.array([generator(2, name, "expected-gradients", k).uniform() for k in range(25)])
        monkeypatch.setattr(gradient_shap.np.random, "uniform", lambda *_, drawn=positions: drawn)
        one = signed(network, targets[index : index + 1])
        theirs = gradient_shap.InputBaselineXGradient(one).attribute(images[index].expand(25, -1, -1, -1), drawn)
        close(maps["expected-gradients"][index], theirs.mean(0))


def test_gradient_shap_with_the_same_draws(setting, monkeypatch):
    network, images, targets = setting
    random = np.random.default_rng(4)
    references = References(torch.from_numpy(random.random((30, *images.shape[1:]))), torch.arange(30) % 2)
    names, estimator = ["a", "b", "c"], GradientShap(20, 0.2)
    maps = explain(Classifier(network), images, [estimator], targets, references=references, seed=2, names=names)
    for index, name in enumerate(names):
        subject = Subject(images[index], 1, name, 2, references)
        drawn = torch.stack([drawn_from_references(subject, k).reference.of(subject) for k in range(20)])
        noisy = torch.stack([WithNoise(0.2, k).image(subject) for k in range(20)])
        positions = np.array([generator(2, name, "gradient-shap", k).uniform() for k in range(20)])
        monkeypatch.setattr(gradient_shap.np.random, "uniform", lambda *_, drawn=positions: drawn)
        one = signed(network, targets[index : index + 1])
        theirs = gradient_shap.InputBaselineXGradient(one).attribute(noisy, drawn)
        close(maps["gradient-shap"][index], theirs.mean(0))


@pytest.mark.parametrize("quadrature", ["right", "gauss-legendre"])
def test_integrated_gradients_from_the_twin(setting, quadrature):
    network, images, targets = setting
    twins = np.random.default_rng(6).random(images.shape)
    estimator, scenes = IntegratedGradientsTwin(7, quadrature), [Scene(twin=twin) for twin in twins]
    maps = explain(Classifier(network), images, [estimator], targets, scenes=scenes)
    method = captum.attr.IntegratedGradients(signed(network, targets), multiply_by_inputs=True)
    theirs = {"right": "riemann_right", "gauss-legendre": "gausslegendre"}[quadrature]
    close(
        maps[estimator.name],
        method.attribute(images, baselines=torch.from_numpy(twins), n_steps=7, method=theirs),
    )


def test_references_are_balanced_and_drawn_without_replacement():
    references = References(torch.rand(23, 1, 4, 4), torch.tensor([0] * 20 + [1] * 3))
    subject = Subject(torch.rand(1, 4, 4), 1, "case", 0, references)
    draws = [drawn_from_references(subject, k).reference.index for k in range(24)]
    labels = references.labels[draws]
    assert labels.tolist() == [0, 1] * 12
    zeros = [draw for draw in draws if draw < 20]
    assert len(set(zeros)) == 12
    ones = [draw for draw in draws if draw >= 20]
    assert all(sorted(ones[i : i + 3]) == [20, 21, 22] for i in range(0, 12, 3))


def test_a_sample_depends_on_nothing_but_its_key():
    image = torch.rand(1, 8, 8)
    one, same, other = (
        WithNoise(0.15, draw).image(Subject(image, target, "case", 1)) for draw, target in ((2, 0), (2, 1), (3, 0))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


class Linear(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1) + 0.3


def test_on_a_linear_network_every_estimator_is_known():
    weight = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 6, 6)))
    images = torch.from_numpy(np.random.default_rng(1).random((4, 1, 6, 6)))
    references = References(torch.from_numpy(np.random.default_rng(2).random((10, 1, 6, 6))), torch.arange(10) % 2)
    chosen = ["backpropagation", "smoothgrad", "smoothgrad-squared", "integrated-gradients", "integrated-gradients-bw"]
    targets = torch.tensor([1, 0, 1, 0])
    maps = explain(
        Classifier(Linear(weight)), images, [*chosen, ExpectedGradients(samples=10)], targets, references=references
    )
    w = weight * (2.0 * targets - 1)[:, None, None, None]
    exact = {
        "backpropagation": w.expand_as(images),
        "smoothgrad": w.expand_as(images),
        "smoothgrad-squared": w.square(),
        "integrated-gradients": images * w,
        "integrated-gradients-bw": (images - 0.5) * w,
        "expected-gradients": (images - references.images.mean(0)) * w,
    }
    for name, wanted in exact.items():
        torch.testing.assert_close(maps[name], wanted, rtol=0, atol=1e-12)


def test_completeness_of_integrated_gradients():
    network = convolutional(smooth=True).double()
    images = torch.from_numpy(np.random.default_rng(1).random((3, 1, 16, 16)))
    right = explain(Classifier(network), images, [IntegratedGradients(steps=400)], torch.ones(3, dtype=torch.long))
    better = explain(
        Classifier(network),
        images,
        [IntegratedGradients(steps=25, quadrature="gauss-legendre")],
        torch.ones(3, dtype=torch.long),
    )
    wanted = (network(images) - network(torch.zeros_like(images)))[:, 0].detach()
    for maps, tolerance in ((right, 2e-2), (better, 1e-6)):
        total = maps["integrated-gradients"].flatten(1).sum(1)
        torch.testing.assert_close(total, wanted, rtol=tolerance, atol=1e-6)
