"""Methods of captum as estimators: what captum makes when it is called directly."""

import captum.attr
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier
from tomolens.classifier.intensity import Intensity
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import References, explain, make_estimator
from tomolens.estimators.captum_adapter import _baselines, methods
from tomolens.estimators.explain import explain_each
from tomolens.estimators.subject import Subject
from tomolens.study.settings import EstimatorSettings


def given(spatial=(16, 16), outputs=3):
    torch.manual_seed(7)
    network = convolutional(1, outputs, dimensions=len(spatial)).double()
    images = torch.rand(3, 1, *spatial, dtype=torch.float64)
    return Classifier(network, "logits"), images, [0, 2, 1]


@pytest.mark.parametrize("spatial", [(16, 16), (6, 8, 10)])
def test_deep_lift_is_captums_and_adds_up(spatial):
    classifier, images, targets = given(spatial)
    before = state_of(classifier.network)
    found = explain(classifier, images, ["captum:DeepLift"], targets)["captum-DeepLift"]
    assert_same_state(before, state_of(classifier.network))
    wanted = captum.attr.DeepLift(classifier.network).attribute(images, target=targets)
    torch.testing.assert_close(found, wanted.detach())
    at, black = (classifier.class_scores(one).detach() for one in (images, torch.zeros_like(images)))
    torch.testing.assert_close(found.flatten(1).sum(1), (at - black)[range(3), targets], rtol=1e-6, atol=1e-9)


class Flat(nn.Module):
    """Of layers for which captum has rules: it has none for nn.Flatten."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.one, self.relu, self.out = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4 * 14 * 14, 3)

    def forward(self, x):
        return self.out(self.relu(self.one(x)).flatten(1))


def test_lrp_is_captums():
    _, images, targets = given()
    network = Flat().eval().double()
    found = explain(Classifier(network, "logits"), images, ["captum:LRP"], targets)["captum-LRP"]
    for image, target, one in zip(images, targets, found, strict=True):
        wanted = captum.attr.LRP(Flat().eval().double()).attribute(image[None], target=target)
        torch.testing.assert_close(one, wanted[0].detach())


def test_what_draws_is_drawn_for_the_case_and_the_seed_alone():
    classifier, images, targets = given((4, 4), 3)
    sampling = make_estimator("captum:ShapleyValueSampling", n_samples=3)
    options = {"names": ["a", "b", "c"], "seed": 1}
    first = explain(classifier, images, [sampling], targets, **options)["captum-ShapleyValueSampling"]
    torch.rand(5)
    again = explain(classifier, images[[2, 0]], [sampling], [1, 0], names=["c", "a"], seed=1)
    assert torch.equal(again["captum-ShapleyValueSampling"], first[[2, 0]])
    other = explain(classifier, images, [sampling], targets, names=["a", "b", "c"], seed=2)
    assert not torch.equal(other["captum-ShapleyValueSampling"], first)
    at, black = (classifier.class_scores(one).detach() for one in (images, torch.zeros_like(images)))
    torch.testing.assert_close(first.flatten(1).sum(1), (at - black)[range(3), targets])


def test_baselines_are_training_images_where_a_method_draws_some():
    classifier, images, targets = given()
    references = References(torch.rand(5, 1, 16, 16, dtype=torch.float64), [0, 1, 2, 0, 1])
    found = explain(classifier, images, ["captum:DeepLiftShap"], targets, references=references)["captum-DeepLiftShap"]
    wanted = captum.attr.DeepLiftShap(classifier.network).attribute(images, references.images, target=targets)
    torch.testing.assert_close(found, wanted.detach())
    with pytest.raises(SettingsError, match="draws training images: give references"):
        explain(classifier, images, ["captum:DeepLiftShap"], targets)


def test_one_logit_and_parameters_of_a_study_file():
    network = convolutional(1, 1).double()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    occlusion = make_estimator("captum:Occlusion", sliding_window_shapes=[1, 4, 4], strides=[1, 4, 4])
    found = explain(Classifier(network), images, [occlusion], [0, 1])["captum-Occlusion"]
    wanted = captum.attr.Occlusion(network).attribute(images, (1, 4, 4), (1, 4, 4))
    signs = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)  # class 0 is -z
    torch.testing.assert_close(found, signs * wanted.double(), rtol=1e-5, atol=1e-6)
    chosen = EstimatorSettings(
        names=["captum:Occlusion"], parameters={"captum:Occlusion": {"sliding_window_shapes": [1, 4, 4]}}
    )
    (made,) = chosen.make()
    assert (made.name, made.title) == ("captum-Occlusion", "captum: Occlusion")
    assert made == make_estimator("captum:Occlusion", sliding_window_shapes=[1, 4, 4])


def test_mistakes_are_named():
    assert {"DeepLift", "LRP", "ShapleyValueSampling", "Occlusion", "Saliency"} <= set(methods())
    assert not {"LayerGradCam", "NoiseTunnel", "Attribution", "GuidedGradCam"} & set(methods())
    with pytest.raises(SettingsError, match="no method 'DeepLfit': did you mean 'captum:DeepLift'"):
        make_estimator("captum:DeepLfit")
    with pytest.raises(SettingsError, match="has no parameter 'steps': it takes n_steps|it takes"):
        make_estimator("captum:IntegratedGradients", steps=3)
    classifier, images, targets = given()
    failed = explain_each(
        classifier, images, [make_estimator("captum:IntegratedGradients", method="none")], targets
    ).failed
    assert str(failed["captum-IntegratedGradients"]).startswith("captum's IntegratedGradients: ")


class Reused(nn.Module):
    """A ReLU that is used twice, which captum's DeepLift cannot follow."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.relu = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.ReLU()

    def forward(self, x):
        return self.relu(self.two(self.relu(self.one(x)))).mean(dim=(2, 3))


