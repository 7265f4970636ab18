from __future__ import annotations

import os
import signal

import pytest

from cache_tools.processes import WorkerError, run_jobs


def double(number):
    return 2 * number


def die_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_every_job_is_done_once():
    assert sorted(run_jobs(double, [5, 1, 4], 2)) == [2, 8, 10]
    assert list(run_jobs(double, [5, 1, 4], 0)) == [10, 2, 8]
    assert list(run_jobs(double, [], 2)) == []


def test_killed_worker_is_told():
    with pytest.raises(WorkerError, match="one of 1 worker processes was killed, but each must live until"):
        list(run_jobs(die_at_three, [1, 2, 3, 4], 1))
