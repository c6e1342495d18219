"""Noise and other paths, against PAIR's code and cases solved by hand."""

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from saliency.core import BlurIG, GuidedIG
from torch import nn

from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.errors import SettingsError
from tomolens.estimators import (
    BlurIntegratedGradients,
    ExpectedGradients,
    GradientShap,
    GuidedIntegratedGradients,
    IntegratedGradients,
    IntegratedGradientsTwin,
    Lime,
    References,
    SmoothGrad,
    SmoothGradSquared,
    VarGrad,
    explain,
)
from tomolens.estimators.points import WithNoise
from tomolens.estimators.subject import Subject
from tomolens.imputers import imputer


def given(smooth=True, spatial=(16, 16), outputs=2):
    torch.manual_seed(7)
    network = convolutional(1, outputs, smooth=smooth, dimensions=len(spatial)).double()
    return Classifier(network, "logits"), torch.rand(2, 1, *spatial, dtype=torch.float64)


THEIRS = {"right": "riemann_right", "gauss-legendre": "gausslegendre"}


def asked(classifier, target, channels=False):
    """The gradient as PAIR asks for it, of images ``(N, *spatial)``, with channels last where it wants them."""

    def call(images, call_model_args=None, expected_keys=None):
        given = np.asarray(images)[..., 0] if channels else np.asarray(images)
        inputs = torch.from_numpy(given)[:, None].requires_grad_(True)
        score = classifier.class_scores(inputs)[:, target].sum()
        gradient = torch.autograd.grad(score, inputs)[0][:, 0].numpy()
        return {"INPUT_OUTPUT_GRADIENTS": gradient[..., None] if channels else gradient}

    return call


@pytest.mark.parametrize("steps", [4, 10])
def test_blurred_integrated_gradients_are_pairs(steps):
    classifier, images = given()
    for target, image in enumerate(images):
        found = explain(classifier, image[None], [BlurIntegratedGradients(steps, spread=0.25)], [target])
        call = asked(classifier, target, channels=True)
        wanted = BlurIG().GetMask(image[0, ..., None].numpy(), call, max_sigma=4.0, steps=steps)[..., 0]
        np.testing.assert_allclose(found["blur-integrated-gradients"][0, 0], wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spatial", [(16, 16), (6, 8, 10)])
@pytest.mark.parametrize(("steps", "fraction", "reach"), [(10, 0.25, 0.02), (15, 0.5, 0.1), (5, 0.25, 1.0)])
def test_guided_integrated_gradients_are_pairs(steps, fraction, reach, spatial, monkeypatch):
    quantile = np.quantile  # whose argument has another name since PAIR's release

    def renamed(values, share, interpolation="linear", **more):
        return quantile(values, share, **{"method": interpolation, **more})

    monkeypatch.setattr(np, "quantile", renamed)
    classifier, images = given(spatial=spatial)
    images[1, 0, :4] = 0.0  # where the image is its own reference
    for target, image in enumerate(images):
        estimator = GuidedIntegratedGradients(steps, fraction, reach)
        found = explain(classifier, image[None], [estimator], [target])[estimator.name][0, 0]
        options = {"x_baseline": np.zeros(spatial), "x_steps": steps, "fraction": fraction, "max_dist": reach}
        wanted = GuidedIG().GetMask(image[0].numpy(), asked(classifier, target), **options)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    assert not bool(explain(classifier, 0 * images, [estimator], [0, 1])[estimator.name].any())


def test_input_times_gradient_is_captums():
    classifier, images = given(smooth=False)
    found = explain(classifier, images, ["input-x-gradient"], [0, 1])["input-x-gradient"]
    wanted = InputXGradient(classifier.network).attribute(images, target=torch.tensor([0, 1]))
    torch.testing.assert_close(found, wanted.detach())


def test_vargrad_is_the_variance_of_the_gradients_of_smoothgrad():
    classifier, images = given(smooth=False)
    found = explain(classifier, images, [VarGrad(7, 0.2)], [0, 1], names=["a", "b"], seed=3)["vargrad"]
    for image, name, target, one in zip(images, "ab", (0, 1), found, strict=True):
        noisy = torch.stack(
            [WithNoise(0.2, k).image(Subject(image, target, name, 3)) for k in range(7)]
        ).requires_grad_(True)
        (gradients,) = torch.autograd.grad(classifier.class_scores(noisy)[:, target].sum(), noisy)
        torch.testing.assert_close(one, gradients.var(dim=0, unbiased=False), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("spatial", [(5, 4), (3, 4, 5)])
def test_gradient_shap_of_a_linear_network_is_known(spatial):
    """Mean over two classes of references of w (x - x'), and noise times w beside it, which is 0 in the mean."""
    pixels = int(np.prod(spatial))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 1)).double().eval()
    weights = network[1].weight.detach().reshape(spatial)
    image, training = torch.rand(1, 1, *spatial, dtype=torch.float64), torch.rand(6, 1, *spatial, dtype=torch.float64)
    references = References(training, [0, 0, 0, 1, 1, 1])
    still = explain(Classifier(network), image, [GradientShap(12, 0.0)], [1], references=references)["gradient-shap"]
    torch.testing.assert_close(still, weights * (image - training.mean(dim=0)))
    noisy = explain(Classifier(network), image, [GradientShap(4000, 0.2)], [1], references=references)["gradient-shap"]
    assert not torch.equal(noisy, still)
    torch.testing.assert_close(noisy, still, rtol=0, atol=0.2 * 4 * float(weights.abs().max()) / 4000**0.5)


