"""The command lines that the documentation shows: in code blocks, in tables, in the text, at the head of examples."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from navsim_agents.commands import COMMANDS, PROGRAM

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"(drive-jepa|python3?|torchrun|make|pip|git|cd|\S+/bin/pip) ")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"\S*/(run_\w+)\.py")


@dataclass(frozen=True)
class Documented:
    """One command line, its continuation lines joined, without its comment."""

    file: str
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell reads it, variables left as they are, and ``<what is meant>`` as one word."""
        return shlex.split(re.sub(r"<[^>]*>", lambda match: match[0].replace(" ", "_"), self.text))

    @property
    def program(self) -> str:
        """What is run: a module, an example, a script of NAVSIM's, or else the first word."""
        words = self.words
        named = words[words.index(PROGRAM) + 1 :] if PROGRAM in words else []
        if named:
            return COMMANDS.get(named[0], PROGRAM)
        if "-m" in words:
            return words[words.index("-m") + 1]
        script = SCRIPT.fullmatch(words[1]) if words[0] == "python" else None
        return script[1] if script else words[1] if words[0] == "python" else words[0]


def documents() -> list[Path]:
    """Every text that shows commands."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("examples/*.py")),
    ]


def python_blocks(path: Path) -> list[str]:
    """Programs that a text shows, each between fences."""
    return PYTHON.findall(path.read_text(encoding="utf-8"))


def block_lines(text: str) -> Iterator[str]:
    """Lines of code blocks, which are indented by four or more, continuation lines joined."""
    joined = re.sub(r"\\\n\s*", "", FENCED.sub("", text))
    for line in re.findall(r"^ {4,}(\S.*)$", joined, re.MULTILINE):
        yield re.sub(r"\s+# .*|\s{3,}\(.*\)$", "", line).strip()


def inline_code(text: str) -> Iterator[str]:
    """Code between backticks, in tables and in the text, where it may go over the end of a line."""
    prose = re.sub(r"^ {4,}\S.*$", "", FENCED.sub("", text), flags=re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def head_lines(text: str) -> Iterator[str]:
    """Commands in an example's docstring, behind ``First:`` and ``Then:``."""
    joined = re.sub(r"\\\n\s*", "", text.split('"""')[1])
    yield from (line.strip() for line in re.findall(r"^(?:First:|Then: |      ) (.*)$", joined, re.MULTILINE))


def lines_of(path: Path) -> Iterator[str]:
    """What may be a command."""
    text = path.read_text(encoding="utf-8")
    yield from head_lines(text) if path.suffix == ".py" else (*block_lines(text), *inline_code(text))


def commands_of(path: Path, name: str) -> Iterator[Documented]:
    """Every command of one text."""
    for line in lines_of(path):
        for part in line.split(" && "):
            if COMMAND.match(part + " "):
                yield Documented(name, part)


def documented_commands() -> list[Documented]:
    """Every command once a file, in order."""
    found = (command for path in documents() for command in commands_of(path, str(path.relative_to(ROOT))))
    return list(dict.fromkeys(found))


def assignments(path: Path) -> dict[str, str]:
    """Shell variables that a text's code blocks set, expanded by what was set before them."""
    known: dict[str, str] = {}
    for line in block_lines(path.read_text(encoding="utf-8")):
        match = ASSIGNMENT.fullmatch(line)
        if match:
            known[match[1]] = expand(match[2].strip('"'), known)
    return known


def expand(text: str, variables: dict[str, str]) -> str:
    """``text`` with ``$NAME`` replaced where it is known."""
    return re.sub(r"\$([A-Z_]+)", lambda match: variables.get(match[1], match[0]), text)
