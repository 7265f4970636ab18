"""The devkit is told by its API: fake package trees, each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SENSORS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0", "lidar_pc")
SCRIPTS = (
    "run_create_submission_pickle",
    "run_dataset_caching",
    "run_metric_caching",
    "run_pdm_score",
    "run_pdm_score_from_submission",
    "run_training",
)
V1 = {
    "agent": "requires_scene=False",
    "loader": "data_path, sensor_blobs_path, scene_filter, sensor_config=None",
    "scripts": (*SCRIPTS, "run_merge_submission_pickles"),
}
V2 = {
    "agent": "trajectory_sampling, requires_scene=False",
    "loader": "data_path, original_sensor_path, scene_filter, synthetic_sensor_path=None, "
    "synthetic_scenes_path=None, sensor_config=None",
    "scripts": (*SCRIPTS, "run_create_submission_pickle_challenge", "run_pdm_score_one_stage"),
}

AGENT = """
class AbstractAgent:
    def __init__(self, {agent}):
        self.arguments = dict(locals())
"""
DATACLASSES = """
from dataclasses import dataclass
@dataclass
class SensorConfig:
{fields}
    def get_sensors_at_iteration(self, iteration): ...
    @classmethod
    def build_all_sensors(cls, include=True): ...
    @classmethod
    def build_no_sensors(cls): ...
    {extra}
@dataclass
class Trajectory:
    poses: object
    trajectory_sampling: object = "default"
"""
SAMPLING = """
from dataclasses import dataclass
@dataclass
class TrajectorySampling:
    num_poses: int
    interval_length: float
"""
BUILDERS = """
class AbstractFeatureBuilder: ...
class AbstractTargetBuilder: ...
"""

DETECT = "from navsim_agents.devkit.variant import detect_host as d; h = d(); print(h.variant.value, h.differences)"


def write(root: Path, path: str, text: str = "") -> None:
    """Write a module, and make packages of the folders above it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for folder in file.relative_to(root).parents:
        if folder != Path("."):
            (root / folder / "__init__.py").touch()


def fake_devkit(root: Path, agent: str, loader: str, scripts: tuple[str, ...], extra: str = "") -> Path:
    fields = "\n".join(f"    {name}: object" for name in SENSORS)
    write(root, "navsim/agents/abstract_agent.py", AGENT.format(agent=agent))
    write(root, "navsim/common/dataclasses.py", DATACLASSES.format(fields=fields, extra=extra))
    write(root, "navsim/common/dataloader.py", f"class SceneLoader:\n    def __init__(self, {loader}): ...\n")
    write(root, "navsim/planning/training/abstract_feature_target_builder.py", BUILDERS)
    write(root, "nuplan/planning/simulation/trajectory/trajectory_sampling.py", SAMPLING)
    for script in scripts:
        write(root, f"navsim/planning/script/{script}.py")
    return root


def run(code: str, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(arguments or ("-c", code))]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
    return subprocess.run(command, env=env, cwd=path, capture_output=True, text=True, check=False)


def output(code: str, path: Path) -> str:
    done = run(code, path)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_devkit(tmp_path: Path) -> None:
    assert output(DETECT, tmp_path) == "none ()"


def test_a_bare_folder_of_that_name_is_no_devkit(tmp_path: Path) -> None:
    (tmp_path / "navsim").mkdir()
    assert output(DETECT, tmp_path) == "none ()"


@pytest.mark.parametrize(("marks", "expected"), [(V1, "v1.1 ()"), (V2, "v2.2 ()")])
def test_releases_are_told_apart(tmp_path: Path, marks: dict, expected: str) -> None:
    done = run(DETECT, fake_devkit(tmp_path, **marks))
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_a_fork_is_served_and_announced(tmp_path: Path) -> None:
    scripts = tuple(name for name in V1["scripts"] if name != "run_merge_submission_pickles")
    fork = {**V1, "scripts": (*scripts, "run_b2d"), "extra": "def front_only(self): ..."}
    done = run(DETECT, fake_devkit(tmp_path, **fork))
    assert done.stdout.startswith("v1.1 ('sensor members +front_only', 'scripts +run_b2d -run_merge_submission")
    assert "is a fork: served as v1.1" in done.stderr
    assert "Scores of forks are not comparable" in done.stderr


def test_the_registrys_navsim_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path, "navsim/simulation.py")
    done = run("import navsim_agents.devkit.bases", tmp_path)
    assert done.returncode != 0
    assert "is not the NAVSIM devkit" in done.stderr
    assert "pip uninstall navsim" in done.stderr


def test_a_devkit_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    fake_devkit(tmp_path, **V2)
    write(tmp_path, "navsim/common/dataloader.py", "import no_such_requirement")
    done = run(DETECT, tmp_path)
    assert done.returncode != 0
    assert "cannot be imported (ModuleNotFoundError: No module named 'no_such_requirement')" in done.stderr


USE_BASES = """
from navsim_agents.devkit import bases
class Agent(bases.AgentBase): ...
print(Agent(num_poses=4, interval_s=0.5).arguments.get("trajectory_sampling"))
print(bases.make_trajectory([1, 2, 3], 0.5).trajectory_sampling)
config = bases.sensor_config(cam_f0=[2, 3])
print(config.cam_f0, config.cam_b0, config.lidar_pc)
print(bases.AbstractFeatureBuilder.__module__, type(config).__module__)
"""


@pytest.mark.parametrize(
    ("marks", "sampling"), [(V1, "None"), (V2, "TrajectorySampling(num_poses=4, interval_length=0.5)")]
)
def test_our_classes_derive_from_the_hosts(tmp_path: Path, marks: dict, sampling: str) -> None:
    lines = output(USE_BASES, fake_devkit(tmp_path, **marks)).splitlines()
    assert lines == [
        sampling,
        "TrajectorySampling(num_poses=3, interval_length=0.5)",
        "[2, 3] False False",
        "navsim.planning.training.abstract_feature_target_builder navsim.common.dataclasses",
    ]


def test_the_doctor_reports_and_judges(tmp_path: Path) -> None:
    done = run("", fake_devkit(tmp_path / "good", **V2), "-m", "navsim_agents.devkit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NAVSIM v2.2 at" in done.stdout
    write(tmp_path / "bad", "navsim/simulation.py")
    done = run("", tmp_path / "bad", "-m", "navsim_agents.devkit")
    assert done.returncode == 1
    assert "WRONG  devkit" in done.stdout
