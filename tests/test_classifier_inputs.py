"""Networks that need more than an image are refused by the names of what they need, and nothing else is."""

import pytest
import torch
from torch import nn

from conftest import convolutional
from quick_study import quick_cases, quick_study
from tomolens.api import Study
from tomolens.classifier import Classifier
from tomolens.classifier.inputs import require_one_input, required_inputs
from tomolens.classifier.label import OneLabel
from tomolens.errors import NetworkError
from tomolens.estimators import explain

IMAGES = torch.rand(2, 1, 8, 8)
CLINICAL = torch.rand(2)


class WithClinical(nn.Module):
    def forward(self, image, clinical):
        return image.mean((1, 2, 3)) + clinical


class WithAge(nn.Module):
    def forward(self, image, *, age):
        return image.mean((1, 2, 3)) + age


class WithChoice(nn.Module):
    def forward(self, image, clinical=None, *rest, scale=3.0, **more):
        return scale * image.mean((1, 2, 3))


class WithAny(nn.Module):
    def forward(self, *inputs, **named):
        return inputs[0].mean((1, 2, 3))


class Broken(nn.Module):
    def forward(self, image):
        return torch.add(image)


TWO = {
    "plain": WithClinical,
    "scripted": lambda: torch.jit.script(WithClinical()),
    "traced": lambda: torch.jit.trace(WithClinical(), (IMAGES, CLINICAL)),
    "compiled": lambda: torch.compile(WithClinical(), backend="eager"),
    "symbolically traced": lambda: torch.fx.symbolic_trace(WithClinical()),
    "exported": lambda: torch.export.export(WithClinical(), (IMAGES, CLINICAL)).module(),
    "parallel": lambda: nn.DataParallel(WithClinical()),
    "of one label": lambda: OneLabel(WithClinical(), 0),
}


@pytest.mark.parametrize("name", TWO)
def test_a_network_of_two_inputs_is_refused_by_their_names(name):
    words = r"the network takes 2 inputs \(image, clinical\): wrap it in a module of one image"
    for output in ("logit", "probability"):
        with pytest.raises(NetworkError, match=words):
            Classifier(TWO[name](), output).class_scores(IMAGES)


def test_explaining_and_keywords_say_the_same():
    with pytest.raises(NetworkError, match=r"takes 2 inputs \(image, age\)"):
        explain(Classifier(WithAge()), IMAGES, ["backpropagation"])


@pytest.mark.parametrize("network", [WithChoice(), WithAny(), torch.jit.script(convolutional()), nn.Sequential()])
def test_a_network_of_one_image_is_none_of_these(network):
    require_one_input(network)
    assert len(required_inputs(network)) < 2


def test_a_hook_may_give_what_else_is_needed():
    network = WithClinical()
    network.register_forward_pre_hook(lambda _, given: (*given, CLINICAL))
    assert Classifier(network).class_scores(IMAGES).shape == (2, 2)


def test_other_errors_from_within_stay_what_they_are():
    with pytest.raises(TypeError, match="add"):
        Classifier(Broken()).class_scores(IMAGES)


def test_a_study_refuses_it_before_anything_is_written(tmp_path):
    study = Study(quick_study().settings, cases=quick_cases(), classifier=Classifier(WithClinical()))
    with pytest.raises(NetworkError, match="takes 2 inputs"):
        study.run(tmp_path / "r", workers=1)
    assert not (tmp_path / "r").exists()
