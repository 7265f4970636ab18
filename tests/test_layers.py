"""The order of the house: imports run one way, tests stand where their source does, nothing grows too long."""

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
    "distillation": {"errors", "common", "poses", "data", "scoring", "scenes", "devkit"},
    "data": {"errors", "common", "poses"},
    "video": {"errors", "common", "data"},
    "argoverse": {"errors", "common", "scoring"},
    "world": {"errors", "common", "poses", "data", "scoring", "bench2drive"},
    "devkit": {"errors", "common", "poses", "data", "scoring"},
    "scenes": {"errors", "scoring", "devkit"},
    "sources": {"errors", "common", "data", "scenes", "scoring"},
    "reward": {"errors", "common", "scenes", "scoring"},
    "drive_jepa": {"errors", "common", "poses", "data", "models", "scoring", "scenes", "distillation", "devkit"},
    "evaluation": {"errors", "common", "poses", "data", "models", "scoring", "scenes", "sources", "drive_jepa"},
    "alpasim": {"errors", "common", "poses", "data", "drive_jepa", "evaluation"},
    "closed_loop": {
        "errors",
        "common",
        "poses",
        "data",
        "scoring",
        "alpasim",
        "bench2drive",
        "drive_jepa",
        "evaluation",
        "world",
    },
    "bench2drive": {
        *("errors", "common", "poses", "data", "models", "scoring", "scenes", "sources"),
        *("distillation", "drive_jepa", "devkit"),
    },
}
COMMANDS = ("cache_tools", "training", "navsim_configs", "hydra_plugins")
MAX_LINES_OF_A_FILE, MAX_LINES_OF_A_FUNCTION = 350, 50

# Folders of tests that mirror no folder of the source.
OF_THEIR_OWN = {
    "devkit_alone": "of navsim_agents/devkit, where there is no devkit; tests/devkit needs one",
    "docs": "commands and programs in the documentation",
    "findings": "scripts about outside software",
}


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


def test_no_test_imports_another() -> None:
    """What tests share stands in a module of its own beside them."""
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files("tests")
        for name in imported_modules(path)
        if name.startswith("tests.") and any(part.startswith("test_") or part == "conftest" for part in name.split("."))
    ]
    assert offenders == []


def has_source(folder: str) -> bool:
    """Whether a folder of tests is named like a folder or a file of the package, or like a folder of the commands."""
    place = ROOT if folder.split("/")[0] in COMMANDS else ROOT / PACKAGE
    return (place / folder / "__init__.py").is_file() or (place / f"{folder}.py").is_file()


def test_folders_of_tests_mirror_the_source() -> None:
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in python_files("tests")} - {"."}
    assert {"world/camera", "training/pretraining", "cache_tools", "scenes"} <= folders
    assert {folder for folder in folders if not has_source(folder)} == OF_THEIR_OWN.keys()


def too_long(path: Path) -> list[str]:
    """The file and its functions that have too many lines."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    num_lines = len(text.splitlines())
    found = [f"{name} has {num_lines} lines"] if num_lines > MAX_LINES_OF_A_FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            found += [f"{name}: {node.name} has {length} lines"] if length > MAX_LINES_OF_A_FUNCTION else []
    return found


def test_files_and_functions_are_short() -> None:
    folders = (PACKAGE, *COMMANDS, "tests", "benchmarks", "examples")
    paths = [ROOT / "setup.py", *(path for folder in folders for path in python_files(folder))]
    assert [message for path in paths for message in too_long(path)] == []


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
