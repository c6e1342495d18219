"""What every registered estimator and baseline must keep: a new one is tested by being registered."""

import sys
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from conftest import assert_same_state, convolutional, state_of, transformer
from tomolens.classifier import Classifier
from tomolens.classifier.patches import Patches
from tomolens.errors import MapError, SettingsError
from tomolens.estimators import (
    ESTIMATORS,
    Importance,
    IntegratedGradientsTwin,
    References,
    Scene,
    SmoothGrad,
    explain,
    is_blind,
    make_estimator,
)
from tomolens.estimators.baselines import BASELINES, TRUTH
from tomolens.estimators.cost import cost_of
from tomolens.estimators.estimator import Cost
from tomolens.estimators.explain import explain_each
from tomolens.estimators.points import AtInput, Constant, OnPath
from tomolens.estimators.questions import Gradient, Round, Score
from tomolens.estimators.registry import GROUPS, PROTOCOL

NAMES = ["a", "b", "c", "d", "e"]
BESIDE = [*BASELINES, TRUTH.name]
EVERY = [*ESTIMATORS, *BESIDE]
OF_TOKENS = [one.name for one in GROUPS["vision transformers"]]
FEWER = {
    **{name: {"samples": 20} for name in ("rise", "lime")},
    "kernel-shap": {"samples": 250},  # of 125 blocks
    **{name: {"steps": 5} for name in ("blur-integrated-gradients", "guided-integrated-gradients")},
    "occlusion": {"window": 4, "stride": 3},
}
"""Parameters of estimators that would ask for many scores of a small image."""
AT_MOST = ("score-cam", "ablation-cam", "feature-ablation", "guided-integrated-gradients")
"""State what they ask of a layer of many planes, and of images of many parts."""


def made(name):
    return make_estimator(name, **FEWER.get(name, {}))


def network_for(name, channels=1, outputs=1, spatial=(16, 16), **options):
    """A network that an estimator is of."""
    if name in OF_TOKENS:
        return transformer(channels, outputs, spatial, 4 if len(spatial) == 2 else 2)
    return convolutional(channels, outputs, dimensions=len(spatial), **options)


@dataclass(frozen=True)
class Kind:
    """Images of some channels and axes, and a network with so many outputs."""

    channels: int
    spatial: tuple[int, ...]
    outputs: int

    def classifier(self, name="", **options):
        network = network_for(name, self.channels, self.outputs, self.spatial, **options)
        return Classifier(network, "logit" if self.outputs == 1 else "logits")

    def images(self, count=5, seed=0):
        drawn = np.random.default_rng(seed).random((count, self.channels, *self.spatial))
        return torch.from_numpy(drawn).float()

    def references(self):
        labels = torch.arange(12) % max(2, self.outputs)
        return References(self.images(12, seed=1), labels)

    def scenes(self, count=5):
        random = np.random.default_rng(2)
        shape = (self.channels, *self.spatial)
        return [
            Scene(
                random.random(shape).astype(np.float32),
                random.random(self.spatial) < 0.5,
                random.random(self.spatial),
                random.random(shape).astype(np.float32),
            )
            for _ in range(count)
        ]


KINDS = [
    Kind(channels, spatial, outputs)
    for spatial in ((16, 16), (6, 8, 10))
    for outputs in (1, 2, 3)
    for channels in (1, 2)
]
PLAIN = Kind(1, (16, 16), 1)


@pytest.fixture
def references():
    return PLAIN.references()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_maps_of_every_kind_of_image(name, kind):
    images = kind.images()
    lent = {"references": kind.references(), "scenes": kind.scenes()}
    maps = explain(kind.classifier(name), images, [made(name)], names=NAMES, batch_size=7, **lent)[name]
    assert maps.shape == images.shape
    assert maps.dtype == (torch.float64 if name in BESIDE else images.dtype)
    assert maps.device == images.device
    assert torch.isfinite(maps).all()
    assert not maps.requires_grad
    if name in BESIDE:
        assert (maps >= 0).all()  # a map and its absolute are the same, so it is measured once


@pytest.mark.parametrize(("spatial", "patch"), [((24, 20), (16, 16)), ((8, 10, 12), (6, 8, 10))])
@pytest.mark.parametrize("name", EVERY)
def test_maps_of_a_network_of_patches(name, spatial, patch):
    """Of the whole, or told that what is asked for is of patches."""
    kind, estimator = Kind(1, spatial, 1), made(name)
    whole = Classifier(network_for(name, spatial=patch)).in_patches(Patches(patch))
    lent = {"references": kind.references(), "scenes": kind.scenes(2)}
    explained = explain_each(whole, kind.images(2), [estimator], [1, 1], names=["a", "b"], **lent)
    if estimator.cost((1, *spatial)).features:
        assert "the network sees patches" in str(explained.failed[name])
    else:
        assert not explained.failed
        assert explained.maps[name].shape == (2, 1, *spatial)
        assert torch.isfinite(explained.maps[name]).all()


