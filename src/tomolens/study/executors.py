"""Executors: who does the cases of a job, here in this process or in worker processes of this machine.

An executor is given a job and the indices of cases, and yields their outcomes in whatever order they come. It hands
out few cases ahead, so that what waits stays small, and no more once it is told to stop.
"""

import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import cloudpickle
import torch
from loky import ProcessPoolExecutor

from ..errors import CaseError, NetworkError, reason_of
from .processes import ONE_THREAD, UNSENDABLE, leave_stopping_to_the_driver
from .sending import folder_to_send
from .work import Job, Outcome, Worker, died

AHEAD = 2
"""Cases handed out for each worker: one at work, one waiting."""
FEWEST_CASES = 4
"""For each worker; for fewer, starting a process takes longer than it saves."""


class Executor(Protocol):
    """Does the cases of a job."""

    def __call__(self, job: Job, indices: Sequence[int], stopping: Callable[[], bool]) -> Iterator[Outcome]:
        """Outcomes in the order in which they are done; after ``stopping()`` only those of cases at work."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(cases: int, device: str) -> int:
    """Processes for a study of so many cases: each takes one core, and a GPU is shared by at most four."""
    most = cores() if torch.device(device).type == "cpu" else min(cores(), 4)
    return max(1, min(most, cases // FEWEST_CASES))


@contextmanager
def local_executor(workers: int) -> Iterator[Executor]:
    """This process, or ``workers`` processes beside it."""
    if workers == 1:
        yield in_this_process()
        return
    with folder_to_send() as folder, _Pool(workers) as pool:

        def run(job: Job, indices: Sequence[int], stopping: Callable[[], bool]) -> Iterator[Outcome]:
            return _in_workers(pool, folder, job, indices, stopping)

        yield run


def in_this_process() -> Executor:
    """One case after the other, here."""
    previous: Worker | None = None

    def run(job: Job, indices: Sequence[int], stopping: Callable[[], bool]) -> Iterator[Outcome]:
        nonlocal previous
        previous = Worker.ready(job, None if previous is None else previous.classifier.quick)
        for index in indices:
            if stopping():
                return
            yield previous.evaluate(index)

    return run


class _Pool:
    """Worker processes that are started anew when one dies."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._processes: ProcessPoolExecutor | None = None

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.renew()

    def submit(self, file: Path, index: int) -> "Future[Outcome]":
        if self._processes is None:
            # A worker that has grown is replaced by a new one, which nobody need be told; networks and maps are large.
            warnings.filterwarnings("ignore", "A worker was restarted", UserWarning)
            self._processes = ProcessPoolExecutor(
                self.workers, initializer=leave_stopping_to_the_driver, env=ONE_THREAD
            )
        return self._processes.submit(_evaluate_in_worker, str(file), index)  # type: ignore[no-any-return]

    def renew(self) -> None:
        if self._processes is not None:
            self._processes.shutdown(kill_workers=True)
            self._processes = None


_at_work: dict[str, Worker] = {}
"""In a worker process: the job it is ready for, by its file."""


def _evaluate_in_worker(file: str, index: int) -> Outcome:
    if file not in _at_work:
        like = next((worker.classifier.quick for worker in _at_work.values()), None)
        _at_work.clear()
        torch.set_num_threads(1)
        _at_work[file] = Worker.ready(cloudpickle.loads(Path(file).read_bytes()), like)
    return _at_work[file].evaluate(index)


def _pickled(job: Job) -> bytes:
    """A job as worker processes are sent it.

    Raises:
        NetworkError: the network cannot be sent.
        CaseError: its cases cannot.
    """
    try:
        return bytes(cloudpickle.dumps(job))
    except UNSENDABLE as error:
        reason = reason_of(error)
        try:
            cloudpickle.dumps(job.cases)
        except UNSENDABLE:
            raise CaseError(
                "these cases (of a dataset that holds open files?) cannot be sent to other processes: use one worker "
                f"({reason})"
            ) from error
        raise NetworkError(
            "this network (scripted, exported or compiled?) cannot be sent to other processes: use one worker "
            f"({reason})"
        ) from error


def _in_workers(
    pool: _Pool, folder: Path, job: Job, indices: Sequence[int], stopping: Callable[[], bool]
) -> Iterator[Outcome]:
    file = folder / f"job-{job.fold}.pickle"
    file.write_bytes(_pickled(job))
    waiting = deque(indices)
    alone: deque[int] = deque()  # were at work when a worker died: done one at a time, so that the culprit is known
    deaths: Counter[int] = Counter()
    running: dict[Future[Outcome], int] = {}
    while True:
        suspected = alone or any(deaths[index] for index in running.values())
        ahead = 1 if suspected else AHEAD * pool.workers
        while (alone or waiting) and len(running) < ahead and not stopping():
            index = (alone or waiting).popleft()
            running[pool.submit(file, index)] = index
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            try:
                outcome = future.result()
            except BrokenProcessPool:
                lost = sorted(running.values())
                running.clear()
                pool.renew()
                deaths.update(lost)
                if len(lost) == 1 and deaths[lost[0]] > 1:
                    yield died(job, lost[0])
                else:
                    alone.extend(lost)
                break
            del running[future]
            yield outcome
