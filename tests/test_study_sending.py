"""What is sent to worker processes is taken away, at the latest by the run after one that was killed."""

import os
import subprocess
import sys
import tempfile
import time

import pytest

from tomolens.study.sending import PREFIX, YOUNG, folder_to_send

KILLED = """
import os, signal
from tomolens.study.sending import folder_to_send

with folder_to_send() as folder:
    (folder / "job-0.pickle").write_bytes(b"network")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(folder):
    before = time.time() - 2 * YOUNG
    os.utime(folder, (before, before))
    return folder


def test_a_folder_is_there_for_the_block_and_no_longer(place):
    with folder_to_send() as folder:
        (folder / "job-0.pickle").write_bytes(b"network")
        assert folder.parent == place
    assert not list(place.iterdir())
    with pytest.raises(ZeroDivisionError), folder_to_send():
        raise ZeroDivisionError
    assert not list(place.iterdir())


def test_what_a_killed_run_left_is_taken_away_and_what_lives_stays(place):
    environment = {**os.environ, "TMPDIR": str(place)}
    ran = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False, env=environment)
    (left,) = place.glob(f"{PREFIX}*")
    assert ran.stdout.strip() == str(left)
    aged(left)
    with folder_to_send() as living:
        assert not left.exists()
        aged(living)
        (place / f"{PREFIX}link").symlink_to(living)
        with folder_to_send():
            assert living.exists()
            young = place / f"{PREFIX}young"
            young.mkdir()  # by a run that has not locked it yet
            with folder_to_send():
                assert young.exists()
