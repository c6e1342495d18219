from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.classifier.classifier import as_channels_last
from tomolens.classifier.intensity import Intensity
from tomolens.classifier.numerics import REDUCED
from tomolens.errors import MapError, NetworkError, SettingsError
from tomolens.estimators import explain
from tomolens.estimators.explain import explain_each
from tomolens.metrics import fidelity


class Fixed(nn.Module):
    """Returns what it was given, whatever the image."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.as_tensor(value)

    def forward(self, x):
        return self.value + 0 * x.flatten(1).sum(1).reshape(-1, *([1] * (self.value.ndim - 1)))


ONE = torch.zeros(2, 1, 4, 4)


def test_one_neuron_speaks_for_both_classes():
    z = torch.tensor([[0.7], [-2.0]])
    scores = Classifier(Fixed(z)).class_scores(ONE)
    torch.testing.assert_close(scores, torch.cat([-z, z], 1))
    assert Classifier(Fixed(z)).predict(ONE).tolist() == [1, 0]
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE), torch.tensor([0.7, 2.0]))
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE, torch.tensor([0, 1])), torch.tensor([-0.7, -2.0]))
    torch.testing.assert_close(Classifier(Fixed(z)).scores(ONE, torch.tensor([1, 0])), torch.tensor([0.7, 2.0]))


def test_the_four_outputs_of_one_network_agree():
    z = torch.tensor([0.7, -2.0])
    logits = torch.stack([torch.zeros(2), z], 1)
    wanted = torch.stack([-z, z], 1)
    probability = torch.sigmoid(z)
    for network, output in ((z, "logit"), (probability, "probability")):
        torch.testing.assert_close(Classifier(Fixed(network), output).class_scores(ONE), wanted)
    torch.testing.assert_close(Classifier(Fixed(logits), "logits").class_scores(ONE), logits)
    torch.testing.assert_close(Classifier(Fixed(logits.softmax(1)), "probabilities").class_scores(ONE), wanted)
    both = torch.stack([1 - probability, probability], 1)
    for network, output in ((z, "logit"), (probability, "probability"), (logits, "logits"), (both, "probabilities")):
        torch.testing.assert_close(Classifier(Fixed(network), output, "probability").class_scores(ONE), both)


@pytest.mark.parametrize(
    ("value", "output", "message"),
    [
        (torch.zeros(2, 3), "logit", r"shape \(2, 3\) for 2 images; output='logit' expects \(N,\) or \(N, 1\)"),
        (torch.zeros(2, 1), "logits", r"expects \(N, classes\)"),
        (torch.tensor([0.0, float("nan")]), "logit", "1 values that are not finite"),
        (torch.tensor([0.3, -1.2]), "probability", "values from -1.2 to 2.2; .* is it output='logit'"),
        (torch.tensor([[0.3, 0.9], [0.5, 0.5]]), "probabilities", "rows that miss a sum of 1 by 0.2"),
    ],
)
def test_outputs_that_do_not_fit(value, output, message):
    with pytest.raises(NetworkError, match=message):
        Classifier(Fixed(value), output).class_scores(ONE)


def test_wrong_words_are_refused():
    with pytest.raises(SettingsError, match="output 'softmax', expected one of logit, probability"):
        Classifier(Fixed(torch.zeros(2)), "softmax")
    with pytest.raises(NetworkError, match="target class 4, but the network has the classes 0 to 1"):
        Classifier(Fixed(torch.zeros(2))).scores(ONE, torch.tensor([0, 4]))
    with pytest.raises(SettingsError, match="unknown architecture 'resnet5': did you mean"):
        build("resnet5")


def test_frozen_gives_everything_back_even_after_an_error():
    network = convolutional().train()
    network[0].weight.requires_grad_(False)
    before = state_of(network)

    def fail_inside():
        with Classifier(network).frozen():
            assert not network.training
            assert not any(weight.requires_grad for weight in network.parameters())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert_same_state(before, state_of(network))


def test_a_saturated_probability_as_score_is_a_failure_too(images):
    sure = Ending(lambda x: x, scale=1e4).eval()
    for classifier in (
        Classifier(sure, score="probability"),
        Classifier(Ending(torch.sigmoid, scale=1e4).eval(), "probability", "probability"),
        Classifier(Ending(lambda x: torch.softmax(1e4 * x, 1), outputs=3).eval(), "probabilities", "probability"),
    ):
        explained = explain_each(classifier, images, ["backpropagation", "smoothgrad-squared", "random"])
        assert list(explained.maps) == ["random"]
        assert all("explain the logit" in str(error) for error in explained.failed.values())


@pytest.mark.parametrize("kind", ["one class of two", "one class of three", "both classes of a sigmoid"])
def test_parts_of_an_activation_are_seen_through(kind, images):
    def ends(x):
        if kind == "both classes of a sigmoid":
            p = torch.sigmoid(x[:, :1])
            return torch.cat([1 - p, p], dim=1)
        return torch.softmax(x, dim=1)[:, 1]

    outputs = 3 if kind == "one class of three" else 2
    whole = "probabilities" if kind == "both classes of a sigmoid" else "probability"
    saturated = Ending(ends, outputs=outputs, scale=1e4).eval()

    def odds(x):
        if kind == "both classes of a sigmoid":
            return x[:, 0]
        return x[:, 1] - torch.logsumexp(torch.cat([x[:, :1], x[:, 2:]], dim=1), dim=1)

    found = explain(Classifier(saturated, whole), images, ["backpropagation"], [1] * 5)["backpropagation"]
    expected = explain(
        Classifier(Ending(odds, outputs=outputs, scale=1e4).eval()), images, ["backpropagation"], [1] * 5
    )
    torch.testing.assert_close(found, expected["backpropagation"], rtol=1e-4, atol=1e-3)


def test_a_class_that_is_masked_before_the_softmax_is_no_trouble(images):
    def without_the_last(x):
        return torch.softmax(torch.cat([x[:, :2], torch.full_like(x[:, :1], -torch.inf)], dim=1), dim=1)

    classifier = Classifier(Ending(without_the_last, outputs=3).eval(), "probabilities")
    assert explain(classifier, images, ["backpropagation"], [1] * 5)["backpropagation"].any()


ENDS = {
    "module": lambda: nn.Sequential(convolutional(), nn.Sigmoid()),
    "function": lambda: Ending(torch.sigmoid),
    "method": lambda: Ending(lambda x: x.sigmoid()),
    "without its axis": lambda: Ending(lambda x: torch.sigmoid(x).squeeze(1)),
}


class Ending(nn.Module):
    """A network of logits with an end of one's own."""

    def __init__(self, end, outputs=1, scale=1.0):
        super().__init__()
        self.body, self.end, self.scale = convolutional(outputs=outputs), end, scale

    def forward(self, x):
        return self.end(self.scale * self.body(x))


