import copy
import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional

from quick_study import blobs
from tomolens.cases import Case, CaseEntry, Cases, Preprocessing, phantom
from tomolens.classifier import Classifier, training
from tomolens.classifier.architectures import arguments_for, build
from tomolens.classifier.training import (
    Recipe,
    Trained,
    augmentation,
    balanced_accuracy,
    balanced_cross_entropy,
    class_weights,
    train,
)
from tomolens.classifier.weights import load_weights, save_weights, weights_hash
from tomolens.errors import CaseError, NetworkError, SettingsError
from tomolens.study.settings import read_settings

SMALL = Preprocessing(size=48)


@pytest.fixture
def all_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("all_cores")
def test_the_papers_network_learns_simulated_ct_with_the_built_in_recipe():
    recipe, told = read_settings(None).classifier.recipe, []
    preprocessing = Preprocessing(size=64)  # the built-in study has larger images, and more
    trained = train(phantom.cases(128, preprocessing=preprocessing), recipe, progress=lambda *state: told.append(state))
    held_out = phantom.cases(60, first=10_000, preprocessing=preprocessing)
    predicted = Classifier(trained.network).predict(torch.from_numpy(held_out.images()))
    assert balanced_accuracy(held_out.labels, predicted) >= 0.95
    assert [state[0] for state in told] == list(range(1, len(trained.history) + 1))


def test_training_twice_gives_the_same_weights_and_leaves_the_start_alone():
    cases = phantom.cases(24, preprocessing=SMALL)
    start = build("resnet18")
    before = weights_hash(start)
    recipe = Recipe(architecture="resnet18", epochs=2, batch_size=8)
    runs = [weights_hash(train(cases, recipe, seed=seed, start=start).network) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]
    assert weights_hash(start) == before
    fresh = [weights_hash(train(cases, recipe, seed=3).network) for _ in range(2)]
    assert fresh[0] == fresh[1] != runs[0]


def test_early_stopping_keeps_the_best_epoch():
    cases = phantom.cases(20, preprocessing=SMALL)
    recipe = Recipe(architecture="resnet18", epochs=12, batch_size=8, patience=2, learning_rate=3e-3)
    trained = train(cases, recipe)
    losses = [loss for _, loss, _ in trained.history]
    assert trained.validation_loss == min(losses) == losses[trained.epoch - 1]
    assert len(losses) <= trained.epoch + recipe.patience
    assert not trained.network.training


def test_twins_are_learned_in_the_step_of_their_case(monkeypatch):
    steps = []
    step = training._step
    monkeypatch.setattr(
        training, "_step", lambda *arguments: (steps.append((arguments[1], arguments[2])), step(*arguments))[1]
    )
    cases = phantom.cases(24, preprocessing=Preprocessing(32, (-1000, 400)), finding="consolidation")
    recipe = Recipe("resnet18", epochs=1, batch_size=8, augment=False, twins=True)
    trained = train(cases, recipe)
    pairs = {case.image.tobytes(): (case.twin.tobytes(), case.label) for case in cases}
    assert sum(len(labels) for _, labels in steps) == 2 * round(0.8 * 24)
    assert max(len(labels) for _, labels in steps) <= 8
    for images, labels in steps:
        half = len(images) // 2
        for image, twin, label, other in zip(images, images[half:], labels, labels[half:], strict=False):
            assert pairs[image.numpy().tobytes()] == (twin.numpy().tobytes(), int(label))
            assert other == 1 - label
    assert len(trained.history) == 1


def test_a_case_and_its_twin_are_altered_alike():
    images = torch.rand(6, 2, 32, 32)
    twins = images.clone()
    twins[:, :, 10:14, 10:14] += 0.5
    recipe = Recipe(twins=True)
    batch = training._batch(torch.cat([images, twins]), np.array([4, 1]), recipe, augmentation(recipe, (32, 32), 0))
    assert batch.shape == (4, 2, 32, 32)
    assert not torch.equal(batch[:2], images[[4, 1]])
    changed = (batch[2:] - batch[:2]).mean(dim=1)
    assert (changed.flatten(1).topk(4).values > 0.3).all()
    assert changed.abs().flatten(1).median() < 0.06, "but for the noise"


def test_what_has_no_twin_is_not_learned_with_one():
    with pytest.raises(CaseError, match="case .* has no twin"):
        train(blobs(12, classes=2), Recipe("resnet18", epochs=1, twins=True))
    with pytest.raises(SettingsError, match="twins: a twin has the other label of two, the cases have 3 classes"):
        train(blobs(12), Recipe("resnet18", epochs=1, twins=True))


