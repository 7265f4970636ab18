"""The same workers as Ray's actors, on all machines of a cluster; Ray is imported when they are asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

import torch

from navsim_agents.common.extras import require_extras
from navsim_agents.common.kept_workers import killed_worker
from navsim_agents.common.processes import WorkerError
from navsim_agents.errors import InputError

logger = logging.getLogger(__name__)

TIMEOUT_S = 600.0
PATIENCE_S = 10.0
"""After which a warning says that actors wait for processors: Ray itself waits for ever, and silently."""
CPU = "CPU"
SHOWN = 300  # letters of Ray's own words

Maker = Callable[[], Callable[[Any], Any]]


class KeptWork:
    """An actor: a function, and whatever that keeps."""

    def __init__(self, make: Maker) -> None:
        """Only remember ``make``: what it raises shall reach the caller as it is."""
        self._make = make
        self._work: Optional[Callable[[Any], Any]] = None

    def begin(self) -> None:
        """Make the function; an actor has one processor, so torch works on one thread."""
        torch.set_num_threads(1)
        self._work = self._make()

    def do(self, job: Any) -> Any:
        """Call it."""
        assert self._work is not None
        return self._work(job)


class RayWorkers:
    """As :class:`navsim_agents.common.kept_workers.KeptWorkers`; a processor of the cluster is set aside for each.

    Works with the cluster that ``ray.init`` connected this process to; where none is, Ray starts one on this machine,
    which ends with the workers.
    """

    def __init__(self, makers: Sequence[Maker], timeout_s: float = TIMEOUT_S) -> None:
        """Start an actor for each of ``makers``, and wait until all have begun.

        Args:
            makers: as of ``KeptWorkers``.
            timeout_s: longest wait for the start, and for the results of each :meth:`do`.

        Raises:
            MissingPackageError: Ray is not installed.
            InputError: the cluster has fewer processors.
            WorkerError: an actor ended, or has not begun in time.
            Exception: what a maker raised.
        """
        require_extras("ray")
        import ray

        self._ray = ray
        self._timeout_s = timeout_s
        self._is_ours = not ray.is_initialized()
        self._actors: list[Any] = []
        if self._is_ours:
            ray.init()
        try:
            self._refuse_too_many(len(makers))
            actor = ray.remote(num_cpus=1)(KeptWork)
            self._actors = [actor.remote(make) for make in makers]
            begun = [one.begin.remote() for one in self._actors]
            _, waiting = ray.wait(begun, num_returns=len(begun), timeout=min(PATIENCE_S, timeout_s))
            if waiting:
                logger.warning("%d of %d workers have not begun: %s", len(waiting), len(begun), self._processors())
            self._results(list(enumerate(begun)), "begun")
        except BaseException:
            self.close()
            raise

    def _refuse_too_many(self, workers: int) -> None:
        there = int(self._ray.cluster_resources().get(CPU, 0))
        if workers > there:
            raise InputError(
                f"workers={workers}, but Ray's cluster has {there} processors, and each worker takes one; give "
                f"workers={there} or fewer, or join more machines before"
            )

    def _processors(self) -> str:
        there, free = self._ray.cluster_resources().get(CPU, 0), self._ray.available_resources().get(CPU, 0)
        return f"of {there:g} processors of Ray's cluster {free:g} are free, others are held by tasks and actors"

    def do(self, jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        """Results in the order of ``jobs``; raises as ``KeptWorkers`` does, and WorkerError after ``timeout_s``."""
        return self._results([(worker, self._actors[worker].do.remote(job)) for worker, job in jobs], "answered")

    def _results(self, asked: Sequence[tuple[int, Any]], done: str) -> list[Any]:
        """Results in the order asked for; who fails first is noticed first."""
        places = {answer: place for place, (_, answer) in enumerate(asked)}
        results: dict[int, Any] = {}
        errors: dict[int, Exception] = {}
        end = time.monotonic() + self._timeout_s
        while places:
            ready, _ = self._ray.wait(list(places), num_returns=1, timeout=max(end - time.monotonic(), 0.0))
            if not ready:
                raise self._too_late(asked[min(places.values())][0], done)
            place = places.pop(ready[0])
            try:
                results[place] = self._ray.get(ready[0])
            except self._ray.exceptions.RayTaskError as error:
                errors[place] = error.cause if isinstance(error.cause, Exception) else error
            except self._ray.exceptions.RayError as error:  # the actor, its machine or its memory is gone
                count = len(self._actors)
                self.close()
                raise killed_worker(asked[place][0], count, _last_line(error)) from error
        if errors:
            raise errors[min(errors)]
        return [results[place] for place in range(len(asked))]

    def _too_late(self, worker: int, done: str) -> WorkerError:
        """The error of a worker that has not ``begun`` or ``answered`` in time; all are ended."""
        count, processors = len(self._actors), self._processors()
        self.close()
        return WorkerError(
            f"worker {worker + 1} of {count} has not {done} within timeout_s={self._timeout_s:g}, so all are closed "
            f"now ({processors}); end what holds processors, give fewer workers or fewer plans a call, or raise "
            "timeout_s: the first call may compile the scorer, some 15 s or more"
        )

    def close(self) -> None:
        """End the actors, and Ray where it was started here; a second time does nothing."""
        actors, self._actors = self._actors, []
        if self._is_ours and self._ray.is_initialized():
            self._ray.shutdown()
            return
        for actor in actors:
            self._ray.kill(actor)


def _last_line(error: Exception) -> str:
    """What Ray says at last, which is the reason."""
    return ([""] + [line.strip() for line in str(error).splitlines() if line.strip()])[-1][:SHOWN].rstrip(".")
