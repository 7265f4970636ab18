"""The doctor beside a real devkit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from navsim_agents.devkit.variant import Variant, variant_of_source
from tests.devkit.scripts import Devkit


def examine(devkit: Devkit, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "navsim_agents.devkit", "--data-root", str(devkit.world), *options]
    env = {**devkit.environment, "NAVSIM_DEVKIT_ROOT": str(root)}
    return subprocess.run(command, env=env, cwd=devkit.experiments, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def healthy(devkit: Devkit) -> subprocess.CompletedProcess[str]:
    return examine(devkit, devkit.location.parent, "--scene-filter", "all_scenes", "--pictures", "decode")


def test_hydra_composes_the_devkits_configs_with_our_agents(healthy: subprocess.CompletedProcess[str]) -> None:
    assert "composes default_training and default_run_pdm_score with agent=drive_jepa" in healthy.stdout, healthy
    assert healthy.returncode == 0, healthy.stdout


def test_the_devkits_filters_are_found_by_name(devkit: Devkit, healthy: subprocess.CompletedProcess[str]) -> None:
    """all_scenes has scenes that do not overlap: one in each log of 10 s; navtrain's logs are not the world's."""
    assert "split trainval: 3 of 3 scenes in 3 logs have all pictures of cam_f0" in healthy.stdout
    absent = examine(devkit, devkit.location.parent, "--scene-filter", "navtrain").stdout
    assert "split trainval: the scene filter names 1192 logs" in absent
    assert "103288 tokens" in absent


def test_the_source_tells_the_version_and_the_other_ones_scripts_are_refused(devkit: Devkit, tmp_path: Path) -> None:
    assert variant_of_source(devkit.location) is devkit.variant
    other = Variant.V1_1 if devkit.variant is Variant.V2_2 else Variant.V2_2
    argument = "trajectory_sampling, " if other is Variant.V2_2 else ""
    source = tmp_path / "navsim" / "agents" / "abstract_agent.py"
    source.parent.mkdir(parents=True)
    source.write_text(f"class AbstractAgent:\n    def __init__(self, {argument}requires_scene=False): ...\n")
    done = examine(devkit, tmp_path)
    assert done.returncode == 1
    assert f"NAVSIM_DEVKIT_ROOT={tmp_path} holds scripts of {other.value}, but Python imports navsim" in done.stdout