def test_too_few_patients_to_validate():
    words = r"too few to hold out validation = 0.2 of the recipe .*\(class . would have no case to train on"
    with pytest.raises(CaseError, match=words):
        train(phantom.cases(2, preprocessing=SMALL), Recipe(architecture="resnet18", epochs=1))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4, 0.45])
def test_validation_holds_out_what_it_says(share, monkeypatch):
    sizes = []

    def remember(*arguments):
        sizes.append(list(map(len, arguments[4:6])))
        return Trained(arguments[0].network, 1, 0.0, 1.0)

    monkeypatch.setattr(training, "_fit", remember)
    train(phantom.cases(40, preprocessing=Preprocessing(size=8)), Recipe("resnet18", validation=share))
    assert sizes == [[40 - round(40 * share), round(40 * share)]]


def test_balanced_accuracy_is_the_mean_over_the_classes():
    assert balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])) == 0.5


def test_weights_come_back_as_they_were(tmp_path):
    network = build("resnet18")
    save_weights(network, tmp_path / "n.safetensors", "resnet18", {"size": 48})
    loaded, notes = load_weights(tmp_path / "n.safetensors")
    assert weights_hash(loaded.network) == weights_hash(network)
    assert notes == {"size": 48}
    assert loaded.output == "logit"
    assert not loaded.network.training


SMALL_VIT = {"hidden_size": 24, "num_heads": 2, "num_layers": 2, "mlp_dim": 24}
SMALL_DENSENET = {"init_features": 8, "growth_rate": 4, "block_config": [2, 2], "norm": ["group", {"num_groups": 4}]}


@pytest.mark.parametrize(
    ("name", "extra"), [("resnet18", {}), ("local", {}), ("monai:ViT", SMALL_VIT), ("monai:DenseNet", SMALL_DENSENET)]
)
@pytest.mark.parametrize(("channels", "classes", "dimensions"), [(2, 5, 2), (1, 3, 3), (3, 2, 3)])
def test_any_network_is_rebuilt_from_its_header(tmp_path, name, extra, channels, classes, dimensions):
    network = build(name, channels, classes, dimensions, (32,) * dimensions, extra).eval()
    arguments = arguments_for(name, channels, classes, dimensions, (32,) * dimensions, extra)
    save_weights(network, tmp_path / "n.safetensors", name, arguments=arguments)
    loaded, _ = load_weights(tmp_path / "n.safetensors")
    images = torch.rand(2, channels, *[32] * dimensions)
    assert loaded.output == ("logit" if classes == 2 else "logits")
    assert loaded.class_scores(images).shape == (2, classes)
    assert torch.equal(loaded.network(images), network(images))
    with safe_open(str(tmp_path / "n.safetensors"), framework="pt") as file:
        assert json.loads(file.metadata()["arguments"]) == arguments


@pytest.mark.parametrize(("channels", "classes", "dimensions"), [(2, 5, 2), (1, 3, 3)])
def test_a_header_of_earlier_versions_says_channels_classes_and_dimensions(tmp_path, channels, classes, dimensions):
    network = build("local", channels, classes, dimensions).eval()
    header = {"architecture": "local", "channels": str(channels), "classes": str(classes)}
    save_file(network.state_dict(), tmp_path / "n.safetensors", {**header, "dimensions": str(dimensions)})
    images = torch.rand(2, channels, *[32] * dimensions)
    assert torch.equal(load_weights(tmp_path / "n.safetensors")[0].network(images), network(images))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"classes": "three"}, "header says classes 'three', expected a whole number"),
        ({"dimensions": "4"}, "a network of 1 channels, 2 classes and 4 dimensions"),
        ({"channels": "0"}, "a network of 0 channels"),
        ({"channels": "2"}, "weights do not fit resnet18"),
    ],
)
def test_headers_that_make_no_network(tmp_path, header, message):
    save_file(build("resnet18").state_dict(), tmp_path / "n.safetensors", {"architecture": "resnet18", **header})
    with pytest.raises(NetworkError, match=message):
        load_weights(tmp_path / "n.safetensors")


def test_networks_that_are_none_of_the_architecture_are_not_kept(tmp_path):
    with pytest.raises(NetworkError, match="Identity is no resnet18 with"):
        save_weights(torch.nn.Identity(), tmp_path / "n.safetensors", "resnet18")


