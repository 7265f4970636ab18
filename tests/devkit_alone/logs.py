"""Small logs in NAVSIM's format."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.data.logs import REQUIRED_KEYS


def frame(index: int, log: str) -> dict[str, Any]:
    """Two metres a frame along +y, heading along +y."""
    turn = np.sqrt(0.5)
    known = {
        "token": f"{log}{index}",
        "map_location": "a-map",
        "roadblock_ids": ["1"],
        "ego2global_translation": [100.0, 2.0 * index, 0.0],
        "ego2global_rotation": [turn, 0.0, 0.0, turn],
        "cams": {"CAM_F0": {"data_path": f"{log}/CAM_F0/{index}.jpg"}},
    }
    return {**dict.fromkeys(REQUIRED_KEYS), **known}


def write_log(folder: Path, name: str, num_frames: int) -> list[str]:
    """Write a log, and return the paths of its pictures."""
    frames = [frame(index, name) for index in range(num_frames)]
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(frames))
    return [entry["cams"]["CAM_F0"]["data_path"] for entry in frames]
