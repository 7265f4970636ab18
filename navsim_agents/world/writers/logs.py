"""A drive as one of NAVSIM's logs: frames at 2 Hz with OpenScene's keys.

Boxes are in the ego frame of their frame, which is also the lidar frame here (see ``world/camera/calibration.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.conventions import DRIVING_COMMANDS, FRAME_INTERVAL_S, WORLD_STEP_S
from navsim_agents.common.files import write_bytes
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import FloatArray, poses_to_local, rotate
from navsim_agents.world.camera.calibration import LIDAR_TO_EGO_ROTATION, LIDAR_TO_EGO_TRANSLATION
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.types import HEIGHT, Drive, Light, Track
from navsim_agents.world.writers.pickles import dump_portable

STEPS_PER_FRAME = round(FRAME_INTERVAL_S / WORLD_STEP_S)
ANNOTATION_RANGE_M = 100.0  # what a roof lidar labels; also the devkit's map radius
POSITION, QUATERNION = slice(0, 3), slice(3, 7)  # of OpenScene's CAN bus
TOKEN_DIGITS = 16  # NAVSIM 2 takes a scene of seventeen for a synthetic one
IDENTITY_QUATERNION = np.array([1.0, 0.0, 0.0, 0.0])


def token(*parts: object, digits: int = TOKEN_DIGITS) -> str:
    """Hexadecimal digits for whatever ``parts`` name."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:digits]


def frame_steps(drive: Drive) -> range:
    """The simulator's steps at which a frame is taken."""
    return range(0, len(drive.ego.poses), STEPS_PER_FRAME)


def frame_token(log_name: str, step: int) -> str:
    """Name of the frame taken at ``step``."""
    return token(log_name, "frame", step)


def image_path(log_name: str, step: int, camera_name: str) -> str:
    """Image of a frame, relative to the split's folder of sensor files."""
    return f"{log_name}/{camera_name.upper()}/{frame_token(log_name, step)}.jpg"


ImagePath = Callable[[str, int, str], str]
"""From a log's name, a step and a camera's name to the picture's path, as :func:`image_path`."""


def lidar_path(log_name: str, step: int) -> str:
    """Point cloud of a frame, relative to the split's folder of sensor files."""
    return f"{log_name}/MergedPointCloud/{frame_token(log_name, step)}.pcd"


def _ego_to_global(pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "4 4"]:
    matrix = np.eye(4)
    matrix[XY, -1] = pose[XY]
    cos, sin = np.cos(pose[HEADING]), np.sin(pose[HEADING])
    matrix[XY, XY] = [[cos, -sin], [sin, cos]]
    return matrix


def _lidar_to_ego() -> Float64[np.ndarray, "4 4"]:
    matrix = np.eye(4)
    matrix[:-1, :-1], matrix[:-1, -1] = LIDAR_TO_EGO_ROTATION, LIDAR_TO_EGO_TRANSLATION
    return matrix


def _can_bus(drive: Drive, step: int) -> FloatArray:
    """OpenScene's 18 numbers: position 3, quaternion 4, acceleration 3, velocity 3, angular rate 3, two zeros."""
    ego = drive.ego
    x, y, heading = ego.poses[step]
    yaw_rate = np.gradient(np.unwrap(ego.poses[:, HEADING]), WORLD_STEP_S)[step] if len(ego.poses) > 1 else 0.0
    quaternion = (np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2))
    motion = (*ego.accelerations[step], 0.0, *ego.velocities[step], 0.0, 0.0, 0.0, yaw_rate)
    return np.array([x, y, 0.0, *quaternion, *motion, 0.0, 0.0])


def seen_tracks(drive: Drive, step: int, position: Float64[np.ndarray, "2"]) -> list[Track]:
    """Tracks that exist at ``step`` within range of ``position``, in the order of the drive."""
    return [
        track
        for track in drive.tracks
        if track.valid[step] and np.hypot(*(track.poses[step, XY] - position)) <= ANNOTATION_RANGE_M
    ]


