"""Networks of patches: scores and maps of wholes against plain loops and MONAI's inferer."""

import pickle
import re
from dataclasses import replace
from decimal import Context, Decimal, localcontext
from itertools import product
from math import prod

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

import tomolens as tl
from conftest import convolutional
from quick_study import SETTINGS, TABLES, no_figures, quick_cases
from test_metrics_contract import evaluand
from tomolens.api import verify_study
from tomolens.classifier import Classifier, patches, quick
from tomolens.classifier.decisions import decide
from tomolens.classifier.identity import identity_of
from tomolens.classifier.patches import Patches
from tomolens.classifier.quick import Quick
from tomolens.classifier.quick_patches import _of_wholes
from tomolens.classifier.sourced import SourcedNetwork
from tomolens.errors import NetworkError, SettingsError
from tomolens.estimators.explain import explain_each
from tomolens.metrics.registry import METRICS
from tomolens.report import write
from tomolens.results.store import Store

SHAPES = [((24, 21), (8, 10)), ((10, 13, 12), (6, 8, 8))]
SHARE = 0.4


def images_of(shape, count=2, channels=1):
    return torch.from_numpy(np.random.default_rng(3).random((count, channels, *shape))).double()


def places_of(shape, size, overlap=SHARE):
    """Every start from 0 on in steps, the last one moved back to the end."""
    along = []
    for side, length in zip(shape, size, strict=True):
        step = max(1, int(length * (1 - overlap)))
        along.append(sorted({min(start, side - length) for start in range(0, side, step)}))
    return [
        tuple(slice(start, start + length) for start, length in zip(begins, size, strict=True))
        for begins in product(*along)
    ]


def network_of(shape, outputs=1):
    return convolutional(outputs=outputs, dimensions=len(shape)).double()


def scores_of_patches(network, images, size):
    return torch.stack([network(images[(..., *place)]) for place in places_of(images.shape[2:], size)])


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_the_score_of_the_whole_is_the_mean_or_the_highest_of_the_patches(shape, size, outputs, batch):
    network, images = network_of(shape, outputs), images_of(shape)
    each = scores_of_patches(network, images, size)
    for score, wanted in (("mean", each.mean(dim=0)), ("max", each.max(dim=0).values)):
        patches = Patches(size, SHARE, score=score, batch=batch)
        whole = Classifier(network, "logits" if outputs == 3 else "logit").in_patches(patches)
        with torch.no_grad():
            torch.testing.assert_close(whole.network(images), wanted)
    assert len(each) > 4


@pytest.mark.parametrize(("output", "task"), [("logit", "classes"), ("probability", "classes"), ("logits", "labels")])
def test_noisy_or_is_the_probability_that_it_is_in_any_patch(output, task):
    (shape, size), outputs = SHAPES[0], 3 if task == "labels" else 1
    network, images = network_of(shape, outputs), images_of(shape)
    given = nn.Sequential(network, nn.Sigmoid()) if output == "probability" else network
    whole = Classifier(given, output, task=task).in_patches(Patches(size, SHARE, score="noisy-or"))
    found = whole.network(images)
    each = torch.sigmoid(scores_of_patches(network, images, size))
    wanted = 1 - (1 - each).prod(dim=0)
    torch.testing.assert_close(found if output == "probability" else torch.sigmoid(found), wanted)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_noisy_or_of_sure_networks_is_finite_and_has_a_gradient(kind):
    for bias in (-1e4, -760.0, -300.0, -36.0, -20.0, 0.0, 30.0, 300.0, 1e4):
        z = torch.full((1, 1, 2), bias, dtype=kind, requires_grad=True)
        score = tl.Classifier(nn.Flatten()).in_patches(Patches(1, 0.0, score="noisy-or")).network(z)
        (gradient,) = torch.autograd.grad(score.sum(), z)
        # Of two patches alike 1 - (1 - p)^2: about 2 p where p is small, and as sure as both where it is large.
        wanted = bias + np.log(2) if bias < -10 else 2 * bias if bias > 10 else np.log(3)
        assert float(score.detach()) == pytest.approx(wanted, abs=1e-3)
        assert (gradient > 0).all()


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_the_gradient_of_the_whole_is_what_a_loop_over_patches_adds_up(shape, size):
    network, images = network_of(shape), images_of(shape)
    whole = Classifier(network).in_patches(Patches(size, SHARE, batch=2))
    found = tl.explain(whole, images, "backpropagation", [1, 1])["backpropagation"]
    places, wanted, seen = places_of(shape, size), torch.zeros_like(images), torch.zeros(shape)
    for place in places:
        patch = images[(..., *place)].clone().requires_grad_(True)
        wanted[(..., *place)] += torch.autograd.grad(network(patch).sum(), patch)[0] / len(places)
        seen[place] += 1
    torch.testing.assert_close(found, wanted)
    assert seen.max() > seen.min() >= 1
    # Joined maps of patches are the same, but for how many patches see a voxel; without overlap they are the same.
    uniform = Classifier(network).in_patches(Patches(size, SHARE, weights="uniform"))
    joined = tl.explain(uniform, images, "backpropagation", [1, 1])["backpropagation"]
    torch.testing.assert_close(joined * seen, found)


