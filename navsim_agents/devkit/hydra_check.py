"""Whether NAVSIM's scripts will find our agents: Hydra is asked in another directory than this one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import resources, util
from pathlib import Path
from typing import Any, Optional

from navsim_agents.devkit.finding import Finding
from navsim_agents.devkit.splits import SPLIT_FOLDER

CONFIG_PACKAGE = "navsim_configs.agent"
ASKING = "navsim_agents.devkit.ask_hydra"
AGENT = "drive_jepa"
CONFIG_ROOT = ("planning", "script", "config")
SCRIPT_CONFIGS = (("training", "default_training"), ("pdm_scoring", "default_run_pdm_score"))
SMALL_SPLIT = "test"
TIMEOUT_S = 120.0
WAY_OUT = "install it into this environment with `pip install --no-deps -e .`, run in navsim-drive-jepa's folder"


def check_configs(location: Optional[Path]) -> Finding:
    """Whether Hydra finds ``agent=drive_jepa…``, and composes the configs of the devkit at ``location`` with it."""
    agents = our_agents()
    if not agents:
        return Finding("configs", False, f"{CONFIG_PACKAGE} has no agents; {WAY_OUT}")
    configs = script_configs(location)
    try:
        answer = ask_hydra(configs, [f"agent={AGENT}", f"train_test_split={_small_split(location)}"])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Finding("configs", False, f"Hydra gave no answer ({error}); repair its installation")
    problem = _problem(answer, agents)
    if problem:
        return Finding("configs", False, problem)
    names = " and ".join(config.split(":")[1] for config in configs)
    text = f"Hydra, asked from another directory, finds {len(agents)} agents ({', '.join(agents)})"
    return Finding("configs", True, f"{text} and composes {names} with agent={AGENT}" if configs else text)


def our_agents() -> list[str]:
    """Names in our group ``agent``, as they stand next to the code that runs."""
    if not _is_there(CONFIG_PACKAGE):
        return []
    return sorted(
        entry.name[: -len(".yaml")]
        for entry in resources.files(CONFIG_PACKAGE).iterdir()
        if entry.name.endswith(".yaml")
    )


def script_configs(location: Optional[Path]) -> list[str]:
    """``module:name`` of the primary configs of the devkit's training and scoring, where it has them."""
    if location is None:
        return []
    return [
        ".".join(("navsim", *CONFIG_ROOT, folder)) + f":{name}"
        for folder, name in SCRIPT_CONFIGS
        if location.joinpath(*CONFIG_ROOT, folder, f"{name}.yaml").is_file()
    ]


def _small_split(location: Optional[Path]) -> str:
    """A split that composes quickly: most list every token."""
    splits = sorted(path.stem for path in location.joinpath(SPLIT_FOLDER).glob("*.yaml")) if location else []
    return SMALL_SPLIT if SMALL_SPLIT in splits or not splits else splits[0]


def ask_hydra(configs: list[str], overrides: list[str]) -> dict[str, Any]:
    """The answer of ``ask_hydra.py`` in a fresh interpreter whose directory is an empty one."""
    spec = util.find_spec(ASKING)
    assert spec is not None
    assert spec.origin is not None
    code = Path(spec.origin).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps({"configs": configs, "overrides": overrides})],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _problem(answer: dict[str, Any], agents: list[str]) -> str:
    """What is wrong, with the way out; "" where NAVSIM's scripts will find every agent."""
    missing = sorted(set(agents) - set(answer["agents"]))
    if missing and not answer["importable"]:
        return (
            f"agent={missing[0]} is unknown to Hydra outside of this directory, since navsim-drive-jepa is not "
            f"installed: {WAY_OUT}"
        )
    if missing and not answer["scanned"]:
        return (
            f"agent={missing[0]} is unknown to Hydra: Python can import hydra_plugins.navsim_drive_jepa, but Hydra's "
            f"scan of hydra_plugins does not see it, as after an editable installation of an earlier release; {WAY_OUT}"
        )
    if missing:
        return f"Hydra finds {answer['agents']}, but not {missing}: another version is installed; {WAY_OUT}"
    for name, error in answer["errors"].items():
        return f"NAVSIM's {name} cannot be composed with agent={AGENT} ({error}); repair the devkit's installation"
    return ""


def _is_there(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