def box_annotations(drive: Drive, step: int) -> dict[str, Any]:
    """Boxes, names, velocities and tokens of the tracks in range, in the ego's frame, with OpenScene's keys."""
    ego = drive.ego.poses[step]
    tracks = seen_tracks(drive, step, ego[XY])
    boxes, velocities = np.zeros((len(tracks), 7)), np.zeros((len(tracks), 3))
    for row, track in enumerate(tracks):
        x, y, heading = poses_to_local(track.poses[step], ego)
        boxes[row] = (x, y, track.size[HEIGHT] / 2 - LIDAR_TO_EGO_TRANSLATION[2], *track.size, heading)
        velocities[row, XY] = rotate(track.velocities[step], -ego[HEADING])
    return {
        "gt_boxes": boxes,
        "gt_names": np.array([track.agent_type.value for track in tracks], dtype="<U16"),
        "gt_velocity_3d": velocities,
        "instance_tokens": [token(drive.log_name, track.track_token, step) for track in tracks],
        "track_tokens": [track.track_token for track in tracks],
    }


def camera_entries(
    drive: Drive, step: int, cameras: Mapping[str, CameraModel], path_of: ImagePath = image_path
) -> dict[str, Any]:
    """Picture and calibration of each camera, with OpenScene's keys."""
    return {
        name: {
            "data_path": path_of(drive.log_name, step, name),
            "sensor2lidar_rotation": camera.sensor2lidar_rotation,
            "sensor2lidar_translation": camera.sensor2lidar_translation,
            "cam_intrinsic": camera.intrinsics,
            "distortion": np.zeros(5),
        }
        for name, camera in cameras.items()
    }


def one_hot(command: int) -> Any:
    """A driving command as NAVSIM has it, one place for each of ``DRIVING_COMMANDS``."""
    return np.eye(len(DRIVING_COMMANDS), dtype=np.int64)[command]


def timestamp_us(drive: Drive, step: int) -> int:
    """When ``step`` was."""
    return drive.start_time_us + round(step * WORLD_STEP_S * 1e6)


def traffic_lights(drive: Drive, step: int) -> list[tuple[int, bool]]:
    """Every governed connector, and whether its signal is red."""
    return [(int(name), states[step] is Light.RED) for name, states in drive.lights.items()]


def _frame(drive: Drive, step: int, cameras: Mapping[str, CameraModel]) -> dict[str, Any]:
    can_bus, ego_to_global = _can_bus(drive, step), _ego_to_global(drive.ego.poses[step])
    steps = frame_steps(drive)
    index = steps.index(step)
    return {
        "token": frame_token(drive.log_name, step),
        "frame_idx": index,
        "timestamp": timestamp_us(drive, step),
        "log_name": drive.log_name,
        "log_token": token(drive.log_name),
        "scene_name": f"{drive.log_name}-scene-0001",
        "scene_token": token(drive.log_name, "scene"),
        "map_location": drive.location,
        "roadblock_ids": list(drive.route_roadblock_ids[step]),
        "vehicle_name": drive.log_name.split("_")[1] if "_" in drive.log_name else drive.log_name,
        "can_bus": can_bus,
        "lidar_path": lidar_path(drive.log_name, step),
        "lidar2ego_translation": LIDAR_TO_EGO_TRANSLATION,
        "lidar2ego_rotation": IDENTITY_QUATERNION,
        "ego2global_translation": can_bus[POSITION],
        "ego2global_rotation": can_bus[QUATERNION],
        "ego_dynamic_state": [float(v) for v in (*drive.ego.velocities[step], *drive.ego.accelerations[step])],
        "traffic_lights": traffic_lights(drive, step),
        "driving_command": one_hot(int(drive.ego.commands[step])),
        "cams": {name.upper(): entry for name, entry in camera_entries(drive, step, cameras).items()},
        "sample_prev": frame_token(drive.log_name, steps[index - 1]) if index else None,
        "sample_next": frame_token(drive.log_name, steps[index + 1]) if index + 1 < len(steps) else None,
        "ego2global": ego_to_global,
        "lidar2ego": _lidar_to_ego(),
        "lidar2global": ego_to_global @ _lidar_to_ego(),
        "anns": box_annotations(drive, step),
    }


def log_frames(drive: Drive, cameras: Mapping[str, CameraModel]) -> list[dict[str, Any]]:
    """Frames of ``drive``; ``cameras`` are the calibrations to write, rendered or not."""
    return [_frame(drive, step, cameras) for step in frame_steps(drive)]


def write_log(drive: Drive, cameras: Mapping[str, CameraModel], folder: Path) -> Path:
    """Write ``<folder>/<log>.pkl`` and return its path."""
    path = folder / f"{drive.log_name}.pkl"
    write_bytes(path, dump_portable(log_frames(drive, cameras)))
    return path