@pytest.mark.parametrize("weights", ["sum", "uniform"])
def test_without_overlap_the_gradient_is_the_joined_map(weights):
    network, images = network_of((16, 20)), images_of((16, 20))
    whole = Classifier(network).in_patches(Patches((8, 10), 0.0, weights=weights))
    found = tl.explain(whole, images, "backpropagation", [1, 1])["backpropagation"]
    joined = sliding_window_inference(images, (8, 10), 1, gradient_by_patch(network), overlap=0.0)
    torch.testing.assert_close(found, joined / 4)


def gradient_by_patch(network):
    def of(patch):
        inputs = patch.clone().requires_grad_(True)
        return torch.autograd.grad(network(inputs).sum(), inputs)[0]

    return of


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize(("weights", "mode"), [("uniform", "constant"), ("gaussian", "gaussian")])
def test_maps_of_patches_are_joined_as_by_monai(shape, size, weights, mode):
    network, images = network_of(shape), images_of(shape)
    whole = Classifier(network).in_patches(Patches(size, SHARE, weights=weights))
    found = tl.explain(whole, images, "backpropagation", [1, 1])["backpropagation"]
    joined = sliding_window_inference(images, size, 3, gradient_by_patch(network), overlap=SHARE, mode=mode)
    torch.testing.assert_close(found * len(places_of(shape, size)), joined, rtol=1e-5, atol=1e-9)


def test_integrated_gradients_of_a_whole_are_complete_unless_maps_are_joined_otherwise():
    whole, images = Classifier(convolutional(smooth=True).double()), images_of((24, 21))
    chosen = Patches((8, 10), SHARE, score="noisy-or", batch=3)
    missed = {
        weights: explain_each(
            whole.in_patches(replace(chosen, weights=weights)), images, [tl.IntegratedGradients(steps=30)], [1, 1]
        ).completeness["integrated-gradients"]
        for weights in ("sum", "gaussian")
    }
    assert (missed["sum"] < 0.03).all()  # pooling turns between the steps
    assert (missed["gaussian"] > 0.1).all()


def test_an_image_that_is_smaller_than_a_patch_is_padded_with_black():
    network, images = network_of((8, 8)), images_of((5, 12))
    intensity = tl.Intensity(black=-1.0, white=1.0)
    whole = Classifier(network, intensity=intensity).in_patches(Patches((8, 8), 0.5))
    padded = torch.nn.functional.pad(images, (0, 0, 1, 2), value=-1.0)
    each = [network(padded[..., start : start + 8]) for start in (0, 4)]
    torch.testing.assert_close(whole.network(images), torch.stack(each).mean(dim=0))
    assert tl.explain(whole, images, "smoothgrad", [1, 1])["smoothgrad"].shape == images.shape


GRADIENTS = ["deconvolution", "smoothgrad-squared", "guided-backpropagation", "rectified-gradient", "lrp"]


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("name", GRADIENTS)
def test_patches_that_are_run_again_give_the_same_maps(shape, size, name):
    """Two at a time, run again for their gradients, and all at once."""
    images, chosen = images_of(shape), Patches(size, SHARE)
    few, all_at_once = (
        explain_each(Classifier(network_of(shape)).in_patches(replace(chosen, batch=batch)), images, [name], [1, 1])
        for batch in (2, 1000)
    )
    assert not few.failed
    torch.testing.assert_close(few.maps[name], all_at_once.maps[name])


def test_only_patches_of_one_batch_have_their_activations_in_memory():
    """Counted by what is kept for backward beside the image, of 8 and of 32 patches."""
    for shape in ((32, 64), (64, 128)):
        whole = Classifier(convolutional()).in_patches(Patches(16, 0.0, batch=4))
        images, kept = torch.rand(1, 1, *shape, requires_grad=True), []

        def keep(tensor, images=images, kept=kept):
            kept.append(0 if tensor.untyped_storage().data_ptr() == images.untyped_storage().data_ptr() else 1)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            whole.scores(images).sum().backward()
        assert sum(kept) < 8  # of a batch alone convolutions, norms and rectifiers keep more


