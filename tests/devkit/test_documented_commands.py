"""The documentation's lines that need a devkit: their settings compose, with this devkit, on the built-in world."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from navsim_agents.devkit.variant import Variant
from tests.devkit.scripts import Devkit
from tests.docs.commands import ROOT, SCRIPT, Documented, assignments, documented_commands, expand
from tests.docs.places import WITH_DEVKIT

COMMANDS = [command for command in documented_commands() if any(part in command.text for part in WITH_DEVKIT)]
OF_V2_2 = "docs/two_stage.md"
EXPORTED = ("OPENSCENE_DATA_ROOT", "NAVSIM_EXP_ROOT", "WORLD_ROOT", "WORLD_TRAIN_LOGS", "WORLD_VAL_LOGS")


@pytest.fixture(scope="module")
def exported(devkit: Devkit) -> dict[str, str]:
    """What the world's ``devkit.env`` sets, and where the devkit lies."""
    program = f". {devkit.world}/devkit.env; " + "; ".join(f'echo "${name}"' for name in EXPORTED)
    lines = subprocess.run(["bash", "-ec", program], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == str(devkit.world)
    return {**dict(zip(EXPORTED, lines)), "NAVSIM_DEVKIT_ROOT": str(devkit.location.parent)}


def filled(command: Documented, exported: dict[str, str]) -> list[str]:
    """The words of ``command``; values that it leaves open are an x, and words that it leaves out stay out."""
    text = expand(expand(command.text, assignments(ROOT / command.file)), exported)
    assert "$" not in text, text
    return [word.replace("…", "x") for word in shlex.split(text) if word != "…"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{Path(command.file).name}-{command.program}")
def test_settings_compose(command: Documented, devkit: Devkit, exported: dict[str, str]) -> None:
    if command.file == OF_V2_2 and devkit.variant is not Variant.V2_2:
        pytest.skip(f"{devkit.variant.value} has one stage")
    words = filled(command, exported)
    if words[0] == "drive-jepa":
        assert devkit.run_module("navsim_agents", *words[1:], "--cfg", "job")
        return
    if words[1] == "-m":
        assert devkit.run_module(*words[2:], "--cfg", "job")
        return
    script = SCRIPT.fullmatch(words[1])
    assert script is not None
    assert Path(words[1]).parent == devkit.location / "planning" / "script"
    if not Path(words[1]).exists():
        pytest.skip(f"{devkit.variant.value} has no {script[1]}")
    assert "train_test_split:" in devkit.run(script[1], *words[2:], "--cfg", "job")