def test_what_captum_refuses_costs_its_own_map_alone():
    images = torch.rand(2, 1, 8, 8)
    made = explain_each(Classifier(Reused().eval(), "logits"), images, ["captum:DeepLift", "backpropagation"], [0, 1])
    assert list(made.maps) == ["backpropagation"]
    assert isinstance(made.failed["captum-DeepLift"], NetworkError)


class Functions(nn.Module):
    """ReLUs that are functions, which captum's hooks pass over."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.one, self.relu, self.out = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4 * 14 * 14, 3)

    def forward(self, x):
        return self.out(torch.relu(self.relu(self.one(x)) - 0.1).flatten(1))


@pytest.mark.parametrize("method", ["DeepLift", "DeepLiftShap", "GuidedBackprop", "Deconvolution", "LRP"])
def test_functions_that_captum_would_pass_over_are_refused(method):
    _, images, targets = given()
    references = References(torch.rand(4, 1, 16, 16, dtype=torch.float64), [0, 1, 2, 0])
    classifier = Classifier(Functions().eval().double(), "logits")
    with pytest.raises(NetworkError, match=f"captum's {method} sees what is not linear in modules alone, and 1 of 2"):
        explain(classifier, images, [f"captum:{method}"], targets, references=references)
    assert bool(explain(classifier, images, ["captum:Saliency"], targets)["captum-Saliency"].any())


def test_black_is_the_reference_where_it_is_not_0():
    network = given()[0].network
    classifier = Classifier(network, "logits", intensity=Intensity(-1.0, 1.0))
    images = 2 * torch.rand(3, 1, 16, 16, dtype=torch.float64) - 1
    exact = make_estimator("captum:IntegratedGradients", n_steps=400)
    found = explain(classifier, images, [exact], [0, 2, 1])["captum-IntegratedGradients"]
    at, black = (classifier.class_scores(one).detach() for one in (images, -torch.ones_like(images)))
    torch.testing.assert_close(found.flatten(1).sum(1), (at - black)[range(3), [0, 2, 1]], rtol=0.02, atol=1e-6)


def test_training_images_are_drawn_from_every_class():
    image = given()[1][0]
    dark, light = (shade + 0.1 * torch.rand(20, 1, 16, 16, dtype=torch.float64) for shade in (0.0, 0.9))
    references = References(torch.cat([dark, light]), [0] * 20 + [1] * 20)
    drawn = _baselines(Subject(image, 0, "a", 0, references), None, "DeepLiftShap")["baselines"]
    assert len(drawn) == 16
    assert int((drawn.mean(dim=(1, 2, 3)) > 0.5).sum()) == 8


def test_what_captum_leaves_on_modules_is_taken_away():
    _, images, targets = given()
    network = Flat().eval().double()
    before = {name: set(vars(module)) for name, module in network.named_modules()}
    explain(Classifier(network, "logits"), images, ["captum:LRP"], targets)
    assert {name: set(vars(module)) for name, module in network.named_modules()} == before


def test_what_compares_images_of_a_batch_is_not_offered():
    with pytest.raises(SettingsError, match="captum has no method 'FeaturePermutation'"):
        make_estimator("captum:FeaturePermutation")


class Stepped(nn.Module):
    """A convolution, a step and a linear layer."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(1)
        self.one, self.step, self.out = nn.Conv2d(1, 4, 3, padding=1), step, nn.Linear(4 * 16 * 16, 3)

    def forward(self, x):
        return self.out(self.step(self.one(x)).flatten(1))


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (nn.LayerNorm(16), "NativeLayerNorm"),
        (nn.GroupNorm(2, 4), "NativeGroupNorm"),
        (nn.InstanceNorm2d(4), "BatchNorm"),
        (lambda x: x * x, "Mul"),
        (lambda x: x * x.mean((2, 3), keepdim=True), "Mul"),
        (lambda x: torch.log_softmax(x, 1), "LogSoftmax"),
    ],
)
def test_steps_that_captum_has_no_rule_for_are_refused(step, named):
    _, images, targets = given()
    classifier = Classifier(Stepped(step).eval().double(), "logits")
    with pytest.raises(NetworkError, match=f"has no rule for .*{named}"):
        explain(classifier, images, ["captum:DeepLift"], targets)


