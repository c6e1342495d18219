"""Peak memory of each estimator at few and at many samples, steps or windows: it should not grow with them.

    python benchmarks/estimator_memory.py

Each map is made in a process of its own, of one 128 x 128 image and a ResNet-18 in batches of 8, on one thread; what is
printed is the peak beyond that of the process before it explains anything.
"""

import resource
import subprocess
import sys
from typing import Any

import torch

from tomolens.classifier import Classifier
from tomolens.classifier.architectures import make
from tomolens.estimators import References, Scene, explain, make_estimator

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "smoothgrad": ({"samples": 24}, {"samples": 200}),
    "vargrad": ({"samples": 24}, {"samples": 200}),
    "integrated-gradients": ({"steps": 24}, {"steps": 200}),
    "expected-gradients": ({"samples": 24}, {"samples": 200}),
    "gradient-shap": ({"samples": 24}, {"samples": 200}),
    "blur-integrated-gradients": ({"steps": 24}, {"steps": 100}),
    "guided-integrated-gradients": ({"steps": 24}, {"steps": 100}),
    "smooth:lrp": ({"samples": 24}, {"samples": 200}),
    "score-cam": ({"most": 8}, {"most": 400}),
    "occlusion": ({"window": 32, "stride": 24}, {"window": 8, "stride": 4}),
    "rise": ({"samples": 24}, {"samples": 1000}),
    "lime": ({"samples": 24}, {"samples": 1000}),
    "kernel-shap": ({"samples": 200}, {"samples": 1000}),
}


def peak() -> float:
    """Of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, which: int) -> None:
    """Print what one map takes beyond what was there before."""
    torch.set_num_threads(1)
    network = make("resnet18", {"n_input_channels": 1, "num_classes": 2, "spatial_dims": 2}).eval()
    images = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    images[..., 30:70, 40:80] *= 0.3
    classifier = Classifier(network, "logits")
    references = References(images.expand(4, -1, -1, -1).clone(), [0, 1, 0, 1])
    with torch.no_grad():
        classifier.class_scores(images.expand(8, -1, -1, -1))
    before = peak()
    explain(
        classifier,
        images,
        [make_estimator(name, **CASES[name][which])],
        references=references,
        scenes=[Scene(spacing=(1.0, 1.0))],
        batch_size=8,
    )
    print(peak() - before)


def main() -> None:
    """Print the table."""
    print("| estimator | few | MiB | many | MiB |\n|---|---|---|---|---|")
    for name, pair in CASES.items():
        taken = [
            float(subprocess.run([sys.executable, __file__, name, str(which)], capture_output=True, check=True).stdout)
            for which in (0, 1)
        ]
        words = [", ".join(f"{key} = {value}" for key, value in given.items()) for given in pair]
        print(f"| {name} | {words[0]} | {taken[0]:.0f} | {words[1]} | {taken[1]:.0f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