@pytest.mark.parametrize("name", EVERY)
class TestContract:
    @pytest.fixture
    def classifier(self, name):
        return Classifier(network_for(name))

    def explained(self, name, classifier, images, names=NAMES, scenes=None, **options):
        scenes = scenes or PLAIN.scenes()
        return explain(
            classifier, images, [made(name)], references=PLAIN.references(), scenes=scenes, names=names, **options
        )[name]

    def test_the_same_bits_twice(self, name, classifier, images):
        first, second = (self.explained(name, classifier, images, seed=5) for _ in range(2))
        assert torch.equal(first, second)

    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    def test_the_batch_does_not_show(self, name, classifier, images, batch_size):
        whole = self.explained(name, classifier, images)
        parts = self.explained(name, classifier, images, batch_size=batch_size)
        # A map of differences of scores has their rounding, whatever it is itself.
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7 + 1e-5 * float(whole.abs().max()))

    def test_the_order_does_not_show(self, name, classifier, images):
        order, scenes = [3, 0, 4, 1, 2], PLAIN.scenes()
        straight = self.explained(name, classifier, images, scenes=scenes)
        shuffled = self.explained(
            name, classifier, images[order], [NAMES[i] for i in order], scenes=[scenes[i] for i in order]
        )
        torch.testing.assert_close(shuffled, straight[order], rtol=1e-5, atol=1e-5 * float(straight.abs().max()))

    def test_company_does_not_show(self, name, classifier, images):
        alone = self.explained(name, classifier, images)
        options = {"references": PLAIN.references(), "scenes": PLAIN.scenes(), "names": NAMES}
        company = [one for one in EVERY if (one in OF_TOKENS) == (name in OF_TOKENS) or one in BESIDE]
        together = explain(classifier, images, [made(one) for one in company], **options)
        assert list(together) == company
        torch.testing.assert_close(together[name], alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))

    def test_network_and_images_stay_as_they_came(self, name, images):
        network = network_for(name).train()
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        first.bias.requires_grad_(False)
        first.weight.grad = torch.ones_like(first.weight)
        before, picture = state_of(network), images.clone()
        self.explained(name, Classifier(network), images)
        assert_same_state(before, state_of(network))
        assert torch.equal(images, picture)
        assert not images.requires_grad

    def test_it_says_what_it_is(self, name):
        estimator = make_estimator(name)
        assert estimator.name == name
        assert estimator.title
        assert name in BESIDE or "arXiv" in estimator.source or "doi" in estimator.source
        assert type(estimator).__doc__
        assert {estimator: 1}[make_estimator(name)] == 1  # equal ones are one

    def test_it_asks_as_much_as_it_states(self, name, images, monkeypatch):
        asked = Counter()

        def counted(classifier, kind, images, targets, changes):
            asked[kind.asks] += len(images)
            return answers(classifier, kind, images, targets, changes)

        module = sys.modules["tomolens.estimators.explain"]
        answers = module.answers
        monkeypatch.setattr(module, "answers", counted)
        self.explained(name, Classifier(network_for(name)), images)
        stated = made(name).cost((1, 16, 16))
        most = Counter(gradients=5 * stated.gradients, features=5 * stated.features, scores=5 * stated.scores)
        assert asked <= most if name in AT_MOST else asked == most
        assert is_blind(make_estimator(name)) == (not asked)


def test_the_protocols_estimators_ask_92_gradients_and_three_scores():
    every = [make_estimator(name) for name in PROTOCOL]
    assert cost_of(every, (1, 16, 16)) == Cost(gradients=92, scores=3)
    assert sum(one.cost((1, 16, 16)).gradients for one in every) == 132
    assert cost_of([make_estimator(name) for name in BESIDE], (1, 16, 16)) == Cost()


def test_equal_questions_are_answered_once(images, references):
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = convolutional(), 0

        def forward(self, x):
            if torch.is_grad_enabled():
                self.seen += len(x)
            return self.inner(x)

    network = Counting()
    explain(Classifier(network), images, PROTOCOL, references=references)
    assert network.seen == 92 * len(images)


