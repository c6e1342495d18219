import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn
from torch.nn import functional

from quick_study import no_figures
from tomolens import cli
from tomolens.api import Study
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import make
from tomolens.classifier.training import Recipe, train
from tomolens.findings import Findings
from tomolens.report import write
from tomolens.study.settings import StudySettings

# Nothing of the tests goes into the user's own cache, and pseudonyms are the same on every machine.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="tomolens-tests-")
os.environ["TOMOLENS_SALT"] = "salt of the tests"

settings.register_profile("steady", deadline=None)  # time limits measure the machine
settings.load_profile("steady")
torch.set_num_threads(1)  # the networks here are too small to share between cores

DIFFERENCES = pytest.StashKey[dict[str, float]]()

CT = Path(os.environ.get("TOMOLENS_CT", Path(__file__).parents[2] / "shared" / "ct"))


@pytest.fixture
def real_ct() -> Path:
    """Folder with real CT for tests; not part of the repository."""
    if not CT.is_dir():
        pytest.skip(f"no real CT at {CT}: set TOMOLENS_CT to the folder that holds tcga-contrast/")
    return CT


@pytest.fixture
def tomolens(monkeypatch, capsys):
    """The command, in this process: exit code, what was printed, and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tomolens", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return run


def transformer(channels: int = 1, outputs: int = 1, size: tuple[int, ...] = (16, 16), patch: int = 4) -> nn.Module:
    """A small vision transformer of MONAI with a class token, in eval mode."""
    torch.manual_seed(4)
    sizes = {"in_channels": channels, "num_classes": outputs, "img_size": list(size), "spatial_dims": len(size)}
    small = {"patch_size": patch, "hidden_size": 12, "mlp_dim": 16, "num_layers": 3, "num_heads": 3}
    return make(
        "monai:ViT", {name: list(one) if isinstance(one, tuple) else one for name, one in {**sizes, **small}.items()}
    ).eval()


def convolutional(channels: int = 1, outputs: int = 1, smooth: bool = False, dimensions: int = 2) -> nn.Module:
    """A small network of modules, each ReLU its own, with batch norm in eval mode."""
    activation = nn.Softplus if smooth else nn.ReLU
    convolution, norm, pool, average = {
        2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d),
        3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d),
    }[dimensions]
    torch.manual_seed(3)
    network = nn.Sequential(
        convolution(channels, 6, 3, padding=1),
        norm(6),
        activation(),
        pool(2),
        convolution(6, 8, 3, padding=1),
        activation(),
        average(2),
        nn.Flatten(),
        nn.Linear(8 * 2**dimensions, 10),
        activation(),
        nn.Linear(10, outputs),
    )
    for module in network.modules():
        if isinstance(module, norm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


class FunctionalReluNetwork(nn.Module):
    """The same ReLU written in every way: function, tensor method, in place, and one module used twice."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.way = way
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4, 1)
        self.shared = nn.ReLU(inplace=way == "reused in place")
        self.one, self.two = nn.ReLU(), nn.ReLU()

    def activate(self, x: Tensor, own: nn.Module) -> Tensor:
        if self.way == "functional":
            return functional.relu(x)
        if self.way == "torch":
            return torch.relu(x)
        if self.way == "method":
            return x.relu()
        if self.way == "in place":
            return torch.relu_(x)
        return own(x) if self.way == "modules" else self.shared(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activate(self.first(x), self.one)
        x = self.activate(self.second(x) + x, self.two)
        return self.last(x.mean(dim=(2, 3)))


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(convolutional())


@pytest.fixture
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((5, 1, 16, 16))).float()


def state_of(network: nn.Module) -> dict[str, object]:
    """Everything that explaining must leave as it was."""
    return {
        "modes": [module.training for module in network.modules()],
        "weights": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "gradients": [None if weight.grad is None else weight.grad.clone() for weight in network.parameters()],
        "flags": [weight.requires_grad for weight in network.parameters()],
        "hooks": [
            len(hooks)
            for module in network.modules()
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._backward_pre_hooks,
            )
        ],
    }


def assert_same_state(before: dict[str, object], after: dict[str, object]) -> None:
    for part in ("modes", "flags", "hooks"):
        assert before[part] == after[part], part
    for name, tensor in before["weights"].items():
        assert torch.equal(tensor, after["weights"][name]), name
    for one, other in zip(before["gradients"], after["gradients"], strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


SMALL = Preprocessing(size=64)
FIGURES = write._figures

SMALL_STUDY = {
    "name": "small",
    "examples": 2,
    "cases": {"source": "phantom", "size": 32, "train": 40, "test": 4},
    "classifier": {"recipe": {"architecture": "resnet18", "epochs": 3, "batch_size": 16}},
    "statistics": {"resamples": 200},
}


@pytest.fixture(scope="session")
def trained() -> Classifier:
    """A small network that knows simulated CT at 64 pixels."""
    recipe = Recipe(architecture="resnet18", epochs=5, batch_size=16)
    return Classifier(train(phantom.cases(120, seed=11, preprocessing=SMALL), recipe).network)


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Findings]:
    """Folder and findings of `SMALL_STUDY`, run once, without figures."""
    out = tmp_path_factory.mktemp("small") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_figures", no_figures)
        return out, Study(StudySettings.model_validate(SMALL_STUDY)).run(out)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Findings]:
    """Folder and findings of a small simulated study, run once, with enough patients for intervals."""
    out, enough = tmp_path_factory.mktemp("study") / "results", SMALL_STUDY["cases"] | {"test": 12}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_figures", FIGURES)
        return out, Study(StudySettings.model_validate(SMALL_STUDY | {"cases": enough})).run(out)


@pytest.fixture(autouse=True)
def figures_only_where_they_are_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is a third of a small study's time."""
    looking = ("test_study_vary", "test_real_ct")
    if request.module.__name__ not in looking and "finished_study" not in request.fixturenames:
        monkeypatch.setattr(write, "_figures", no_figures)


def pytest_addoption(parser):
    parser.addoption("--differences", metavar="FILE", help="write the largest difference that each test compared")


@pytest.fixture(autouse=True)
def compared(request, monkeypatch):
    """With --differences, what tensors and arrays of a test differed by is kept, as a share of the largest value."""
    if request.config.getoption("--differences") is None:
        return
    largest = request.config.stash.setdefault(DIFFERENCES, {})
    name = request.node.nodeid.partition("[")[0]

    def kept(compare):
        def call(found, wanted, *args, **options):
            one, other = (torch.as_tensor(values).detach().double().numpy() for values in (found, wanted))
            size = float(np.abs(other).max()) or 1.0
            largest[name] = max(largest.get(name, 0.0), float(np.abs(one - other).max()) / size)
            return compare(found, wanted, *args, **options)

        return call

    monkeypatch.setattr(torch.testing, "assert_close", kept(torch.testing.assert_close))
    monkeypatch.setattr(np.testing, "assert_allclose", kept(np.testing.assert_allclose))


def pytest_sessionfinish(session):
    file = session.config.getoption("--differences")
    if file is not None:
        Path(file).write_text(json.dumps(session.config.stash.get(DIFFERENCES, {})))
