"""The peak of a study's memory against its number of cases, and of a case against steps and samples.

Each measurement is a process of its own: the peak of a process never falls.
"""

import json
import resource
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn

FEW, MANY = 40, 1000


def study(cases: int) -> None:
    """A study of small cases with a small network, all metrics, into a temporary folder."""
    from tomolens.api import Study
    from tomolens.cases import Case, CaseEntry, Cases
    from tomolens.classifier import Classifier
    from tomolens.study.settings import StudySettings

    def read(entry: CaseEntry) -> Case:
        random = np.random.default_rng(int(entry.name))
        image = random.random((1, 32, 32), dtype=np.float32)
        mask = np.zeros((32, 32), bool)
        mask[5:15, 5:15] = True
        return Case(entry.name, image, entry.label, entry.patient, mask)

    entries = tuple(CaseEntry(str(index), index % 2, f"p{index // 4}") for index in range(cases))
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    settings = StudySettings.model_validate(
        {
            "name": "memory",
            "examples": 2,
            "cases": {"size": 32},
            "estimators": {"names": ["backpropagation", "random"], "baselines": []},
            "metrics": {"steps": 4, "roc_points": 11},
            "statistics": {"resamples": 200},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        Study(settings, cases=Cases(entries, read), classifier=Classifier(network.eval())).run(
            f"{folder}/results", workers=1
        )


def case(samples: int, steps: int) -> None:
    """One case with more samples of SmoothGrad and more masking steps."""
    from tomolens.classifier import Classifier
    from tomolens.classifier.architectures import build
    from tomolens.estimators import SmoothGrad, explain
    from tomolens.metrics import fidelity

    torch.manual_seed(0)
    classifier = Classifier(build("resnet18").eval())
    image = torch.rand(1, 1, 128, 128)
    maps = explain(classifier, image, [SmoothGrad(samples=samples)], [1], batch_size=8)
    fidelity(classifier, image, [1], maps["smoothgrad"], steps=steps, batch_size=8)


def peak(*arguments: object) -> float:
    """MiB at most of a process that runs one of the functions above."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, or run one measurement in this process."""
    if len(sys.argv) > 1:
        {"study": study, "case": case}[sys.argv[1]](*map(int, sys.argv[2:]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    few, many = peak("study", FEW), peak("study", MANY)
    print(
        f"memory of a study: {FEW} cases {few:.0f} MiB, {MANY} cases {many:.0f} MiB, ratio {many / few:.2f}", flush=True
    )
    small, large = peak("case", 15, 40), peak("case", 300, 400)
    print(
        f"memory of a case: 15 samples and 40 steps {small:.0f} MiB, 300 and 400 {large:.0f} MiB, "
        f"ratio {large / small:.2f}"
    )


if __name__ == "__main__":
    main()
