"""Attention and CDAM against what MONAI and transformers keep, and by hand."""

from functools import partial

import pytest
import torch
import transformers
from torch import nn
from torch.overrides import TorchFunctionMode

from conftest import convolutional, transformer
from tomolens.classifier import Classifier
from tomolens.classifier.sourced import SourcedNetwork
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import Cdam, IntegratedCdam, SmoothCdam, explain
from tomolens.estimators.cdam import NoisyTokens
from tomolens.estimators.planes import grid_of, of_tokens, on_the_grid
from tomolens.estimators.subject import Subject


class Logits(nn.Module):
    """The scores of a classifier of transformers."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).logits


def hugging_face(attention="eager"):
    torch.manual_seed(1)
    small = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 3}
    configuration = transformers.ViTConfig(image_size=16, patch_size=4, num_channels=1, num_labels=3, **small)
    configuration._attn_implementation = attention
    return Logits(transformers.ViTForImageClassification(configuration)).eval().double()


def monai(spatial=(16, 16), outputs=3, channels=1):
    return transformer(channels, outputs, spatial, 4 if len(spatial) == 2 else 2).double()


NETWORKS = {
    "monai": (monai(), (16, 16)),
    "monai, volumes": (monai((6, 8, 10), 2, 2), (6, 8, 10)),
    "transformers": (hugging_face(), (16, 16)),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    """A classifier, images, their targets, and the blocks of its network."""
    network, spatial = NETWORKS[request.param]
    torch.manual_seed(3)
    channels = 2 if len(spatial) == 3 else 1
    images = torch.rand(3, channels, *spatial, dtype=torch.float64)
    blocks = network.inner.vit.layers if request.param == "transformers" else network.blocks
    return Classifier(network, "logits"), images, [0, 1, 1], list(blocks)


def matrices(network, blocks, images, targets):
    """Attention matrices with their gradients, by what the softmax of each block returned."""
    kept = []

    class Keeping(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            made = function(*arguments, **(named or {}))
            if getattr(function, "__name__", "") == "softmax" and not any(made is one for one in kept):
                kept.append(made)
            return made

    with Keeping():
        scores = network(images)
    assert len(kept) == len(blocks)
    gradients = torch.autograd.grad(scores[range(len(images)), targets].sum(), kept)
    return [one.detach().double() for one in kept], [one.double() for one in gradients]


def wide(values, image):
    return on_the_grid(of_tokens(values, Subject(image, 0, "a", 0)), Subject(image, 0, "a", 0))


def test_attention_rollout_is_followed_by_hand(case):
    classifier, images, targets, blocks = case
    found = explain(classifier, images, ["attention-rollout"], targets)["attention-rollout"]
    kept, _ = matrices(classifier.network, blocks, images, targets)
    for number, image in enumerate(images):
        flow = torch.eye(kept[0].shape[-1], dtype=torch.float64)
        for matrix in kept:
            mixed = 0.5 * matrix[number].mean(dim=0) + 0.5 * torch.eye(len(flow), dtype=torch.float64)
            flow = mixed @ flow
        torch.testing.assert_close(found[number], wide(flow[0], image), rtol=1e-6, atol=1e-12)
        assert float(flow[0].sum()) == pytest.approx(1.0)


def test_gradient_attention_is_followed_by_hand(case):
    classifier, images, targets, blocks = case
    found = explain(classifier, images, ["gradient-attention"], targets)["gradient-attention"]
    kept, gradients = matrices(classifier.network, blocks, images, targets)
    for number, image in enumerate(images):
        flow = torch.eye(kept[0].shape[-1], dtype=torch.float64)
        for matrix, gradient in zip(kept, gradients, strict=True):
            flow = flow + (matrix[number] * gradient[number]).clamp(min=0).mean(dim=0) @ flow
        torch.testing.assert_close(found[number], wide(flow[0], image), rtol=1e-6, atol=1e-12)


def from_tokens(classifier, blocks, image, target, change=lambda tokens: tokens):
    """Tokens that enter the last attention, changed, and the score's gradient by them; by a hook of the test's own."""
    norm = getattr(blocks[-1], "norm1", None) or blocks[-1].layernorm_before
    kept = []

    def hook(module, given, output):
        kept.append(change(output.detach()).requires_grad_(True))
        return kept[0]

    handle = norm.register_forward_hook(hook)
    score = classifier.class_scores(image[None])[0, target]
    handle.remove()
    return kept[0][0].detach(), torch.autograd.grad(score, kept[0])[0][0]


def test_cdam_is_tokens_times_gradient(case):
    classifier, images, targets, blocks = case
    found = explain(classifier, images, ["cdam"], targets)["cdam"]
    for image, target, one in zip(images, targets, found, strict=True):
        tokens, gradient = from_tokens(classifier, blocks, image, target)
        wanted = wide((tokens * gradient).sum(dim=1), image)
        assert bool(wanted.any())
        torch.testing.assert_close(one, wanted, rtol=1e-6, atol=1e-12)


def test_integrated_cdam_goes_from_nothing(case):
    classifier, images, targets, blocks = case
    found = explain(classifier, images, [IntegratedCdam(4)], targets)["integrated-cdam"]
    for image, target, one in zip(images, targets, found, strict=True):
        whole, _ = from_tokens(classifier, blocks, image, target)
        gradients = [from_tokens(classifier, blocks, image, target, lambda t, k=k: t * k / 4)[1] for k in (1, 2, 3, 4)]
        wanted = wide((whole * sum(gradients) / 4).sum(dim=1), image)
        torch.testing.assert_close(one, wanted, rtol=1e-6, atol=1e-12)


def test_smooth_cdam_is_the_mean_over_noisy_tokens(case):
    classifier, images, targets, blocks = case
    found = explain(classifier, images, [SmoothCdam(3, 0.2)], targets, names=["a", "b", "c"], seed=2)["smooth-cdam"]
    for image, target, name, one in zip(images, targets, "abc", found, strict=True):
        subject, total = Subject(image, target, name, 2), 0.0
        for k in range(3):
            noisy = partial(NoisyTokens(0.2, k).of, subject=subject)
            change = lambda t, noisy=noisy: noisy(t[0])[None]  # noqa: E731
            tokens, gradient = from_tokens(classifier, blocks, image, target, change)
            total = total + (tokens * gradient).sum(dim=1) / 3
        torch.testing.assert_close(one, wide(total, image), rtol=1e-6, atol=1e-12)
    quiet = explain(classifier, images, [SmoothCdam(1, 0.0), "cdam"], targets)
    torch.testing.assert_close(quiet["smooth-cdam"], quiet["cdam"])


def test_attention_that_keeps_no_matrices_is_refused_with_how_to_get_them():
    network, images = hugging_face("sdpa"), torch.rand(2, 1, 16, 16, dtype=torch.float64)
    classifier = Classifier(network, "logits")
    with pytest.raises(NetworkError, match="attn_implementation='eager'"):
        explain(classifier, images, ["attention-rollout"])
    eager = Classifier(hugging_face(), "logits")
    with pytest.raises(NetworkError, match="it has no attention"):
        explain(Classifier(convolutional()), images.float(), ["gradient-attention"])
    one, other = (explain(which, images, ["cdam"], [0, 1])["cdam"] for which in (classifier, eager))
    torch.testing.assert_close(one, other)  # needs no matrices


def test_networks_without_tokens_are_refused():
    with pytest.raises(NetworkError, match="this estimator is of vision transformers"):
        explain(Classifier(convolutional()), torch.rand(2, 1, 16, 16), ["cdam"])


def test_a_layer_may_be_named_and_a_contract_stands_around_the_network():
    network, images = monai(), torch.rand(2, 1, 16, 16, dtype=torch.float64)
    classifier = Classifier(network, "logits")
    found = explain(classifier, images, ["cdam", Cdam("blocks.0.norm1")], [0, 1])
    named = explain(classifier, images, [Cdam("blocks.2.norm1")], [0, 1])["cdam"]
    assert torch.equal(found["cdam"], named)
    assert not torch.equal(found["cdam"], found["cdam(layer='blocks.0.norm1')"])
    sourced = Classifier(SourcedNetwork(network), "logits")
    assert torch.equal(explain(sourced, images, ["cdam"], [0, 1])["cdam"], named)


def test_grids_of_tokens():
    assert grid_of(16, (16, 16)) == ((16 // 4, 16 // 4), 0)
    assert grid_of(17, (16, 16)) == ((4, 4), 1)
    with pytest.raises(NetworkError, match="23 tokens make no grid of an image of 16 x 16"):
        grid_of(23, (16, 16))
    for estimator, given in (
        (SmoothCdam, {"samples": 0}),
        (SmoothCdam, {"sigma": -1.0}),
        (IntegratedCdam, {"steps": 0}),
    ):
        with pytest.raises(SettingsError, match="expected at least one"):
            estimator(**given)


class Windowed(nn.Module):
    """Attention within halves of the tokens, then over all."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm, self.out = nn.Conv2d(1, 6, 4, 4), nn.LayerNorm(6), nn.Linear(6, 2)

    def attend(self, x):
        x = x.unflatten(2, (2, 3)).transpose(1, 2)
        return (torch.softmax(x @ x.transpose(-1, -2), dim=-1) @ x).transpose(1, 2).flatten(2)

    def forward(self, images):
        x = self.norm(self.patch(images).flatten(2).transpose(1, 2))
        x = x + self.attend(x.unflatten(1, (2, 8)).flatten(0, 1)).unflatten(0, (-1, 2)).flatten(1, 2)
        return self.out((x + self.attend(x)).mean(dim=1))


