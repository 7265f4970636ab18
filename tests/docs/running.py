"""Runs commands of Python each in a process of its own, with the libraries imported once for all of them."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from navsim_agents.commands import DOOR

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ["torch", "pytorch_lightning", "hydra", "pandas", "sklearn.cluster", "scipy", "matplotlib", "timm", "av"]
OURS = ["training.demo", "training.probe", "training.pretrain", "training.report.page", "navsim_agents.world.generate"]
TIMEOUT_S = 300


def run_command(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Exit status and output of ``words``, run in ``folder``; ``make`` only says what it would do."""
    if words[0] == "make":
        done = subprocess.run(
            ["make", "--dry-run", *words[1:]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout
    # Forked from a process that has only imported, which no pool of threads has seen.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES, *OURS])
    log = folder / "printed.txt"
    process = context.Process(target=_be, args=(list(words), folder, log))
    process.start()
    process.join(TIMEOUT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode, log.read_text(encoding="utf-8", errors="replace")


def _be(words: list[str], folder: Path, log: Path) -> None:
    """Become ``drive-jepa words`` or ``python words``: a module (``-m``), a program (``-c``) or a script."""
    printed = log.open("w", buffering=1, encoding="utf-8")
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    sys.stdout = sys.stderr = printed
    os.chdir(folder)
    os.environ.update(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    if words[0] == "drive-jepa":
        sys.argv = words
        runpy.run_path(str(DOOR), run_name="__main__")
    elif words[1] == "-c":
        exec(compile(words[2], "<block>", "exec"), {"__name__": "__main__"})
    elif words[1] == "-m":
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words[1:]
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")