@dataclass(frozen=True)
class Own:
    """An estimator of a test; ``ask`` is its generator."""

    ask: object = field(hash=False, compare=False)
    name: str = "own"
    title: str = "Own"
    source: str = "a test"
    needs: frozenset = frozenset()
    of_prediction: bool = True
    stated: Cost = field(default_factory=lambda: Cost(gradients=9, scores=9))

    def cost(self, shape):
        return self.stated

    def explain(self, subject):
        return self.ask(subject)


def test_later_questions_may_depend_on_earlier_answers(classifier, images):
    """Two rounds: the gradient is taken half way to the image that the first round's scores chose."""

    def ask(subject):
        scores = {}
        ends = [OnPath(Constant(0.0), 0.0), OnPath(Constant(1.0), 0.0)]
        yield Round([Score(end) for end in ends], lambda k, answer: scores.update({k: float(answer[1])}))
        chosen = Constant(float(scores[1] > scores[0]))
        total = subject.zeros()
        yield Round([Gradient(OnPath(chosen, 0.5))], lambda k, answer: total.add_(answer))
        return total

    maps = explain(classifier, images, [Own(ask), "smoothgrad"], [1] * 5, batch_size=3)["own"]
    black, white = (classifier.class_scores(torch.full((1, 1, 16, 16), value))[0, 1] for value in (0.0, 1.0))
    half = (0.5 * images + 0.5 * float(white > black)).requires_grad_(True)
    (wanted,) = torch.autograd.grad(classifier.class_scores(half)[:, 1].sum(), half)
    torch.testing.assert_close(maps, wanted, rtol=1e-5, atol=1e-7)


def test_answers_come_in_the_order_of_the_questions_whatever_the_company(classifier, images):
    """Another estimator has asked the same before, the other way round; sums of floats then keep their order."""
    positions = [0.1, 0.5, 0.9]
    seen = {}

    def asking(name, order):
        def ask(subject):
            questions = [Gradient(OnPath(Constant(0.0), positions[i])) for i in order]
            yield Round([*questions, Score(AtInput())], lambda k, answer: seen.setdefault(name, []).append(k))
            return subject.zeros() + 1

        return Own(ask, name=name)

    for batch_size in (1, 2, 64):
        seen.clear()
        explain(
            classifier,
            images[:1],
            [asking("straight", [0, 1, 2]), asking("back", [2, 1, 0])],
            [1],
            batch_size=batch_size,
        )
        assert [k for k in seen["straight"] if k < 3] == [k for k in seen["back"] if k < 3] == [0, 1, 2]


def test_images_are_begun_only_as_far_as_it_takes_to_fill_a_batch(classifier):
    images, open_at_once, most = PLAIN.images(40), [0], [0]

    def ask(subject):
        open_at_once[0] += 1
        most[0] = max(most[0], open_at_once[0])
        yield Round([Gradient(OnPath(Constant(0.0), 0.5 + k / 10)) for k in range(3)], lambda k, answer: None)
        open_at_once[0] -= 1
        return subject.zeros() + 1

    explain(classifier, images, [Own(ask)], [1] * 40, batch_size=4)
    assert most[0] <= 4


def test_what_states_that_it_asks_nothing_is_held_to_it(classifier, images):
    def ask(subject):
        yield Round([Gradient(AtInput())], lambda k, answer: None)
        return subject.zeros()

    with pytest.raises(SettingsError, match="'own' states that it asks 0 questions at most, and asks 1 questions"):
        explain(classifier, images, [Own(ask, stated=Cost())], [1] * 5)


def test_no_estimator_asks_more_than_it_states_or_for_ever(classifier, images):
    def again(subject):
        while True:
            yield Round([Gradient(AtInput())], lambda k, answer: None)

    def empty(subject):
        while True:
            yield Round([], lambda k, answer: None)

    explained = explain_each(
        classifier, images, [Own(again, name="again", stated=Cost(gradients=3)), Own(empty, name="empty"), "random"]
    )
    assert list(explained.maps) == ["random"]
    assert "states that it asks 3 questions at most, and asks 4 questions" in str(explained.failed["again"])
    assert "asks nothing in a round" in str(explained.failed["empty"])


