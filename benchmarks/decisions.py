"""Fidelity: every quick backend that is here, what equal images save, and both against plain loops."""

import numpy as np
import torch

from side_by_side import in_turn, seconds, slice_of
from tomolens.classifier import Classifier, quick
from tomolens.classifier.architectures import build
from tomolens.classifier.decisions import Decided, decide
from tomolens.classifier.layout import as_channels_last
from tomolens.classifier.quick import BACKENDS, Quick
from tomolens.estimators import References, explain
from tomolens.estimators.registry import PROTOCOL
from tomolens.imputers.fills import imputer
from tomolens.metrics.masking import masked_decisions
from tomolens.metrics.ranked import RankedMap, rank_map

STEPS, BATCH = 40, 16


def rankings_of(maps: dict[str, torch.Tensor]) -> list[RankedMap]:
    """Every map as it is and absolute, one that is its own absolute once."""
    forms = [(one[0], one[0].abs()) for one in maps.values()]
    return [rank_map(form) for own, magnitude in forms for form in (own, magnitude)[: 1 + (not own.equal(magnitude))]]


def beside_bare(
    network: torch.nn.Module, image: torch.Tensor, rankings: list[RankedMap], name: str, batch: int
) -> Quick:
    """Every masked image of fidelity once, against bare passes of the cascade; the quickest backend.

    The cascade's bare passes are those of the quickest backend on all that it is shown, and of the network itself on
    all that it is asked: as a check, in doubt, or as an audit.
    """
    example = image.expand(batch, *image.shape).contiguous()
    found = Classifier(network).quickened(example, 10**9).quick
    for backend, speed in found.speeds.items() if found else ():
        print(f"{name}: {backend} {speed:.1f} images a second", flush=True)
    quickest = found or Quick("folded-fp32", BACKENDS["folded-fp32"](network, example), batch)
    with torch.inference_mode():
        bare = seconds(lambda: [quickest.run(example) for _ in range(20)]) / (20 * batch)
        inputs = as_channels_last(example)
        itself = seconds(lambda: [network(inputs) for _ in range(3)]) / (3 * batch)
    made: list[int] = []

    def counting(images: torch.Tensor) -> torch.Tensor:
        made.append(len(images))
        return quickest.run(images)

    counted = Classifier(network, quick=Quick(quickest.name, counting, batch))
    decided: list[Decided] = []
    took = seconds(lambda: decided.append(masked_decisions(counted, rankings, imputer(0.0, image, 0), STEPS, batch)))
    shown, whole = sum(made), len(rankings) * 2 * (STEPS + 1)
    asked = decided[0].asked + decided[0].audited + decided[0].filled_audited
    print(f"{name}: {shown} of {whole} masked images shown to {quickest.name}, {asked} to the network", flush=True)
    alone, cascade = shown * bare / took, (shown * bare + asked * itself) / took
    print(
        f"{name}: {cascade:.2f} of the bare cascade (at least 0.85), "
        f"{alone:.2f} of {quickest.name} alone, {took:.1f} s",
        flush=True,
    )
    return quickest


def measure(size: int) -> None:
    """One size."""
    torch.manual_seed(0)
    network = build("resnet50").eval().requires_grad_(False)
    case = slice_of(size)
    image = torch.from_numpy(case.image)
    maps = explain(
        Classifier(network),
        image[None],
        list(PROTOCOL),
        [case.label],
        references=References(torch.rand(8, 1, size, size), torch.arange(8) % 2),
    )
    rankings = rankings_of(maps)
    quick.COMPILING_PAYS = 0.0
    quickest = beside_bare(network, image, rankings, f"decisions, {size} x {size}", BATCH)
    classifier = Classifier(network, quick=quickest)
    random = torch.rand(256, 1, size, size)
    decided = decide(classifier, lambda numbers: random[list(numbers)], len(random), BATCH)
    print(f"decisions, {size} x {size}: bound {decided.bound:.3f}, {decided.asked} of 256 asked again", flush=True)

    def plain_loop() -> None:
        with torch.inference_mode():
            for ranked in rankings[:2]:
                for order in (ranked.order, ranked.order[::-1]):
                    for count in np.linspace(0, order.size, STEPS + 1).astype(int):
                        masked = image.clone().reshape(1, -1)
                        masked[:, torch.from_numpy(order[:count].copy())] = 0.0
                        network(masked.reshape(1, *image.shape))

    def ours() -> None:
        masked_decisions(classifier, rankings[:2], imputer(0.0, image, 0), STEPS, BATCH)

    in_turn(f"fidelity, {size} x {size}, two maps: ours against a plain loop", ours, plain_loop, 1)


if __name__ == "__main__":
    measure(128)
    measure(224)
