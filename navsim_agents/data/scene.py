"""One scene: a window of frames around "now", with what the devkit's ``Scene`` says about it.

Poses and their differences are computed as the devkit computes them, heading of a quaternion included, so that an agent
sees the same numbers with the devkit and without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, UInt8
from PIL import Image

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.common.poses import XY, X, Y
from navsim_agents.data.types import AgentInput, Camera, Cameras, EgoStatus, SceneMetadata, Trajectory
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.poses import poses_to_local

LogFrame = dict[str, Any]

# Columns of a logged box: centre x, y, z, length, width, height [m], heading [rad].
BOX_Z, BOX_LENGTH, BOX_WIDTH, BOX_HEIGHT, BOX_HEADING = 2, 3, 4, 5, 6
BOX_POSE = [X, Y, BOX_HEADING]
BOX_FOOTPRINT = slice(BOX_LENGTH, BOX_WIDTH + 1)
BOX_SIZE = slice(BOX_LENGTH, BOX_HEIGHT + 1)
EGO_POSE = "ego_pose"
# Of a logged dynamic state: velocity and acceleration ahead and to the left.
LOGGED_VELOCITY, LOGGED_ACCELERATION = slice(0, 2), slice(2, 4)


@dataclass(frozen=True)
class Annotations:
    """Boxes of one frame, in the ego frame of that frame."""

    boxes: Float64[np.ndarray, "K 7"]  # columns as above
    names: list[str]
    velocity_3d: Float64[np.ndarray, "K 3"]  # m/s over ground, ego axes
    instance_tokens: list[str]  # one per box and frame
    track_tokens: list[str]  # the same in every frame that shows the object


@dataclass(frozen=True)
class Frame:
    """One frame of a log with privileged information; ``ego_status`` is in the global frame."""

    token: str
    timestamp: int  # microseconds
    roadblock_ids: list[str]
    traffic_lights: list[tuple[int, bool]]  # lane connector, is it red
    annotations: Optional[Annotations]
    ego_status: EgoStatus


def quaternion_yaw(quaternion: npt.ArrayLike) -> float:
    """Heading [rad] of a rotation (w, x, y, z), by the formula of pyquaternion, which the devkit uses."""
    w, x, y, z = np.asarray(quaternion, dtype=np.float64) / np.linalg.norm(quaternion)
    return float(np.arctan2(2.0 * (w * z - x * y), 1.0 - 2.0 * (y * y + z * z)))


def global_ego_pose(frame: LogFrame) -> Float64[np.ndarray, "3"]:
    """Rear axle's (x, y, heading) on the map; frames of synthetic scenes have it as it is."""
    if EGO_POSE in frame:
        return np.asarray(frame[EGO_POSE], dtype=np.float64)
    x, y = frame["ego2global_translation"][XY]
    return np.array([x, y, quaternion_yaw(frame["ego2global_rotation"])], dtype=np.float64)


def read_annotations(frame: LogFrame) -> Optional[Annotations]:
    """The frame's boxes; None where a log is published without them.

    :raises WorldDataError: the lists differ in length.
    """
    anns = frame.get("anns")
    if anns is None:
        return None
    columns = [anns[key] for key in ("gt_boxes", "gt_names", "gt_velocity_3d", "instance_tokens", "track_tokens")]
    if len({len(column) for column in columns}) != 1:
        raise WorldDataError(
            f"frame {frame['token']} has annotation lists of lengths {[len(column) for column in columns]}, "
            "but one entry per box is the rule; write the log again"
        )
    boxes, names, velocity, instances, tracks = columns
    return Annotations(
        boxes=np.asarray(boxes, dtype=np.float64).reshape(-1, 7),
        names=[str(name) for name in names],
        velocity_3d=np.asarray(velocity, dtype=np.float64).reshape(-1, 3),
        instance_tokens=list(instances),
        track_tokens=list(tracks),
    )


