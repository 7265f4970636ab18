"""Inputs of documented commands: the demo's, and what the demo does not make."""

from __future__ import annotations

import pickle
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache_tools.index_videos import IndexVideosConfig, index_videos
from navsim_agents.devkit.cache_files import FILE_NAME
from tests.argoverse.sensor_logs import Settings, write_log
from tests.scoring.tiny import plan, scene
from tests.video.videos import write_pictures, write_video


def make_places(folder: Path, demo: Path) -> dict[str, str]:
    """Write what the demo does not, and name everything."""
    scene().save(folder / "scene.npz")
    np.save(folder / "plans.npy", np.stack((plan(3.0), plan(2.0))).astype(np.float32))
    write_video(folder / "covla" / "videos" / "a.mp4", 45)
    write_pictures(folder / "dojo" / "videos" / "a", 20)
    with suppress(ModuleNotFoundError):  # without pyarrow its own commands fail alone
        write_log(folder / "argoverse", Settings(pictures=True))
    index_videos(IndexVideosConfig("covla", str(folder / "covla"), str(folder / "covla.jsonl"), workers=0))
    openscene = str(folder / "openscene.jsonl")
    index_videos(IndexVideosConfig("navsim", str(demo / "world"), openscene, data_set="openscene", workers=0))
    (folder / "navtest.yaml").write_text("log_names:\n- 'elsewhere'\ntokens:\n- 'a'\n- 'b'\n", encoding="utf-8")
    _write_submission(folder / "submission.pkl")
    _write_metric_cache(folder / "metric_cache")
    places = {
        "places": folder,
        "demo": demo,
        "world": demo / "world",
        "unseen": demo / "unseen_world",
        "vocabulary": demo / "vocabulary" / "vocabulary.npy",
        "manifest": demo / "clips" / "manifest.jsonl",
        "checkpoint": demo / "pretraining" / "checkpoints" / "step_00000002.pt",
    }
    return {name: str(path) for name, path in places.items()}


def _write_metric_cache(folder: Path) -> None:
    cached = folder / "log" / "unknown" / "token" / FILE_NAME
    for path in (cached, folder / "metadata" / "one.csv"):
        path.parent.mkdir(parents=True)
    cached.touch()
    (folder / "metadata" / "one.csv").write_text(f"file_name\n{cached}\n", encoding="utf-8")


class Trajectory:
    """Stands in for NAVSIM's class of that name while a submission is pickled."""

    def __init__(self, speed_mps: float) -> None:
        headings = 0.02 * np.arange(1, 9)
        x, y = 0.5 * speed_mps * np.cumsum((np.cos(headings), np.sin(headings)), axis=1)
        self.poses = np.stack((x, y, headings), axis=1).astype(np.float32)
        self.trajectory_sampling = TrajectorySampling()


class TrajectorySampling:
    """Stands in for nuPlan's."""

    def __init__(self) -> None:
        self.num_poses, self.interval_length, self.time_horizon = 8, 0.5, 4.0


def _write_submission(path: Path) -> None:
    team: dict[str, Any] = {
        "team_name": "t",
        "authors": ["a"],
        "email": "e",
        "institution": "i",
        "country / region": "c",
    }
    names = {
        Trajectory: "navsim.common.dataclasses",
        TrajectorySampling: "nuplan.planning.simulation.trajectory.trajectory_sampling",
    }
    with pytest.MonkeyPatch.context() as patch:
        for kind, module in names.items():
            patch.setattr(kind, "__module__", module)
            parts = module.split(".")
            for end in range(1, len(parts) + 1):
                patch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
            patch.setattr(sys.modules[module], kind.__name__, kind, raising=False)
        predictions = {token: Trajectory(speed) for token, speed in (("a", 5.0), ("b", 8.0))}
        path.write_bytes(pickle.dumps({**team, "predictions": [predictions]}))
