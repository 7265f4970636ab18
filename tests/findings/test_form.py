"""The scripts of ``findings/`` have the stated form, and ``run_all.sh`` tells their answers apart; no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "findings"
RUN_ALL = FOLDER / "run_all.sh"
SCRIPTS = sorted(path for path in FOLDER.glob("*.sh") if path != RUN_ALL)
LABELS = ("Software", "Version", "Input", "Behaviour", "Seen")
OURS = re.compile(r"navsim|drive.?jepa|cache_tools|from training|import training", re.IGNORECASE)
PLACES = re.compile(r"://|/home/|/work/|/root/|/Users/|index-url|find-links")
INSTALL = re.compile(r"^.*pip install (.*)$", re.MULTILINE)

WELL_FORMED = """#!/usr/bin/env bash
# Something surprises.
# Software: thing
# Version: thing 1.2.3
# Input: valid
# Behaviour: odd
# Seen: 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m pip install --quiet 'thing==1.2.3' || exit 2
"""


def head_of(text: str) -> list[str]:
    """Lines of the comment below the first line, without the hash."""
    lines = text.splitlines()[1:]
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line[1:].strip() for line in lines[:end]]


def pins_of(text: str) -> list[str]:
    """What is installed, by the words of ``pip install``."""
    words = " ".join(INSTALL.findall(text)).split("||")[0].replace("'", "").split()
    return [word for word in words if not word.startswith("-")]


def faults_of(text: str) -> list[str]:
    """What of the form is missing."""
    head, pins = head_of(text), pins_of(text)
    faults = [f"no {label}:" for label in LABELS if not any(re.match(rf"{label}: \S", line) for line in head)]
    version = " ".join(head)
    faults += [f"{pin} is not pinned" for pin in pins if "==" not in pin]
    faults += [] if pins else ["installs nothing"]
    stated = (" ".join(pin.split("==")) for pin in pins[:1] if "==" in pin)
    faults += [f"the head does not say {pin}" for pin in stated if pin not in version]
    faults += [] if "mktemp -d" in text else ["no temporary folder"]
    faults += [] if re.search(r"^trap .*rm -rf .* EXIT$", text, re.MULTILINE) else ["the folder stays"]
    faults += [] if "set -euo pipefail" in text else ["goes on after a failure"]
    faults += ["mentions this package"] if OURS.search(text) else []
    faults += ["holds an address or a machine's path"] if PLACES.search(text) else []
    return faults


def test_there_are_findings() -> None:
    assert len(SCRIPTS) >= 3
    assert RUN_ALL.is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_has_the_form(script: Path) -> None:
    assert faults_of(script.read_text(encoding="utf-8")) == []
    assert script.stat().st_mode & 0o111, "cannot be run as it stands"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", None),
        *((f"# {label}: ", "# ", f"no {label}:") for label in LABELS),
        ("'thing==1.2.3'", "'thing>=1'", "thing>=1 is not pinned"),
        ("'thing==1.2.3'", "", "installs nothing"),
        ("thing==1.2.3", "thing==1.2.4", "the head does not say thing 1.2.4"),
        ("mktemp -d", "pwd", "no temporary folder"),
        ("trap", "echo", "the folder stays"),
        ("set -euo pipefail\n", "", "goes on after a failure"),
        ("odd", "odd with Drive-JEPA", "mentions this package"),
        ("'thing==1.2.3'", "--index-url=x 'thing==1.2.3'", "holds an address or a machine's path"),
    ],
)
def test_faults_are_found(old: str, new: str, fault: str | None) -> None:
    assert faults_of(WELL_FORMED.replace(old, new)) == ([fault] if fault else [])


@pytest.mark.parametrize("script", [*SCRIPTS, RUN_ALL], ids=lambda path: path.stem)
def test_bash_and_python_can_read_it(script: Path) -> None:
    bash = shutil.which("bash")
    assert bash, "these scripts need bash"
    done = subprocess.run([bash, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for program in re.findall(
        r"<<'PYTHON'\n(.*?)^PYTHON$", script.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        compile(program, script.name, "exec")


def test_table_lists_the_scripts_with_their_versions() -> None:
    rows = re.findall(
        r"^\| `(\w+\.sh)` \| ([^|]+) \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    versions = {
        path.name: re.findall(r"^# Version: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE) for path in SCRIPTS
    }
    assert [name for name, _ in rows] == [path.name for path in SCRIPTS]
    for name, version in rows:
        assert versions[name][0].startswith(version), name


@pytest.mark.parametrize(
    ("codes", "printed", "status"),
    [
        ({"a": 0, "b": 0}, ["a: holds", "b: holds"], 0),
        ({"a": 0, "b": 1, "c": 0}, ["a: holds", "b: changed", "c: holds"], 1),
        ({"a": 2, "b": 0, "c": 127}, ["a: could not run", "b: holds", "c: could not run"], 0),
    ],
)
def test_run_all_tells_answers_apart(codes: dict[str, int], printed: list[str], status: int, tmp_path: Path) -> None:
    shutil.copy(RUN_ALL, tmp_path)
    for name, code in codes.items():
        (tmp_path / f"{name}.sh").write_text(f"echo seen by {name}\nexit {code}\n", encoding="utf-8")
    done = subprocess.run(["bash", str(tmp_path / RUN_ALL.name)], cwd="/", capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == printed
    assert done.returncode == status
    loud = {name for name, code in codes.items() if code}
    assert {name for name in codes if f"    seen by {name}" in done.stdout} == loud