def test_what_an_estimator_does_to_its_answers_and_its_image_is_not_the_others(classifier, images):
    """In place on an answer that others share, and on the image that is explained."""

    def spoiling(subject):
        total = subject.zeros()
        yield Round([Gradient(AtInput())], lambda k, answer: total.add_(answer.zero_().add_(7.0)))
        subject.image.zero_()
        return total

    before = images.clone()
    alone = explain(classifier, images, ["backpropagation", "deconvolution"], [1] * 5)
    together = explain(classifier, images, [Own(spoiling), "backpropagation"], [1] * 5)
    assert torch.equal(images, before)
    assert torch.equal(together["backpropagation"], alone["backpropagation"])
    assert (together["own"] == 7).all()


def test_an_estimator_whose_statements_break_costs_only_its_own_map(classifier, images):
    class Costless(Own):
        def cost(self, shape):
            raise ValueError("boom")

    def asking(subject):
        yield Round([Gradient(AtInput())], lambda k, answer: None)
        return subject.zeros()

    def wordy(subject):
        return Importance(subject.zeros(), "much")

    def complex_one(subject):
        return subject.zeros().to(torch.complex64)

    def array(subject):
        return np.zeros((1, 16, 16))

    quiet = {"stated": Cost()}
    own = [Costless(asking, name="cost"), Own(wordy, name="wordy", **quiet), Own(array, name="array", **quiet)]
    own.append(Own(complex_one, name="complex", **quiet))
    explained = explain_each(classifier, images, [*own, "random"], [1] * 5)
    assert list(explained.maps) == ["random"]
    words = {name: str(error) for name, error in explained.failed.items()}
    assert "boom" in words["cost"]
    assert "could not convert string to float" in words["wordy"]
    assert words["array"].startswith("array made ndarray, expected a floating tensor")
    assert words["complex"].startswith("complex made (1, 16, 16), torch.complex64, expected")


def test_what_is_lacking_costs_only_the_estimators_that_need_it(classifier, images):
    explained = explain_each(classifier, images, ["expected-gradients", "mean-mask", "backpropagation"], [1] * 5)
    assert list(explained.maps) == ["backpropagation"]
    assert set(explained.failed) == {"expected-gradients", "mean-mask"}


def test_a_map_of_another_shape_is_refused(classifier, images):
    with pytest.raises(MapError, match=r"own made \(16, 16\), torch.float32, expected a floating tensor"):
        explain(classifier, images, [Own(lambda subject: subject.image[0], stated=Cost())], [1] * 5)


def test_completeness_errors_come_for_free(images):
    classifier, images = Classifier(convolutional(smooth=True).double()), images.double()
    made = explain_each(classifier, images, ["integrated-gradients", "integrated-gradients-bw", "smoothgrad"], [1] * 5)
    assert list(made.completeness) == ["integrated-gradients", "integrated-gradients-bw"]
    with torch.no_grad():
        at = classifier.class_scores(images)[:, 1]
        black, white = (classifier.class_scores(torch.full_like(images, value))[:, 1] for value in (0.0, 1.0))
    for name, gained in (("integrated-gradients", at - black), ("integrated-gradients-bw", at - (black + white) / 2)):
        missed = (made.maps[name].flatten(1).sum(1) - gained).abs() / gained.abs()
        np.testing.assert_allclose(made.completeness[name], missed.numpy(), rtol=1e-6)
    flat = explain_each(classifier, 0 * images[:1], "integrated-gradients", [1])
    assert np.isnan(flat.completeness["integrated-gradients"]).all()  # the image is its own reference


