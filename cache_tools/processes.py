"""Spread jobs over processes of this machine; no process outlives the command."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, TypeVar

from navsim_agents.errors import NavsimDriveJepaError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class WorkerError(NavsimDriveJepaError):
    """A worker process ended before its job did."""


def run_jobs(work: Callable[[JobT], ResultT], jobs: Sequence[JobT], workers: int) -> Iterator[ResultT]:
    """Results in the order in which they come; ``workers=0`` works in this process.

    Raises:
        WorkerError: a worker was killed, most likely for want of memory.
    """
    if workers == 0:
        yield from map(work, jobs)
        return
    if not jobs:
        return
    # Spawned, because a forked child inherits torch's thread pool in an unknown state.
    context = multiprocessing.get_context("spawn")
    count = min(workers, len(jobs))
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        futures: list[Future[ResultT]] = []
        try:
            futures += [pool.submit(work, job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                f"one of {count} worker processes was killed, but each must live until its job is done; it may have "
                "run out of memory: run the same command again, which goes on where it stopped, with fewer workers"
            ) from error
        finally:
            for future in futures:
                future.cancel()


def _end_with_parent() -> None:
    """End this worker as soon as the command has ended, however it did: orphans would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
