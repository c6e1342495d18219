"""All eight estimators of a slice, folded, against 92 bare passes of the plain network, and against captum's loop."""

import captum.attr
import torch

from side_by_side import in_turn, slice_of
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.estimators import References, explain, make_estimator
from tomolens.estimators.cost import cost_of
from tomolens.estimators.registry import PROTOCOL

BATCH = 32


def measure(size: int, architecture: str, rounds: int, with_captum: bool = True) -> None:
    """One size."""
    torch.manual_seed(0)
    network = build(architecture).eval().requires_grad_(False)
    case = slice_of(size)
    image = torch.from_numpy(case.image)[None]
    classifier = Classifier(network).with_folded(image)
    references = References(torch.rand(16, 1, size, size), torch.arange(16) % 2)
    count = cost_of([make_estimator(name) for name in PROTOCOL], case.image.shape).gradients

    def ours() -> None:
        explain(classifier, image, list(PROTOCOL), [case.label], references=references, batch_size=BATCH)

    def bare() -> None:
        for start in range(0, count, BATCH):
            batch = image.repeat(min(BATCH, count - start), 1, 1, 1).contiguous(memory_format=torch.channels_last)
            batch = batch.as_strided(batch.shape, (size * size, 1, size, 1)).requires_grad_(True)
            torch.autograd.grad(network(batch).sum(), batch)

    def captums() -> None:
        captum.attr.Saliency(network).attribute(image, abs=False)
        captum.attr.Deconvolution(network).attribute(image)
        for baseline in (0.0, 0.0, 1.0):  # black for one estimator, black and white for the other
            captum.attr.IntegratedGradients(network).attribute(
                image, baselines=baseline, n_steps=25, method="riemann_right", internal_batch_size=BATCH
            )
        for kind in ("smoothgrad", "smoothgrad_sq"):
            captum.attr.NoiseTunnel(captum.attr.Saliency(network)).attribute(
                image, nt_type=kind, nt_samples=15, stdevs=0.15, abs=False
            )
        captum.attr.GradientShap(network).attribute(image, baselines=references.images, n_samples=25)

    name = f"{architecture}, {size} x {size}"
    claim = f"gradients, {name}: eight estimators against {count} bare passes (at least 0.91)"
    in_turn(claim, ours, bare, rounds, warm=size < 512)  # half a minute each: what is made on the first call is little
    if with_captum:
        in_turn(f"gradients, {name}: eight estimators against captum", ours, captums, 1, warm=False)


if __name__ == "__main__":
    measure(128, "resnet50", 2)
    measure(224, "resnet50", 1, with_captum=False)
    measure(512, "resnet18", 1, with_captum=False)