def test_paper_direction_differ_for_class_zero_only(images, references):
    classifier = Classifier(convolutional())
    zeros, ones = [0] * 5, [1] * 5
    names = [name for name in PROTOCOL if name != "random"]

    def maps(direction, targets):
        return explain(classifier, images, names, targets, references=references, direction=direction)

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
    def taking(subject):
        yield Round([Gradient(AtInput())], lambda k, answer: 1 / 0)

    def drawing(subject):
        raise KeyError("a drawing of one's own")

    own = [Own(taking, name="broken"), Own(drawing, name="blind", stated=Cost())]
    explained = explain_each(classifier, images, [*own, "smoothgrad"], [1] * 5)
    assert list(explained.maps) == ["smoothgrad"]
    assert {str(error).split(":")[0] for error in explained.failed.values()} == {
        "estimator 'broken' raised ZeroDivisionError",
        "estimator 'blind' raised KeyError",
    }


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
    with pytest.raises(SettingsError, match="unknown estimator 'smothgrad': did you mean 'smoothgrad'"):
        explain(classifier, images, ["smothgrad"])
    with pytest.raises(SettingsError, match="'smoothgrad' is given twice"):
        explain(classifier, images, ["smoothgrad", SmoothGrad()])
    with pytest.raises(SettingsError, match="draws training images: give references"):
        explain(classifier, images, ["expected-gradients"])
    with pytest.raises(SettingsError, match="'mean-mask' looks at the mean of experts' masks: give scenes"):
        explain(classifier, images, ["mean-mask"], scenes=[Scene()] * 5)
    with pytest.raises(SettingsError, match="1 scenes for 5 images"):
        explain(classifier, images, ["mean-mask"], scenes=[Scene()])
    with pytest.raises(MapError, match=r"atlas of a scene has shape \(4, 4\), expected \(16, 16\)"):
        explain(classifier, images, ["mean-mask"], scenes=[Scene(atlas=np.ones((4, 4)))] * 5)
    with pytest.raises(SettingsError, match="is no estimator: expected a name, or an instance"):
        explain(classifier, images, [SmoothGrad])
    with pytest.raises(SettingsError, match=r"references are Tensor, expected tl.References\(images, labels\)"):
        explain(classifier, images, ["expected-gradients"], references=images)
    broken = images.clone()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(MapError, match="1 values that are not finite"):
        explain(classifier, broken, ["random"])
    with pytest.raises(MapError, match="expected floating"):
        explain(classifier, images[0, 0], ["random"])
    with pytest.raises(MapError, match=r"targets \[1.9, 0.0, 0.0, 0.0, 0.0\], expected whole numbers from 0 on"):
        explain(classifier, images, ["random"], [1.9, 0, 0, 0, 0])
    with pytest.raises(MapError, match="expected whole numbers from 0 on"):
        explain(classifier, images, ["random"], [-1] * 5)
    with pytest.raises(SettingsError, match="references of 12 images and 2 labels"):
        explain(classifier, images, ["random"], references=References(references.images, references.labels[:2]))
    with pytest.raises(MapError, match="expected one class an image"):
        explain(classifier, images, ["random"], [1])
    with pytest.raises(SettingsError, match="direction 'own'"):
        explain(classifier, images, ["random"], direction="own")
    with pytest.raises(SettingsError, match="defined for two classes, the network has 3"):
        explain(Classifier(convolutional(outputs=3), "logits"), images, ["random"], direction="paper")
    with pytest.raises(SettingsError, match="estimator 'smoothgrad': .*unexpected keyword argument 'n'"):
        make_estimator("smoothgrad", n=3)
    with pytest.raises(MapError, match=r"references of shape \(1, 16, 16\)"):
        explain(classifier, images[..., :8], ["expected-gradients"], references=references)


def test_from_the_twin_only_what_differs_is_important_and_adds_up(classifier, images):
    """Complete by the trapezoid of fine steps, 0 where the two are alike, and equal to integrated gradients where the
    twin is black."""
    twins = images.clone()
    twins[..., 4:9, 5:11] = 0.7
    scenes = [Scene(twin=twin.numpy()) for twin in twins]
    fine = IntegratedGradientsTwin(steps=64, quadrature="gauss-legendre")
    maps = explain(classifier, images, [fine], [1] * 5, scenes=scenes)[fine.name]
    assert (maps[images == twins] == 0).all()
    gained = classifier.class_scores(images)[:, 1] - classifier.class_scores(twins)[:, 1]
    torch.testing.assert_close(maps.sum(dim=(1, 2, 3)), gained, rtol=1e-3, atol=1e-4)
    black = [Scene(twin=np.zeros(images.shape[1:], np.float32))] * 5
    both = explain(classifier, images, ["integrated-gradients-twin", "integrated-gradients"], [1] * 5, scenes=black)
    torch.testing.assert_close(both["integrated-gradients-twin"], both["integrated-gradients"])


def test_the_truth_is_how_far_the_twin_differs(classifier, images):
    twins = [Scene(twin=(image + 0.25).clamp(max=1.0).numpy()) for image in images]
    maps = explain(classifier, images, ["truth"], [1] * 5, scenes=twins)["truth"]
    np.testing.assert_allclose(maps, np.abs(images.numpy() - np.stack([one.twin for one in twins])), atol=1e-7)


def test_without_a_twin_nothing_is_compared_with_it(classifier, images):
    with pytest.raises(SettingsError, match="'integrated-gradients-twin' compares with the image's twin: give scenes"):
        explain(classifier, images, ["integrated-gradients-twin"])
    with pytest.raises(MapError, match=r"twin of a scene has shape \(3, 3\), expected \(1, 16, 16\)"):
        explain(classifier, images, ["truth"], scenes=[Scene(twin=np.zeros((3, 3), np.float32))] * 5)
