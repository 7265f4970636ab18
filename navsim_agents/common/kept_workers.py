"""Worker processes that stay between jobs, each with what it keeps; for other jobs there is ``processes``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Optional

from navsim_agents.common.processes import BrokenProcessPool, Future, WorkerError, pool_of, submit


class KeptWorkers:
    """Processes of this machine; each has a function of its own, and whatever that keeps."""

    def __init__(self, makers: Sequence[Callable[[], Callable[[Any], Any]]], threads: Optional[int] = None) -> None:
        """Start a process for each of ``makers``, which makes its function there, and wait until all have.

        Args:
            makers: importable by name, or such with arguments, for the other processes.
            threads: of torch in each process; None leaves that to torch.

        Raises:
            WorkerError: a process ended.
            Exception: what a maker raised.
        """
        with ExitStack() as stack:
            self._pools = [stack.enter_context(pool_of(1, threads)) for _ in makers]
            self._open = stack.pop_all()
        try:
            self._results(_make, list(enumerate(makers)))
        except BaseException:
            self.close()
            raise

    def do(self, jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        """Results in the order of ``jobs``, each a worker's number and what its function is called with.

        Raises:
            WorkerError: a worker has ended, and with it all others.
            Exception: what the first of the jobs that failed raised; all have ended then.
        """
        return self._results(_do, jobs)

    def _results(self, work: Callable[[Any], Any], jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        futures: list[Future[Any]] = []
        for worker, job in jobs:
            with self._ended_with(worker):
                futures += submit(self._pools[worker], work, [job])
        errors: list[Exception] = []
        results = []
        for (worker, _), future in zip(jobs, futures):
            with self._ended_with(worker):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                if isinstance(error, Exception):
                    errors.append(error)
                else:
                    results.append(future.result())
        if errors:
            raise errors[0]
        return results

    @contextmanager
    def _ended_with(self, worker: int) -> Iterator[None]:
        """A worker that was killed ends the others, and is named."""
        try:
            yield
        except BrokenProcessPool as error:
            self.close()
            raise killed_worker(worker, len(self._pools)) from error

    def close(self) -> None:
        """End the processes; a second time does nothing."""
        self._open.close()


def killed_worker(worker: int, workers: int, reason: str = "") -> WorkerError:
    """What is said of a kept worker that is gone, by its number from 0; ``reason``: as far as it is known."""
    why = f" ({reason})" if reason else ""
    return WorkerError(
        f"worker {worker + 1} of {workers} was killed{why}, but each must live until it is closed, so all are closed "
        "now; it may have run out of memory: start again with fewer workers, or let each keep less"
    )


class _Kept:
    """What this process keeps, where it is such a worker."""

    work: Optional[Callable[[Any], Any]] = None


def _make(make: Callable[[], Callable[[Any], Any]]) -> None:
    _Kept.work = make()


def _do(job: Any) -> Any:
    assert _Kept.work is not None
    return _Kept.work(job)
