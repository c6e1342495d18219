"""Processes of this machine that work for a study."""

import pickle
import signal

from .stopping import SIGNALS

UNSENDABLE = (TypeError, RuntimeError, AttributeError, pickle.PicklingError)
"""What pickling raises of what is no plain data."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""Environment of a worker process: workers times threads is never more than the cores."""


def leave_stopping_to_the_driver() -> None:
    """Of a worker process: the driver tells it when to stop."""
    for number in SIGNALS:  # a terminal and a batch system send theirs to all processes of a command
        signal.signal(number, signal.SIG_IGN)
