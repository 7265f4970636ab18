"""The doctor asks Hydra itself, from another directory, in each state an installation can be in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from navsim_agents.devkit import hydra_check
from navsim_agents.devkit.hydra_check import ask_hydra, check_configs, our_agents, script_configs

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("navsim_agents", "navsim_configs", "hydra_plugins")

# What an editable installation of setuptools does: a hook answers imports, and no folder is on the path.
EDITABLE = """
import sys
from importlib.machinery import ModuleSpec, PathFinder
ROOT = {root!r}
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        parent, _, last = name.rpartition(".")
        if name == "hydra_plugins":
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = ["__editable__.finder.__path_hook__"]
            return spec
        if parent == "hydra_plugins":
            return PathFinder.find_spec(name, [ROOT + "/hydra_plugins"])
        if name in ("navsim_agents", "navsim_configs"):
            return PathFinder.find_spec(name, [ROOT])
sys.meta_path.append(Finder)
"""


def test_agents_are_those_of_the_group() -> None:
    assert our_agents() == sorted(path.stem for path in (ROOT / "navsim_configs" / "agent").glob("*.yaml"))


def test_hydra_finds_every_agent_where_the_package_is_on_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    finding = check_configs(None)
    assert finding.is_good, finding.text
    assert "asked from another directory, finds 9 agents (drive_jepa, " in finding.text


def test_a_checkout_in_the_working_directory_is_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is importable here, but NAVSIM's scripts start elsewhere: nothing of it is on their path."""
    (tmp_path / "sitecustomize.py").write_text(block_installed())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(ROOT)
    finding = check_configs(None)
    assert not finding.is_good
    assert "is unknown to Hydra outside of this directory, since navsim-drive-jepa is not installed" in finding.text
    assert "`pip install --no-deps -e .`" in finding.text


def block_installed() -> str:
    """Of a sitecustomize: whatever installation of this package the tests' interpreter has is not seen."""
    return f"""
import sys
from importlib.abc import MetaPathFinder
class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {PACKAGES!r} or name.startswith({tuple(f"{name}." for name in PACKAGES)!r}):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
"""


def test_an_editable_installation_that_hydras_scan_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        EDITABLE.format(root=str(ROOT)).replace("sys.meta_path.append(Finder)", "sys.meta_path.insert(0, Finder)")
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = ask_hydra([], [])
    assert (answer["importable"], answer["scanned"], answer["agents"]) == (True, False, [])
    finding = check_configs(None)
    assert not finding.is_good
    assert (
        "Python can import hydra_plugins.navsim_drive_jepa, but Hydra's scan of hydra_plugins does not" in finding.text
    )
    assert "`pip install --no-deps -e .`" in finding.text


def fake_scripts(root: Path, agent_group: bool = True) -> Path:
    """A devkit with the two primary configs; returns its package."""
    location = root / "navsim"
    for folder, name in (("training", "default_training"), ("pdm_scoring", "default_run_pdm_score")):
        package = location / "planning" / "script" / "config" / folder
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        defaults = "defaults:\n  - agent: other\n  - train_test_split: ???\n" if agent_group else "a: 1\n"
        (package / f"{name}.yaml").write_text(defaults)
        for group, file in (("agent", "other"), ("train_test_split", "test")):
            (package / group).mkdir()
            (package / group / f"{file}.yaml").write_text("x: ${oc.env:NO_SUCH_VARIABLE}\n")
    for folder in (location, location / "planning", location / "planning" / "script", package.parent):
        (folder / "__init__.py").touch()
    return location


def test_the_devkits_own_configs_are_composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = fake_scripts(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))
    assert [config.rpartition(":")[2] for config in script_configs(location)] == [
        "default_training",
        "default_run_pdm_score",
    ]
    finding = check_configs(location)
    assert finding.is_good, finding.text
    assert "composes default_training and default_run_pdm_score with agent=drive_jepa" in finding.text


def test_a_devkit_whose_configs_do_not_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = fake_scripts(tmp_path, agent_group=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))
    finding = check_configs(location)
    assert not finding.is_good
    assert (
        "NAVSIM's default_training cannot be composed with agent=drive_jepa (ConfigCompositionException" in finding.text
    )
    assert "\n" not in finding.text


def test_hydra_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = subprocess.CompletedProcess([], 1, "", "Traceback\nModuleNotFoundError: No module named 'hydra'\n")
    monkeypatch.setattr(hydra_check.subprocess, "run", lambda *_, **__: broken)
    finding = check_configs(None)
    assert (finding.is_good, "No module named 'hydra'" in finding.text) == (False, True)


def test_the_question_needs_nothing_of_this_package(tmp_path: Path) -> None:
    code = (ROOT / "navsim_agents" / "devkit" / "ask_hydra.py").read_text(encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(block_installed())
    command = [sys.executable, "-c", code, json.dumps({"configs": [], "overrides": []})]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"importable": False, "scanned": False, "agents": [], "errors": {}}