NAMES = ["backpropagation", "deconvolution", "integrated-gradients"]


@pytest.mark.parametrize("end", ENDS)
def test_a_sigmoid_at_the_end_is_seen_through(end, images):
    expected = explain(Classifier(convolutional()), images, NAMES, [0, 1, 0, 1, 1])
    found = explain(Classifier(ENDS[end]().eval(), "probability"), images, NAMES, [0, 1, 0, 1, 1])
    for name in NAMES:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-7)


def test_a_saturated_sigmoid_is_seen_through(images):
    sure = Ending(torch.sigmoid, scale=1e4).eval()
    assert set(Classifier(sure, "probability", "probability").class_scores(images).unique().tolist()) == {0.0, 1.0}
    found = explain(Classifier(sure, "probability"), images, ["backpropagation"], [1] * 5)["backpropagation"]
    expected = explain(Classifier(convolutional()), images, ["backpropagation"], [1] * 5)["backpropagation"]
    torch.testing.assert_close(found / 1e4, expected, rtol=1e-4, atol=1e-7)


def test_a_softmax_of_three_classes_is_seen_through(images):
    expected = explain(Classifier(convolutional(outputs=3), "logits"), images, NAMES, [0, 1, 2, 0, 1])
    ending = Ending(lambda x: torch.softmax(x, 1), outputs=3).eval()
    found = explain(Classifier(ending, "probabilities"), images, NAMES, [0, 1, 2, 0, 1])
    for name in NAMES:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-7)


