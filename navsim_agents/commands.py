"""``drive-jepa <command> …``: every command of this package, whatever folder it is called from.

``python -m <module> …`` is the same, but takes a folder ``training/`` of the user's own for ours. Nothing but the
command that is asked for is imported.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Optional

from navsim_agents.common.own_packages import HOME, put_own_packages_first

PROGRAM = "drive-jepa"
DOOR = HOME / "navsim_agents" / "__main__.py"
"""Python runs it as the program; processes that run a command line again find it there, without a search."""

COMMANDS = {
    "world": "navsim_agents.world",
    "recoveries": "training.recoveries",
    "export-scenes": "cache_tools.export_scenes",
    "convert-argoverse": "cache_tools.convert_argoverse",
    "score-trajectories": "cache_tools.score_trajectories",
    "compare-with-devkit": "cache_tools.compare_with_devkit",
    "build-vocabulary": "cache_tools.build_vocabulary",
    "score-vocabulary": "cache_tools.score_vocabulary",
    "label-statistics": "cache_tools.label_statistics",
    "index-videos": "cache_tools.index_videos",
    "index-bench2drive": "cache_tools.index_bench2drive",
    "resize-videos": "cache_tools.resize_videos",
    "convert-encoder": "cache_tools.convert_encoder",
    "pretrain": "training.pretrain",
    "probe": "training.probe",
    "compare-pretrainings": "training.compare_pretrainings",
    "feature-pca": "training.feature_pca",
    "train": "training.train",
    "average-checkpoints": "training.average_checkpoints",
    "evaluate": "training.evaluate",
    "drive": "training.drive",
    "compare-tables": "training.compare_tables",
    "serve": "training.serve",
    "report": "training.report",
    "validate-submission": "cache_tools.validate_submission",
    "score-submission": "cache_tools.score_submission",
    "bench2drive-routes": "cache_tools.bench2drive_routes",
    "bench2drive-table": "cache_tools.bench2drive_table",
    "doctor": "navsim_agents.devkit",
    "ablate": "training.ablate",
    "demo": "training.demo",
}
"""Command → what follows ``python -m``."""

OVERVIEW = """usage: {program} <command> [<setting>=<value> …]

{commands}

`{program} <command> --help` shows the settings of a command; all but the doctor's are Hydra's: --cfg job, -m and so on.
"""


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command that the first argument names; by default those of ``sys.argv``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview(), end="")
        return
    if words[0] not in COMMANDS:
        sys.exit(unknown(words[0]))
    put_own_packages_first()
    sys.argv = [str(DOOR), *words]  # Lightning's ddp runs this again for its other processes
    from navsim_agents.common.ending import ends_in_one_line

    with ends_in_one_line():
        entry = importlib.import_module(entry_module(COMMANDS[words[0]])).main
    sys.exit(entry(words[1:]))


def command_line(module: str, *arguments: str) -> list[str]:
    """What a user types to run ``python -m <module> <arguments>``."""
    names = {its: name for name, its in COMMANDS.items()}
    return [PROGRAM, names[module], *arguments]


def executable_line(module: str, *arguments: str) -> list[str]:
    """The same for :mod:`subprocess`: this interpreter and this package, from any folder."""
    return [sys.executable, str(DOOR), *command_line(module, *arguments)[1:]]


def entry_module(module: str) -> str:
    """The module that holds the function ``main``: of a package, its ``__main__``."""
    return f"{module}.__main__" if HOME.joinpath(*module.split(".")).is_dir() else module


def overview() -> str:
    """Every command with the first line of its docstring, which is read without importing anything."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {summary(module)}" for name, module in COMMANDS.items()]
    return OVERVIEW.format(program=PROGRAM, commands="\n".join(lines))


def summary(module: str) -> str:
    """What a command does, in one line."""
    path = HOME.joinpath(*entry_module(module).split(".")).with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def unknown(name: str) -> str:
    """What to say to a name that no command has."""
    word = name.replace("_", "-")
    close = [its for its in COMMANDS if word in its.split("-") or word == its] or get_close_matches(word, COMMANDS)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{PROGRAM}: no command is called {name!r}; {hint}{PROGRAM} --help lists all"