def test_what_a_layer_puts_out_is_of_patches_and_told_so():
    whole = Classifier(network_of((16, 16))).in_patches(Patches(8))
    made = explain_each(whole, images_of((16, 16)), ["grad-cam", "backpropagation"], [1, 1])
    assert list(made.maps) == ["backpropagation"]
    assert "the network sees patches" in str(made.failed["grad-cam"])


def test_a_network_of_patches_is_folded_and_quickened(monkeypatch):
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    monkeypatch.setattr(quick, "COMPILING_PAYS", 1e9)
    monkeypatch.setattr(quick, "QUANTISING_PAYS", 1e9)
    images = torch.from_numpy(np.random.default_rng(0).random((96, 1, 20, 20))).float()
    plain = Classifier(convolutional()).in_patches(Patches(8, 0.5, batch=5))
    folded = plain.with_folded(images[:4])
    assert folded.folded is not None
    torch.testing.assert_close(folded.folded(images[:4]), plain.network(images[:4]))
    found = plain.quickened(images[:8], 10**7).quick
    assert found is not None
    assert not found.failed
    exact = plain.network(images[:8]).detach()
    torch.testing.assert_close(found.outputs(images[:8]), exact, rtol=0.1, atol=0.02)
    again = Classifier(convolutional()).in_patches(Patches(8, 0.5, batch=5)).quickened(images[:8], 10**7, like=found)
    torch.testing.assert_close(again.quick.outputs(images[:3]), exact[:3], rtol=0.1, atol=0.02)
    made = decide(replace(plain, quick=found), lambda numbers: images[list(numbers)], 96, 8)
    np.testing.assert_array_equal(made.classes, plain.predict(images))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("spatial", "size"), [((24, 24), 16), ((10, 12, 14), (8, 8, 10))])
def test_every_metric_measures_a_network_of_patches(name, spatial, size):
    outputs = 2 if "another_class" in METRICS[name].needs else 1
    plain = evaluand(spatial=spatial, outputs=outputs)

    def patched(classifier):
        return classifier.in_patches(Patches(size))

    given = replace(
        plain,
        classifier=patched(plain.classifier),
        refined=patched(plain.refined),
        rivals=tuple(replace(one, classifier=patched(one.classifier)) for one in plain.rivals),
    )
    assert METRICS[name].measure(given)


def test_identity_and_pickle():
    network, chosen = convolutional(), Patches(8)
    whole = Classifier(network).in_patches(chosen)
    assert identity_of(whole) == identity_of(pickle.loads(pickle.dumps(whole)))
    assert identity_of(whole) == identity_of(Classifier(network).in_patches(replace(chosen, batch=9)))
    others = [
        Classifier(network),
        *(
            Classifier(network).in_patches(replace(chosen, **one))
            for one in ({"size": 9}, {"overlap": 0.5}, {"score": "max"}, {"weights": "gaussian"})
        ),
    ]
    assert identity_of(whole) not in [identity_of(one) for one in others]
    sourced = Classifier(SourcedNetwork(network)).in_patches(chosen)
    assert sourced.sourced is not None
    assert sourced.patches == chosen
    assert Classifier(network, "logits", task="labels").in_patches(chosen).of_label(0).patches == chosen


