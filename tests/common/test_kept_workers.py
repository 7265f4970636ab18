"""Workers that stay: each has its own function and keeps it; an end of any kind leaves no process behind."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from navsim_agents.common.kept_workers import KeptWorkers
from navsim_agents.common.processes import WorkerError
from tests.common import jobs

ROOT = Path(__file__).resolve().parents[2]
UNCLOSED = """
from functools import partial
from navsim_agents.common.kept_workers import KeptWorkers
from tests.common import jobs
workers = KeptWorkers([partial(jobs.Adder, 1)])
print(workers.do([(0, 2)]), flush=True)
{ending}
"""


def test_each_worker_keeps_what_is_its_own() -> None:
    workers = KeptWorkers([partial(jobs.Adder, 100), partial(jobs.Adder, 200)], threads=1)
    assert workers.do([(1, 1), (0, 2), (1, 3)]) == [201, 102, 204]
    assert workers.do([(0, 1)]) == [103]
    with pytest.raises(ValueError, match="three times three"):
        workers.do([(0, 0), (1, 9), (0, 7)])
    assert workers.do([(0, 0)]) == [110], "the jobs beside the one that failed were done"
    workers.close()
    workers.close()


def test_a_maker_that_fails_is_raised_at_the_start() -> None:
    with pytest.raises(ValueError, match="nothing to add to"):
        KeptWorkers([partial(jobs.Adder, 1), partial(jobs.Adder, None)])


def test_a_worker_that_dies_while_it_begins_is_named() -> None:
    with pytest.raises(WorkerError, match="worker 1 of 1 was killed"):
        KeptWorkers([partial(jobs.die_at_three, 3)])  # type: ignore[list-item]


@pytest.mark.parametrize("ending", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_no_worker_outlives_a_script_that_does_not_close(ending: str) -> None:
    """They hold the script's output, which therefore ends when the last of them does."""
    done = subprocess.run(
        [sys.executable, "-c", UNCLOSED.format(ending=ending)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "[3]\n"
    assert done.returncode == (-9 if ending else 0)
    assert "Traceback" not in done.stderr
