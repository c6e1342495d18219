"""A study of volumes beside the bare network: gradients of all eight estimators, and fidelity's decisions.

The same shares are asked for as of slices (`gradients.py`, `decisions.py`).
"""

import torch

from decisions import beside_bare, rankings_of
from side_by_side import in_turn
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier, quick
from tomolens.classifier.architectures import build
from tomolens.classifier.layout import as_channels_last
from tomolens.estimators import References, explain, make_estimator
from tomolens.estimators.cost import cost_of
from tomolens.estimators.registry import PROTOCOL

BATCH = 4


def measure(architecture: str, side: int, rounds: int = 1) -> None:
    """One network and size."""
    torch.manual_seed(0)
    network = build(architecture, dimensions=3).eval().requires_grad_(False)
    chosen = Preprocessing(side, (-1000.0, 400.0))
    case = phantom.cases(1, seed=0, preprocessing=chosen, finding="nodule", dimensions=3)[0]
    image = torch.from_numpy(case.image)
    references = References(torch.rand(8, *image.shape), torch.arange(8) % 2)
    name = f"volumes, {architecture}, {' x '.join([str(side)] * 3)}"
    maps = gradients(network, image, references, name, rounds)
    quick.COMPILING_PAYS = 1e12  # half a minute for each network
    beside_bare(network, image, rankings_of(maps), f"decisions, {name}", BATCH)


def gradients(
    network: torch.nn.Module, image: torch.Tensor, references: References, name: str, rounds: int
) -> dict[str, torch.Tensor]:
    """All eight estimators, folded, against as many bare passes of the plain network; the maps."""
    classifier = Classifier(network).with_folded(image[None])
    count = cost_of([make_estimator(one) for one in PROTOCOL], tuple(image.shape)).gradients
    made: dict[str, torch.Tensor] = {}

    def ours() -> None:
        made.update(explain(classifier, image[None], list(PROTOCOL), [1], references=references, batch_size=BATCH))

    def bare() -> None:
        for start in range(0, count, BATCH):
            batch = image.repeat(min(BATCH, count - start), 1, 1, 1, 1)
            batch = as_channels_last(batch).requires_grad_(True)
            torch.autograd.grad(network(batch).sum(), batch)

    in_turn(f"gradients, {name}: eight estimators against {count} bare passes (at least 0.91)", ours, bare, rounds)
    return made


if __name__ == "__main__":
    torch.set_num_threads(1)  # as a worker of a study has
    measure("local", 64)
    measure("resnet18", 48)
