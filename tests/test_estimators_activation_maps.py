"""Class activation maps against torchcam, captum, and what they must add up to."""

import numpy as np
import pytest
import torch
from captum.attr import GuidedGradCam as CaptumGuidedGradCam
from captum.attr import LayerGradCam
from torch import nn
from torch.nn.functional import interpolate
from torchcam import methods

from conftest import convolutional, transformer
from tomolens.classifier import Classifier
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import (
    AblationCam,
    EigenCam,
    GradCam,
    GradCamPlusPlus,
    GuidedGradCam,
    HiResCam,
    LayerCam,
    ScoreCam,
    XGradCam,
    explain,
    make_estimator,
)
from tomolens.estimators.activation_maps import grad_cam_plus_plus
from tomolens.estimators.explain import explain_each
from tomolens.estimators.planes import on_the_grid
from tomolens.estimators.subject import Subject

LAYER = "5"
"""The ReLU after the last convolution of the small network."""
SPATIAL = [(16, 16), (6, 8, 10)]


def given(spatial, channels=2, outputs=3, count=4):
    torch.manual_seed(7)
    network = convolutional(channels, outputs, dimensions=len(spatial)).double()
    images = torch.rand(count, channels, *spatial, dtype=torch.float64)
    return Classifier(network, "logits"), images, [number % outputs for number in range(count)]


def of_torchcam(kind, classifier, images, targets, **options):
    """Its maps of one image at a time, neither normalised nor clipped by us: it clips them itself."""
    maps = []
    for image, target in zip(images, targets, strict=True):
        with kind(classifier.network, LAYER, input_shape=tuple(image.shape), **options) as extractor:
            scores = classifier.network(image[None])
            maps.append(extractor(target, scores, normalized=False)[0][0].detach())
    return torch.stack(maps)


