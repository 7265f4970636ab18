"""The world's two-stage scenes in the form of the private test split, which only the challenge's script reads.

There both scenes of a pair are five frames in a row: the first stage in one pickle of all such rows, the second stage
in a pickle a row. Nothing says what came later.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.data.split_mapping import TwoStageMapping
from tests.devkit.scripts import Devkit

SPLIT, LOGS, ROWS = "private", "private_logs", "openscene_meta_datas"
KEPT = (  # OpenScene's keys that the private split has, too
    *("token", "timestamp", "log_name", "map_location", "roadblock_ids", "traffic_lights", "driving_command"),
    *("ego2global_translation", "ego2global_rotation", "ego_dynamic_state", "cams", "lidar_path"),
)
Frame = dict[str, Any]


def write_private_split(devkit: Devkit, mapping: TwoStageMapping, folder: Path) -> tuple[str, ...]:
    """Write both stages to ``folder``, and return the overrides that lead the script there."""
    (folder / LOGS).mkdir(parents=True)
    (folder / ROWS).mkdir()
    logs = [pickle.loads(path.read_bytes()) for path in (devkit.world / "navsim_logs" / "test").glob("*.pkl")]
    first = [frame for group in mapping.groups for frame in row(logged_frames(logs, group.now), group.now)]
    (folder / LOGS / "private.pkl").write_bytes(pickle.dumps(first))
    data = devkit.world / "navhard_two_stage"
    for later, earlier in (pair for group in mapping.groups for pair in group.follow_ups):
        paths = [data / "synthetic_scene_pickles" / f"{name}.pkl" for name in (later, earlier)]
        now, before = (pickle.loads(path.read_bytes()) for path in paths)
        frames = [before["frames"][0], *now["frames"]]
        content = row([as_logged(frame, now["scene_metadata"]) for frame in frames], later)
        (folder / ROWS / f"{later}.pkl").write_bytes(pickle.dumps(content))
    return (
        f"navsim_log_path={folder / LOGS}",
        f"original_sensor_path={devkit.world / 'sensor_blobs' / 'test'}",
        f"synthetic_sensor_path={data / 'sensor_blobs'}",
        f"synthetic_scenes_path={folder / ROWS}",
    )


def logged_frames(logs: list[list[Frame]], now: str) -> list[Frame]:
    """The history of the scene ``now``, and one frame more."""
    (frames,) = (frames for frames in logs if any(frame["token"] == now for frame in frames))
    last = [frame["token"] for frame in frames].index(now)
    return [{key: frame[key] for key in KEPT} for frame in frames[last - NUM_HISTORY_FRAMES : last + 1]]


def as_logged(frame: Frame, metadata: dict[str, Any]) -> Frame:
    """A frame of a synthetic scene under the names that logs use."""
    status = frame["ego_status"]
    pose = np.asarray(status["ego_pose"])
    return {
        **{key: frame[key] for key in ("token", "timestamp", "roadblock_ids", "traffic_lights")},
        "log_name": metadata["log_name"],
        "map_location": metadata["map_name"],
        "driving_command": status["driving_command"],
        "ego2global_translation": np.array([*pose[XY], 0.0]),
        "ego2global_rotation": np.array([np.cos(pose[HEADING] / 2), 0.0, 0.0, np.sin(pose[HEADING] / 2)]),
        "ego_dynamic_state": np.concatenate((status["ego_velocity"], status["ego_acceleration"])),
        "cams": frame["camera_dict"],
        "lidar_path": None,
    }


def row(frames: list[Frame], name: str) -> list[Frame]:
    """Frames that are told apart from others by a scene of their own."""
    return [{**frame, "scene_token": f"row-{name}", "frame_idx": index} for index, frame in enumerate(frames)]
