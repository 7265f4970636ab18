"""A disk that is full ends every command in one line, and no item is blamed for it.

Files may not grow beyond a limit here, which the system reports as it reports a full disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from navsim_agents.common.ending import FULL_DISK, is_machines_fault
from tests.common.commands import COMMANDS, ROOT
from tests.common.tiny_world import WORLD, build

LIMITS = {
    "navsim_agents.world.__main__": 20_000,
    "cache_tools.score_trajectories": 2_000,
    "cache_tools.build_vocabulary": 500,
    "cache_tools.score_vocabulary": 400,
    "cache_tools.label_statistics": 100,
    "cache_tools.index_videos": 50,
    "training.train": 100_000,
    "training.evaluate": 500,
    "training.report.__main__": 1_000,
    "training.pretrain": 50_000,
    "training.feature_pca": 100,
}
"""Bytes of the largest file that may be written, less than what the command writes."""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return build(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("module", list(LIMITS))
def test_command(module: str, where: dict[str, str], tmp_path: Path) -> None:
    command = COMMANDS[module]
    line = command.overrides({**where, "out": str(tmp_path / "out")})
    if module == "navsim_agents.world.__main__":
        line = [f"output={tmp_path / 'out'}", *WORLD]
    done = subprocess.run(
        [sys.executable, "-m", module.removesuffix(".__main__"), *line],
        cwd=ROOT,
        # Compiled modules must not be written either: what is cut off would stay and spoil later imports.
        env={"PATH": "", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (LIMITS[module], LIMITS[module])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].endswith(FULL_DISK), done.stderr


def test_which_faults_are_the_machines() -> None:
    assert is_machines_fault(OSError(28, "No space left on device"))
    assert is_machines_fault(MemoryError())
    assert is_machines_fault(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_machines_fault(FileNotFoundError(2, "No such file or directory"))
    assert not is_machines_fault(RuntimeError("shapes do not fit"))
    assert not is_machines_fault(ValueError("No space left on device"))
