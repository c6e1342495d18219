"""Layer-wise relevance propagation: with every layer written out as a matrix, against captum, and what is kept."""

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._utils import lrp_rules
from torch import nn
from torch.nn import functional

import network_files as files
from conftest import convolutional
from tomolens.classifier import Classifier
from tomolens.classifier.contract import InputContract
from tomolens.classifier.intensity import Intensity
from tomolens.classifier.sourced import SourcedNetwork
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import Lrp, explain
from tomolens.estimators.relevance import SharedRelevance

SPATIAL = [(6, 7), (4, 5, 3)]
RULES = [
    {"rule": "epsilon", "epsilon": 0.3, "flat": False},
    {"rule": "gamma", "gamma": 0.5, "flat": False},
    {"rule": "alpha-beta", "alpha": 1.0, "flat": False},
    {"rule": "alpha-beta", "alpha": 2.0, "flat": False, "epsilon": 0.1},
    {"rule": "alpha-beta", "flat": True},
    {"rule": "gamma", "flat": True},
]


def relevance(classifier, images, targets, **parameters):
    return explain(classifier, images, [Lrp(**parameters)], targets)["lrp"]


def plain(spatial, bias=True):
    """Two convolutions and a dense layer, for images that may be below 0."""
    torch.manual_seed(len(spatial))
    convolution = (nn.Conv2d, nn.Conv3d)[len(spatial) - 2]
    layers = [
        convolution(2, 3, 3, padding=1, bias=bias),
        nn.ReLU(),
        convolution(3, 2, 2, stride=2, bias=bias),
        nn.ReLU(),
        nn.Flatten(),
    ]
    width = nn.Sequential(*layers)(torch.zeros(1, 2, *spatial)).shape[1]
    return nn.Sequential(*layers, nn.Linear(width, 3, bias=bias)).double().eval().requires_grad_(False)


def written_out(network, image, target, rule, epsilon=1e-6, gamma=0.25, alpha=1.0, flat=True):
    """The rules of Montavon et al. 2019, table 10.1, with each layer as a matrix."""
    x, seen = image[None], []
    for layer in network:
        if not isinstance(layer, nn.ReLU | nn.Flatten):
            inner = x

            def run(values, layer=layer, inner=inner):
                return layer(values.reshape(inner.shape)).flatten()

            zero = torch.zeros(inner.numel(), dtype=torch.float64)
            matrix = torch.stack([run(one) - run(zero) for one in torch.eye(inner.numel(), dtype=torch.float64)], dim=1)
            seen.append((inner.flatten().numpy(), matrix.numpy(), run(zero).numpy(), isinstance(layer, nn.Linear)))
        x = layer(x)
    shared = np.zeros(x.numel())
    shared[target] = float(x.flatten()[target])
    for number, (values, w, b, dense) in reversed(list(enumerate(seen))):
        found = np.zeros_like(values)
        for j, of_output in enumerate(shared):
            terms, z = w[j] * values, w @ values + b
            if flat and number == 0:
                found += (w[j] != 0) / np.count_nonzero(w[j]) * of_output
            elif dense or rule == "epsilon":
                size = epsilon * np.sqrt(np.mean(z**2))
                found += terms / (z[j] + (size if z[j] >= 0 else -size)) * of_output
            elif rule == "gamma":
                clip = np.maximum if z[j] >= 0 else np.minimum
                raised = terms + gamma * clip(terms, 0)
                found += raised / (raised.sum() + b[j] + gamma * clip(b[j], 0)) * of_output
            else:
                above, below = np.maximum(terms, 0), np.minimum(terms, 0)
                gained, lost = above.sum() + max(b[j], 0), below.sum() + min(b[j], 0)
                found += alpha * above / gained * of_output if gained else 0
                found -= (alpha - 1) * below / lost * of_output if lost else 0
        shared = found
    return torch.from_numpy(shared).reshape(image.shape)


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("rule", RULES)
def test_it_is_what_the_matrices_say(spatial, rule):
    network = plain(spatial)
    images = torch.rand(2, 2, *spatial, dtype=torch.float64) - 0.3
    images[0, 0, 0] = 0.0
    classifier = Classifier(network, "logits", intensity=Intensity(-1.0, 1.0))
    found = relevance(classifier, images, [2, 0], **rule)
    for image, target, one in zip(images, (2, 0), found, strict=True):
        torch.testing.assert_close(one, written_out(network, image, target, **rule), rtol=1e-9, atol=1e-12)


