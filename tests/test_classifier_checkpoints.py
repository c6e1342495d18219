"""Gradients of networks that are run again in segments: the same bits, and less that is kept."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from conftest import FunctionalReluNetwork, convolutional, transformer
from quick_study import quick_study, tables
from tomolens.classifier import Classifier, checkpoints, quick
from tomolens.classifier.architectures import build
from tomolens.classifier.checkpoints import in_segments
from tomolens.classifier.following import gradient
from tomolens.classifier.patches import Patches
from tomolens.classifier.quick import folded_fp32
from tomolens.classifier.sourced import SourcedNetwork
from tomolens.estimators.explain import explain, explain_each
from tomolens.report import write


class Residual(nn.Module):
    """Writes in place in every way, into what others read too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(6))
        self.first, self.last, self.swish = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 1), nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            y = layer(x)
            y = self.swish(y)
            y += x
            y.mul_(0.5)
            x = functional.hardswish(y, inplace=True)
        return self.last(x.mean(dim=(2, 3)))


def built(name, **arguments):
    torch.manual_seed(0)
    return build(name, **arguments).eval()


NETWORKS = {
    "slices": (lambda: convolutional(), (16, 16)),
    "volumes": (lambda: convolutional(dimensions=3), (8, 8, 8)),
    "in place": (Residual, (16, 16)),
    "functions": (lambda: FunctionalReluNetwork("in place").eval(), (16, 16)),
    "resnet18": (lambda: built("resnet18", dimensions=3), (32, 32, 32)),
    "densenet": (lambda: built("monai:DenseNet121"), (32, 32)),
    "efficient": (lambda: built("monai:EfficientNetBN"), (32, 32)),
    "local": (lambda: built("local", dimensions=3), (24, 24, 24)),
    "with a contract": (lambda: SourcedNetwork(convolutional()), (16, 16)),
}


def kept(network, images):
    """Numbers that are kept between the passes."""
    sizes = []

    def keep(tensor):
        sizes.append(0 if isinstance(tensor, nn.Parameter) else tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images.clone().requires_grad_(True)).sum()
    return sum(sizes)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_have_the_same_bits(name, folded):
    make, shape = NETWORKS[name]
    images = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    plain = Classifier(make())
    plain = plain.with_folded(images[:1]) if folded else plain
    spared = plain.with_checkpoints(images[:1])
    assert spared.folded is not None
    assert spared.network is plain.network
    asked = ["backpropagation", "smoothgrad-squared"]
    wanted, found = (explain(one, images, asked, [1, 1]) for one in (plain, spared))
    for one in asked:
        assert torch.equal(found[one], wanted[one])
        assert wanted[one].any()
    for weight in spared.folded.parameters():
        weight.requires_grad_(False)
    assert kept(spared.folded, images) < 0.75 * kept(plain.for_gradients.network, images)


RULES = ["deconvolution", "guided-backpropagation", "rectified-gradient", "lrp"]


@pytest.mark.parametrize("name", RULES)
def test_rules_of_rectifiers_and_layers_hold_when_they_run_again(name):
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = Classifier(convolutional())
    wanted, found = (explain_each(one, images, [name], [1, 1]) for one in (plain, plain.with_checkpoints(images[:1])))
    assert not found.failed
    torch.testing.assert_close(found.maps[name], wanted.maps[name])


def test_what_cannot_be_followed_is_left_as_it_is():
    classifier, image = Classifier(transformer()), torch.rand(1, 1, 16, 16)
    assert in_segments(classifier.network, image) is None
    assert classifier.with_checkpoints(image) is classifier

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            return self.inner(x) + torch.rand(1)

    assert in_segments(Noisy().eval(), image) is None


def test_a_network_of_patches_or_of_one_label_is_run_again_within():
    images = torch.rand(2, 1, 24, 24)
    labels = Classifier(convolutional(outputs=3), "logits", task="labels")
    for one in (labels.of_label(1), labels.of_label(1).in_patches(Patches(16, batch=2))):
        spared = one.with_checkpoints(images[:1])
        assert spared.folded is not None
        wanted, found = (explain(each, images, "backpropagation", [1, 1]) for each in (one, spared))
        assert torch.equal(found["backpropagation"], wanted["backpropagation"])


