"""Weights: what a file may say of itself, and what happens where it cannot be written."""

import json
import os

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from tomolens.classifier import weights
from tomolens.classifier.architectures import build
from tomolens.classifier.weights import load_weights, save_weights
from tomolens.errors import NetworkError, SettingsError


@pytest.fixture(scope="module")
def state():
    return build("resnet18").state_dict()


def changed(state, name, change):
    return {**state, name: change(state[name].clone())}


def with_nan(tensor):
    tensor.view(-1)[3] = float("nan")
    return tensor


BAD_STATES = {
    "NaN": ("conv1.weight", with_nan, "weight 'conv1.weight': 1 of 3136 values are not finite"),
    "infinite": ("fc.bias", lambda one: one / 0, "weight 'fc.bias': 1 of 1 values are not finite"),
    "half": ("conv1.weight", torch.Tensor.half, "weight 'conv1.weight' is float16, expected float32"),
    "whole": ("fc.weight", torch.Tensor.int, "weight 'fc.weight' is int32, expected float32"),
}


@pytest.mark.parametrize("fault", BAD_STATES)
def test_weights_that_are_no_numbers_of_ours(tmp_path, state, fault):
    name, change, message = BAD_STATES[fault]
    save_file(changed(state, name, change), tmp_path / "n.safetensors", {"architecture": "resnet18", "notes": "{}"})
    with pytest.raises(NetworkError, match=message) as raised:
        load_weights(tmp_path / "n.safetensors")
    assert "n.safetensors" in str(raised.value)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("{", "notes in its header are not JSON"),
        ("[" * 100_000, "notes in its header are not JSON"),
        ("[1, 2]", "notes in its header are list, expected a JSON object"),
        ("3", "notes in its header are int, expected a JSON object"),
    ],
)
def test_notes_that_cannot_be_read(tmp_path, state, notes, message):
    save_file(state, tmp_path / "n.safetensors", {"architecture": "resnet18", "notes": notes})
    with pytest.raises(NetworkError, match=message):
        load_weights(tmp_path / "n.safetensors")


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "n.safetensors"
    save_weights(build("resnet18"), file, "resnet18", {"epoch": 1})
    before = file.read_bytes()

    def full(state, path, metadata):
        with open(path, "wb") as opened:
            opened.write(b"half of it")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(SettingsError, match=r"n\.safetensors: cannot be written .*No space left"):
        save_weights(build("resnet18"), file, "resnet18")
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["n.safetensors"]
    assert json.dumps(load_weights(file)[1]) == '{"epoch": 1}'
