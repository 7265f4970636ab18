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
    "commands": {"errors", "common"},
    "__main__": {"commands"},
    "models": {"errors", "common"},
    "scoring": {"errors", "common"},
    "distillation": {"errors", "common", "scoring"},
    "data": {"errors", "common", "poses"},
    "video": {"errors", "common", "data"},
    "world": {"errors", "common", "poses", "data", "scoring"},
    "devkit": {"errors", "common", "poses", "data", "scoring"},
    "scenes": {"errors", "scoring", "devkit"},
    "drive_jepa": {"errors", "common", "poses", "data", "models", "scoring", "scenes", "distillation", "devkit"},
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


def imports_between_files() -> dict[str, set[str]]:
    """Module → modules of ours that it imports, whether when it is loaded, later, or for the types alone."""
    paths = [path for folder in (PACKAGE, *COMMANDS) for path in python_files(folder)]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return {name: imported_modules(path) & names.keys() - {name} for name, path in names.items()}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in turn, the first one again at the end; empty where there are none."""
    done: set[str] = set()

    def search(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        for other in sorted(graph[module] - done):
            found = search(other, [*way, module])
            if found:
                return found
        done.add(module)
        return []

    return next(filter(None, (search(module, []) for module in sorted(graph))), [])


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circle_in({"a": {"b"}, "b": {"c", "d"}, "c": {"d"}, "d": {"b"}}) == ["b", "c", "d", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert circle_in(imports_between_files()) == []


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
