"""Signals: nothing that is finished is lost, and the exit code says what happened; see interrupt_often.py."""

import signal
import subprocess
import sys

import pytest

from interrupt_often import interrupt_often

AFTER_BACKENDS = """
import os, signal, torch
from tomolens.classifier.architectures import build
from tomolens.classifier.quick import BACKENDS

told = []
signal.signal(signal.SIGTERM, lambda *_: told.append("signal"))
network, example = build("resnet18").eval(), torch.zeros(2, 1, 32, 32)
with torch.inference_mode():
    backends = [BACKENDS[name](network, example) for name in ("openvino-fp32", "openvino-bf16")]
    while backends:
        backends.pop(0)(example)
for _ in range(3):
    os.kill(os.getpid(), signal.SIGTERM)
print(*told)
"""


def test_a_signal_after_backends_that_were_tried_and_dropped():
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    ended = subprocess.run([sys.executable, "-c", AFTER_BACKENDS], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["signal"] * 3


@pytest.mark.slow
def test_random_moments_lose_nothing(tmp_path):
    wrong, counts = interrupt_often(tmp_path, times=4, precision="fp32")
    assert wrong == []
    assert sum(counts.values()) == 4
    assert any(ended in counts for ended in ("SIGINT 130", "SIGTERM 143"))


def test_sigterm_answers_with_143_and_ctrl_c_with_130():
    goes_on = "; the same command goes on where it stopped"
    for number, decorator, more in (
        (signal.SIGINT, "answered_and_resumed", goes_on),
        (signal.SIGTERM, "answered_and_resumed", goes_on),
        (signal.SIGINT, "answered", ""),
    ):
        code = f"""
import os, signal, sys, typer
from tomolens.answers import {decorator}
app = typer.Typer()

@app.command()
@{decorator}
def wait() -> None:
    try:
        os.kill(os.getpid(), {int(number)})
    except KeyboardInterrupt as stop:
        raise RuntimeError("as native code does, which knows no interrupts") from stop

app()
"""
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ended.returncode == 128 + number
        assert ended.stderr == f"tomolens: interrupted{more}\n"
