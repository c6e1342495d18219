"""The executor for many machines: Ray actors that hold the network and read the cases where they evaluate them."""

import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from ..errors import SettingsError, reason_of
from .executors import AHEAD, Executor
from .work import Job, Outcome, Worker, died

ATTEMPTS = 3
"""How often a case is given to another worker, when the one that had it died with its machine."""


class RayWorker:
    """What an actor does: it keeps the network of the job it was last asked for."""

    def __init__(self) -> None:
        self._at_work: tuple[str, Worker] | None = None

    def ready(self) -> bool:
        """Answers once the actor runs."""
        return True

    def evaluate(self, key: str, job: list[Any], index: int) -> Outcome:
        """One case; ``job`` holds a reference to the job, fetched once."""
        import ray

        if self._at_work is None or self._at_work[0] != key:
            like = None if self._at_work is None else self._at_work[1].classifier.quick
            torch.set_num_threads(1)
            self._at_work = key, Worker.ready(ray.get(job[0]), like)
        return self._at_work[1].evaluate(index)


@contextmanager
def ray_executor(address: str | None, device: str, cpus: float, gpus: float) -> Iterator[Executor]:
    """A Ray cluster.

    Args:
        address: of a running cluster, ``auto`` to find it; None starts one on this machine.
        device: where networks run.
        cpus: for each worker.
        gpus: for each worker, may be a fraction; only where the device is a GPU.

    Raises:
        SettingsError: Ray is not installed, no cluster answers, or it has not what one worker needs.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingsError("executor 'ray' needs Ray: pip install 'tomolens[ray]'") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody of its use
    _require_answer(address)
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SettingsError(f"no Ray cluster at '{address}' ({reason_of(error)})") from error
    needs = {"CPU": cpus} | ({"GPU": gpus} if torch.device(device).type == "cuda" else {})
    try:
        yield _Cluster(ray, needs)
    finally:
        if started:
            ray.shutdown()


class _Cluster:
    """Actors on whatever machines the cluster has, replaced when they die."""

    def __init__(self, ray: Any, needs: dict[str, float]) -> None:
        self._ray = ray
        self._actor = ray.remote(max_restarts=0, num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0))(RayWorker)
        self._needs = needs
        self._actors: dict[Any, None] = {}
        self._starting: dict[Any, Any] = {}

    def __call__(self, job: Job, indices: Sequence[int], stopping: Callable[[], bool]) -> Iterator[Outcome]:
        ray = self._ray
        key, reference = str(job.fold), ray.put(replace(job, device=_local_name(job.device)))
        waiting, deaths = deque(indices), Counter[int]()
        running: dict[Any, tuple[Any, int]] = {}
        while True:
            self._start(min(self._room(), len(waiting) + len(running)))
            load = Counter(actor for actor, _ in running.values())
            while waiting and not stopping():
                actor = min(self._actors, key=lambda one: load[one], default=None)
                if actor is None or load[actor] >= AHEAD:
                    break
                index = waiting.popleft()
                running[actor.evaluate.remote(key, [reference], index)] = actor, index
                load[actor] += 1
            if not running and (stopping() or not waiting):
                return
            for done in ray.wait([*running, *self._starting], num_returns=1, timeout=5.0)[0]:
                if done in self._starting:
                    self._started(done)
                    continue
                actor, index = running.pop(done)
                try:
                    yield ray.get(done)
                except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.NodeDiedError):
                    self._actors.pop(actor, None)
                    deaths[index] += 1
                    if deaths[index] < ATTEMPTS:
                        waiting.appendleft(index)
                    else:
                        yield died(job, index)

    def _room(self) -> int:
        """Workers for which the cluster, as it is now, has place."""
        has = self._ray.cluster_resources()
        room = min(int(has.get(kind, 0.0) / need) for kind, need in self._needs.items())
        if room == 0 and not self._actors:
            raise SettingsError(f"the Ray cluster has {dict(has)}; one worker needs {self._needs}")
        return room

    def _start(self, wanted: int) -> None:
        while len(self._actors) + len(self._starting) < wanted:
            actor = self._actor.remote()
            self._starting[actor.ready.remote()] = actor

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayActorError:
            return  # died before it began: another one is started
        self._actors[actor] = None


def _require_answer(address: str | None) -> None:
    """Ray itself tries for minutes to reach an address at which nobody listens."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise SettingsError(f"no Ray cluster at '{address}' ({error.strerror or error})") from error


def _local_name(device: str) -> str:
    """Ray shows each worker its own GPUs only, numbered from 0."""
    return "cuda" if torch.device(device).type == "cuda" else device