def read_image(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """RGB image.

    :raises WorldDataError: there is no such file, or it is no complete image.
    """
    try:
        with Image.open(path) as image:
            # A conversion that changes nothing would copy 6 MB, a third of the time that reading takes.
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except FileNotFoundError as error:
        raise WorldDataError(
            f"{path} is missing, although the log names it; render or download this camera, or ask for other sensors"
        ) from error
    except OSError as error:
        raise WorldDataError(f"{path} is not a complete image ({error}); render or download it again") from error


def read_camera(frame: LogFrame, camera_name: str, blobs: Path) -> Camera:
    """One camera of one frame; ``blobs`` is the folder of the split's sensor files."""
    entry = frame["cams"].get(camera_name.upper())
    if not entry:
        raise WorldDataError(
            f"frame {frame['token']} of {frame['log_name']} has no {camera_name.upper()}, "
            f"but only {sorted(frame['cams'])}; ask for other sensors"
        )
    return Camera(
        image=read_image(blobs / entry["data_path"]),
        sensor2lidar_rotation=np.asarray(entry["sensor2lidar_rotation"]),
        sensor2lidar_translation=np.asarray(entry["sensor2lidar_translation"]),
        intrinsics=np.asarray(entry["cam_intrinsic"]),
        distortion=np.asarray(entry["distortion"]),
        camera_path=Path(entry["data_path"]),
    )


EGO_KEYS = (EGO_POSE, "ego2global_translation", "ego2global_rotation", "ego_dynamic_state")


@dataclass(frozen=True)
class Scene:
    """Frames of one scene, the ``num_history_frames``-th of which is now."""

    scene_metadata: SceneMetadata
    log_frames: list[LogFrame]
    blobs: Path
    sensors: Mapping[str, tuple[int, ...]]  # camera -> indices of the history frames that show it

    @cached_property
    def _global_poses(self) -> Float64[np.ndarray, "F 3"]:
        return np.stack([global_ego_pose(frame) for frame in self.log_frames])  # [F, 3]

    def __post_init__(self) -> None:
        for frame in self.log_frames:
            if not all(np.isfinite(frame[key]).all() for key in EGO_KEYS if frame.get(key) is not None):
                raise WorldDataError(
                    f"frame {frame['token']} of log {frame['log_name']} has an ego pose, velocity or acceleration that "
                    "is not a finite number; leave its scenes out, or write the log again"
                )

    @property
    def current_pose(self) -> Float64[np.ndarray, "3"]:
        """Rear axle's (x, y, heading) now, on the map."""
        return self._global_poses[self.scene_metadata.num_history_frames - 1]

    @cached_property
    def frames(self) -> list[Frame]:
        """Every frame, history first."""
        return [self._frame(index) for index in range(len(self.log_frames))]

    def _frame(self, index: int) -> Frame:
        frame = self.log_frames[index]
        return Frame(
            token=frame["token"],
            timestamp=int(frame["timestamp"]),
            roadblock_ids=list(frame["roadblock_ids"]),
            traffic_lights=[(int(connector), bool(is_red)) for connector, is_red in frame["traffic_lights"]],
            annotations=read_annotations(frame),
            ego_status=self._ego_status(index, self._global_poses[index], in_global_frame=True),
        )

    def _ego_status(self, index: int, pose: npt.NDArray[Any], in_global_frame: bool) -> EgoStatus:
        frame = self.log_frames[index]
        dynamic_state = frame["ego_dynamic_state"]
        return EgoStatus(
            ego_pose=pose,
            ego_velocity=np.array(dynamic_state[LOGGED_VELOCITY], dtype=np.float32),
            ego_acceleration=np.array(dynamic_state[LOGGED_ACCELERATION], dtype=np.float32),
            driving_command=np.asarray(frame["driving_command"]),
            in_global_frame=in_global_frame,
        )

    def get_agent_input(self, pose_dtype: npt.DTypeLike = np.float64) -> AgentInput:
        """History frames with the images that ``sensors`` asks for; only those are read from disk."""
        num_history = self.scene_metadata.num_history_frames
        local_poses = poses_to_local(self._global_poses[:num_history], self.current_pose).astype(pose_dtype)
        return AgentInput(
            ego_statuses=[self._ego_status(i, local_poses[i], in_global_frame=False) for i in range(num_history)],
            cameras=[self._cameras(i) for i in range(num_history)],
        )

    def _cameras(self, index: int) -> Cameras:
        shown = [name for name in CAMERA_NAMES if index in self.sensors.get(name, ())]
        return Cameras(**{name: read_camera(self.log_frames[index], name, self.blobs) for name in shown})

    def get_future_trajectory(self, num_trajectory_frames: Optional[int] = None) -> Trajectory:
        """The human's driven poses [T, 3] in the ego frame of now; all future frames by default.

        :raises InputError: the scene has fewer future frames.
        """
        num_future = len(self.log_frames) - self.scene_metadata.num_history_frames
        wanted = self.scene_metadata.num_future_frames if num_trajectory_frames is None else num_trajectory_frames
        if not 0 < wanted <= num_future:
            raise InputError(
                f"num_trajectory_frames={wanted}, but scene {self.scene_metadata.initial_token} has {num_future} "
                "future frames; load scenes with a larger num_future_frames"
            )
        first = self.scene_metadata.num_history_frames
        return Trajectory(poses_to_local(self._global_poses[first : first + wanted], self.current_pose))
