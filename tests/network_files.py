"""One small network in every kind of file, for tests; and files that would write one of their own if anything ran."""

import json
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from tomolens.classifier.architectures import make

SIZE = 32
DENSENET = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 2,
    "init_features": 8,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def small_network(seed: int = 0, **changed: object) -> nn.Module:
    """A DenseNet of MONAI in eval mode, with weights that differ from those of a new one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make("monai:DenseNet", {**DENSENET, **changed}).eval()


def example(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def write_safetensors(network: nn.Module, folder: Path) -> Path:
    save_file(network.state_dict(), folder / "network.safetensors")
    return folder / "network.safetensors"


def write_state_dict(network: nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "network.pt")
    return folder / "network.pt"


def write_exported(network: nn.Module, folder: Path) -> Path:
    some = {0: torch.export.Dim("images", min=1, max=256)}
    torch.export.save(torch.export.export(network, (example(2),), dynamic_shapes=(some,)), folder / "network.pt2")
    return folder / "network.pt2"


def write_exported_of_one(network: nn.Module, folder: Path) -> Path:
    torch.export.save(torch.export.export(network, (example(1),)), folder / "one.pt2")
    return folder / "one.pt2"


def write_torchscript(network: nn.Module, folder: Path) -> Path:
    torch.jit.trace(network, example(2)).save(str(folder / "network.ts"))
    return folder / "network.ts"


def write_onnx(network: nn.Module, folder: Path) -> Path:
    file = folder / "network.onnx"
    torch.onnx.export(
        network, (example(2),), str(file), dynamo=False, input_names=["image"], dynamic_axes={"image": {0: "images"}}
    )
    return file


def write_bundle(network: nn.Module, folder: Path, **changed: object) -> Path:
    """A bundle in the documented layout; ``changed`` replaces parts of its configuration."""
    bundle = folder / "bundle"
    (bundle / "configs").mkdir(parents=True, exist_ok=True)
    (bundle / "models").mkdir(exist_ok=True)
    (bundle / "LICENSE").write_text("none")
    configuration = {
        "imports": ["$import glob", "$import os"],
        "spatial": 2,
        "shape": {"channels": 1},
        "device": "$torch.device('cuda')",
        "network_def": {
            "_target_": "monai.networks.nets.DenseNet",
            **DENSENET,
            "spatial_dims": "@spatial",
            "in_channels": "@shape#channels",
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Resized", "keys": "image", "spatial_size": [SIZE, SIZE]},
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": "image",
                    **{"a_min": -160, "a_max": 240, "b_min": 0.0, "b_max": 1.0, "clip": True},
                },
            ],
        },
    }
    metadata = {
        "network_data_format": {
            "inputs": {"image": {"num_channels": 1, "spatial_shape": [SIZE, SIZE], "format": "hounsfield"}},
            "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "without contrast", "1": "with contrast"}}},
        }
    }
    (bundle / "configs" / "inference.json").write_text(json.dumps({**configuration, **changed}))
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
    return bundle


def write_factory(network: nn.Module, folder: Path) -> Path:
    """Code of one's own that makes the network from its weights beside it."""
    weights = write_safetensors(network, folder)
    (folder / "own.py").write_text(
        "from safetensors.torch import load_file\nfrom monai.networks.nets import DenseNet\n\n\n"
        f"def network():\n    made = DenseNet(**{DENSENET!r})\n    made.load_state_dict(load_file({str(weights)!r}))\n"
        "    return made\n"
    )
    return folder / "own.py"


class Writes:
    """An object that writes a file where its pickle is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> object:
        return Path.touch, (self.file,)


def changed_archive(file: Path, change: dict[str, object], out: Path) -> Path:
    """A copy of a zip archive with entries replaced, or put in, by what their names end in."""
    with zipfile.ZipFile(file) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        names = given.namelist()
        prefix = names[0].split("/", 1)[0]
        left = dict(change)
        for name in names:
            inner = name.split("/", 1)[1]
            new = left.pop(inner, None)
            content = given.read(name)
            made.writestr(name, content if new is None else new(content) if callable(new) else new)
        for inner, new in left.items():
            made.writestr(f"{prefix}/{inner}", new)
    return out


def pickled(payload: object) -> bytes:
    return pickle.dumps(payload)
