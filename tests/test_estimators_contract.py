"""What every registered estimator must keep: a new one is tested by being registered."""

import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier
from tomolens.errors import MapError, SettingsError
from tomolens.estimators import ESTIMATORS, Random, References, SmoothGrad, explain, make_estimator
from tomolens.estimators.explain import explain_each
from tomolens.estimators.schedule import passes

NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture
def references():
    torch.manual_seed(1)
    return References(torch.rand(12, 1, 16, 16), torch.arange(12) % 2)


@pytest.mark.parametrize("name", ESTIMATORS)
class TestContract:
    def explained(self, name, classifier, images, references, names=NAMES, **options):
        return explain(classifier, images, [name], references=references, names=names, **options)[name]

    def test_shape_type_device_finite(self, name, classifier, images, references):
        maps = self.explained(name, classifier, images, references)
        assert maps.shape == images.shape
        assert maps.dtype == images.dtype
        assert maps.device == images.device
        assert torch.isfinite(maps).all()
        assert not maps.requires_grad

    def test_the_same_bits_twice(self, name, classifier, images, references):
        first, second = (self.explained(name, classifier, images, references, seed=5) for _ in range(2))
        assert torch.equal(first, second)

    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    def test_the_batch_does_not_show(self, name, classifier, images, references, batch_size):
        whole = self.explained(name, classifier, images, references)
        parts = self.explained(name, classifier, images, references, batch_size=batch_size)
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5 * float(whole.abs().max()))

    def test_the_order_does_not_show(self, name, classifier, images, references):
        order = [3, 0, 4, 1, 2]
        straight = self.explained(name, classifier, images, references)
        shuffled = self.explained(name, classifier, images[order], references, names=[NAMES[i] for i in order])
        torch.testing.assert_close(shuffled, straight[order], rtol=1e-5, atol=1e-5 * float(straight.abs().max()))

    def test_company_does_not_show(self, name, classifier, images, references):
        alone = self.explained(name, classifier, images, references)
        together = explain(classifier, images, list(ESTIMATORS), references=references, names=NAMES)[name]
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))

    def test_network_and_images_stay_as_they_came(self, name, images, references):
        network = convolutional().train()
        network[0].bias.requires_grad_(False)
        network[0].weight.grad = torch.ones_like(network[0].weight)
        before, picture = state_of(network), images.clone()
        self.explained(name, Classifier(network), images, references)
        assert_same_state(before, state_of(network))
        assert torch.equal(images, picture)
        assert not images.requires_grad

    def test_three_dimensions(self, name, references):
        class Volumes(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = torch.nn.Conv3d(1, 2, 3)

            def forward(self, x):
                return torch.relu(self.conv(x)).mean(dim=(1, 2, 3, 4)) - 0.1

        volumes = torch.rand(2, 1, 6, 7, 8)
        drawn = References(torch.rand(4, 1, 6, 7, 8), torch.arange(4) % 2)
        maps = explain(Classifier(Volumes()), volumes, [name], references=drawn)
        assert maps[name].shape == volumes.shape

    def test_it_says_where_it_comes_from(self, name):
        estimator = make_estimator(name)
        assert estimator.name == name
        assert "arXiv" in estimator.source
        assert type(estimator).__doc__


def test_the_protocols_estimators_need_92_passes():
    assert passes({name: make_estimator(name) for name in ESTIMATORS}) == 92


def test_shared_probes_run_once(images, references):
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = convolutional(), 0

        def forward(self, x):
            if torch.is_grad_enabled():
                self.seen += len(x)
            return self.inner(x)

    network = Counting()
    explain(Classifier(network), images, list(ESTIMATORS), references=references)
    assert network.seen == 92 * len(images)


def test_paper_signs_differ_for_class_zero_only(images, references):
    classifier = Classifier(convolutional())
    zeros, ones = [0] * 5, [1] * 5
    names = [name for name in ESTIMATORS if name != "random"]

    def maps(signs, targets):
        return explain(classifier, images, names, targets, references=references, signs=signs)

    own, paper = maps("class", zeros), maps("paper", zeros)
    for name in ("backpropagation", "smoothgrad"):
        torch.testing.assert_close(paper[name], -own[name])
    torch.testing.assert_close(paper["deconvolution"], maps("class", ones)["deconvolution"])
    for name in ("integrated-gradients", "integrated-gradients-bw", "expected-gradients", "smoothgrad-squared"):
        torch.testing.assert_close(paper[name], own[name])
    for name, values in maps("paper", ones).items():
        torch.testing.assert_close(values, maps("class", ones)[name])


def test_the_predicted_class_is_explained_by_default(images):
    classifier = Classifier(convolutional(outputs=3), "logits")
    default = explain(classifier, images, ["backpropagation"])
    chosen = explain(classifier, images, ["backpropagation"], classifier.predict(images))
    assert torch.equal(default["backpropagation"], chosen["backpropagation"])


def test_several_parameterisations_are_named_by_what_they_change(classifier, images):
    maps = explain(classifier, images, ["smoothgrad", SmoothGrad(sigma=0.3), SmoothGrad(samples=3, sigma=0.3)], [1] * 5)
    assert list(maps) == ["smoothgrad", "smoothgrad(sigma=0.3)", "smoothgrad(samples=3, sigma=0.3)"]
    alone = explain(classifier, images, SmoothGrad(sigma=0.3), [1] * 5)
    assert torch.equal(alone["smoothgrad"], maps["smoothgrad(sigma=0.3)"])


def test_an_estimator_that_fails_costs_only_its_own_map(images):
    classifier = Classifier(convolutional(smooth=True))
    explained = explain_each(classifier, images, ["backpropagation", "deconvolution", "random"])
    assert list(explained.maps) == ["backpropagation", "random"]
    assert "deconvolution needs ReLUs" in str(explained.failed["deconvolution"])
    alone = explain(classifier, images, ["backpropagation"])
    assert torch.equal(alone["backpropagation"], explained.maps["backpropagation"])


def test_a_network_that_breaks_on_black_images_costs_only_what_asks_there(images):
    class AfraidOfTheDark(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            if float(x.flatten(1).mean(1).min()) < 0.1:
                raise ValueError("too dark")
            return self.inner(x)

    names = ["smoothgrad", "integrated-gradients", "integrated-gradients-bw"]
    explained = explain_each(Classifier(AfraidOfTheDark().eval()), images, names, [1] * 5)
    assert list(explained.maps) == ["smoothgrad"]
    assert {str(error) for error in explained.failed.values()} == {"ValueError: too dark"}


def test_an_estimator_of_ones_own_that_breaks_costs_only_its_own_map(classifier, images):
    class Broken(SmoothGrad):
        name = "broken"

        def term(self, gradient, displacement):
            raise ZeroDivisionError("a term of one's own")

    class Blind(Random):
        name = "blind"

        def draw(self, subject):
            raise KeyError("a drawing of one's own")

    explained = explain_each(classifier, images, [Broken(), Blind(), "smoothgrad"], [1] * 5)
    assert list(explained.maps) == ["smoothgrad"]
    assert {str(error).split(":")[0] for error in explained.failed.values()} == {"ZeroDivisionError", "KeyError"}


def test_maps_that_overflow_or_vanish_are_no_silent_maps(images):
    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.inner, self.scale = convolutional(), scale

        def forward(self, x):
            return self.scale * self.inner(x)

    names = ["backpropagation", "smoothgrad-squared"]
    large = explain_each(Classifier(Scaled(1e22).eval()), images, names, [1] * 5)
    assert list(large.maps) == ["backpropagation"]
    assert "values that are not finite, beyond torch.float32" in str(large.failed["smoothgrad-squared"])
    small = explain_each(Classifier(Scaled(1e-22).eval()), images, names, [1] * 5)
    assert small.notes == {"smoothgrad-squared": "0 everywhere, so that its ranking is chance"}


def test_mistakes_are_named(classifier, images, references):
    with pytest.raises(SettingsError, match=r"explain was given Sequential, expected Classifier\(network"):
        explain(convolutional(), images, ["backpropagation"])
    with pytest.raises(MapError, match=r"images are ndarray, expected a tensor: torch.from_numpy"):
        explain(classifier, images.numpy(), ["backpropagation"])
    with pytest.raises(SettingsError, match="unknown estimator 'smothgrad': did you mean 'smoothgrad'"):
        explain(classifier, images, ["smothgrad"])
    with pytest.raises(SettingsError, match="'smoothgrad' is given twice"):
        explain(classifier, images, ["smoothgrad", SmoothGrad()])
    with pytest.raises(SettingsError, match="draws training images: give references"):
        explain(classifier, images, ["expected-gradients"])
    broken = images.clone()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(MapError, match="1 values that are not finite"):
        explain(classifier, broken, ["random"])
    with pytest.raises(MapError, match="expected floating"):
        explain(classifier, images[0, 0], ["random"])
    with pytest.raises(MapError, match="expected one class an image"):
        explain(classifier, images, ["random"], [1])
    with pytest.raises(SettingsError, match="signs 'own'"):
        explain(classifier, images, ["random"], signs="own")
    with pytest.raises(SettingsError, match="defined for two classes, the network has 3"):
        explain(Classifier(convolutional(outputs=3), "logits"), images, ["random"], signs="paper")
    with pytest.raises(SettingsError, match="estimator 'smoothgrad': .*unexpected keyword argument 'n'"):
        make_estimator("smoothgrad", n=3)
    with pytest.raises(MapError, match=r"references of shape \(1, 16, 16\)"):
        explain(classifier, images[..., :8], ["expected-gradients"], references=references)