@pytest.mark.parametrize("step", [nn.BatchNorm2d(4), lambda x: x * torch.full((4, 1, 1), 2.0, dtype=x.dtype)])
def test_norms_and_products_of_numbers_are_explained(step):
    _, images, targets = given()
    classifier = Classifier(Stepped(step).eval().double(), "logits")
    found = explain(classifier, images, ["captum:DeepLift"], targets)["captum-DeepLift"]
    at, black = (classifier.class_scores(one).detach() for one in (images, torch.zeros_like(images)))
    torch.testing.assert_close(found.flatten(1).sum(1), (at - black)[range(len(images)), targets])


class Bent(nn.Module):
    """Non-linear steps as modules or as functions."""

    def __init__(self, modules):
        super().__init__()
        torch.manual_seed(1)
        self.one, self.out, self.modules_ = nn.Conv2d(1, 4, 3), nn.Linear(4 * 7 * 7, 3), modules
        self.leaky, self.tanh, self.pool = nn.LeakyReLU(0.1), nn.Tanh(), nn.MaxPool2d(2)

    def forward(self, x):
        if self.modules_:
            return self.out(self.pool(self.tanh(self.leaky(self.one(x)))).flatten(1))
        bent = torch.tanh(nn.functional.leaky_relu(self.one(x), 0.1))
        return self.out(nn.functional.max_pool2d(bent, 2).flatten(1))


def test_other_functions_that_are_not_linear_are_refused_too():
    _, images, targets = given()
    modules, functions = (Classifier(Bent(one).eval().double(), "logits") for one in (True, False))
    assert bool(explain(modules, images, ["captum:DeepLift"], targets)["captum-DeepLift"].any())
    with pytest.raises(NetworkError, match="and 3 of 3 such steps are none that it sees: write them as modules"):
        explain(functions, images, ["captum:DeepLift"], targets)
