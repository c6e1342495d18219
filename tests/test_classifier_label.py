"""Classes and labels: scores and decisions against formulas written out in float64."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conftest import convolutional
from quick_study import quick_cases, quick_study
from tomolens.api import Study
from tomolens.classifier import Classifier
from tomolens.classifier import quick as backends
from tomolens.classifier.classifier import PROBABILITY_MARGIN
from tomolens.classifier.decisions import decide
from tomolens.classifier.identity import identity_of
from tomolens.classifier.label import OneLabel
from tomolens.classifier.quick import Quick
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators import explain

ONE = torch.zeros(4, 1, 2, 2, dtype=torch.float64)
LOGITS = np.array([[0.7, -2.0, 0.0], [3.0, 3.0, -1.0], [-0.5, -0.1, -4.0], [0.0, 0.0, 0.0]])


class Fixed(nn.Module):
    """Returns what it was given, whatever the image."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))

    def forward(self, images):
        return self.values + 0 * images.flatten(1).sum(1).reshape(-1, *[1] * (self.values.ndim - 1))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def both(one):
    return np.stack([1 - one, one], axis=1)


Z = LOGITS[:, 0]
CLASSIFIERS = {
    "one neuron": (Z, "logit", "classes", np.stack([-Z, Z], 1), both(sigmoid(Z))),
    "one probability": (sigmoid(Z), "probability", "classes", np.stack([-Z, Z], 1), both(sigmoid(Z))),
    "two classes": (LOGITS[:, :2], "logits", "classes", LOGITS[:, :2], softmax(LOGITS[:, :2])),
    "three classes": (LOGITS, "logits", "classes", LOGITS, softmax(LOGITS)),
    "three probabilities": (
        softmax(LOGITS),
        "probabilities",
        "classes",
        np.log(softmax(LOGITS) / (1 - softmax(LOGITS))),
        softmax(LOGITS),
    ),
    "one label": (LOGITS[:, :1], "logits", "labels", LOGITS[:, :1], sigmoid(LOGITS[:, :1])),
    "three labels": (LOGITS, "logits", "labels", LOGITS, sigmoid(LOGITS)),
    "three labels' probabilities": (sigmoid(LOGITS), "probabilities", "labels", LOGITS, sigmoid(LOGITS)),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_are_those_of_the_formulas(name):
    values, output, task, logits, probabilities = CLASSIFIERS[name]
    for score, wanted in (("logit", logits), ("probability", probabilities)):
        scored = Classifier(Fixed(values), output, score, task=task).scored(ONE)
        np.testing.assert_allclose(scored.scores.detach().numpy(), wanted, atol=1e-12)
        assert scored.clamped.shape == wanted.shape
        assert not scored.clamped.any()
        assert scored.log_odds == (name == "three probabilities" and score == "logit")


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_is_decided_follows_from_the_scores(name, score):
    values, output, task, logits, _ = CLASSIFIERS[name]
    classifier = Classifier(Fixed(values), output, score, task=task)
    scores = classifier.class_scores(ONE)
    count = logits.shape[1]
    for kind in range(count):
        if task == "labels":
            wanted = LOGITS[:, kind] > 0
        elif count == 2 and logits is not CLASSIFIERS["two classes"][3]:
            wanted = Z > 0 if kind else Z <= 0  # exactly 0 is class 0
        else:
            wanted = [kind == min(range(count), key=lambda one: (-round(row[one], 9), one)) for row in logits]
        kinds = torch.full((4,), kind)
        np.testing.assert_array_equal(classifier.decided(scores, kinds), wanted)
        np.testing.assert_array_equal(classifier.decided(scores.detach().numpy(), kinds.numpy()), wanted)
        if task == "classes":
            np.testing.assert_array_equal(classifier.predict(ONE) == kind, wanted)
    with pytest.raises(NetworkError, match=f"target class {count}, but the network has the classes 0 to {count - 1}"):
        classifier.decided(scores, torch.full((4,), count))
    if task == "classes":
        np.testing.assert_array_equal(decide(classifier, lambda numbers: ONE, 4, 4).classes, classifier.predict(ONE))
        return
    with pytest.raises(SettingsError, match="decisions are between classes: give one of several labels"):
        decide(classifier, lambda numbers: ONE, 4, 4)


def test_labels_near_0_and_1_are_clamped_as_one_neuron_is():
    margin = PROBABILITY_MARGIN
    values = np.array([0.0, margin / 2, 2 * margin, 0.5, 1 - 2 * margin, 1 - margin / 2, 1.0])
    images = torch.zeros(7, 1, 2, 2, dtype=torch.float64)
    neuron = Classifier(Fixed(values), "probability").scored(images)
    label = Classifier(Fixed(np.stack([values, values[::-1]], 1)), "probabilities", task="labels")
    scored = label.scored(images)
    assert torch.equal(scored.scores[:, 0], neuron.scores[:, 1])
    assert torch.equal(scored.scores[:, 1].flip(0), neuron.scores[:, 1])
    assert (
        scored.clamped[:, 0].tolist() == neuron.clamped[:, 1].tolist() == [True, True, False, False, False, True, True]
    )
    scored.scores[:, 0].sum().backward()
    gradient = label.network.values.grad[:, 0]
    wanted = np.where(scored.clamped[:, 0], 0.0, 1 / (values * (1 - values) + scored.clamped[:, 0].numpy()))
    np.testing.assert_allclose(gradient, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "output", "message"),
    [
        ([[0.2, 1.4]] * 4, "probabilities", r"values from 0.2 to 1.4; .* is it output='logits'"),
        ([0.2] * 4, "logits", r"returned shape \(4,\) for 4 images; output='logits' expects \(N, labels\)"),
    ],
)
def test_outputs_that_are_no_labels(values, output, message):
    with pytest.raises(NetworkError, match=message):
        Classifier(Fixed(values), output, task="labels").class_scores(ONE)


