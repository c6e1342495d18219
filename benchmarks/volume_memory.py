"""Peak memory of all eight estimators of a volume of 128 voxels a side with a 3-D ResNet-18, against one bare pass.

    python benchmarks/volume_memory.py

The bare pass is one gradient of one volume, forward and backward. Each measurement is a process of its own, on one
thread and in batches of one; what is printed is its peak, and that beyond the process before anything ran.
"""

import json
import resource
import subprocess
import sys
import time

import torch

from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.estimators import References, explain, make_estimator
from tomolens.estimators.registry import PROTOCOL

SIDE = 128
FEW, MANY = 2, 6
"""Samples and steps of the estimators that have them."""
WAYS = ("resnet18", "resnet18 with checkpoints", "monai:DenseNet121", "monai:DenseNet121 with checkpoints")
COUNTED = {
    "integrated-gradients": "steps",
    "integrated-gradients-bw": "steps",
    "expected-gradients": "samples",
    "smoothgrad": "samples",
    "smoothgrad-squared": "samples",
}


def peak() -> float:
    """Of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bare(network: torch.nn.Module, volume: torch.Tensor) -> None:
    """One gradient by the volume."""
    volume = volume.clone().requires_grad_(True)
    torch.autograd.grad(network(volume).sum(), volume)


def estimators(network: torch.nn.Module, volume: torch.Tensor, count: int) -> None:
    """Maps of all estimators of the protocol, with so many samples or steps."""
    chosen = [make_estimator(name, **({COUNTED[name]: count} if name in COUNTED else {})) for name in PROTOCOL]
    references = References(torch.cat([0.5 * volume, 0.8 * volume]), [0, 1])
    explain(Classifier(network), volume, chosen, [1], references=references, batch_size=1)


def gradient(classifier: Classifier, volume: torch.Tensor) -> float:
    """Seconds of one gradient, the second: the first makes what that one finds."""
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        explain(classifier, volume, "backpropagation", [1], batch_size=1)
        taken.append(time.perf_counter() - began)
    return taken[1]


def measure(asked: str) -> None:
    """Print this process's peak; 0 samples are the bare pass."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = asked.split()[0] if asked in WAYS else "resnet18"
    network = build(architecture, dimensions=3).eval().requires_grad_(False)
    volume = torch.rand(1, 1, *[SIDE] * 3, generator=torch.Generator().manual_seed(0))
    before = peak()
    took = 0.0
    if asked in WAYS:
        classifier = Classifier(network)
        if "checkpoints" in asked:
            classifier = classifier.with_checkpoints(volume[..., :64, :64, :64])
        took = gradient(classifier, volume)
    elif int(asked):
        estimators(network, volume, int(asked))
    else:
        bare(network, volume)
    print(json.dumps([before, peak(), took]))


def run(asked: int | str) -> tuple[float, float, float]:
    """What `measure` prints in a process of its own."""
    done = subprocess.run([sys.executable, __file__, str(asked)], capture_output=True, text=True, check=True)
    before, most, took = json.loads(done.stdout.splitlines()[-1])
    return float(before), float(most), float(took)


def main() -> None:
    """Measure, or run one measurement in this process."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    (before, alone, _), few, many = run(0), run(FEW), run(MANY)
    print(
        f"memory of a volume of {SIDE} voxels a side: bare pass {alone:.0f} MiB, {alone - before:.0f} beyond the start"
    )
    for count, (start, most, _) in ((FEW, few), (MANY, many)):
        print(
            f"eight estimators, {count} samples and steps: {most:.0f} MiB, {most / alone:.2f} times the bare pass; "
            f"beyond the start {most - start:.0f} MiB, {(most - start) / (alone - before):.2f} times (under 3)"
        )
    for way in WAYS:
        start, most, took = run(way)
        print(f"one gradient, {way}: {most - start:.0f} MiB beyond the start; {took:.2f} s")
    print(f"{MANY} samples against {FEW}: ratio {many[1] / few[1]:.2f} (flat is 1)")


if __name__ == "__main__":
    main()
