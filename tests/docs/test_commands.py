"""Every documented command line runs, on the smallest inputs; none is forgotten, and no entry outlives its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from navsim_agents.commands import COMMANDS as DOORS
from navsim_agents.commands import DOOR, PROGRAM
from tests.docs.commands import (
    ASSIGNMENT,
    COMMAND,
    ROOT,
    Documented,
    block_lines,
    commands_of,
    documented_commands,
    documents,
    python_blocks,
)
from tests.docs.inputs import make_places
from tests.docs.places import NO_COMMANDS, NOT_RUN, SMALLEST, WITH_DEVKIT, WORDS, WORDS_OF
from tests.docs.running import run_command

COMMANDS = documented_commands()


def is_excepted(command: Documented) -> bool:
    return any(part in command.text for part in (*NOT_RUN, *WITH_DEVKIT))


def unique(commands: Sequence[Documented]) -> list[Documented]:
    """The first of those with the same text."""
    return list({command.text: command for command in reversed(commands)}.values())[::-1]


RUN = unique([command for command in COMMANDS if not is_excepted(command)])


def filled(command: Documented, places: dict[str, str]) -> list[str]:
    """The words that are run for ``command``."""
    found = []
    for word in Documented(command.file, re.sub(r"\[-[^\]]*\]", "", command.text)).words:
        is_name = found[-1:] == [PROGRAM]  # as ``world`` is
        meant = None if is_name else WORDS_OF.get((command.program, word), WORDS.get(word))
        found += [word] if meant is None else meant.format(**places).split()
    if found[0] == "make":
        return found
    if command.program in (PROGRAM, "navsim_agents"):
        return [*found[: 1 if found[0] == PROGRAM else 3], "--help"]  # the door itself
    is_bare = len(found) == (2 if found[0] == PROGRAM else 3)
    if is_bare and not command.program.startswith(("benchmarks.", "navsim_agents.devkit")):
        return [*found, "--cfg", "job"]  # a command that the text only mentions
    if found[0] == "torchrun":
        found = ["python", "-m", "torch.distributed.run", *found[1:]]
        if "--no-python" in found:  # nothing is installed here
            start = found.index("--no-python")
            found[start : start + 2] = [str(DOOR)]
    return [*found, *(word.format(**places) for word in SMALLEST.get(command.program, []))]


@pytest.fixture(scope="session")
def places(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_places(tmp_path_factory.mktemp("places"), demo_folder)


def named(command: Documented) -> str:
    return f"{Path(command.file).name}-{command.program}"


@pytest.mark.parametrize("command", RUN, ids=named)
def test_command_runs(command: Documented, places: dict[str, str], tmp_path: Path) -> None:
    words = filled(command, places)
    open_words = [word for word in words if re.search(r"…|<|\$", word)]
    assert not open_words or words[0] == "make", f"{command}: say in places.py what {open_words} stands for"
    status, printed = run_command(words, tmp_path)
    assert status == 0, f"{command.file}: {command.text}\nran as {' '.join(words)}\n{printed[-4000:]}"


PROGRAMS = [(path, block) for path in documents() if path.suffix == ".md" for block in python_blocks(path)]


@pytest.mark.parametrize(("path", "block"), PROGRAMS, ids=[path.name for path, _ in PROGRAMS])
def test_python_runs_as_it_stands(path: Path, block: str, demo_folder: Path, tmp_path: Path) -> None:
    """In a folder where ``drive-jepa demo output=outputs/demo`` was run."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "demo").symlink_to(demo_folder)
    status, printed = run_command(["python", "-c", block], tmp_path)
    assert status == 0, f"{path.name}:\n{block}\n{printed[-4000:]}"


def test_quick_start_is_there_and_short() -> None:
    (quick_start,) = python_blocks(ROOT / "README.md")
    assert len(quick_start.splitlines()) <= 11
    assert quick_start.count("\nfrom navsim_agents import ") == 1


def test_no_line_of_a_code_block_is_overlooked() -> None:
    lines = [line for path in documents() if path.suffix == ".md" for line in block_lines(path.read_text("utf-8"))]
    strange = [line for line in lines if not COMMAND.match(line + " ") and not ASSIGNMENT.fullmatch(line)]
    assert [line for line in strange if not line.startswith(NO_COMMANDS)] == []
    assert [start for start in NO_COMMANDS if not any(line.startswith(start) for line in strange)] == []


def test_every_entry_belongs_to_a_documented_line() -> None:
    texts = [command.text for command in COMMANDS]
    words = {(command.program, word) for command in COMMANDS for word in command.words}
    assert [part for part in (*NOT_RUN, *WITH_DEVKIT) if not any(part in text for text in texts)] == []
    assert [word for word in WORDS if word not in {word for _, word in words}] == []
    assert [key for key in WORDS_OF if key not in words] == []
    assert set(SMALLEST) - {command.program for command in RUN} == set()


def test_every_example_is_documented_and_run() -> None:
    shown = {command.program for command in RUN}
    assert {str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*.py")} <= shown


def test_readme_shows_every_command_of_the_door() -> None:
    shown = {command.program for command in commands_of(ROOT / "README.md", "README.md")}
    assert [name for name, module in DOORS.items() if module not in shown] == []


def test_collector_finds_commands_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "text.md"
    path.write_text(
        "| `python -m a b=…` |\n\n1. Then\n\n       torchrun … -m c d=1 \\\n           e=2   # why\n"
        "\n```python\nfor a in b:\n    python -m c\n```\n\nOr `make\nx`, not `d=1`, or `drive-jepa report d=1`.\n",
        encoding="utf-8",
    )
    assert python_blocks(path) == ["for a in b:\n    python -m c\n"]
    assert [(command.program, command.text) for command in commands_of(path, "text.md")] == [
        ("c", "torchrun … -m c d=1 e=2"),
        ("a", "python -m a b=…"),
        ("make", "make x"),
        ("training.report", "drive-jepa report d=1"),
    ]
