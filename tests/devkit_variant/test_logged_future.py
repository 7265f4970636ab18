"""The human's future from the logs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from navsim_agents.data.logs import REQUIRED_KEYS
from navsim_agents.devkit.logged_future import LoggedFutures
from navsim_agents.errors import WorldDataError


def frame(index: int, log: str) -> dict[str, Any]:
    """Two metres a frame along +y, heading along +y."""
    turn = np.sqrt(0.5)
    known = {
        "token": f"{log}{index}",
        "map_location": "a-map",
        "ego2global_translation": [100.0, 2.0 * index, 0.0],
        "ego2global_rotation": [turn, 0.0, 0.0, turn],
    }
    return {**dict.fromkeys(REQUIRED_KEYS), **known}


def write_log(folder: Path, name: str, num_frames: int) -> None:
    frames = [frame(index, name) for index in range(num_frames)]
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(frames))


def test_eight_frames_ahead_in_the_ego_frame(tmp_path: Path) -> None:
    write_log(tmp_path, "a", 12)
    poses, map_name = LoggedFutures(tmp_path).of("a", "a3")
    assert map_name == "a-map"
    np.testing.assert_allclose(poses, [[2.0 * step, 0.0, 0.0] for step in range(1, 9)], atol=1e-12)


def test_few_logs_stay_open(tmp_path: Path) -> None:
    for name in "abc":
        write_log(tmp_path, name, 9)
    futures = LoggedFutures(tmp_path)
    for name in "abc":
        futures.of(name, f"{name}0")
    (tmp_path / "a.pkl").unlink()
    futures.of("c", "c0")
    with pytest.raises(WorldDataError, match="cannot be read"):
        futures.of("a", "a0")


def test_refusals(tmp_path: Path) -> None:
    write_log(tmp_path, "a", 9)
    futures = LoggedFutures(tmp_path)
    with pytest.raises(WorldDataError, match="has no such frame for scene nowhere"):
        futures.of("a", "nowhere")
    with pytest.raises(WorldDataError, match="has only 7 frames after it for scene a1, but the human's future takes 8"):
        futures.of("a", "a1")
