"""The protocol on a GPU: gradients and whole cases against bare passes of the same network on the same device.

Whole cases of ResNet-50 at 224 x 224 as a study does them, one after the other, after a warm-up; passes of the bare
network at the same batch size. What is not the network is what the ratio shows.
"""

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.estimators import References, make_estimator
from tomolens.estimators.explain import explain_each
from tomolens.estimators.registry import PROTOCOL
from tomolens.metrics.evaluand import MetricSettings
from tomolens.study.evaluate import evaluate
from tomolens.study.plan import Plan
from tomolens.study.references import masked_references

GRADIENTS = 92
"""Of the protocol's estimators, for each case."""


def main() -> None:
    """Measure one size and batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.manual_seed(0)
    network = build("resnet50").eval().requires_grad_(False).to(given.device)
    name = torch.cuda.get_device_name() if given.device == "cuda" else given.device
    print(f"{name}, torch {torch.__version__}, ResNet-50 at {given.size} x {given.size}, batches of {given.batch}")
    cases = list(phantom.cases(given.cases + 1, seed=3, preprocessing=Preprocessing(size=given.size)))
    training = phantom.cases(16, seed=4, preprocessing=Preprocessing(size=given.size))
    references = References(torch.from_numpy(training.images()), torch.from_numpy(training.labels))
    plan = Plan(0, tuple(map(make_estimator, PROTOCOL)), "class", MetricSettings(), given.batch)
    example = torch.rand(given.batch, 1, given.size, given.size, device=given.device)
    plain = Classifier(network)
    bare = _bare(plain, example)
    for what, seconds in bare.items():
        print(f"bare {what:22} {given.batch / seconds:9.0f} images/s")
    folded = plain.with_folded(example[:2])
    masked = masked_references(references, plan, folded.intensity)
    classifier = replace(folded.quickened(example, 10**6, masked=lambda: masked), sparing=True)
    print("decisions by", classifier.quick.told if classifier.quick else "plain")

    def explained() -> None:
        for case in cases[1:]:
            image = torch.from_numpy(case.image)[None]
            explain_each(
                classifier,
                image,
                plan.estimators,
                targets=[1],
                references=references,
                names=[case.name],
                batch_size=given.batch,
            )

    def evaluated() -> None:
        for case in cases[1:]:
            evaluate(case, classifier, plan, references)

    evaluate(cases[0], classifier, plan, references)  # compiles the kernels, tunes the convolutions
    least = GRADIENTS * bare["forward and backward"] / given.batch
    gradients = _timed(explained) / given.cases
    print(f"gradients of a case: {gradients:.3f} s, {least / gradients:.2f} of {GRADIENTS} bare passes ({least:.3f} s)")
    whole = _timed(evaluated) / given.cases
    print(f"a whole case:        {whole:.3f} s, {3600 / whole:.0f} cases an hour by one process")
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(evaluated)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def _bare(classifier: Classifier, example: torch.Tensor) -> dict[str, float]:
    """Seconds of a batch."""

    def forward() -> None:
        with torch.inference_mode():
            classifier.class_scores(example)

    def forward_half() -> None:
        with torch.autocast(example.device.type, torch.bfloat16):
            forward()

    def backward() -> None:
        points = example.clone().requires_grad_()
        with torch.inference_mode(False):
            torch.autograd.grad(classifier.class_scores(points)[:, 1].sum(), points)

    with classifier.frozen():
        found = {"forward": _timed(forward, 10), "forward and backward": _timed(backward, 10)}
    return found | {"forward in bf16": _timed(forward_half, 10)}


def _timed(work: Callable[[], None], repeats: int = 1) -> float:
    if repeats > 1:
        work()
    _wait()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait()
    return (time.perf_counter() - began) / repeats


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
