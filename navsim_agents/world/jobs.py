"""Work that is done log by log in several processes: one that fails costs one log, and is named at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

from navsim_agents.common.processes import try_jobs
from navsim_agents.errors import WorldDataError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


def for_every_log(
    work: Callable[[TaskT], ResultT],
    tasks: Sequence[TaskT],
    workers: int,
    *,
    title: str,
    name: Callable[[TaskT], str],
    keep: Callable[[TaskT, ResultT], None],
) -> None:
    """Do ``work`` on each of ``tasks``, and ``keep`` what comes of it as soon as it is there.

    Args:
        work: on one log.
        tasks: one a log, in their order.
        workers: processes; 1 works in this one.
        title: of the progress bar.
        name: what a failed task's log is called.
        keep: called in this process.

    Raises:
        WorldDataError: some failed; all others have been kept.
    """
    failed: dict[int, BaseException] = {}
    places = {id(task): place for place, task in enumerate(tasks)}
    ended = try_jobs(work, tasks, workers if workers > 1 else 0, threads=1)
    for task, future in tqdm(ended, total=len(tasks), desc=title, unit="log"):
        error = future.exception()
        if error is not None:
            failed[places[id(task)]] = error
        else:
            keep(task, future.result())
    if failed:
        place, error = min(failed.items())
        raise WorldDataError(
            f"{title}: {len(failed)} of {len(tasks)} logs failed, {name(tasks[place])} with {error!r}; "
            "the others are written and will be kept when the command runs again"
        ) from error
