"""A disk that is full ends every command in one line, and no item is blamed for it.

Files may not grow beyond a limit here, which the system reports as it reports a full disk.
"""

from __future__ import annotations

import pytest

from navsim_agents.common.ending import FULL_DISK, is_machines_fault
from tests.common.commands import COMMANDS
from tests.common.in_one_process import Told, Work, run_all
from tests.common.tiny_world import WORLD

LIMITS = {
    "navsim_agents.world.__main__": 20_000,
    "training.recoveries": 20_000,
    "cache_tools.score_trajectories": 2_000,
    "cache_tools.build_vocabulary": 500,
    "cache_tools.score_vocabulary": 400,
    "cache_tools.label_statistics": 100,
    "cache_tools.index_videos": 50,
    "cache_tools.index_bench2drive": 500,
    "cache_tools.bench2drive_table": 100,
    "cache_tools.resize_videos": 50,
    "cache_tools.convert_encoder": 10_000,
    "cache_tools.convert_argoverse": 5_000,
    "training.train": 100_000,
    "training.average_checkpoints": 10_000,
    "training.evaluate": 500,
    "training.compare_tables": 100,
    "training.report.__main__": 1_000,
    "training.pretrain": 50_000,
    "training.feature_pca": 100,
}
"""Bytes of the largest file that may be written, less than what the command writes."""


@pytest.fixture(scope="module")
def told(tiny_world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    folder = tmp_path_factory.mktemp("full")
    works = []
    for module, limit in LIMITS.items():
        line = COMMANDS[module].overrides({**tiny_world, "out": str(folder / module)})
        more = WORLD if "world" in module else ()
        works.append(Work(module, [*line, *more], limit))
    return run_all(works, folder)


@pytest.mark.parametrize("module", list(LIMITS))
def test_command(module: str, told: dict[str, Told]) -> None:
    code, words, printed = told[module]
    assert code == 1, printed
    assert "Traceback" not in printed + words
    assert words.endswith(FULL_DISK)


def test_nothing_unfinished_stays(told: dict[str, Told], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "full0"
    assert folder.is_dir()
    left = [path.relative_to(folder) for path in folder.rglob("*") if path.name.startswith(".") and path.is_file()]
    assert left == []


def test_which_faults_are_the_machines() -> None:
    assert is_machines_fault(OSError(28, "No space left on device"))
    assert is_machines_fault(MemoryError())
    assert is_machines_fault(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_machines_fault(FileNotFoundError(2, "No such file or directory"))
    assert not is_machines_fault(RuntimeError("shapes do not fit"))
    assert not is_machines_fault(ValueError("No space left on device"))
