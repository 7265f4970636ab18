"""Follow-up scenes as NAVSIM 2 keeps synthetic ones: a pickle a scene, its pictures beside.

The folder has the name at which the devkit's configuration looks by default. As on the real disk there is no point
cloud, no future frame and no human trajectory; what is around the ego later stands in the two extended lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES, NUM_POSES, NUM_STEPS
from navsim_agents.common.files import write_bytes
from navsim_agents.common.poses import XY
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.devkit_objects import detections_tracks, dump_calls, traffic_light_statuses
from navsim_agents.world.writers.logs import (
    STEPS_PER_FRAME,
    TOKEN_DIGITS,
    box_annotations,
    camera_entries,
    frame_token,
    one_hot,
    seen_tracks,
    timestamp_us,
    token,
    traffic_lights,
)

FOLDER = "navhard_two_stage"  # default_dataset_paths.yaml
SCENES, PICTURES = "synthetic_scene_pickles", "sensor_blobs"


@dataclass(frozen=True)
class FollowUp:
    """What follows a plan of the scene whose now is step ``now``: two scenes, at its end and a frame earlier."""

    log_name: str
    now: int
    plan: str

    @property
    def ends(self) -> tuple[int, int]:
        """Steps of the later and the earlier scene."""
        return self.now + NUM_STEPS, self.now + NUM_STEPS - STEPS_PER_FRAME

    def token(self, step: int) -> str:
        """Frame at ``step``; the two scenes share those that both show."""
        return token(self.log_name, "follow-up", self.now, self.plan, step, digits=TOKEN_DIGITS + 1)

    def tokens(self) -> tuple[str, str]:
        """Of the later and the earlier scene."""
        later, earlier = self.ends
        return self.token(later), self.token(earlier)

    def image_path(self, log_name: str, step: int, camera_name: str) -> str:
        """Picture of a frame, relative to the folder of pictures."""
        return f"{log_name}/{camera_name.upper()}/{self.token(step)}.jpg"


def scene_path(output: Path, scene_token: str) -> Path:
    """Pickle of a follow-up scene."""
    return output / FOLDER / SCENES / f"{scene_token}.pkl"


def pictures_path(output: Path) -> Path:
    """Where the pictures of all follow-ups are."""
    return output / FOLDER / PICTURES


def follow_up_scene(drive: Drive, follow_up: FollowUp, step: int, cameras: Mapping[str, CameraModel]) -> dict[str, Any]:
    """The scene whose current frame is at ``step`` of ``drive``, whose ego has driven the plan."""
    shown = range(step - (NUM_HISTORY_FRAMES - 1) * STEPS_PER_FRAME, step + 1, STEPS_PER_FRAME)
    later = [step + STEPS_PER_FRAME * number for number in range(1, NUM_POSES + 1)]
    return {
        "scene_metadata": {
            "log_name": drive.log_name,
            "scene_token": follow_up.token(step),
            "map_name": drive.location,
            "initial_token": follow_up.token(step),
            "num_history_frames": len(shown),
            "num_future_frames": 0,
            "corresponding_original_scene": frame_token(drive.log_name, step),
            "corresponding_original_initial_token": frame_token(drive.log_name, step - NUM_STEPS),
        },
        "frames": [_frame(drive, follow_up, at, cameras) for at in shown],
        "extended_traffic_light_data": [
            traffic_light_statuses(traffic_lights(drive, at), timestamp_us(drive, at)) for at in later
        ],
        "extended_detections_tracks": [_detections(drive, at, step) for at in later],
    }


def _frame(drive: Drive, follow_up: FollowUp, step: int, cameras: Mapping[str, CameraModel]) -> dict[str, Any]:
    boxes = box_annotations(drive, step)
    ego = drive.ego
    return {
        "token": follow_up.token(step),
        "timestamp": timestamp_us(drive, step),
        "roadblock_ids": list(drive.route_roadblock_ids[step]),
        "traffic_lights": traffic_lights(drive, step),
        "annotations": {
            "boxes": boxes["gt_boxes"],
            "names": boxes["gt_names"],
            "velocity_3d": boxes["gt_velocity_3d"],
            "instance_tokens": boxes["instance_tokens"],
            "track_tokens": boxes["track_tokens"],
        },
        "ego_status": {
            "ego_pose": ego.poses[step],
            "ego_velocity": ego.velocities[step].astype(np.float32),
            "ego_acceleration": ego.accelerations[step].astype(np.float32),
            "driving_command": one_hot(int(ego.commands[step])),
            "in_global_frame": True,
        },
        "lidar_path": None,
        "camera_dict": camera_entries(drive, step, cameras, follow_up.image_path),
    }


def _detections(drive: Drive, step: int, now: int) -> Any:
    """Tracks at ``step``; nobody knows where the ego will be then, so those in range of where it is at ``now``."""
    tracks = seen_tracks(drive, step, drive.ego.poses[now, XY])
    tokens = [token(drive.log_name, track.track_token, step) for track in tracks]
    return detections_tracks(tracks, step, timestamp_us(drive, step), tokens)


def write_follow_up(drive: Drive, follow_up: FollowUp, cameras: Mapping[str, CameraModel], output: Path) -> None:
    """Write the pickles of both scenes that are not there yet."""
    for step in follow_up.ends:
        path = scene_path(output, follow_up.token(step))
        if not path.exists():
            write_bytes(path, dump_calls(follow_up_scene(drive, follow_up, step, cameras)))