class SmallMemory(nn.Module):
    """Does not fit where it is asked for gradients whole; `torch.fx` sees what is in it and not this."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.asked = inner, 0

    def forward(self, x):
        return self.inner(x)


def refusing(network):
    """A hook is of the module that is called, and not of its segments."""

    def hook(module, given):
        if torch.is_grad_enabled():
            network.asked += 1
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    network.register_forward_pre_hook(hook)
    return network


def test_where_one_image_does_not_fit_it_is_run_again_in_segments():
    images = torch.rand(3, 1, 16, 16)
    network = refusing(SmallMemory(convolutional()))
    found = explain(Classifier(network), images, "smoothgrad", [1] * 3, batch_size=8)["smoothgrad"]
    wanted = explain(Classifier(convolutional()), images, "smoothgrad", [1] * 3, batch_size=8)["smoothgrad"]
    torch.testing.assert_close(found, wanted)
    assert network.asked == 5  # of 8, 4, 2 and 1, and whether segments have the same gradients
    attending = refusing(SmallMemory(transformer()))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        explain(Classifier(attending), images, "backpropagation", [1] * 3)


def test_a_study_with_checkpoints_has_the_same_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", lambda *_: iter(()))
    plain = quick_study(count=8)
    spared = replace(
        plain,
        settings=plain.settings.model_copy(
            update={"resources": plain.settings.resources.model_copy(update={"checkpoint": True})}
        ),
    )
    plain.run(tmp_path / "plain", workers=1)
    spared.run(tmp_path / "spared", workers=1)
    assert tables(tmp_path / "plain") == tables(tmp_path / "spared")


class Passing(torch.autograd.Function):
    """1 where something is positive, with the gradient of what it was given."""

    @staticmethod
    def forward(context, x):
        return (x > 0).float()

    @staticmethod
    def backward(context, gradient):
        return gradient


class OwnGradients(nn.Module):
    """Of a part without gradients, or with gradients of its own: `torch.fx` keeps neither."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.kind = kind

    def forward(self, x):
        x = self.norm(self.first(x))
        if self.kind == "no gradient":
            with torch.no_grad():
                mask = torch.sigmoid(x)
            x = x * mask
        elif self.kind == "own gradient":
            x = x * Passing.apply(x)
        return self.last(x.mean((2, 3)))


@pytest.mark.parametrize("kind", ["no gradient", "own gradient"])
def test_gradients_that_tracing_drops_leave_a_network_as_it_is(kind):
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    network = OwnGradients(kind).eval()
    classifier = Classifier(network, "logits")
    assert classifier.with_checkpoints(images[:1]).folded is None
    assert classifier.with_folded(images).folded is None
    torch.testing.assert_close(folded_fp32(network, images)(images), network(images))  # for decisions
    plain = Classifier(OwnGradients("").eval(), "logits")
    assert plain.with_checkpoints(images[:1]).folded is not None
    assert plain.with_folded(images).folded is not None


def test_gradients_are_compared_too(monkeypatch):
    """Whatever else tracing may drop."""
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    classifier = Classifier(OwnGradients("no gradient").eval(), "logits")
    for module in (checkpoints, quick):
        monkeypatch.setattr(module, "followed", fx.symbolic_trace)
    assert classifier.with_checkpoints(images[:1]).folded is None
    assert classifier.with_folded(images).folded is None


class WritingIntoAView(nn.Module):
    """Of what some operations before it made."""

    def __init__(self, before):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.before = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2), before

    def forward(self, x):
        x = self.first(x)
        for _ in range(self.before):
            x = x * 1.1
        x.flatten(2).mul_(0.5)
        return self.last((x * x).mean((2, 3)))


def test_a_segment_that_writes_into_a_view_of_its_input_is_given_the_same_again():
    images = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    made = 0
    for before in range(8):
        network = WritingIntoAView(before).eval()
        spared = checkpoints._in_segments(network)
        if torch.equal(spared(images), network(images)):
            made += 1
            assert torch.equal(gradient(spared, images), gradient(network, images)), before
    assert made > 2
