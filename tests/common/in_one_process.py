"""``python -m tests.common.in_one_process``: runs several commands in one fresh process, whose imports take seconds.

Standard input holds what to do in JSON: modules that cannot be imported, and [name, command line, limit] of each
command; no file may grow beyond ``limit`` bytes while it runs. Standard output then holds how each ended, by name.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from tests.common.commands import COMMANDS, ROOT


class Work(NamedTuple):
    module: str
    line: list[str]
    limit: Optional[int] = None


class Told(NamedTuple):
    code: int
    words: str
    printed: str


def run_all(works: Sequence[Work], folder: Path, blocked: Sequence[str] = ()) -> dict[str, Told]:
    """How each command ended that was run in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"works": works, "blocked": blocked}),
        cwd=folder,
        # Compiled modules must not be written: one that is cut off by the limit would stay and spoil later imports.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: Told(*told) for name, told in json.loads(done.stdout.splitlines()[-1]).items()}


def block(blocked: Sequence[str]) -> None:
    """Let modules seem not to be installed, to imports and to those who ask before."""
    found_spec, found_distribution = importlib.util.find_spec, importlib.metadata.distribution

    def is_blocked(name: str) -> bool:
        return name.partition(".")[0] in blocked

    class Blocker:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if is_blocked(name):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def find_spec(name: str, package: Optional[str] = None) -> Any:
        return None if is_blocked(name) else found_spec(name, package)

    def distribution(name: str) -> Any:
        if name in blocked:
            raise importlib.metadata.PackageNotFoundError(name)
        return found_distribution(name)

    sys.meta_path.insert(0, Blocker())  # type: ignore[arg-type]
    importlib.util.find_spec = find_spec
    importlib.metadata.distribution = distribution


def run_one(work: Work) -> Told:
    command, printed = COMMANDS[work.module], io.StringIO()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        resource.setrlimit(resource.RLIMIT_FSIZE, (work.limit or soft, hard))
        try:
            ended = command.run(*work.line)
        except Exception as error:  # a fault of the package
            return Told(2, f"Traceback: {error!r}", printed.getvalue())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return Told(ended.code, ended.words, printed.getvalue())


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    block(asked["blocked"])
    print("\n" + json.dumps({work[0]: run_one(Work(*work)) for work in asked["works"]}))