def test_labels_need_an_output_for_each():
    for output in ("logit", "probability"):
        with pytest.raises(SettingsError, match=f"labels with output '{output}', expected logits or probabilities"):
            Classifier(Fixed(LOGITS), output, task="labels")
    with pytest.raises(SettingsError, match="task 'label', expected one of classes, labels"):
        Classifier(Fixed(LOGITS), "logits", task="label")
    labels = Classifier(Fixed(LOGITS), "logits", task="labels")
    with pytest.raises(SettingsError, match="labels with a quick backend"):
        replace(labels, quick=Quick("folded-fp32", labels.network, 4))


class Ending(nn.Module):
    """A network of logits with an end of one's own."""

    def __init__(self, end, outputs, scale=1.0):
        super().__init__()
        self.body, self.end, self.scale = convolutional(outputs=outputs), end, scale

    def forward(self, x):
        return self.end(self.scale * self.body(x))


def softmax_of(x):
    return torch.softmax(x, 1)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_sigmoid_of_labels_is_seen_through(images, scale):
    plain = Classifier(convolutional(outputs=3), "logits", task="labels")
    ending = Classifier(Ending(torch.sigmoid, 3, scale).eval(), "probabilities", task="labels")
    torch.testing.assert_close(ending.class_scores(images) / scale, plain.class_scores(images), rtol=1e-5, atol=1e-6)
    names = ["backpropagation", "integrated-gradients"]
    wanted = explain(plain, images, names, [0, 1, 2, 0, 1])
    found = explain(ending, images, names, [0, 1, 2, 0, 1])
    for name in names:
        torch.testing.assert_close(found[name] / scale, wanted[name], rtol=1e-4, atol=1e-6)


def test_a_softmax_is_no_sigmoid_of_labels(images):
    network = Ending(softmax_of, 3).eval()
    labels = Classifier(network, "probabilities", task="labels")
    p = softmax_of(convolutional(outputs=3)(images)).double()
    torch.testing.assert_close(labels.class_scores(images).double(), torch.log(p / (1 - p)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("index", [0, 2])
def test_one_label_is_a_network_of_one_neuron(images, index):
    plain = Classifier(convolutional(outputs=3), "logits", task="labels")
    z = plain.class_scores(images)[:, index]
    for network, output, single in (
        (convolutional(outputs=3), "logits", "logit"),
        (Ending(torch.sigmoid, 3).eval(), "probabilities", "probability"),
    ):
        whole = Classifier(network, output, task="labels")
        one = whole.of_label(index)
        assert (one.output, one.task) == (single, "classes")
        torch.testing.assert_close(one.class_scores(images), torch.stack([-z, z], 1), rtol=1e-5, atol=1e-6)
        wanted = whole.decided(whole.class_scores(images), np.full(5, index))
        np.testing.assert_array_equal(one.predict(images) == 1, wanted)
        found = explain(one, images, ["backpropagation"], [1] * 5)["backpropagation"]
        torch.testing.assert_close(found, explain(plain, images, ["backpropagation"], [index] * 5)["backpropagation"])
    saturated = Classifier(Ending(torch.sigmoid, 3, 1e4).eval(), "probabilities", task="labels").of_label(index)
    torch.testing.assert_close(saturated.class_scores(images)[:, 1] / 1e4, z, rtol=1e-5, atol=1e-6)


def test_one_label_can_be_sent_and_named():
    whole = Classifier(convolutional(outputs=3), "logits", task="labels")
    one = whole.of_label(1)
    sent = pickle.loads(pickle.dumps(one))
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(sent.class_scores(images), one.class_scores(images))
    assert identity_of(sent) == identity_of(one)
    assert identity_of(one)["structure"] != identity_of(whole.of_label(2))["structure"]
    as_classes = identity_of(Classifier(whole.network, "logits"))
    assert identity_of(whole) == as_classes | {"task": "labels"} != as_classes
    with pytest.raises(NetworkError, match=r"no label 3: the network returned shape \(2, 3\), expected \(N, labels\)"):
        whole.of_label(3).class_scores(images)
    for wrong, index in ((whole, -1), (one, 0)):
        with pytest.raises(SettingsError, match=r"expected task='labels', index from 0 on"):
            wrong.of_label(index)


def test_backends_are_for_one_label_and_not_for_all(monkeypatch):
    monkeypatch.setattr(backends, "TRYING_PAYS", 0.0)
    whole = Classifier(convolutional(outputs=3), "logits", task="labels")
    example = torch.rand(8, 1, 16, 16)
    assert whole.quickened(example, 10**9) is whole
    folded = backends.folded_fp32(OneLabel(whole.network, 1), example)
    with torch.inference_mode():
        torch.testing.assert_close(folded(example), whole.network(example)[:, 1], rtol=1e-4, atol=1e-5)


def test_a_study_of_one_label(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    whole = Classifier(network, "logits", task="labels")
    findings = Study(quick_study().settings, cases=quick_cases(), classifier=whole.of_label(2)).run(tmp_path, workers=1)
    assert len(findings.measured.failed) == 0
    predicted = findings.measured.cases["predicted"].to_numpy()
    images = torch.from_numpy(quick_cases().images())
    assert set(predicted) <= {0, 1}
    np.testing.assert_array_equal(predicted, whole.positive(whole.class_scores(images))[:, 2].astype(int))
