"""Jobs on processes of this machine, and programs that a command starts: none of them outlives the command.

This is the only place that makes a pool of processes; ``tests/common/test_processes.py`` sees to it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection
from typing import Callable, Optional, TypeVar

from navsim_agents.common.errors import NavsimDriveJepaError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

GRACE_S = 2.0
"""For what is being done when everything shall end: time to take away what it left unfinished."""
PROGRAM_GRACE_S = 5.0
"""The same for a program, whose own processes need theirs."""
SAVING_S = 30.0
"""For a training step that is under way, and its checkpoint."""
POLL_S = 0.5
STARTER = "NAVSIM_DRIVE_JEPA_STARTER"
"""Environment variable: id of the process that started a program by :func:`run_program`."""


class WorkerError(NavsimDriveJepaError):
    """A worker process ended before its job did."""


def run_jobs(
    work: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    workers: int,
    *,
    in_order: bool = False,
    threads: Optional[int] = None,
) -> Iterator[ResultT]:
    """Results as they come, or in the order of ``jobs``; ``workers=0`` works in this process.

    Where a job fails, those that are running end first, so that their work is kept. Ctrl-C ends all within seconds.

    Args:
        work: importable by name, for the other processes.
        jobs: anything that pickle can send.
        workers: processes.
        in_order: as ``map`` does, at the cost of results that wait for slower ones before them.
        threads: of torch in each worker; None leaves that to torch and to ``work``.

    Raises:
        WorkerError: a worker was killed, most likely for want of memory.
    """
    if workers == 0:
        yield from map(work, jobs)
    elif jobs:
        with pool_of(min(workers, len(jobs)), threads) as pool:
            futures = submit(pool, work, jobs)
            for future in futures if in_order else as_completed(futures):
                yield future.result()


def try_jobs(
    work: Callable[[JobT], ResultT], jobs: Sequence[JobT], workers: int, *, threads: Optional[int] = None
) -> Iterator[tuple[JobT, Future[ResultT]]]:
    """Each job with its outcome, as they end; one that fails does not stop the others. Otherwise as :func:`run_jobs`.

    Raises:
        WorkerError: a worker was killed.
    """
    if workers == 0:
        for job in jobs:
            yield job, _try_here(work, job)
    elif jobs:
        with pool_of(min(workers, len(jobs)), threads) as pool:
            job_of = dict(zip(submit(pool, work, jobs), jobs))
            for future in as_completed(job_of):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                yield job_of[future], future


def run_on_threads(work: Callable[[], None], count: int) -> None:
    """Call ``work`` on ``count`` threads, this one included, and come back when all are done.

    They are started anew each time (some 0.1 ms each), so a process that is forked misses none. For work that does not
    hold Python's lock.

    Raises:
        Exception: what ``work`` raised first, on whichever thread.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised below, where somebody waits for it
            errors.append(error)

    threads = [threading.Thread(target=run, name=f"work-{number}") for number in range(1, count)]
    for thread in threads:
        thread.start()
    run()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _try_here(work: Callable[[JobT], ResultT], job: JobT) -> Future[ResultT]:
    future: Future[ResultT] = Future()
    try:
        future.set_result(work(job))
    except Exception as error:
        future.set_exception(error)
    return future


def submit(pool: ProcessPoolExecutor, work: Callable[[JobT], ResultT], jobs: Sequence[JobT]) -> list[Future[ResultT]]:
    """Give ``jobs`` to a pool of :func:`pool_of`."""
    with _interrupts_held():  # workers inherit the held signals, Ctrl-C does not break into their imports
        return [pool.submit(partial(_do, work), job) for job in jobs]


@contextmanager
def pool_of(workers: int, threads: Optional[int]) -> Iterator[ProcessPoolExecutor]:
    """A pool that waits for its running jobs at its end, unless Ctrl-C came or the caller wants no more results."""
    context = multiprocessing.get_context("spawn")  # a forked child inherits threads of torch in an unknown state
    with _interrupts_held():  # half of a pool could not be ended
        told, tell = context.Pipe(duplex=False)  # workers end when the other end is closed
        pool = ProcessPoolExecutor(workers, context, _begin_worker, (told, threads))
    try:
        yield pool
    except BrokenProcessPool as error:
        tell.close()
        raise WorkerError(
            f"one of {workers} worker processes was killed, but each must live until its job is done; it may have "
            "run out of memory: run the same command again, which continues where it stopped, with fewer workers"
        ) from error
    except Exception:
        raise
    except BaseException:
        tell.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        tell.close()
        told.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Inside, Ctrl-C waits, where the system can hold it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """This process, where it is a worker."""

    is_busy = False
    is_ending = False


def _do(work: Callable[[JobT], ResultT], job: JobT) -> ResultT:
    _Worker.is_busy = True
    try:
        return work(job)
    finally:
        _Worker.is_busy = False
        if _Worker.is_ending:
            os._exit(1)


def _begin_worker(told: connection.Connection, threads: Optional[int]) -> None:
    """Ctrl-C is left to the command; this process ends when the command says so or has ended in any way."""
    signal.signal(signal.SIGINT, _on_interrupt)
    signal.signal(signal.SIGTERM, _on_terminate)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_when_told, args=(told,), daemon=True).start()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _on_interrupt(number: int, frame: object) -> None:
    if _Worker.is_ending and _Worker.is_busy:
        raise KeyboardInterrupt


def _on_terminate(number: int, frame: object) -> None:
    """This is how the pool ends its other workers as soon as one has ended."""
    if _Worker.is_ending:
        return
    _Worker.is_ending = True
    if not _Worker.is_busy:
        os._exit(1)
    raise KeyboardInterrupt


def _end_when_told(told: connection.Connection) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel, told])
    _Worker.is_ending = True
    if _Worker.is_busy:
        _interrupt_main()
        time.sleep(GRACE_S)
    os._exit(1)


def _interrupt_main() -> None:
    """As Ctrl-C does, also where the main thread waits for something."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Exit code of one of this package's commands, which ends soon after this process does, however that ended.

    Args:
        command: program and arguments.
        environment: variables added to this process's.
    """
    process = subprocess.Popen(command, env={**os.environ, **environment, STARTER: str(os.getpid())})
    try:
        return process.wait()
    except BaseException:  # a terminal's Ctrl-C reaches the program too
        _end_program(process)
        raise


def _end_program(process: subprocess.Popen[bytes]) -> None:
    interrupt = process.terminate if os.name == "nt" else partial(process.send_signal, signal.SIGINT)
    for grace_s, end in ((PROGRAM_GRACE_S, interrupt), (SAVING_S, process.kill)):
        try:
            process.wait(grace_s)
            return
        except subprocess.TimeoutExpired:
            end()
    process.wait()


def end_with_starter() -> None:
    """Let this process end soon after the one that started it by :func:`run_program`, where one did."""
    starter = os.environ.pop(STARTER, None)  # it is not the starter of what this process starts
    if starter is not None and os.name != "nt":  # where a process is not told of its parent's end
        threading.Thread(target=_end_after, args=(int(starter), os.getppid()), daemon=True).start()


def _end_after(starter: int, parent: int) -> None:
    """Wait for the end of ``starter``, which is the ``parent`` unless it is gone or has put a program in between."""
    while os.getppid() == parent if parent == starter else is_alive(starter):
        time.sleep(POLL_S)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell's background jobs do
        _interrupt_main()
        time.sleep(SAVING_S)
    os._exit(1)


def is_alive(pid: int) -> bool:
    """Whether there may be a process of this id; always on Windows, where asking would be Ctrl-C."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