@pytest.mark.parametrize("name", ["attention-rollout", "gradient-attention"])
def test_attention_within_windows_is_refused(name):
    with pytest.raises(NetworkError, match="1 of 2 attention layers look at parts of an image apart"):
        explain(Classifier(Windowed().eval(), "logits"), torch.rand(2, 1, 16, 16), [name], [0, 1])


class NormedQueries(nn.Module):
    """A block whose queries and keys are normed over their whole width."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm = nn.Conv2d(1, 6, 4, 4), nn.LayerNorm(6)
        self.q, self.k, self.v, self.out = (nn.Linear(6, size) for size in (6, 6, 6, 2))
        self.q_norm, self.k_norm = nn.LayerNorm(6), nn.LayerNorm(6)

    def forward(self, images):
        x = self.norm(self.patch(images).flatten(2).transpose(1, 2))
        q, k = self.q_norm(self.q(x)), self.k_norm(self.k(x))
        return self.out((torch.softmax(q @ k.transpose(-1, -2), dim=-1) @ self.v(x)).mean(dim=1))


def test_tokens_are_those_before_queries_and_keys():
    classifier, images = Classifier(NormedQueries().eval(), "logits"), torch.rand(2, 1, 16, 16)
    found = explain(classifier, images, ["cdam"], [0, 1])["cdam"]
    assert torch.equal(found, explain(classifier, images, [Cdam("norm")], [0, 1])["cdam"])


def test_layers_without_tokens_are_refused_by_their_name():
    classifier, images = Classifier(NormedQueries().eval(), "logits"), torch.rand(2, 1, 16, 16)
    with pytest.raises(NetworkError, match=r"layer 'out' puts out \(2,\) for an image, expected tokens"):
        explain(classifier, images, [Cdam("out")], [0, 1])
