"""The door ``drive-jepa`` as users meet it: from folders that hold packages of the same names as ours.

``python tests/door.py`` reads one command line a line from standard input and runs each in a fork of its own, with
outside libraries imported once; standard output holds [exit status, printed text] of each in JSON.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = "raise ImportError('this is the package of the user')\n"
DOOR = ROOT / "navsim_agents" / "__main__.py"


def confusing_folder(folder: Path, init: bool = True) -> Path:
    """``folder`` with ``training`` and ``cache_tools``: packages that nobody may import, or mere folders."""
    for name in ("training", "cache_tools"):
        (folder / name).mkdir(parents=True)
        if init:
            (folder / name / "__init__.py").write_text(NOT_OURS, encoding="utf-8")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Variables with which Python searches ``folder`` before anything else."""
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def answers(folder: Path, lines: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Exit status and printed text of each command line, run in ``folder``, which is searched first, in both ways."""
    program = "import sys; sys.path.insert(0, ''); import runpy; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program, __file__],
        input="\n".join(map(json.dumps, lines)),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(status, text) for status, text in json.loads(done.stdout)]


def run_forked(words: Sequence[str]) -> tuple[int, str]:
    """Be the program ``DOOR words`` in a fork of this process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        pid = os.fork()
        if pid == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            sys.stdout = sys.stderr = printed
            sys.argv = [str(DOOR), *words]
            try:
                runpy.run_path(str(DOOR), run_name="__main__")
                status = 0
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else int(error.code is not None)
                print(error.code if isinstance(error.code, str) else "")
            except BaseException as error:
                status = 99
                print(repr(error))
            printed.flush()
            os._exit(status)
        status = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
        printed.seek(0)
        return status, printed.read()


if __name__ == "__main__":
    import hydra
    import pandas
    import pytorch_lightning
    import timm  # noqa: F401

    del hydra, pandas, pytorch_lightning
    print(json.dumps([run_forked(json.loads(line)) for line in sys.stdin]))
