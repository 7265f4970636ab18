"""Imports run one way, and the devkit is touched in one folder only."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from navsim_agents import errors, poses
from navsim_agents.common import errors as common_errors
from navsim_agents.common import poses as common_poses

ROOT = Path(__file__).resolve().parents[1]
HOST = {"navsim", "nuplan"}
PACKAGE = "navsim_agents"

# Room -> rooms of navsim_agents that it may import.
ALLOWED = {
    "common": set(),
    "errors": {"common"},  # these two hand on what stands in common
    "poses": {"common"},
    "models": {"errors", "common"},
    "scoring": {"errors", "common"},
    "distillation": {"errors", "common", "scoring"},
    "data": {"errors", "common", "poses"},
    "world": {"errors", "common", "poses", "data", "scoring"},
    "devkit": {"errors", "common", "poses", "data", "scoring"},
    "drive_jepa": {"errors", "common", "poses", "data", "models", "scoring", "distillation", "devkit"},
}
COMMANDS = ("cache_tools", "training", "navsim_configs", "hydra_plugins")


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it absolutely"
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).parts
    return parts[0].removesuffix(".py") if len(parts) == 1 else parts[0]


def test_only_the_devkit_folder_imports_the_host() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in (PACKAGE, *COMMANDS)
        for path in python_files(folder)
        if path.parent.name != "devkit"
        for name in imported_modules(path)
        if name.split(".")[0] in HOST
    ]
    assert offenders == []


def is_arrow_back(importer: str, module: str) -> bool:
    parts = module.split(".")
    if parts[0] in COMMANDS:
        return True
    is_room = parts[0] == PACKAGE and len(parts) > 1 and parts[1] in ALLOWED
    return is_room and parts[1] not in ALLOWED[importer] | {importer}


def test_arrows_between_rooms_run_one_way() -> None:
    offenders = []
    for path in python_files(PACKAGE):
        room = room_of(path)
        if room == "__init__":
            continue
        assert room in ALLOWED, f"{path}: a new room; add it to ALLOWED"
        back = [name for name in imported_modules(path) if is_arrow_back(room, name)]
        offenders += [f"{path.relative_to(ROOT)}: {name}" for name in back]
    assert offenders == []


@pytest.mark.parametrize(("old", "new"), [(errors, common_errors), (poses, common_poses)])
def test_errors_and_poses_have_both_names(old: ModuleType, new: ModuleType) -> None:
    """Whoever catches ``navsim_agents.errors.InputError`` catches what common raises."""
    own = [name for name, value in vars(new).items() if getattr(value, "__module__", None) == new.__name__]
    assert len(own) > 5
    assert [name for name in own if getattr(old, name, None) is not getattr(new, name)] == []


@pytest.mark.parametrize("module", ["navsim_agents.models.video_encoder", "navsim_agents.drive_jepa"])
def test_modules_import_where_no_devkit_can(module: str) -> None:
    """The host's names are blocked, so an import of them anywhere on the way would fail."""
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(HOST)!r})); import {module}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