def test_three_classes_of_two_channels_are_learned():
    recipe = Recipe("resnet18", epochs=6, batch_size=16)
    trained = train(blobs(120), recipe, seed=1)
    assert trained.output == trained.classifier.output == "logits"
    assert trained.arguments == arguments_for("resnet18", 2, 3, 2)
    held_out = blobs(60, seed=9)
    predicted = trained.classifier.predict(torch.from_numpy(held_out.images()))
    assert balanced_accuracy(held_out.labels, predicted) >= 0.9
    assert trained.validation_accuracy >= 0.9
    assert weights_hash(train(blobs(24), recipe, seed=1).network) == weights_hash(
        train(blobs(24), recipe, seed=1).network
    )


@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 2)])
def test_volumes_are_trained_on(classes, channels):
    cases = blobs(12, classes, channels, shape=(16, 20, 24))
    trained = train(cases, Recipe("resnet18", epochs=1, batch_size=6, validation=0.5))
    assert trained.arguments["spatial_dims"] == 3
    assert trained.classifier.predict(torch.from_numpy(cases.images())).shape == (12,)
    assert np.isfinite(trained.history).all()


def test_the_loss_of_a_step_is_torchs_cross_entropy_with_balanced_classes():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    weight = class_weights(labels, 3)
    torch.testing.assert_close(weight, torch.tensor([8 / 12, 8 / 6, 8 / 6]))
    scores = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = weight.double()
    found = balanced_cross_entropy(Classifier(torch.nn.Identity(), "logits"), scores, labels, weight)
    wanted = functional.cross_entropy(scores, labels, weight=weight, reduction="sum") / 8
    torch.testing.assert_close(found, wanted)
    log_likelihood = scores - scores.exp().sum(1, keepdim=True).log()
    by_hand = -sum(log_likelihood[labels == kind, kind].mean() for kind in range(3)) / 3
    torch.testing.assert_close(found, by_hand)
    two = labels.clamp(max=1)  # one neuron has the same loss as two that differ by its logit
    z = scores[:, 0]
    neuron = balanced_cross_entropy(
        Classifier(torch.nn.Identity()), torch.stack([-z, z], 1), two, class_weights(two, 2)
    )
    both = balanced_cross_entropy(
        Classifier(torch.nn.Identity(), "logits"), torch.stack([-z / 2, z / 2], 1), two, class_weights(two, 2)
    )
    torch.testing.assert_close(neuron, both)


def test_a_step_of_training_goes_down_torchs_gradient():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 3)).double()
    before = copy.deepcopy(network)
    images, labels = torch.rand(6, 2, 2, 2, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 2, 2])
    weight = class_weights(labels, 3).double()
    loss = training._step(
        Classifier(network, "logits"), images, labels, weight, torch.optim.SGD(network.parameters(), 0.1)
    )
    wanted = functional.cross_entropy(before(images), labels, weight=weight, reduction="sum") / 6
    assert loss == pytest.approx(float(wanted.detach()))
    wanted.backward()
    for now, then in zip(network.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(now, then - 0.1 * then.grad)


def test_a_label_beyond_the_classes_is_no_training_case():
    with pytest.raises(CaseError, match="labels from 0 to 2, the cases have the classes 0 to 1"):
        train(Cases(blobs(12).entries, blobs(12).read), Recipe("resnet18", epochs=1))


def test_images_of_several_shapes_are_refused():
    def read(entry):
        return Case(entry.name, np.zeros((1, 8, 8 + int(entry.name)), np.float32), entry.label, entry.patient)

    cases = Cases(tuple(CaseEntry(str(n), n % 2, f"p{n}") for n in range(2)), read)
    with pytest.raises(CaseError, match=r"case 1: image of shape \(1, 8, 9\), the first case has \(1, 8, 8\)"):
        cases.images()


def test_a_start_of_other_outputs_is_refused():
    with pytest.raises(NetworkError, match=r"output='logits' expects \(N, classes\)"):
        train(blobs(24), Recipe("resnet18", epochs=1), start=build("resnet18", channels=2))


ARGUMENTS = json.dumps(arguments_for("resnet50"))


def test_weights_that_cannot_be_used(tmp_path):
    file = tmp_path / "n.safetensors"
    with pytest.raises(NetworkError, match="no such file"):
        load_weights(file)
    file.write_bytes(b"not safetensors at all")
    with pytest.raises(NetworkError, match="not a safetensors file"):
        load_weights(file)
    save_file(build("resnet18").state_dict(), file, {"architecture": "resnet50", "arguments": ARGUMENTS})
    with pytest.raises(NetworkError, match="weights do not fit resnet50"):
        load_weights(file)
    save_file(build("resnet18").state_dict(), file, {"architecture": "transformer"})
    with pytest.raises(NetworkError, match="architecture 'transformer', known are resnet50"):
        load_weights(file)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(32, 32), (16, 20, 24)])
