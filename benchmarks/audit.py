"""How often a quick backend decides otherwise than the network, over every case of a manifest, by audit and in truth.

    python benchmarks/audit.py cases.csv network.safetensors

Every decision on images masked in the order of three maps is made by each quick backend of the machine, checked and
audited as in a study, and again by the network itself.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from tomolens.api import read_classifier
from tomolens.cases import Cases, Preprocessing, from_manifest
from tomolens.classifier import Classifier
from tomolens.classifier.quick import BACKENDS, Quick
from tomolens.classifier.weights import load_weights
from tomolens.estimators import explain
from tomolens.metrics.fidelity import masked_decisions
from tomolens.metrics.fills import filler
from tomolens.metrics.ranked import RankedMap, rank_map
from tomolens.randomness import generator
from tomolens.study.settings import StudySettings

STEPS, BATCH = 40, 16
SKIPPED = ("compiled-bf16",)
"""Made anew for every network for half a minute, of the same numbers as folded-bf16."""


def rankings_of(classifier: Classifier, image: torch.Tensor, name: str) -> list[RankedMap]:
    """Two absolute maps and a random one."""
    maps = explain(classifier, image[None], ["smoothgrad-squared", "integrated-gradients", "random"], names=[name])
    return [rank_map(stack[0].abs(), name=name) for stack in maps.values()]


def measure(classifier: Classifier, cases: Cases) -> None:
    """Print for each backend its decisions, how many were asked, audited, found to differ, and differ in truth."""
    example = torch.from_numpy(cases[0].image).expand(BATCH, *cases[0].image.shape)
    with torch.inference_mode():
        backends = {name: make(classifier.network, example) for name, make in BACKENDS.items() if name not in SKIPPED}
    totals = {name: np.zeros(5, dtype=np.int64) for name in backends}
    for number, case in enumerate(cases):
        image = torch.from_numpy(case.image)
        rankings, fill = rankings_of(classifier, image, case.name), filler("label", image, case.label)
        plain = masked_decisions(classifier, rankings, fill, STEPS, BATCH).classes
        for name, backend in backends.items():
            quick = Classifier(classifier.network, quick=Quick(name, backend, BATCH))
            found = masked_decisions(quick, rankings, fill, STEPS, BATCH, generator(0, case.name, "audit"))
            wrong = int((found.classes != plain).sum())
            totals[name] += (plain.size, found.asked, found.audited, found.differed, wrong)
        print(f"{number + 1} of {len(cases)}", end="\r", flush=True)
    for name, (count, asked, audited, differed, wrong) in totals.items():
        print(f"{name}: {count} decisions, asked {asked}, audited {audited}, differed {differed}, wrong {wrong}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    weights = Path(sys.argv[2])
    size = int(str(load_weights(weights)[1]["size"]))
    settings = StudySettings.model_validate({"name": "audit", "cases": {"size": size}})
    measure(read_classifier(weights, settings), from_manifest(sys.argv[1], Preprocessing(size)))