def test_gauss_legendre_is_exact_for_a_polynomial():
    """Of a score that is a cubic along the path, 2 nodes are enough."""

    class Cubic(nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1, keepdim=True) ** 3

    image = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    two = IntegratedGradients(steps=2, quadrature="gauss-legendre")
    found = explain(Classifier(Cubic()), image, [two], [1])["integrated-gradients"]
    torch.testing.assert_close(found, image * image.sum() ** 2)


@pytest.mark.parametrize("spatial", [(16, 16), (6, 8, 10)])
@pytest.mark.parametrize("fill", [0.3, "mean", "blur", "road"])
@pytest.mark.parametrize("quadrature", ["right", "gauss-legendre"])
def test_references_of_the_image_are_its_fills(spatial, fill, quadrature):
    classifier, images = given(spatial=spatial)
    estimator = IntegratedGradients(4, fill, quadrature)
    found = explain(classifier, images, [estimator], [0, 1], names=["a", "b"], seed=3)["integrated-gradients"]
    for target, image in enumerate(images):
        start = imputer(fill, image, target, seed=3, name="ab"[target]).fill(torch.ones(1, *spatial).bool())
        wanted = CaptumIntegratedGradients(lambda x: classifier.class_scores(x)).attribute(
            image[None], start, target=target, n_steps=4, method=THEIRS[quadrature]
        )
        torch.testing.assert_close(found[target], wanted[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_neutral_reference_is_the_grey_that_decides_nothing(outputs):
    class Shade(nn.Module):
        def forward(self, x):
            z = 8 * (x.mean(dim=(1, 2, 3)) - 0.5) ** 3 - 8 * 0.125**3  # undecided at 0.625, the 20th grey
            every = torch.stack([z, 0 * z, 0 * z - 1], dim=1)
            return every[:, :outputs]

    score = "logit" if outputs == 1 else "logits"
    images = torch.rand(3, 1, 12, 12, dtype=torch.float64)
    for estimator in (IntegratedGradients(5, "neutral"), IntegratedGradients(5, 0.625)):
        found = explain(Classifier(Shade(), score), images, [estimator], [0, 1, 1])["integrated-gradients"]
        if estimator.reference == "neutral":
            neutral = found
    torch.testing.assert_close(neutral, found)
    assert bool(found.any())


def test_references_that_cannot_be():
    for wrong in ("label", "gray", -0.1, 1.5):
        with pytest.raises(SettingsError, match=r"fill"):
            IntegratedGradients(reference=wrong)
    classifier, images = given()
    with pytest.raises(SettingsError, match="compares with the image's twin"):
        explain(classifier, images, [IntegratedGradients(reference="twin")], [0, 1])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GuidedIntegratedGradients(reach=-0.01),
        lambda: GuidedIntegratedGradients(reach=float("nan")),
        lambda: GuidedIntegratedGradients(steps=0),
        lambda: GuidedIntegratedGradients(fraction=0.0),
        lambda: GuidedIntegratedGradients(reference=7.0),
        lambda: BlurIntegratedGradients(steps=1),
        lambda: BlurIntegratedGradients(spread=0.0),
        lambda: BlurIntegratedGradients(spread=-0.1),
        lambda: IntegratedGradients(steps=0),
        lambda: IntegratedGradients(quadrature="left"),
        lambda: IntegratedGradientsTwin(steps=1.5),
        lambda: SmoothGrad(samples=0),
        lambda: SmoothGradSquared(sigma=float("inf")),
        lambda: VarGrad(samples=1),
        lambda: VarGrad(sigma=-1.0),
        lambda: GradientShap(sigma=-1.0),
        lambda: ExpectedGradients(samples=0),
        lambda: Lime(width=0.003) and explain(*given(), [Lime(20, width=0.003)], [0, 1]),
    ],
)
def test_numbers_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match="expected"):
        wrong()


def test_the_variance_of_nearly_equal_gradients_is_no_rounding():
    """A large slope everywhere and a small curve: squares of single precision would cancel."""

    class Curved(nn.Module):
        def forward(self, x):
            z = 3 * x.mean(dim=(1, 2, 3)) + 1e-3 * torch.tanh(x).square().mean(dim=(1, 2, 3))
            return torch.stack([z, -z], dim=1)

    images = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    exact = explain(Classifier(Curved(), "logits"), images, ["vargrad"], [0, 1], names=["a", "b"])["vargrad"]
    found = explain(Classifier(Curved(), "logits"), images.float(), ["vargrad"], [0, 1], names=["a", "b"])["vargrad"]
    assert np.corrcoef(found.flatten(), exact.flatten())[0, 1] > 0.99
    torch.testing.assert_close(found.double().mean(), exact.mean(), rtol=0.02, atol=0)


@pytest.mark.parametrize("name", ["vargrad", "smoothgrad-squared"])
def test_squares_of_half_precision_are_not_0(name):
    torch.manual_seed(7)
    network = convolutional(1, 2, smooth=True).double()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64).half()
    exact = explain(Classifier(network, "logits"), images.double(), [name], [0, 1], names=["a", "b"])[name]
    found = explain(Classifier(network.half(), "logits"), images, [name], [0, 1], names=["a", "b"])[name]
    assert np.corrcoef(found.flatten(), exact.flatten())[0, 1] > 0.9
    assert float(found.mean()) == pytest.approx(float(exact.mean()), rel=0.1)


def test_a_neutral_reference_of_labels_is_where_the_label_is_undecided():
    class Labels(nn.Module):
        def forward(self, x):
            m = x.mean(dim=(1, 2, 3))
            return torch.stack([10 * (m - 0.25), m - 5, 0 * m + 7.3], dim=1)

    images = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    classifier = Classifier(Labels(), "logits", task="labels")
    found, wanted = (
        explain(classifier, images, [IntegratedGradients(5, one)], [0, 0])["integrated-gradients"]
        for one in ("neutral", 0.25)
    )
    torch.testing.assert_close(found, wanted)