def hidden(x):
    """A sigmoid that no one sees."""
    return 1 / (1 + torch.exp(-x))


def test_probability_and_probabilities_of_one_network_give_the_same_maps(images):
    both = Ending(lambda x: torch.cat([1 - hidden(x), hidden(x)], 1)).eval()
    one, other = (
        explain(Classifier(network, output), images, ["backpropagation", "integrated-gradients"], [0, 1, 1, 0, 1])
        for network, output in ((Ending(hidden).eval(), "probability"), (both, "probabilities"))
    )
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)
    explained = explain_each(Classifier(both, "probabilities"), images, ["backpropagation"])
    assert explained.notes == {"backpropagation": "of the log-odds: the network's softmax could not be seen through"}


def test_a_map_that_is_zero_by_clamping_is_a_failure_and_others_are_noted(images):
    sure = Classifier(Ending(hidden, scale=300.0).eval(), "probability")
    assert (sure.class_scores(images).abs() > 16).all()
    with pytest.raises(NetworkError, match=r"backpropagation of image 0 is 0 everywhere, because .*score='logit'"):
        explain(sure, images, ["backpropagation"])
    explained = explain_each(sure, images, ["backpropagation", "random"])
    assert list(explained.maps) == ["random"]


def test_the_share_of_clamped_points_is_told():
    class Rising(nn.Module):
        def forward(self, x):
            return hidden(40.0 * x.mean(dim=(1, 2, 3)) - 20.0)

    # On the way from black to 0.9 the logit is -20 + 36 k / 25: below log(1e-7) = -16.1 for k = 1 and 2 of 25.
    explained = explain_each(
        Classifier(Rising(), "probability"), torch.full((1, 1, 4, 4), 0.9), ["integrated-gradients"]
    )
    assert explained.notes == {"integrated-gradients": "the score is saturated at 8 % of the points of its gradients"}


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu"),
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float32 with fewer bits": lambda: fewer_bits("high"),
    "float32 with bf16": lambda: fewer_bits("medium"),
    "cuDNN that tunes": lambda: torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True),
}


@contextmanager
def fewer_bits(precision):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_surrounds_a_call_does_not_show(name, images):
    wide = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 1)).eval()
    for module in (wide, convolutional()):
        classifier = Classifier(module)
        expected = explain(classifier, images, NAMES, [1] * 5), classifier.predicted_scores(images)
        with SURROUNDINGS[name]():
            around = torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.get_float32_matmul_precision()
            given = images.clone()
            found = explain(classifier, given, NAMES, [1] * 5), classifier.predicted_scores(given)
            after = torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.get_float32_matmul_precision()
        assert around == after
        assert all(torch.equal(found[0][one], expected[0][one]) for one in NAMES)
        np.testing.assert_array_equal(found[1], expected[1])


def test_inside_the_block_every_backend_multiplies_with_all_bits():
    with fewer_bits("medium"):
        before = [part.fp32_precision for part in REDUCED]
        with Classifier(convolutional()).frozen():
            assert {part.fp32_precision for part in REDUCED} <= {"ieee", "none"}
            assert torch.backends.cudnn.deterministic
            assert not torch.backends.cudnn.benchmark
        assert [part.fp32_precision for part in REDUCED] == before
    assert not torch.backends.cudnn.deterministic


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_maps_on_a_gpu_are_the_same_twice(images):
    torch.backends.cuda.matmul.allow_tf32 = True
    one, other = (explain(Classifier(convolutional().cuda()), images, NAMES, [1] * 5) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in NAMES)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floating_types_work_or_are_refused(kind, images):
    classifier = Classifier(convolutional().to(kind))
    maps = explain(classifier, images.to(kind), ["backpropagation", "smoothgrad-squared"], [1] * 5)
    expected = explain(Classifier(convolutional()), images, ["backpropagation", "smoothgrad-squared"], [1] * 5)
    for name, found in maps.items():
        assert found.dtype == torch.promote_types(kind, torch.float32)
        assert np.corrcoef(found.flatten(), expected[name].flatten())[0, 1] > 0.9
    assert fidelity(classifier, images.to(kind), [0, 1, 0, 1, 0], maps["backpropagation"].to(kind)).area is not None
    with pytest.raises(MapError, match=r"images are torch.float32, the network's weights torch\."):
        explain(classifier, images, ["backpropagation"])


