"""The same workers as Ray's actors, on all machines of a cluster; Ray is imported when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

import torch

from navsim_agents.common.extras import require_extras
from navsim_agents.common.kept_workers import killed_worker
from navsim_agents.errors import InputError

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

    def __init__(self, makers: Sequence[Maker]) -> None:
        """Start an actor for each of ``makers``, and wait until all have begun.

        Raises:
            MissingPackageError: Ray is not installed.
            InputError: the cluster has fewer processors.
            WorkerError: an actor ended.
            Exception: what a maker raised.
        """
        require_extras("ray")
        import ray

        self._ray = ray
        self._is_ours = not ray.is_initialized()
        self._actors: list[Any] = []
        if self._is_ours:
            ray.init()
        try:
            self._refuse_too_many(len(makers))
            actor = ray.remote(num_cpus=1)(KeptWork)
            self._actors = [actor.remote(make) for make in makers]
            self._results([(worker, one.begin.remote()) for worker, one in enumerate(self._actors)])
        except BaseException:
            self.close()
            raise

    def _refuse_too_many(self, workers: int) -> None:
        there = int(self._ray.cluster_resources().get("CPU", 0))
        if workers > there:
            raise InputError(
                f"workers={workers}, but Ray's cluster has {there} processors, and each worker takes one; give "
                f"workers={there} or fewer, or join more machines before"
            )

    def do(self, jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        """Results in the order of ``jobs``; raises as ``KeptWorkers`` does."""
        return self._results([(worker, self._actors[worker].do.remote(job)) for worker, job in jobs])

    def _results(self, asked: Sequence[tuple[int, Any]]) -> list[Any]:
        results, errors = [], []
        for worker, answer in asked:
            try:
                results.append(self._ray.get(answer))
            except self._ray.exceptions.RayActorError as error:
                count = len(self._actors)
                self.close()
                raise killed_worker(worker, count) from error
            except self._ray.exceptions.RayTaskError as error:
                errors.append(error.cause)
        if errors:
            raise errors[0]
        return results

    def close(self) -> None:
        """End the actors, and Ray where it was started here; a second time does nothing."""
        actors, self._actors = self._actors, []
        if self._is_ours and self._ray.is_initialized():
            self._ray.shutdown()
            return
        for actor in actors:
            self._ray.kill(actor)
