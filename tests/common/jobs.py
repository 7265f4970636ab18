"""Jobs for pools, and a command that never ends by itself: ``python -m tests.common.jobs KIND FOLDER``."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from navsim_agents.common.ending import ends_in_one_line
from navsim_agents.common.files import whole_file
from navsim_agents.common.processes import end_with_starter, run_jobs, run_program

NUM_WORKERS = 2


def double(number: int) -> int:
    return 2 * number


def first_is_slow(number: int) -> int:
    time.sleep(0.5 * (number == 0))
    return number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


class Adder:
    """Adds what it is called with to what it keeps."""

    def __init__(self, kept):
        if kept is None:
            raise ValueError("there is nothing to add to")
        self.kept = kept

    def __call__(self, number: int) -> int:
        if number == 9:
            raise ValueError("three times three")
        self.kept += number
        return self.kept


def num_threads(number: int) -> int:
    import torch

    return torch.get_num_threads()


def hang(folder: Path, number: int) -> None:
    """Write a file that never gets finished."""
    with whole_file(folder / str(number)) as unfinished:
        unfinished.write_text("half")
        (folder / f"begun_{number}").touch()
        time.sleep(600)


def hang_deaf(folder: Path, number: int) -> None:
    """Hang as code does that never comes back to Python."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    hang(folder, number)


KINDS = {"hang": hang, "deaf": hang_deaf}


def main(kind: str, folder: str) -> None:
    end_with_starter()
    with ends_in_one_line():
        print("here", flush=True)  # from now on an interruption is one line
        if kind == "program":
            sys.exit(run_program([sys.executable, "-m", "tests.common.jobs", "hang", folder], {}))
        list(run_jobs(partial(KINDS[kind], Path(folder)), range(NUM_WORKERS), NUM_WORKERS))


if __name__ == "__main__":
    main(*sys.argv[1:])
