import os

import numpy as np
import pytest
import torch

from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier, training
from tomolens.classifier.architectures import build
from tomolens.classifier.training import Recipe, augmentation, balanced_accuracy, train
from tomolens.classifier.weights import load_weights, save_weights, weights_hash
from tomolens.errors import CaseError, NetworkError
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


def test_too_few_patients_to_validate():
    words = r"too few to hold out validation = 0.2 of the recipe .*\(class . would have no case to train on"
    with pytest.raises(CaseError, match=words):
        train(phantom.cases(2, preprocessing=SMALL), Recipe(architecture="resnet18", epochs=1))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4, 0.45])
def test_validation_holds_out_what_it_says(share, monkeypatch):
    sizes = []
    monkeypatch.setattr(training, "_fit", lambda *arguments: sizes.append(list(map(len, arguments[3:5]))))
    train(phantom.cases(40, preprocessing=Preprocessing(size=8)), Recipe("resnet18", validation=share))
    assert sizes == [[40 - round(40 * share), round(40 * share)]]


def test_balanced_accuracy_is_the_mean_over_the_classes():
    assert balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])) == 0.5


def test_weights_come_back_as_they_were(tmp_path):
    network = build("resnet18")
    save_weights(network, tmp_path / "n.safetensors", "resnet18", {"size": 48})
    loaded, notes = load_weights(tmp_path / "n.safetensors")
    assert weights_hash(loaded) == weights_hash(network)
    assert notes == {"size": 48}
    assert not loaded.training


def test_weights_that_cannot_be_used(tmp_path):
    file = tmp_path / "n.safetensors"
    with pytest.raises(NetworkError, match="no such file"):
        load_weights(file)
    file.write_bytes(b"not safetensors at all")
    with pytest.raises(NetworkError, match="not a safetensors file"):
        load_weights(file)
    save_weights(build("resnet18"), file, "resnet50")
    with pytest.raises(NetworkError, match="weights do not fit resnet50"):
        load_weights(file)
    save_weights(build("resnet18"), file, "transformer")
    with pytest.raises(NetworkError, match="architecture 'transformer', known are resnet50"):
        load_weights(file)


@pytest.mark.parametrize("shape", [(32, 32), (16, 20, 24)])
def test_augmentation_moves_along_every_axis_and_is_seeded(shape):
    image = torch.zeros(1, *shape)
    image[(0, *(slice(length // 2 - 3, length // 2 + 3) for length in shape))] = 0.8

    def centres(seed):
        transform = augmentation(Recipe(), shape, seed)
        drawn = [torch.as_tensor(transform(image)).clamp(0, 1) for _ in range(12)]
        places = [
            [float((one[0] > 0.4).nonzero()[:, axis].float().mean()) for axis in range(len(shape))] for one in drawn
        ]
        return np.array(places)

    assert (centres(0).std(axis=0) > 0.3).all()
    np.testing.assert_array_equal(centres(0), centres(0))
    assert (centres(0) != centres(1)).any()