class Flattening(nn.Module):
    """The same, for captum: it has no rule for nn.Flatten."""

    def __init__(self, network):
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in network if not isinstance(layer, nn.Flatten))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x)
        return self.layers[-1](x.flatten(1))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize(
    ("parameters", "theirs"),
    [
        ({"rule": "epsilon", "epsilon": 0.0}, [lrp_rules.EpsilonRule(1e-13)] * 3),
        ({"rule": "gamma", "epsilon": 0.0}, [lrp_rules.GammaRule(0.25)] * 2 + [lrp_rules.EpsilonRule(1e-13)]),
        (
            {"rule": "alpha-beta", "epsilon": 0.0},
            [lrp_rules.Alpha1_Beta0_Rule()] * 2 + [lrp_rules.EpsilonRule(1e-13)],
        ),
    ],
)
def test_it_is_captums(spatial, parameters, theirs):
    images = torch.rand(2, 2, *spatial, dtype=torch.float64)
    bias = parameters["rule"] == "epsilon"  # the others' rules leave biases as they are, the paper's change them alike
    found = relevance(Classifier(plain(spatial, bias), "logits"), images, [2, 0], flat=False, **parameters)
    network = Flattening(plain(spatial, bias)).requires_grad_(True)
    ruled = [layer for layer in network.layers if not isinstance(layer, nn.ReLU)]
    for layer, rule in zip(ruled, theirs, strict=True):
        layer.rule = rule
    wanted = captum.attr.LRP(network).attribute(images, target=[2, 0])
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-6, atol=1e-9)


class Residual(nn.Module):
    """Batch norm without a shift, a sum, maximum and mean pooling, one ReLU used thrice, functions in place."""

    def __init__(self, dimensions):
        super().__init__()
        torch.manual_seed(3)
        convolution, norm = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))[dimensions - 2]
        self.one, self.two = (convolution(inner, 4, 3, padding=1, bias=False) for inner in (1, 4))
        self.norm, self.relu, self.out = norm(4), nn.ReLU(), nn.Linear(4, 3, bias=False)
        self.norm.running_var.uniform_(0.5, 2.0)
        self.pool = (functional.max_pool2d, functional.max_pool3d)[dimensions - 2]

    def forward(self, x):
        x = self.relu(self.norm(self.one(x)))
        x = torch.relu_(self.norm(self.two(x)) + x)
        return self.out(self.relu(self.pool(x, 2)).flatten(2).mean(dim=2))


@pytest.mark.parametrize("spatial", [(8, 8), (6, 4, 8)])
@pytest.mark.parametrize("rule", RULES)
def test_the_score_is_kept_where_there_are_no_biases(spatial, rule):
    # Alpha-beta drops what nothing speaks for: relevance of an output below 0, which a sum may hand down.
    alone = rule["rule"] == "alpha-beta"
    network = plain(spatial, bias=False) if alone else Residual(len(spatial)).double().eval()
    images = torch.rand(3, 2 if alone else 1, *spatial, dtype=torch.float64)
    classifier = Classifier(network, "logits")
    rule = {**rule, "epsilon": 0.0, "alpha": 1.0}
    found = relevance(classifier, images, [0, 1, 2], **rule)
    scores = network(images)[range(3), [0, 1, 2]].detach()
    torch.testing.assert_close(found.flatten(1).sum(dim=1), scores, rtol=1e-9, atol=1e-12)


def test_batch_norm_is_taken_into_the_layer_before():
    torch.manual_seed(0)
    network = convolutional(1, 2).double()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(module.bias)
    layers, folded = list(network), []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            folded[-1] = nn.utils.fuse_conv_bn_eval(folded[-1], layer)
        else:
            folded.append(layer)
    assert len(folded) < len(layers)
    for rule in RULES:
        one, other = (
            relevance(Classifier(which.eval(), "logits"), images, [0, 1], **rule)
            for which in (network, nn.Sequential(*folded))
        )
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_what_prepares_the_image_takes_nothing():
    network = plain((6, 7))
    images = torch.rand(2, 2, 6, 7, dtype=torch.float64)
    contract = InputContract(channels=2, mean=(0.3, 0.1), std=(0.5, 2.0))
    prepared = Classifier(SourcedNetwork(network, contract), "logits")
    mean, std = (torch.tensor(one, dtype=torch.float64).reshape(2, 1, 1) for one in (contract.mean, contract.std))
    for rule in RULES:
        bare = Classifier(network, "logits", intensity=Intensity(-9.0, 9.0))
        torch.testing.assert_close(
            relevance(prepared, images, [0, 1], **rule), relevance(bare, (images - mean) / std, [0, 1], **rule)
        )


