"""A simulated study of many cases whose evaluation only sleeps: what runner, store and findings cost by themselves.

``python benchmarks/scale.py [--cases 100000] [--sleep 0.0]``. Every case has the measurements of a whole study, of 16
maps and 6 blind baselines: 40 steps, ROC and overlap.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from torch import nn

from tomolens.cases import Case, CaseEntry, Cases
from tomolens.classifier import Classifier
from tomolens.declarations import FORMS
from tomolens.estimators.baselines import BASELINES
from tomolens.estimators.registry import PROTOCOL
from tomolens.findings import Findings
from tomolens.results.rows import Measurement
from tomolens.results.store import Store
from tomolens.study import work
from tomolens.study.evaluate import Evaluation
from tomolens.study.runner import Resources, run_study
from tomolens.study.settings import StudySettings

CURVES = {
    "most_important_first": 41,
    "least_important_first": 41,
    "true_positive_rate_quantile": 101,
    "false_positive_rate_quantile": 101,
    "true_positive_rate_linear": 101,
    "false_positive_rate_linear": 101,
    "dice": 100,
    "kept": 100,
}
VALUES = ("fidelity", "auc", "average_precision", "dice_own_share", "kept_own_share")


def stub(seconds: float):  # type: ignore[no-untyped-def]
    """An evaluation that sleeps and returns numbers of the right number and length."""
    random = np.random.default_rng(0)
    maps = [(name, form) for name in PROTOCOL for form in FORMS] + [(name, "original") for name in BASELINES]
    prepared = random.random((64, len(maps), sum(CURVES.values()))).astype(np.float32).astype(np.float64)
    prepared[..., :82] = prepared[..., :82] > 0.5

    def evaluate(case: Case, *_: object) -> Evaluation:
        time.sleep(seconds)
        numbers = prepared[int(case.name) % 64]
        measured = [Measurement("", "", "correct", 1.0, None)]
        for which, (estimator, form) in enumerate(maps):
            start = 0
            for position, name in enumerate(VALUES):
                value = float(np.sin(int(case.name) * (position + 1) + which))
                measured.append(Measurement(estimator, form, name, value, None))
            for name, points in CURVES.items():
                measured.append(Measurement(estimator, form, name, None, tuple(numbers[which, start : start + points])))
                start += points
        return Evaluation(case.label, tuple(measured), {}, {}, {}, 0.0)

    return evaluate


def read(entry: CaseEntry) -> Case:
    """A tiny case."""
    image = np.full((1, 8, 8), (hash(entry.name) % 1000) / 1000, dtype=np.float32)
    return Case(entry.name, image, entry.label, entry.patient, np.eye(8, dtype=bool))


def run(count: int, seconds: float, folder: str) -> None:
    """The study, without its findings."""
    entries = tuple(CaseEntry(str(index), index // 16 % 2, f"p{index // 16}") for index in range(count))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    names = [name for name in PROTOCOL if name != "expected-gradients"]  # nothing is computed; it needs references
    settings = StudySettings.model_validate(
        {"name": "scale", "examples": 0, "precision": "fp32", "cases": {"size": 8}, "estimators": {"names": names}}
    )
    work.evaluate = stub(0.0)
    single = work.evaluate
    case = read(entries[0])
    began = time.perf_counter()
    for _ in range(200):
        single(case)
    evaluating = (time.perf_counter() - began) / 200 + seconds
    work.evaluate = stub(seconds)
    began = time.perf_counter()
    run_study(
        settings,
        Store(Path(folder)),
        Cases(entries, read),
        classifier=Classifier(network.eval()),
        resources=Resources(workers=1),
    )
    overhead = (time.perf_counter() - began) / count - evaluating
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"study of {count} cases: {1000 * overhead:.2f} ms a case beside the evaluation (at most 5), {peak:.0f} MiB")


def find(folder: str) -> None:
    """The findings of that study."""
    began = time.perf_counter()
    findings = Findings.from_folder(folder)
    tables = findings.tables
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(file.stat().st_size for file in Path(folder, "measurements").iterdir()) / 1e9
    print(
        f"findings of {len(findings.measured.cases)} cases ({size:.2f} GB): {took:.0f} s (at most 60), {peak:.0f} MiB "
        f"(at most 2048), {len(tables['overlap'])} rows of overlap"
    )


def main() -> None:
    """Each part in a process of its own, whose peak memory is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--part", choices=("run", "find"))
    parser.add_argument("--folder")
    given = parser.parse_args()
    if given.part == "run":
        run(given.cases, given.sleep, given.folder)
    elif given.part == "find":
        find(given.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for part in ("run", "find"):
                options = ["--cases", str(given.cases), "--sleep", str(given.sleep), "--folder", f"{folder}/results"]
                subprocess.run([sys.executable, __file__, *options, "--part", part], check=True)


if __name__ == "__main__":
    main()
