"""A study of small cases and a small network of one's own, for tests of what may befall a study."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tomolens.api import Study
from tomolens.cases import Case, CaseEntry, Cases
from tomolens.classifier import Classifier
from tomolens.study.settings import StudySettings

SETTINGS = {
    "name": "quick",
    "examples": 1,
    "batch_size": 8,
    "estimators": {"names": ["backpropagation", "smoothgrad-squared", "random"]},
    "metrics": {"steps": 6, "roc_points": 11},
    "statistics": {"resamples": 100},
}
MARK = 0.5
TABLES = ("fidelity", "roc", "overlap", "ranks", "baselines", "gains", "pairs", "agreement", "strata", "patients")


class Mind:
    """What a network holds and its identity does not see: a mood may pass, and the study goes on."""

    def __init__(self, mood):
        self.mood = mood


class Moody(nn.Module):
    """A network that does something to images whose first pixel is exactly `MARK`."""

    def __init__(self, mood="good", folder=""):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
        )
        self.mind, self.folder = Mind(mood), folder

    @property
    def mood(self):
        return self.mind.mood

    def forward(self, images):
        marked = bool((images[:, 0, 0, 0] == MARK).any())
        if marked and self.mood == "raises":
            raise ValueError("a network of one's own broke")
        if marked and self.mood == "nan":
            return self.body(images) * float("nan")
        if marked and self.mood == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if marked and self.mood == "dies once" and not Path(self.folder, "died").exists():
            Path(self.folder, "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "small memory" and len(images) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        if marked and self.mood == "stuck":
            Path(self.folder, "stuck").touch()
            while True:
                time.sleep(1.0)
        if self.mood == "slow":
            time.sleep(0.004)
        return self.body(images)


def quick_cases(count=12, marked=()):
    """Bright or dark squares, two to a patient, a mask for each; some marked."""
    entries = tuple(CaseEntry(f"case-{i}", (i // 2) % 2, f"patient-{i // 2}") for i in range(count))

    def read(entry):
        number = int(entry.name.split("-")[1])
        random = np.random.default_rng(number)
        image = (0.3 * random.random((1, 16, 16)) + 0.4 * entry.label).astype(np.float32)
        image[0, 0, 0] = MARK if number in marked else 0.0
        mask = np.zeros((16, 16), bool)
        mask[3:8, 4:9] = True
        return Case(entry.name, image, entry.label, entry.patient, mask)

    return Cases(entries, read)


def blobs(count, classes=3, channels=2, shape=(24, 24), seed=0):
    """A blob anywhere: in the first channel, in the last, or in both alike; noise in all."""

    def read(entry):
        number = int(entry.name)
        random = np.random.default_rng((seed, number))
        image = 0.15 * random.random((channels, *shape))
        places = [int(random.integers(4, length - 4)) for length in shape]
        blob = (slice(place - 3, place + 3) for place in places)
        seen = {0: [0], 1: [channels - 1], 2: [0, channels - 1]}[entry.label]
        image[(np.array(seen).reshape(-1, *[1] * len(shape)), *np.ix_(*(np.r_[one] for one in blob)))] += 0.8
        return Case(entry.name, image.astype(np.float32), entry.label, entry.patient)

    entries = tuple(CaseEntry(str(number), number % classes, f"p{number}") for number in range(count))
    return Cases(entries, read, tuple("abc"[:classes]))


def quick_study(mood="good", count=12, marked=(), folder="", **changes):
    settings = StudySettings.model_validate(SETTINGS | changes)
    network = Moody(mood, str(folder)).eval()
    return Study(settings, cases=quick_cases(count, marked), classifier=Classifier(network))


def no_figures(*_):
    """In place of drawing them, which is most of a quick study's time and shows nothing of what may befall it."""
    return iter(())


def tables(out):
    """The bytes of all tables."""
    return {name: Path(out, "tables", f"{name}.csv").read_bytes() for name in TABLES}


def run_slowly(out, count=12):
    """In a process of its own that is going to be killed; every case is written at once."""
    from tomolens.report import write
    from tomolens.results import writer

    writer.SECONDS = 0.0
    write._figures = no_figures
    torch.set_num_threads(1)
    quick_study("slow", count).run(out, workers=1)
