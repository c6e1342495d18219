"""Two classifiers of one identity give the same numbers; whatever changes them changes it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from conftest import convolutional
from quick_study import Moody, quick_cases, quick_study
from tomolens.api import Study
from tomolens.classifier import Classifier
from tomolens.classifier.identity import identity_of
from tomolens.classifier.intensity import Intensity
from tomolens.errors import SettingsError


def without_relu():
    network = convolutional()
    network[2] = nn.Identity()
    return network


class Halved(nn.Module):
    """The same weights and modules as `Doubled`, and other code."""

    def __init__(self):
        super().__init__()
        self.inner = convolutional()

    def forward(self, x):
        return self.inner(x) / 2


class Doubled(Halved):
    def forward(self, x):
        return self.inner(x) * 2


class WithMean(nn.Module):
    """What a network may hold beside its weights."""

    def __init__(self, mean=0.0, scale=1.0, activation=functional.relu):
        super().__init__()
        self.inner, self.scale, self.activation = convolutional(), scale, activation
        self.register_buffer("mean", torch.tensor(mean), persistent=False)

    def forward(self, x):
        return self.scale * self.inner(self.activation(x - self.mean))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = convolutional()

    def forward(self, x):
        return self.head(self.inner(x))


def heir(sign):
    """Two classes of one name and code, whose bases differ in theirs."""

    class Positive(Plain):
        def head(self, x):
            return x

    class Negative(Plain):
        def head(self, x):
            return -x

    return type("Heir", (Positive if sign > 0 else Negative,), {"__module__": __name__})


Heir, HeirOfAnother = heir(1), heir(-1)


def with_another_weight():
    network = convolutional()
    with torch.no_grad():
        network[0].weight[0, 0, 0, 0] += 1e-3
    return network


def with_a_hook():
    network = convolutional()
    network.register_forward_hook(lambda module, given, output: -output)
    return network


CHANGED = {
    "output": Classifier(convolutional(), "probability"),
    "score": Classifier(convolutional(), score="probability"),
    "a module": Classifier(without_relu()),
    "a weight": Classifier(with_another_weight()),
    "a buffer that is not saved": Classifier(WithMean(0.1)),
    "an attribute": Classifier(WithMean(0.0, scale=2.0)),
    "a function that it holds": Classifier(WithMean(0.0, activation=functional.gelu)),
    "the code of its base class": Classifier(Heir()),
    "a hook": Classifier(with_a_hook()),
    "range": Classifier(convolutional(), intensity=Intensity(-1.0, 1.0)),
}


def test_the_same_classifier_twice():
    assert identity_of(Classifier(convolutional())) == identity_of(Classifier(convolutional()))


@pytest.mark.parametrize("name", CHANGED)
def test_what_changes_numbers_changes_the_identity(name):
    same = WithMean() if "Mean" in repr(CHANGED[name].network) else convolutional()
    same = HeirOfAnother() if name == "the code of its base class" else same
    changed, usual = identity_of(CHANGED[name]), identity_of(Classifier(same))
    assert changed != usual
    assert (changed["weights"] != usual["weights"]) == (name == "a weight")


def test_the_code_of_a_network_counts():
    one, other = identity_of(Classifier(Halved())), identity_of(Classifier(Doubled()))
    assert one["weights"] == other["weights"]
    assert one["structure"] != other["structure"]


def test_a_scripted_network_is_its_graph():
    plain, scripted = convolutional(), torch.jit.script(convolutional())
    assert identity_of(Classifier(scripted)) == identity_of(Classifier(torch.jit.script(convolutional())))
    assert identity_of(Classifier(scripted)) != identity_of(Classifier(torch.jit.script(without_relu())))
    assert identity_of(Classifier(plain))["weights"] == identity_of(Classifier(scripted))["weights"]


def test_a_corrected_output_is_another_study(tmp_path):
    study = quick_study(count=4)
    study.run(tmp_path / "r", workers=1)
    network = nn.Sequential(Moody(), nn.Sigmoid()).eval()
    for other, differs in (
        (Classifier(study.classifier.network, "logit", "probability"), "classifier.score"),
        (Classifier(network, "probability"), "classifier.output"),
    ):
        with pytest.raises(SettingsError, match=rf"holds another study, which differs in .*{differs}"):
            Study(study.settings, cases=quick_cases(4), classifier=other).run(tmp_path / "r", workers=1)


def test_other_classes_are_another_study(tmp_path):
    study = quick_study(count=4)
    study.run(tmp_path / "r", workers=1)
    cases = quick_cases(4)
    renamed = type(cases)(cases.entries, cases.read, ("with", "without"))
    with pytest.raises(SettingsError, match="differs in task"):
        Study(study.settings, cases=renamed, classifier=study.classifier).run(tmp_path / "r", workers=1)
    assert np.unique(cases.labels).tolist() == [0, 1]
