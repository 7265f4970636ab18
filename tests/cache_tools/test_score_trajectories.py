from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cache_tools.score_trajectories import ScoreTrajectoriesConfig, score_file
from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring.aggregate import COLUMNS
from tests.scoring.tiny import plan, scene, track
from tests.scoring.traffic.roads import scene_of, vehicle, way

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path):
    scene(tracks=[track(32.5, 0)]).save(tmp_path / "scene.npz")
    np.save(tmp_path / "plans.npy", np.stack((plan(10.0), plan(2.0), plan(3.0, y=1.0))).astype(np.float32))
    return tmp_path


def options(folder, **changes):
    return ScoreTrajectoriesConfig(
        **{
            "scene": str(folder / "scene.npz"),
            "trajectories": str(folder / "plans.npy"),
            "output": str(folder / "deep" / "out.npz"),
            **changes,
        }
    )


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_output_has_the_devkits_columns(files, metric):
    score_file(options(files, metric=metric))
    with np.load(files / "deep" / "out.npz") as found:
        assert set(found.files) == {*COLUMNS[metric], "simulated_states", "collision_step", "ttc_step"}
        assert all(found[name].dtype == np.float64 for name in found.files)
        assert all(found[name].shape == (3,) for name in COLUMNS[metric])
        assert found["simulated_states"].shape == (3, 41, 11)
        assert found["no_at_fault_collisions"].tolist() == [0.0, 1.0, 1.0]
        assert found["collision_step"].tolist() == [27.0, np.inf, np.inf]


def test_traffic_reacts_where_it_is_asked_to(files):
    """The log's car stands in the way; on its path it drives on."""
    ahead = vehicle(way(0.0, 0.0, 200.0, 0.0, points=201), progress=32.5, speed=12.0, wanted=12.0)
    scene_of(ahead, tracks=[track(32.5, 0)], speed=10.0).save(files / "scene.npz")
    for traffic, wanted in (("log_replay", [0.0, 1.0, 1.0]), ("reactive", [1.0, 1.0, 1.0])):
        found = score_file(options(files, traffic=traffic))
        assert found["no_at_fault_collisions"].tolist() == wanted, traffic


def test_a_scene_without_traffic_says_so(files):
    with pytest.raises(SceneError, match=r"scene 0123456789abcdef lacks traffic_role, .* again with traffic=true"):
        score_file(options(files, traffic="reactive"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traffic": "idm"}, "traffic is 'idm', but must be one of log_replay, reactive"),
        ({"traffic": "reactive", "metric": "pdms"}, "traffic is reactive, but pdms .* choose metric=epdms"),
        ({"dtype": "float16"}, "dtype is 'float16', but must be one of float64, float32"),
        ({"device": "abacus"}, "device is 'abacus', but must be cpu or cuda"),
        ({"trajectories": "gone.npy"}, "gone.npy is not a readable .npy of numbers"),
    ],
)
def test_bad_options_are_refused(files, changes, message):
    with pytest.raises(TrajectoryError, match=message):
        score_file(options(files, **changes))


def test_integers_are_refused(files):
    np.save(files / "plans.npy", np.zeros((2, 8, 3), dtype=np.int64))
    with pytest.raises(TrajectoryError, match="holds int64, but trajectories must be one array of float32 or float64"):
        score_file(options(files))


def run(folder, *overrides):
    command = [sys.executable, "-m", "cache_tools.score_trajectories", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_command_line(files):
    paths = ["scene=scene.npz", "trajectories=plans.npy", "output=out.npz"]
    done = run(files, *paths, "metric=epdms", "interval_length=0.5", "human_penalty_filter=true")
    assert done.returncode == 0, done.stderr
    assert "scored 3 trajectories with epdms" in done.stdout
    assert sorted(path.name for path in files.iterdir()) == ["out.npz", "plans.npy", "scene.npz"]
    refused = run(files, *paths, "interval_length=0.1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("TrajectoryError: trajectories has 8 poses 0.1 s apart")
