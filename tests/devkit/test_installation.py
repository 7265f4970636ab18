"""What these tests stand on: an installed package beside an unmodified devkit, and no path to a checkout of ours."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from tests.devkit.scripts import AGENT, CPU_TRAINER, Devkit


def test_package_is_installed_and_on_no_path(devkit: Devkit) -> None:
    assert metadata.version("navsim-drive-jepa")
    paths = devkit.environment.get("PYTHONPATH", "").split(os.pathsep)
    ours = [path for path in paths if (Path(path or devkit.experiments) / "navsim_agents").exists()]
    assert ours == [], "install the package (`make test-devkit` does); on PYTHONPATH it proves nothing"


def test_training_script_finds_our_agent(devkit: Devkit) -> None:
    printed = devkit.run(
        "run_training", *devkit.train_split, AGENT, "experiment_name=x", "cache_path=null", *CPU_TRAINER, "--cfg", "job"
    )
    assert "_target_: navsim_agents.drive_jepa.PerceptionFreeAgent" in printed


def test_doctor_finds_the_devkit_and_our_groups(devkit: Devkit) -> None:
    printed = devkit.run_module("navsim_agents.devkit")
    assert f"NAVSIM {devkit.variant.value} at {devkit.location}" in printed
