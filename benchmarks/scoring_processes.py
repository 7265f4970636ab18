"""Processes of ``benchmarks.scoring_builds``: one for each build that is timed, and neighbours that keep cores busy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from navsim_agents.errors import InputError

WORKER = Path(__file__).with_name("scoring_worker.py")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MULTIPLY = """
import os, numpy
parent = os.getppid()
matrix = numpy.random.default_rng(0).normal(size=(512, 512))
print("busy", flush=True)
while os.getppid() == parent:  # whoever started it may have been killed
    matrix @ matrix
"""
RATE = re.compile(r"([\d.]+) scenes a minute\n")
PROCESSOR_S = re.compile(r"processor time: ([\d.]+) s a scene")


def environment(root: Path) -> dict[str, str]:
    """That of this process, but with the build at ``root`` before every other."""
    return {**os.environ, "PYTHONPATH": str(root)}


class Worker:
    """A process that scores with the build at ``root``; see ``benchmarks.scoring_worker``."""

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self.root = root
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(settings)],
            env=environment(root),
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.at_start: dict[str, float] = {
            name: float("nan") if mb is None else mb for name, mb in self._answer().items()
        }

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, kind: str, name: str) -> Any:
        """What the worker's method ``kind`` answers about the part ``name``.

        Raises:
            InputError: the worker has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {name}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise InputError(f"the scorer of {self.root} ended; what it wrote above says why")
        return json.loads(line)


@contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """That many processes that multiply matrices, each on one thread, until the block ends in whatever way."""
    one_thread = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    running: list[subprocess.Popen[str]] = []
    try:
        for _ in range(count):
            started = [sys.executable, "-c", MULTIPLY]
            running.append(subprocess.Popen(started, env=one_thread, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        yield running
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.communicate()


def label_rates(root: Path, words: list[str]) -> dict[str, float]:
    """Scenes a minute and processor seconds a scene, by the build's own ``benchmarks.labels``.

    Raises:
        InputError: that benchmark failed.
    """
    command = [sys.executable, "-m", "benchmarks.labels", *words]
    done = subprocess.run(command, env=environment(root), cwd=root, capture_output=True, text=True, check=False)
    rate, busy = RATE.search(done.stdout), PROCESSOR_S.search(done.stdout)
    if rate is None or busy is None:
        raise InputError(f"benchmarks.labels of {root} gave no figures: {done.stderr.strip() or done.stdout}")
    return {"wall_s": 60.0 / float(rate[1]), "busy_s": float(busy[1])}
