"""How the time of each stage grows with pixels, maps, steps and cases: the exponent of a power law."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from side_by_side import seconds, slice_of
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.estimators import References, explain
from tomolens.estimators.registry import PROTOCOL
from tomolens.imputers.fills import imputer
from tomolens.metrics.masking import masked_decisions
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.roc import roc_of_map
from tomolens.regions import segment, xrai


def growth(claim: str, sizes: Sequence[int], work: Callable[[int], Callable[[], object]]) -> None:
    """Print the times and the exponent."""
    taken = []
    for size in sizes:
        run = work(size)
        run()
        taken.append(seconds(run, 3))
    exponent = np.polyfit(np.log(sizes), np.log(taken), 1)[0]
    shown = ", ".join(f"{size}: {time * 1000:.0f} ms" for size, time in zip(sizes, taken, strict=True))
    print(f"scaling, {claim}: exponent {exponent:.2f} ({shown})", flush=True)


def main() -> None:
    """All stages."""
    torch.manual_seed(0)
    classifier = Classifier(build("resnet18").eval())
    random = np.random.default_rng(0)

    def gradients(size: int) -> Callable[[], object]:
        image, pool = torch.from_numpy(slice_of(size).image)[None], torch.rand(4, 1, size, size)
        references = References(pool, torch.arange(4) % 2)
        return lambda: explain(classifier, image, list(PROTOCOL), [1], references=references, batch_size=16)

    def fidelity(size: int, maps: int = 1, steps: int = 20) -> Callable[[], object]:
        image = torch.from_numpy(slice_of(size).image)
        ranked = [rank_map(random.random(image.shape)) for _ in range(maps)]
        return lambda: masked_decisions(classifier, ranked, imputer(0.0, image, 0), steps, 16)

    def regions(size: int, maps: int = 4) -> Callable[[], object]:
        image = slice_of(size).image
        scores = [random.random(image.shape) for _ in range(maps)]

        def run() -> None:
            segments = segment(image)
            for one in scores:
                xrai(image, one, segments=segments)

        return run

    def roc(size: int) -> Callable[[], object]:
        case = slice_of(size)
        scores = random.random(case.image.shape)
        return lambda: roc_of_map(rank_map(scores), case.mask, 101)

    def explained(cases: int) -> Callable[[], object]:
        images = torch.rand(cases, 1, 64, 64)
        return lambda: explain(classifier, images, ["smoothgrad"], [1] * cases, batch_size=16)

    folds = (64, 128, 256)
    for name, work in {"gradients": gradients, "fidelity": fidelity, "regions": regions, "ROC": roc}.items():
        growth(f"{name} with the pixels (length of a fold; 2 is proportional)", folds, work)
    growth("fidelity with the maps", (2, 4, 8), lambda maps: fidelity(64, maps))
    growth("fidelity with the steps", (10, 20, 40), lambda steps: fidelity(64, 1, steps))
    growth("regions with the maps", (4, 16, 64), lambda maps: regions(128, maps))
    growth("gradients with the cases", (2, 4, 8), explained)


if __name__ == "__main__":
    main()