class Gated(nn.Module):
    """A squeeze and excitation, whose gate multiplies what it is made of."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.gate, self.out = nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = torch.relu(self.one(x))
        gate = torch.sigmoid(self.gate(x.mean(dim=(2, 3))))
        return self.out((x * gate[:, :, None, None]).mean(dim=(2, 3)))


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.out = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(1, 2)

    def forward(self, x):
        return self.out((x + self.one(x)).mean(dim=(2, 3)))


def test_what_no_rule_is_known_for_is_named():
    images = torch.rand(2, 1, 12, 12)
    with pytest.raises(NetworkError, match="LRP has no rule for (1 Sigmoid, 1 Mul|1 Mul, 1 Sigmoid)"):
        relevance(Classifier(Gated().eval(), "logits"), images, [0, 1])
    assert bool(relevance(Classifier(Gated().eval(), "logits"), images, [0, 1], partial=True).any())
    with pytest.raises(NetworkError, match="the image goes on beside the first layer"):
        relevance(Classifier(Around().eval(), "logits"), images, [0, 1])
    with pytest.raises(NetworkError, match="sees none: an exported"):
        relevance(Classifier(torch.jit.trace(Around().eval(), images), "logits"), images, [0, 1])


@pytest.mark.parametrize(
    "wrong", [{"rule": "delta"}, {"epsilon": -1.0}, {"gamma": float("nan")}, {"alpha": 0.5}, {"alpha": float("inf")}]
)
def test_parameters_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match=r"expected (one of epsilon|epsilon and gamma)"):
        Lrp(**wrong)


class Normed(nn.Module):
    """Instance norm, or batch norm without statistics of its own."""

    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.norm, self.out = nn.Conv2d(1, 4, 3), norm, nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.one(x))).mean(dim=(2, 3)))


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False)])
def test_norms_by_the_image_itself_are_refused(norm):
    with pytest.raises(NetworkError, match="LRP has no rule for 1 NativeBatchNorm"):
        relevance(Classifier(Normed(norm).eval(), "logits"), torch.rand(2, 1, 12, 12), [0, 1])


def test_gamma_stays_of_the_size_of_the_score_below_0_too():
    """Before a sum outputs may be below 0, where weights raised above 0 alone would cancel."""
    for seed in range(4):
        network = Residual(2).double().eval()
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias)
                module.running_mean.normal_()
        images = torch.rand(4, 1, 8, 8, dtype=torch.float64)
        found = relevance(Classifier(network, "logits"), images, [0, 1, 2, 0], rule="gamma", flat=False)
        plain = relevance(Classifier(network, "logits"), images, [0, 1, 2, 0], rule="epsilon", flat=False)
        assert float(found.abs().sum()) < 3 * float(plain.abs().sum())


def test_half_precision_with_large_outputs():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        network[-1].weight.mul_(5000)
    images = torch.rand(2, 1, 12, 12)
    whole = relevance(Classifier(network.eval(), "logits"), images, [0, 1])
    half = relevance(Classifier(network.half(), "logits"), images.half(), [0, 1])
    assert float(network(images.half()).abs().max()) > 300
    torch.testing.assert_close(half.float(), whole, rtol=0.05, atol=0.01 * float(whole.abs().max()))


class Aside(nn.Module):
    """A mask that is made beside the path, without gradients."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.out = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        with torch.no_grad():
            aside = (self.two(x) > 0).to(x.dtype)
        return self.out((torch.relu(self.one(x)) * aside).mean(dim=(2, 3)))


def test_what_needs_no_gradient_is_left_alone():
    found = relevance(Classifier(Aside().eval(), "logits"), torch.rand(2, 1, 12, 12), [0, 1])
    assert bool(found.any())


class Casting(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.out = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.out(torch.relu(self.one(x)).mean(dim=(2, 3))).float()


def test_a_network_that_casts_within_itself_is_refused():
    with pytest.raises(NetworkError, match="casts within itself"):
        relevance(Classifier(Casting().eval(), "logits"), torch.rand(2, 1, 12, 12), [0, 1])


class Lengthwise(nn.Module):
    """Batch norm behind a dense layer of (N, L, F), over L."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.norm, self.out = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(16, 2)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.one(x[:, 0]))).flatten(1))


def test_batch_norm_along_another_axis_is_left_as_it_is():
    network, images = Lengthwise().double().eval(), torch.rand(3, 1, 4, 4, dtype=torch.float64)
    rule = SharedRelevance("epsilon", 0.0, 0.25, 1.0, False)
    seen = images.clone().requires_grad_(True)
    with rule.attached(network):
        found = network(seen)
    torch.testing.assert_close(found, network(images))


class Summed(nn.Module):
    """Channels are added up before the first layer, or averaged."""

    def __init__(self, mean):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.out, self.mean = nn.Conv2d(1, 4, 3, bias=False), nn.Linear(4, 2, bias=False), mean

    def forward(self, x):
        x = x.mean(dim=1, keepdim=True) if self.mean else x.sum(dim=1, keepdim=True)
        return self.out(torch.relu(self.one(1 - x)).mean(dim=(2, 3)))


def test_what_is_added_up_before_the_first_layer():
    images = torch.rand(2, 3, 12, 12, dtype=torch.float64) / 3
    with pytest.raises(NetworkError, match="LRP has no rule for 1 Sum"):
        relevance(Classifier(Summed(False).eval().double(), "logits"), images, [0, 1])
    network = Summed(True).eval().double()
    found = relevance(Classifier(network, "logits"), images, [0, 1], rule="epsilon", epsilon=0.0, flat=False)
    torch.testing.assert_close(found.flatten(1).sum(1), network(images)[range(2), [0, 1]].detach())


def test_small_weights_are_no_zeros():
    network = plain((6, 7), bias=False)
    images = torch.rand(2, 2, 6, 7, dtype=torch.float64)
    whole = relevance(Classifier(network, "logits"), images, [0, 1])
    with torch.no_grad():
        network[0].weight.mul_(1e-13)
    small = relevance(Classifier(network, "logits"), images, [0, 1])
    torch.testing.assert_close(1e13 * small, whole)


def test_networks_of_monai():
    classifier = Classifier(files.small_network(), "logits")
    assert bool(relevance(classifier, files.example(2), [0, 1]).isfinite().all())
