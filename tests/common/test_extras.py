"""Every command where optional packages are missing, alone and all together: one line that names the extra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from navsim_agents.common.extras import EXTRAS, MissingPackageError, explain_missing_module, require_extras
from tests.common.commands import COMMANDS, ROOT, Command, places

BLOCK = """
import importlib.metadata, importlib.util, runpy, sys
blocked = set({blocked!r})

def is_blocked(name):
    return name.partition(".")[0] in blocked

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if is_blocked(name):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def find_spec(name, package=None):
    return None if is_blocked(name) else found_spec(name, package)

def distribution(name):
    if name in blocked:
        raise importlib.metadata.PackageNotFoundError(name)
    return found_distribution(name)

sys.meta_path.insert(0, Blocker())
found_spec, importlib.util.find_spec = importlib.util.find_spec, find_spec
found_distribution, importlib.metadata.distribution = importlib.metadata.distribution, distribution
sys.argv = {argv!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
ALL = [module for modules in EXTRAS.values() for module in modules]
NEEDED = {
    "navsim_agents.world.__main__": "[world]",
    "training.report.__main__": "[report]",
    "training.demo": "[",
}
"""Commands that cannot do anything without an extra, and how their line names it."""


def run_without(command: Command, folder: Path, blocked: list[str]) -> subprocess.CompletedProcess[str]:
    argv = [command.module, *command.overrides(places(folder))]
    code = BLOCK.format(blocked=blocked, argv=argv, module=command.module)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", [pytest.param(command, id=name) for name, command in COMMANDS.items()])
def test_command_without_any_optional_package(command: Command, tmp_path: Path) -> None:
    """Inputs are missing too, so that nothing succeeds; what is said is about them, or about the extra."""
    done = run_without(command, tmp_path, [*ALL, "navsim", "nuplan"])
    words = [line for line in done.stderr.strip().splitlines() if not line.startswith("Seed set to")]  # Lightning's
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert len(words) == 1, done.stderr
    if command.module in NEEDED:
        assert f"pip install 'navsim-drive-jepa{NEEDED[command.module]}" in words[0]


@pytest.mark.parametrize("module", ALL)
def test_world_and_demo_name_each_package(module: str, tmp_path: Path) -> None:
    extra = next(extra for extra, modules in EXTRAS.items() if module in modules)
    done = run_without(COMMANDS["training.demo"], tmp_path, [module])
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"MissingPackageError: {module} is not installed, but this command needs it; "
        f"pip install 'navsim-drive-jepa[{extra}]' brings it"
    ]


def test_what_is_there_is_not_asked_for() -> None:
    require_extras(*EXTRAS)


def test_what_nobody_may_lack_is_a_fault() -> None:
    assert explain_missing_module(ModuleNotFoundError("x", name="navsim_agents.nothing")) is None
    assert "docs/devkit.md" in str(explain_missing_module(ModuleNotFoundError("x", name="nuplan.common")))
    with pytest.raises(MissingPackageError, match=r"navsim-drive-jepa\[video\]"):
        raise MissingPackageError(str(explain_missing_module(ModuleNotFoundError("x", name="av.container"))))
