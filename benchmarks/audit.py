"""How often decisions come out otherwise than the network's, over every case of a manifest, by audit and in truth.

    python benchmarks/audit.py cases.csv network.safetensors [BACKEND ...]

Every decision on images masked in the order of three maps is made by each quick backend of the machine and by the
network as it is, asked only where decisions turn, checked and audited as in a study; and all again by the network
itself.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tomolens.cases import Cases, Preprocessing, from_manifest, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.intensity import Intensity
from tomolens.classifier.openvino_backends import openvino_int8
from tomolens.classifier.quick import BACKENDS, EIGHT_BITS, Quick, with_errors
from tomolens.classifier.weights import load_weights
from tomolens.estimators import References, explain
from tomolens.imputers.fills import imputer
from tomolens.metrics.evaluand import MetricSettings
from tomolens.metrics.masking import masked_decisions
from tomolens.metrics.ranked import RankedMap, rank_map
from tomolens.randomness import generator
from tomolens.study.plan import Plan
from tomolens.study.references import masked_references

STEPS, BATCH = 40, 16
SKIPPED = ("compiled-bf16",)
"""Made anew for every network for half a minute, of the same numbers as folded-bf16."""


def rankings_of(classifier: Classifier, image: torch.Tensor, name: str) -> list[RankedMap]:
    """Two absolute maps and a random one."""
    maps = explain(classifier, image[None], ["smoothgrad-squared", "integrated-gradients", "random"], names=[name])
    return [rank_map(stack[0].abs(), name=name) for stack in maps.values()]


def masked_slices(size: int) -> torch.Tensor:
    """Simulated slices with parts of them masked, to which eight bits are fitted: none of those that are decided."""
    training = phantom.cases(16, seed=4, preprocessing=Preprocessing(size=size))
    plan = Plan(0, (), "class", MetricSettings(), BATCH)
    made = masked_references(References(training.images(), training.labels), plan, Intensity())
    assert made is not None
    return made


def measure(classifier: Classifier, cases: Cases, chosen: Sequence[str] = ()) -> None:
    """Print for each backend its decisions: asked of the network, filled in, audits, and how many differ in truth.

    Args:
        classifier: the network as it is.
        cases: whose decisions are made.
        chosen: how the names of the backends end that are tried; all by default.
    """
    example = torch.from_numpy(cases[0].image).expand(BATCH, *cases[0].image.shape)
    with torch.inference_mode():
        backends = {
            name: Quick(name, make(classifier.network, example), BATCH)
            for name, make in BACKENDS.items()
            if name not in SKIPPED
        }
        masked = masked_slices(example.shape[-1])
        run = openvino_int8(classifier.network, example, masked)
    for finer in ("openvino-fp32", "openvino-bf16"):
        made = Quick(EIGHT_BITS, run, BATCH, finer=backends[finer])
        backends[made.told] = made
    backends = {
        name: with_errors(one, classifier.network, masked)
        for name, one in backends.items()
        if not chosen or name.endswith(tuple(chosen))
    }
    totals = {name: np.zeros(8, dtype=np.int64) for name in ("plain", *backends)}
    for number, case in enumerate(cases):
        image = torch.from_numpy(case.image)
        rankings, fill = rankings_of(classifier, image, case.name), imputer("label", image, case.label, name=case.name)
        itself = masked_decisions(classifier, rankings, fill, STEPS, BATCH).classes
        for name in totals:
            sparing = Classifier(classifier.network, quick=backends.get(name), sparing=True)
            found = masked_decisions(sparing, rankings, fill, STEPS, BATCH, generator(0, case.name, "audit"))
            wrong = int((found.classes != itself).sum())
            audits = (found.audited, found.differed, found.filled_audited, found.filled_differed)
            totals[name] += (itself.size, found.asked, found.filled, *audits, wrong)
        print(f"{number + 1} of {len(cases)}", end="\r", flush=True)
    for name, (count, asked, filled, audited, differed, looked_at, otherwise, wrong) in totals.items():
        print(
            f"{name}: {count} decisions, {asked} by the network, {filled} filled in; audited {audited}, differed "
            f"{differed}; of those filled in audited {looked_at}, differed {otherwise}; in truth wrong {wrong}"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    network, notes = load_weights(Path(sys.argv[2]))
    measure(network, from_manifest(sys.argv[1], Preprocessing(int(str(notes["size"])))), sys.argv[3:])
