"""Synthetic scenes made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.world.writers.pickles import dump_portable

TOKEN, ORIGINAL, LAST_OF_ORIGINAL = "0123456789abcdef0", "0123456789abcdef", "fedcba9876543210"
LOG = "2021.06.01.12.00.00_veh-01_00000_00100"
STEP_US = 500_000


def camera(token: str) -> dict[str, Any]:
    return {
        "data_path": f"{LOG}/CAM_F0/{token}.jpg",
        "sensor2lidar_rotation": np.eye(3),
        "sensor2lidar_translation": np.array([1.5, 0.0, 1.2]),
        "cam_intrinsic": np.diag([700.0, 701.0, 1.0]),
        "distortion": np.zeros(5),
    }


def frame(index: int, token: str = TOKEN) -> dict[str, Any]:
    """Frame 3 is now; the ego drives 2 m a frame and turns by 0.1 rad."""
    name = token if index == 3 else f"{index}{token[1:]}"
    return {
        "token": name,
        "timestamp": 1_600_000_000_000_000 + STEP_US * index,
        "roadblock_ids": ["7"],
        "traffic_lights": [(12, True)],
        "annotations": {
            "boxes": np.array([[5.0, 1.0, 0.0, 4.5, 2.0, 1.6, 0.2]]),
            "names": ["vehicle"],
            "velocity_3d": np.array([[3.0, 0.0, 0.0]]),
            "instance_tokens": [f"instance{index}"],
            "track_tokens": ["track"],
        },
        "ego_status": {
            "ego_pose": np.array([100.0 + 2.0 * index, 50.0, 0.1 * index]),
            "ego_velocity": np.array([4.0, 0.1 * index], dtype=np.float32),
            "ego_acceleration": np.array([0.5, 0.25], dtype=np.float32),
            "driving_command": np.array([0, 1, 0, 0]),
            "in_global_frame": True,
        },
        "lidar_path": None,
        "camera_dict": {name: camera(f"{index}") if name == "cam_f0" else {} for name in CAMERA_NAMES},
    }


def content(token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    """What ``Scene.save_to_disk`` pickles, without nuPlan's objects."""
    metadata = {
        "log_name": LOG,
        "scene_token": token,
        "map_name": "us-ma-boston",
        "initial_token": token,
        "num_history_frames": 4,
        "num_future_frames": 0,
        "corresponding_original_scene": LAST_OF_ORIGINAL,
        "corresponding_original_initial_token": ORIGINAL,
    }
    made = {
        "scene_metadata": metadata,
        "frames": [frame(index, token) for index in range(4)],
        "extended_traffic_light_data": [],
        "extended_detections_tracks": [],
    }
    return {**made, **changes}


def write(folder: Path, *scenes: dict[str, Any]) -> tuple[Path, Path]:
    """Folders of the pickles and of their pictures, whose shade is 40 times the frame's number."""
    pickles, pictures = folder / "synthetic_scene_pickles", folder / "sensor_blobs"
    pickles.mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        (pickles / f"{scene['scene_metadata']['scene_token']}.pkl").write_bytes(dump_portable(scene))
    (pictures / LOG / "CAM_F0").mkdir(parents=True, exist_ok=True)
    for index in range(4):
        shade = np.full((4, 6, 3), 40 * index, dtype=np.uint8)
        Image.fromarray(shade).save(pictures / LOG / "CAM_F0" / f"{index}.jpg", quality=100)
    return pickles, pictures