def test_images_out_of_range_are_refused_until_the_range_is_declared(images):
    scaled = 4.0 * images - 2.0
    words = (
        r"reach from -1.999 to 1.998, and the classifier takes 0 \(black\) to 1 \(white\): .* declare .*"
        r"intensity=Intensity\(black="
    )
    with pytest.raises(MapError, match=words):
        explain(Classifier(convolutional()), scaled, ["backpropagation"])
    with pytest.raises(MapError, match=words):
        fidelity(Classifier(convolutional()), scaled, [0] * 5, scaled)


def test_black_and_white_are_what_the_network_was_trained_on(images):
    class Standardised(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            return self.inner((x + 2.0) / 4.0)

    names = ["integrated-gradients", "integrated-gradients-bw", "smoothgrad"]
    own = Classifier(Standardised().eval(), intensity=Intensity(-2.0, 2.0))
    usual, scaled = Classifier(convolutional()), 4.0 * images - 2.0
    expected, found = explain(usual, images, names, [1] * 5), explain(own, scaled, names, [1] * 5)
    torch.testing.assert_close(found["integrated-gradients"], expected["integrated-gradients"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        found["integrated-gradients-bw"], expected["integrated-gradients-bw"], rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(4 * found["smoothgrad"], expected["smoothgrad"], rtol=1e-4, atol=1e-6)
    for fill in ("label", 0.25, "mean", "blur", "road"):
        decisions = [
            fidelity(classifier, given, [0, 1, 0, 1, 0], images, fill=fill, steps=8).decisions
            for classifier, given in ((usual, images), (own, scaled))
        ]
        np.testing.assert_array_equal(*decisions)


def test_predictions_do_not_depend_on_the_batch(images):
    classifier = Classifier(convolutional(outputs=4), "logits")
    whole = classifier.predicted_scores(images)
    np.testing.assert_allclose(classifier.predicted_scores(images, 1), whole, rtol=1e-5, atol=1e-6)


def test_the_papers_network_has_its_shape():
    network = build("resnet50").eval()
    assert network.conv1.stride == (2, 2)
    assert network.conv1.in_channels == 1
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(23.5e6, rel=0.01)
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 1)


@pytest.mark.parametrize("shape", [(3, 1, 5, 7), (3, 2, 5, 7), (2, 1, 4, 5, 6), (2, 3, 4, 5, 6), (4, 9)])
def test_channels_last_changes_strides_and_nothing_else(shape):
    images = torch.rand(shape)
    laid = as_channels_last(images)
    assert torch.equal(laid, images)
    assert laid.ndim == 2 or laid.stride(1) == 1
    images.requires_grad_(True)
    (as_channels_last(images) ** 2).sum().backward()
    torch.testing.assert_close(images.grad, 2 * images.detach())


def test_the_probability_of_a_class_is_that_of_the_network(images):
    logits = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 3))
    scores = Classifier(logits, "logits").predicted_scores(images)
    expected = torch.softmax(logits(images), dim=1).detach().numpy()
    for index in range(3):
        np.testing.assert_allclose(
            Classifier(logits, "logits").probability_of(scores, index), expected[:, index], rtol=1e-5
        )
    one = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 1))
    single = Classifier(one, "logit")
    found = [single.probability_of(single.predicted_scores(images), index) for index in (0, 1)]
    np.testing.assert_allclose(found[1], torch.sigmoid(one(images))[:, 0].detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found[0] + found[1], 1.0, rtol=1e-5)
    as_score = Classifier(one, "logit", score="probability")
    np.testing.assert_allclose(as_score.probability_of(as_score.predicted_scores(images), 1), found[1], rtol=1e-5)
    hidden = Classifier(nn.Sequential(logits, nn.Softmax(dim=1)), "probabilities")
    assert np.isnan(hidden.probability_of(hidden.predicted_scores(images), 0)).all()