def test_augmentation_moves_along_every_axis_and_is_seeded(shape, channels):
    image = torch.zeros(channels, *shape)
    image[(slice(None), *(slice(length // 2 - 3, length // 2 + 3) for length in shape))] = 0.8

    def centres(seed):
        transform = augmentation(Recipe(), shape, seed)
        drawn = [torch.as_tensor(transform(image)).clamp(0, 1) for _ in range(12)]
        assert all(one.shape == image.shape for one in drawn)
        for one in drawn:  # channels move together, but for the noise
            assert (one - one[:1]).abs().max() < 0.25
        places = [
            [float((one[0] > 0.4).nonzero()[:, axis].float().mean()) for axis in range(len(shape))] for one in drawn
        ]
        return np.array(places)

    assert (centres(0).std(axis=0) > 0.3).all()
    np.testing.assert_array_equal(centres(0), centres(0))
    assert (centres(0) != centres(1)).any()


def test_unbalanced_cases_with_twins_are_learned_from_both_classes(monkeypatch):
    """Steps hold as many of each class: no class weighs more, and batch norm is settled on twins too."""

    weights, settled = [], []
    step, settle = training._step, training.settle_batch_norm

    def stepping(classifier, images, labels, weight, optimizer):
        weights.append((labels.bincount(minlength=2).tolist(), weight.tolist()))
        return step(classifier, images, labels, weight, optimizer)

    def settling(network, images, recipe):
        settled.append(images.clone())
        settle(network, images, recipe)

    monkeypatch.setattr(training, "_step", stepping)
    monkeypatch.setattr(training, "settle_batch_norm", settling)
    drawn = phantom.cases(24, 3, preprocessing=Preprocessing(32, (-1000, 400)), finding="nodule", finding_mm=(20, 30))
    alike = drawn.select([*range(0, 20, 2), 1, 3])  # ten without a nodule, two with
    recipe = Recipe(architecture="local", epochs=1, batch_size=4, validation=0.2, augment=False, twins=True)
    train(alike, recipe, seed=0)
    assert all(counts[0] == counts[1] and weight == [1.0, 1.0] for counts, weight in weights)
    shown = {image.numpy().tobytes() for image in settled[0]}
    twins = {case.twin.tobytes() for case in alike}
    assert len(shown & twins) == len(shown) // 2


@pytest.mark.parametrize(("classes", "channels", "shape"), [(2, 1, (32, 32)), (3, 2, (16, 16, 16))])
def test_any_architecture_is_trained_the_same_twice_whatever_was_drawn_before(tmp_path, classes, channels, shape):
    """Dropout draws too."""
    extra = {**SMALL_DENSENET, "norm": "batch", "dropout_prob": 0.5}
    recipe = Recipe("monai:DenseNet", epochs=2, batch_size=6, validation=0.5, arguments=extra)
    cases, trained = blobs(12, classes, channels, shape=shape), []
    for drawn in (1, 5):
        torch.rand(drawn)
        before = torch.get_rng_state()
        trained.append(train(cases, recipe, seed=3))
        assert torch.equal(torch.get_rng_state(), before)
    first, second = trained
    assert weights_hash(first.network) == weights_hash(second.network)
    save_weights(first.network, tmp_path / "n.safetensors", "monai:DenseNet", {}, first.arguments)
    images = torch.from_numpy(cases.images())
    loaded, _ = load_weights(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(loaded.predicted_scores(images), first.classifier.predicted_scores(images))


@pytest.mark.parametrize("extra", [{"spatial_dims": 3}, {"pretrained": True}, {"depth": 3}, {"act": "$print"}])
def test_arguments_that_cannot_be_given(extra):
    with pytest.raises(SettingsError, match=next(iter(extra))):
        train(blobs(12), Recipe("monai:DenseNet121", epochs=1, arguments=extra))