WRONG = {
    "size 0": ({"size": 0}, "size 0, expected 1 to 4096 voxels"),
    "words": ({"size": "wide"}, "size: length 'wide', expected whole pixels, or millimetres"),
    "one in a list": ({"size": (8,)}, "1 numbers of size"),
    "overlap": ({"size": 8, "overlap": 1.0}, "overlap 1, expected a share from 0 to 0.95"),
    "nan": ({"size": 8, "overlap": float("nan")}, "overlap nan"),
    "score": ({"size": 8, "score": "median"}, "score 'median', expected one of mean, max, noisy-or"),
    "weights": ({"size": 8, "weights": "flat"}, "weights 'flat', expected one of sum, uniform, gaussian"),
    "half a voxel": ({"size": 1.5}, "length 1.5, expected whole pixels"),
    "batch": ({"size": 8, "batch": 0}, "batch 0, expected 1 to 4096"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_patches_that_cannot_be(fault):
    given, words = WRONG[fault]
    with pytest.raises(SettingsError, match=re.escape(words)):
        Patches(**given)


def test_what_does_not_go_together_is_refused():
    network = convolutional(outputs=3)
    with pytest.raises(SettingsError, match="score 'noisy-or' of output 'logits', expected one neuron, or labels"):
        Classifier(network, "logits").in_patches(Patches(8, score="noisy-or"))
    with pytest.raises(SettingsError, match="the highest ones do not sum to 1"):
        Classifier(network, "probabilities").in_patches(Patches(8, score="max"))
    whole = Classifier(network, "logits").in_patches(Patches(8))
    with pytest.raises(SettingsError, match="shown patches already"):
        whole.in_patches(Patches(8))
    with pytest.raises(SettingsError, match="size has 3 lengths for images of 2 axes"):
        Classifier(network, "logits").in_patches(Patches((4, 4, 4))).network(torch.rand(1, 1, 16, 16))
    with pytest.raises(SettingsError, match="give cases.spacing, or voxels"):
        Classifier(network, "logits").in_patches(Patches("8 mm")).network(torch.rand(1, 1, 16, 16))
    with pytest.raises(SettingsError, match="size '900000 mm' is 900000 voxels, expected at most 4096"):
        Classifier(network, "logits").in_patches(Patches("900000 mm"), (1.0, 1.0)).network(torch.rand(1, 1, 16, 16))
    with pytest.raises(NetworkError, match=r"returned \(8,\) for 4 patches"):
        Classifier(nn.Flatten(0)).in_patches(Patches(2, 0.0)).network(torch.rand(1, 1, 8))


STUDY = {
    **SETTINGS,
    "cases": {"size": 16, "classes": ["dark", "bright"], "folds": 3},
    "estimators": {"names": ["backpropagation", "random"], "baselines": [], "blur": 0},
}
BRIGHT = {"size": 8, "overlap": 0.5, "score": "mean", "weights": "gaussian"}


def test_a_study_by_patches_is_made_cited_and_verified(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_figures", no_figures)
    settings = tl.StudySettings.model_validate({**STUDY, "classifier": {"patches": BRIGHT}})
    cases, network = quick_cases(6), convolutional()
    findings = tl.Study(settings, cases=cases, classifier=Classifier(network)).run(tmp_path / "results")
    assert all(len(findings.table(name)) for name in TABLES[:2])
    facts = Store(tmp_path / "results").description().raw["networks"][0]
    assert "weights='gaussian'" in facts["patches"]
    assert verify_study(tmp_path / "results", cases, Classifier(network), sample=1)[1]
    other = settings.model_copy(
        update={"classifier": settings.classifier.model_copy(update={"patches": Patches(10)})},
    )
    with pytest.raises(SettingsError, match="another"):
        tl.Study(other, cases=cases, classifier=Classifier(network)).run(tmp_path / "results")


def test_patches_in_a_study_file_are_checked():
    def study(cases=None, **given):
        settings = tl.StudySettings.model_validate({**STUDY, "cases": {**STUDY["cases"], **(cases or {})}, **given})
        return tl.Study(settings, cases=quick_cases(8), classifier=Classifier(convolutional()))

    in_mm = {"classifier": {"patches": {"size": ["8 mm", 10]}}}
    made = study({"spacing": [2.0, 1.0]}, **in_mm).classifier
    assert made.network._cut(torch.rand(1, 1, 16, 16))[0].shape[2:] == (4, 10)
    with pytest.raises(SettingsError, match="give cases.spacing, or voxels"):
        study(**in_mm)
    with pytest.raises(SettingsError, match="size has 3 lengths for images of 2 axes"):
        study(classifier={"patches": {"size": [8, 8, 8]}})
    with pytest.raises(SettingsError, match="they are of a network that is given"):
        tl.Study(tl.StudySettings.model_validate({**STUDY, "classifier": {"patches": BRIGHT}}), cases=quick_cases(8))
    with pytest.raises(ValueError, match="overlap 2"):
        study(classifier={"patches": {"size": 8, "overlap": 2.0}})
    with pytest.raises(SettingsError, match="grad-cam: the network sees patches"):
        study(classifier={"patches": BRIGHT}, estimators={"names": ["grad-cam"]}).run("nowhere")


@pytest.mark.parametrize("z", [-200.0, -36.1, -35.9, -14.0, -13.0, -1.0, 3.0, 30.0])
def test_noisy_or_of_logits_is_what_many_digits_give(z):
    each = torch.tensor([z, z - 1, 0.5 * z, z], dtype=torch.float64, requires_grad=True)
    found = patches._any_of_logits(each[:, None])
    (gradient,) = torch.autograd.grad(found.sum(), each)
    with localcontext(Context(prec=400)):
        powers = [Decimal(one).exp() for one in each.tolist()]
        none = prod((1 / (1 + one) for one in powers), start=Decimal(1))
        wanted = float(((1 - none) / none).ln())
        # d log((1 - q) / q) by z, where q' = -q p
        by_each = [float(one / (1 + one) / (1 - none)) for one in powers]
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(gradient, by_each, rtol=1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-12, 2e-7, 0.3, 1.0])
def test_noisy_or_of_small_probabilities_keeps_its_digits(p):
    each = torch.full((1, 1, 4), p, requires_grad=True)
    found = Classifier(nn.Flatten(), "probability").in_patches(Patches(1, 0.0, score="noisy-or")).network(each)
    (gradient,) = torch.autograd.grad(found.sum(), each)
    share = float(each.detach()[0, 0, 0])  # as float32 has it
    assert float(found.detach()) == pytest.approx(-np.expm1(4 * np.log1p(-share)) if p < 1 else 1.0, rel=1e-6)
    torch.testing.assert_close(gradient, torch.full_like(each, (1 - share) ** 3))


@pytest.mark.parametrize(
    "make", [lambda network, patch: torch.jit.trace(network, patch), lambda network, _: torch.jit.script(network)]
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_gives_the_gradients_of_the_network(make):
    network, image = network_of((16, 16)).float(), images_of((21, 19), 1).float()
    scripted = make(network, image[..., :8, :8])
    gradients = []
    for one in (network, *[scripted] * 4):
        given = image.clone().requires_grad_(True)
        whole = Classifier(one).in_patches(Patches(8, 0.5, batch=3))
        with whole.frozen():
            whole.class_scores(given)[:, 1].sum().backward()
        gradients.append(given.grad)
    for found in gradients[1:]:
        torch.testing.assert_close(found, gradients[0])


def test_one_label_of_patches_is_folded_and_quickened(monkeypatch):
    for name, value in (("TRYING_PAYS", 0.0), ("COMPILING_PAYS", 1e9), ("QUANTISING_PAYS", 1e9)):
        monkeypatch.setattr(quick, name, value)
    monkeypatch.setattr(quick, "BACKENDS", {"folded-fp32": quick.folded_fp32})
    # Whatever the machine is doing, the backend is found.
    monkeypatch.setattr(
        quick, "_speed", lambda backend, example: (backend(example), 1.0 + ("folded" in str(backend)))[1]
    )
    images = images_of((20, 20), 4).float()
    labels = Classifier(convolutional(outputs=3), "logits", task="labels")
    first, last = labels.in_patches(Patches(8)).of_label(1), labels.of_label(1).in_patches(Patches(8))
    assert identity_of(first) == identity_of(last)
    torch.testing.assert_close(first.class_scores(images), last.class_scores(images))
    folded = first.with_folded(images).folded
    assert folded is not None
    torch.testing.assert_close(folded(images), first.network(images))
    found = first.quickened(images, 10**7).quick
    assert found is not None
    torch.testing.assert_close(found.outputs(images), first.network(images))


def test_one_whole_image_costs_a_quick_backend_its_own_patches(monkeypatch):
    seen = []
    network = convolutional()
    whole = Classifier(network).in_patches(Patches(8, 0.0, batch=4))
    inner = Quick("counting", lambda patches: (seen.append(len(patches)), network(patches))[1], 4)
    found = _of_wholes(inner, whole.network, 32)
    image = images_of((32, 32), 1).float()
    torch.testing.assert_close(found.outputs(image), whole.network(image))
    assert seen == [4] * 4


@pytest.mark.parametrize(("count", "most"), [(1, 5), (4, 4), (8, 8), (3, 20), (2, 1000)])
def test_some_patches_are_of_all_places_and_images(count, most):
    network = Classifier(nn.Flatten()).in_patches(Patches(4, 0.0)).network
    # Each voxel knows its place and its image.
    places = torch.arange(16.0).reshape(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)
    images = places + 100 * torch.arange(float(count))[:, None, None, None]
    assert network.places(images) == 16
    found = network.some_patches(images, most)[:, 0, 0, 0].int().tolist()
    assert len(set(found)) == len(found) == min(most, 16 * count)
    assert len({one % 100 for one in found}) == min(most, 16)
    assert len({one // 100 for one in found}) == min(count, len(found))
