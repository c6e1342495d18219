"""Interrupt the command at random moments, again and again: ``python tests/interrupt_often.py [TIMES]``.

A study runs in its folder until it is done; each run is sent SIGINT or SIGTERM at a moment drawn at random, and the
next one goes on where it stopped. Every run must end with 130 (SIGINT), 143 (SIGTERM) or 0, and keep what it has told
to be finished. Ways to decisions are tried in every run and thrown away again, which is what once broke signals.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tomolens.classifier.architectures import build
from tomolens.classifier.weights import save_weights
from tomolens.results.store import Store

STUDY = """name = "interrupted"
examples = 1
batch_size = 8
precision = "PRECISION"
[cases]
source = "phantom"
size = 32
train = 4
test = 12
[estimators]
names = ["backpropagation", "random"]
[metrics]
steps = 40
[statistics]
resamples = 100
"""
COMMAND = """
import sys
import torch
from tomolens import cli
from tomolens.classifier import quick

torch.set_num_threads(1)
quick.TRYING_PAYS = 0.0
quick._speed = lambda way, example: (way(example), 1000.0 if "folded_bf16" in str(way) else 1.0)[1]
sys.argv = ["tomolens", *sys.argv[1:]]
cli.main()
"""
STAGE = "explaining and evaluating: "


def interrupt_often(folder: Path, times: int, seed: int = 0, precision: str = "auto") -> tuple[list[str], Counter[str]]:
    """What went wrong, and how often each signal ended a run or came too late; "fp32" tries no ways and is quicker."""
    chance, wrong, counts = random.Random(seed), [], Counter[str]()
    (folder / "study.toml").write_text(STUDY.replace("PRECISION", precision))
    save_weights(build("resnet18"), folder / "network.safetensors", "resnet18")
    out, longest = folder / "results", _whole_run(folder)
    for turn in range(times):
        number = (signal.SIGINT, signal.SIGTERM)[turn % 2]
        code, told = _interrupted(folder, number, chance, longest)
        done = Store(out).shards.finished()
        claimed = max((int(line.removeprefix(STAGE).split()[0]) for line in told if line.startswith(STAGE)), default=0)
        counts[f"{number.name} {code}"] += 1
        if code not in (0, 128 + number) or len(done) < claimed or (code == 0 and len(done) != 12):
            wrong.append(f"turn {turn}: {number.name} gave {code}, {claimed} told, {sorted(done)} kept: {told[-3:]}")
        if len(done) == 12:
            shutil.rmtree(out / "measurements")
    return wrong, counts


def _start(folder: Path) -> "subprocess.Popen[str]":
    arguments = ["study", folder / "study.toml", "--model", folder / "network.safetensors", "--workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments), "--out", str(folder / "results")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _whole_run(folder: Path) -> float:
    began = time.monotonic()
    process = _start(folder)
    _, error = process.communicate()
    assert process.returncode == 0, error
    shutil.rmtree(folder / "results" / "measurements")
    return time.monotonic() - began


def _interrupted(folder: Path, number: int, chance: random.Random, longest: float) -> tuple[int, list[str]]:
    """Half of the moments are any of the run, half while cases are being measured."""
    process, told = _start(folder), []
    if chance.random() < 0.5:
        for line in process.stderr:
            told.append(line)
            if line.startswith(STAGE):
                break
        time.sleep(chance.random() * 2.0)
    else:
        time.sleep(chance.random() * longest)
    process.send_signal(number)
    told += process.stderr.read().splitlines()
    code = process.wait()
    return (128 - code if code < 0 else code), told  # as a shell tells it


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found, ended = interrupt_often(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    print(json.dumps({"ended": dict(sorted(ended.items())), "wrong": found}, indent=2))
    sys.exit(bool(found))