def coarse(made, shape):
    """What on_the_grid makes of maps, undone by making the reference's wide."""
    mode = {2: "bilinear", 3: "trilinear"}[made.ndim - 1]
    return interpolate(made[:, None], size=shape, mode=mode)[:, 0]


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize(
    ("estimator", "reference"),
    [
        (GradCam(LAYER, clip=True), methods.GradCAM),
        (LayerCam(LAYER, clip=True), methods.LayerCAM),
        (XGradCam(LAYER, clip=True), methods.XGradCAM),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_they_are_torchcams(estimator, reference, spatial):
    classifier, images, targets = given(spatial)
    for parameter in classifier.network.parameters():
        parameter.requires_grad_(True)
    maps = explain(classifier, images, [estimator], targets)[estimator.name]
    wanted = coarse(of_torchcam(reference, classifier, images, targets), spatial)
    found = maps.sum(dim=1)
    assert float(wanted.max()) > 0
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6 * float(wanted.max()))
    assert torch.equal(maps[:, 0], maps[:, 1])  # channels share it


@pytest.mark.parametrize("spatial", SPATIAL)
def test_grad_cam_plus_plus_is_the_papers(spatial):
    """Place by place; torchcam takes the sum of planes times cubes for the sum of planes, times the cube."""
    classifier, images, targets = given(spatial)
    maps = explain(classifier, images, [GradCamPlusPlus(LAYER)], targets)["grad-cam-plus-plus"].sum(dim=1)
    for image, target, found in zip(images, targets, maps, strict=True):
        planes, gradients = features(classifier, image, target)
        wanted = np.zeros(planes.shape[1:])
        for plane, gradient in zip(planes, gradients, strict=True):
            weight = 0.0
            for place in np.ndindex(plane.shape):
                g = gradient[place]
                below = 2 * g**2 + plane.sum() * g**3
                weight += (g**2 / below if g and below else 0.0) * max(g, 0.0)
            wanted += weight * plane
        torch.testing.assert_close(found, coarse(torch.from_numpy(wanted)[None], spatial)[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_grad_cam_is_captums_with_its_sign(spatial):
    classifier, images, targets = given(spatial)
    maps = explain(classifier, images, [GradCam(LAYER)], targets)["grad-cam"]
    layer = dict(classifier.network.named_modules())[LAYER]
    wanted = LayerGradCam(classifier.network, layer).attribute(images, targets)
    assert float(wanted.min()) < 0
    torch.testing.assert_close(maps.sum(dim=1), coarse(wanted[:, 0].detach(), spatial), rtol=1e-9, atol=1e-12)


def head(dimensions, outputs):
    """Convolution, ReLU, mean over places, linear: a place adds what its features are worth."""
    convolution, pool = {2: (nn.Conv2d, nn.AdaptiveAvgPool2d), 3: (nn.Conv3d, nn.AdaptiveAvgPool3d)}[dimensions]
    torch.manual_seed(5)
    layers = [convolution(1, 4, 3, padding=1), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(4, outputs)]
    return nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize("spatial", [(8, 8), (4, 6, 8)])
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_hires_cam_adds_up_to_the_score_of_a_linear_head(spatial, outputs):
    network = head(len(spatial), outputs)
    classifier = Classifier(network, "logit" if outputs == 1 else "logits")
    images = torch.rand(3, 1, *spatial, dtype=torch.float64)
    targets = [number % max(outputs, 2) for number in range(3)]
    maps = explain(classifier, images, ["hires-cam", "grad-cam"], targets)
    bias = network[-1].bias.detach()
    biases = torch.stack([-bias[0], bias[0]]) if outputs == 1 else bias
    scores = classifier.class_scores(images).detach()[torch.arange(3), targets] - biases[targets]
    torch.testing.assert_close(maps["hires-cam"].flatten(1).sum(1), scores)
    # Of such a head Grad-CAM is the same: its gradients are equal at all places.
    torch.testing.assert_close(maps["grad-cam"], maps["hires-cam"])


def features(classifier, image, target):
    """Planes of the layer and the score's gradient by them."""
    kept = []
    layer = dict(classifier.network.named_modules())[LAYER]
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    score = classifier.class_scores(image[None])[0, target]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    return kept[0][0].detach().numpy(), gradient[0].numpy()


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("centred", [False, True])
def test_eigen_cam_is_the_first_component_of_the_planes(spatial, centred):
    classifier, images, targets = given(spatial)
    maps = explain(classifier, images, [EigenCam(centred, LAYER)], targets)["eigen-cam"].sum(dim=1)
    for image, target, found in zip(images, targets, maps, strict=True):
        planes, _ = features(classifier, image, target)
        places = planes.reshape(len(planes), -1).T
        places = places - places.mean(axis=0) if centred else places
        values, vectors = np.linalg.eigh(places.T @ places)
        component = (places @ vectors[:, np.argmax(values)]).reshape(planes.shape[1:])
        wanted = coarse(torch.from_numpy(component)[None], spatial)[0]
        sign = torch.sign((found * wanted).sum())
        torch.testing.assert_close(found, sign * wanted, rtol=1e-6, atol=1e-9)
        mean = coarse(torch.from_numpy(planes.mean(axis=0))[None], spatial)
        assert np.corrcoef(found.flatten(), mean.flatten())[0, 1] > 0


@pytest.mark.parametrize("spatial", SPATIAL)
def test_score_cam_is_its_algorithm(spatial):
    classifier, images, targets = given(spatial)
    mode = {2: "bilinear", 3: "trilinear"}[len(spatial)]
    maps = explain(classifier, images, [ScoreCam(LAYER, most=8)], targets)["score-cam"].sum(dim=1)
    for image, target, found in zip(images, targets, maps, strict=True):
        planes = torch.from_numpy(features(classifier, image, target)[0])
        rises = []
        for plane in planes:
            wide = interpolate(plane[None, None], size=spatial, mode=mode)[0]
            reach = wide.max() - wide.min()
            seen = image * ((wide - wide.min()) / reach if reach else torch.zeros_like(wide))
            black = classifier.class_scores(torch.zeros_like(image)[None])[0, target]
            rises.append(float(classifier.class_scores(seen[None])[0, target] - black))
        weights = np.exp(rises) / np.exp(rises).sum()
        wanted = coarse(torch.tensordot(torch.from_numpy(weights), planes, dims=1)[None], spatial)[0]
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_ablation_cam_weighs_planes_by_what_the_score_loses(spatial):
    classifier, images, targets = given(spatial)
    maps = explain(classifier, images, [AblationCam(LAYER, most=8)], targets)["ablation-cam"].sum(dim=1)
    network = list(classifier.network)
    before, after = nn.Sequential(*network[: int(LAYER) + 1]), nn.Sequential(*network[int(LAYER) + 1 :])
    with torch.no_grad():
        for image, target, found in zip(images, targets, maps, strict=True):
            planes = before(image[None])
            whole, total = after(planes)[0, target], torch.zeros_like(planes[0, 0])
            for number in range(planes.shape[1]):
                without = planes.clone()
                without[:, number] = 0
                total += (whole - after(without)[0, target]) * planes[0, number]
            torch.testing.assert_close(found, coarse(total[None], spatial)[0], rtol=1e-6, atol=1e-9)


def test_only_the_most_varied_planes_are_asked_about():
    classifier, images, targets = given((16, 16))
    some, every = (
        explain(classifier, images, [AblationCam(LAYER, most=most)], targets)["ablation-cam"] for most in (2, 8)
    )
    more = explain(classifier, images, [AblationCam(LAYER, most=100)], targets)["ablation-cam"]
    assert torch.equal(every, more)
    assert not torch.equal(some, every)
    with pytest.raises(SettingsError, match="most = 0, expected one plane or more"):
        AblationCam(most=0)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_guided_grad_cam_is_captums(spatial):
    classifier, images, targets = given(spatial)
    maps = explain(classifier, images, [GuidedGradCam(LAYER)], targets)["guided-grad-cam"]
    layer = dict(classifier.network.named_modules())[LAYER]
    mode = {2: "bilinear", 3: "trilinear"}[len(spatial)]
    wanted = CaptumGuidedGradCam(classifier.network, layer).attribute(images, targets, interpolate_mode=mode)
    torch.testing.assert_close(maps, wanted.detach(), rtol=1e-6, atol=1e-9 * float(wanted.abs().max()))


def test_the_layer_is_the_last_one_with_planes():
    classifier, images, targets = given((16, 16))
    found = explain(classifier, images, [HiResCam()], targets)["hires-cam"]
    named = explain(classifier, images, [HiResCam("6")], targets)["hires-cam"]  # its pooling, of 2 x 2 places
    assert torch.equal(found, named)


class Reused(nn.Module):
    """One ReLU for all, and layers that run twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.out = nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.relu(self.second(self.relu(self.first(x)))).mean(dim=(2, 3)))


def test_a_layer_that_runs_twice_is_passed_over():
    network = Reused().eval()
    images = torch.rand(2, 1, 8, 8)
    maps = explain(Classifier(network, "logits"), images, [GradCam(), GradCam("second")], [0, 1])
    assert torch.equal(*maps.values())
    failed = explain_each(Classifier(network, "logits"), images, [GradCam("relu")], [0, 1]).failed
    assert "layer 'relu' runs twice in one pass" in str(failed["grad-cam"])


def test_networks_without_planes_are_refused_with_what_to_do():
    images = torch.rand(2, 1, 16, 16)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(256, 2)).eval()
    for network, message in (
        (dense, "no layer puts out planes"),
        (transformer(outputs=2), "which cuts the image into tokens"),
    ):
        with pytest.raises(NetworkError, match=message):
            explain(Classifier(network, "logits"), images, ["grad-cam"])
    traced = torch.jit.trace(convolutional(), images)
    with pytest.raises(NetworkError, match="exported or scripted network has no layers"):
        explain(Classifier(traced), images, ["grad-cam"])


def test_a_coarse_map_keeps_its_mean_where_it_is_even():
    subject = Subject(torch.rand(2, 4, 6), 0, "a", 0)
    found = on_the_grid(torch.full((2, 3), 3.0), subject)
    assert found.shape == (2, 4, 6)
    torch.testing.assert_close(found.sum(dim=0), torch.full((4, 6), 3.0))
    with pytest.raises(NetworkError, match="for an image of 2 axes"):
        on_the_grid(torch.ones(2, 2, 2), subject)


class LastAxis(nn.Module):
    """Features on the last axis at the end, normed and rectified there, as in ConvNeXt."""

    def __init__(self, dimensions):
        super().__init__()
        torch.manual_seed(1)
        self.conv = (nn.Conv2d, nn.Conv3d)[dimensions - 2](1, 6, 3)
        self.relu, self.norm, self.linear, self.act = nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 6), nn.ReLU()
        self.out = nn.Linear(6, 2)

    def forward(self, x):
        x = self.relu(self.conv(x)).movedim(1, -1)
        x = self.act(self.linear(self.norm(x)))
        return self.out(x.flatten(1, -2).mean(dim=1))


@pytest.mark.parametrize("spatial", [(16, 16), (8, 9, 10)])
def test_layers_with_features_last_are_no_planes(spatial):
    classifier = Classifier(LastAxis(len(spatial)).double().eval(), "logits")
    images = torch.rand(2, 1, *spatial, dtype=torch.float64)
    for name in ("grad-cam", "score-cam", "guided-grad-cam"):
        found = explain(classifier, images, [name], [0, 1])[name]
        wanted = explain(classifier, images, [make_estimator(name, layer="relu")], [0, 1])[name]
        assert torch.equal(found, wanted)


def test_flattened_planes_are_no_tokens():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(2), nn.AdaptiveAvgPool1d(1))
    network = nn.Sequential(*network, nn.Flatten(), nn.Linear(16, 2)).eval()
    assert bool(
        explain(Classifier(network, "logits"), torch.rand(2, 1, 16, 16), ["grad-cam"], [0, 1])["grad-cam"].any()
    )


@pytest.mark.parametrize("name", ["grad-cam", "score-cam", "ablation-cam", "eigen-cam"])
def test_a_layer_without_planes_is_refused_by_its_name(name):
    classifier, images, targets = given((16, 16))
    inner = dict(classifier.network.named_modules())
    flat = next(one for one, module in inner.items() if isinstance(module, nn.Flatten | nn.Linear))
    with pytest.raises(
        NetworkError, match=rf"layer '{flat}' puts out \(\d+,\) for an image, expected planes of 2 axes"
    ):
        explain(classifier, images, [make_estimator(name, layer=flat)], targets)


def test_fewer_planes_than_there_are_is_said():
    classifier, images, targets = given((16, 16))
    for estimator in (ScoreCam(LAYER, most=3), AblationCam(LAYER, most=3)):
        found = explain_each(classifier, images, [estimator], targets)
        assert found.notes[estimator.name] == "of 8 planes the 3 that vary most (most = ...)"
    assert explain_each(classifier, images, [ScoreCam(LAYER, most=8)], targets).notes == {}


def test_planes_that_cancel_have_no_shares():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.AdaptiveMaxPool2d(2), nn.Flatten())
    network = nn.Sequential(*network, nn.Linear(16, 2)).eval()
    images = torch.rand(2, 1, 16, 16)
    found = explain(Classifier(network, "logits"), images, [XGradCam("1")], [0, 1])["xgrad-cam"]
    assert float(found.abs().max()) < 10


def test_small_gradients_are_cubed_too():
    torch.manual_seed(0)
    planes, gradients = torch.rand(3, 4, 4), 1e-20 * torch.randn(3, 4, 4)
    found = grad_cam_plus_plus(planes, gradients)
    exact = grad_cam_plus_plus(planes.double(), gradients.double())
    assert float(found.abs().max()) > 0
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
