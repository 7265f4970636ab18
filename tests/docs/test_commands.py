"""Every documented command line runs, on the smallest inputs; none is forgotten, and no entry outlives its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.commands import (
    ASSIGNMENT,
    COMMAND,
    ROOT,
    Documented,
    block_lines,
    commands_of,
    documented_commands,
    documents,
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
        meant = WORDS_OF.get((command.program, word), WORDS.get(word))
        found += [word] if meant is None else meant.format(**places).split()
    if found[0] == "make":
        return found
    if len(found) == 3 and not command.program.startswith(("benchmarks.", "navsim_agents.devkit")):
        return [*found, "--cfg", "job"]  # a command that the text only mentions
    if found[0] == "torchrun":
        found = ["python", "-m", "torch.distributed.run", *found[1:]]
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


def test_collector_finds_commands_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "text.md"
    path.write_text(
        "| `python -m a b=…` |\n\n1. Then\n\n       torchrun … -m c d=1 \\\n           e=2   # why\n"
        "\nOr `make\nx`, not `d=1`.\n",
        encoding="utf-8",
    )
    assert [(command.program, command.text) for command in commands_of(path, "text.md")] == [
        ("c", "torchrun … -m c d=1 e=2"),
        ("a", "python -m a b=…"),
        ("make", "make x"),
    ]
