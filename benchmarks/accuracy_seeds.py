"""How steadily a study's network is learned from simulated cases: trained for several seeds, asked about fresh ones.

    python benchmarks/accuracy_seeds.py [STUDY] [--seeds 6] [--first 0] [--fresh 400] [--out DIR]

A study's own test cases are few: of 60, an accuracy of 97 % has a standard error of 2 %, and seeds differ by chance.
The fresh ones are of a seed of their own, the same for all networks. Networks in DIR are not trained again.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from tomolens import Study
from tomolens.api import train_network
from tomolens.cases import Cases, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.training import balanced_accuracy
from tomolens.classifier.weights import load_weights
from tomolens.study.settings import CaseSettings, read_settings

NODULE = Path(__file__).parents[1] / "studies" / "nodule.toml"
FRESH_SEED = 9000


def fresh_cases(chosen: CaseSettings, count: int) -> Cases:
    """Simulated cases like those of a study, of other patients than any of its seeds draws."""
    return phantom.cases(
        count,
        seed=FRESH_SEED,
        preprocessing=chosen.preprocessing,
        marker=chosen.marker,
        finding=chosen.finding,
        finding_mm=chosen.finding_mm,
    )


def recalls(classifier: Classifier, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Share of the cases without the finding, and of those with it, about which the network is right."""
    predicted = classifier.predicted_scores(torch.from_numpy(images)).argmax(axis=1)
    return tuple(float(np.mean(predicted[labels == label] == label)) for label in (0, 1))


def main() -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=NODULE)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=400)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    folder = chosen.out or Path(tempfile.mkdtemp())
    settings = read_settings(chosen.study)
    fresh = fresh_cases(settings.cases, chosen.fresh)
    images, labels = fresh.images(), fresh.labels
    print(f"| seed | its own {settings.cases.test} | {chosen.fresh} fresh | without | with | epoch | validation loss |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        study = Study.of(settings.model_copy(update={"seed": seed}))
        file = folder / f"{settings.name}-{seed}.safetensors"
        if not file.exists():
            train_network(study, file)
        fitted, facts = load_weights(file)
        cases = study.load_cases()
        own = cases.select([index for index, entry in enumerate(cases.entries) if entry.split == "test"])
        predicted = fitted.predicted_scores(torch.from_numpy(own.images())).argmax(axis=1)
        without, found = recalls(fitted, images, labels)
        shares = (balanced_accuracy(own.labels, predicted), (without + found) / 2, without, found)
        told = [f"{100 * share:.1f} %" for share in shares]
        print(f"| {seed} | {' | '.join(told)} | {facts['epoch']} | {facts['validation_loss']:.3f} |", flush=True)


if __name__ == "__main__":
    main()
