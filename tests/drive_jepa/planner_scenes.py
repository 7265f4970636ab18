"""A short drive, its agent inputs, and scoring scenes, for the tests of the full planner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from navsim_agents.data.types import AgentInput, Camera, Cameras, EgoStatus, SceneMetadata, Trajectory
from navsim_agents.poses import poses_to_local
from navsim_agents.world.camera.calibration import default_cameras

TINY_PLANNER: dict[str, Any] = {
    "encoder": {"name": "tiny"},
    "pictures": {"width": 64, "height": 32},
    "planner": {"model_dim": 24, "num_heads": 2, "ffn_dim": 40, "num_proposals": 5, "num_stages": 2},
}
CAMERAS = default_cameras()


def calibrated(name: str, image: Any) -> Camera:
    """A camera of the built-in world."""
    model = CAMERAS[name]
    return Camera(
        image=image,
        sensor2lidar_rotation=model.sensor2lidar_rotation,
        sensor2lidar_translation=model.sensor2lidar_translation,
        intrinsics=model.intrinsics,
    )


@lru_cache(maxsize=16)
def picture(seed: int) -> np.ndarray:
    """Large patches, so that a picture made small still differs from another."""
    patches = np.random.default_rng(seed).integers(0, 256, (27, 48, 3), dtype=np.uint8)
    return patches.repeat(40, axis=0).repeat(40, axis=1)


@dataclass(frozen=True)
class DriveScene:
    """What a target builder reads of a scene."""

    drive: Drive
    now: int

    @property
    def scene_metadata(self) -> SceneMetadata:
        return SceneMetadata("log-7", f"scene-{self.now}", "sg-one-north", self.drive.token(self.now), 4, 10)

    def get_agent_input(self) -> AgentInput:
        return self.drive.agent_input(self.now)

    def get_future_trajectory(self, num_trajectory_frames: int) -> Trajectory:
        ahead = self.drive.poses[self.now + 1 : self.now + 1 + num_trajectory_frames]
        return Trajectory(poses_to_local(ahead, self.drive.poses[self.now]))


class Drive:
    """Frames 0.5 s apart of a car that speeds up in a bend; ``cameras`` show something else in every frame."""

    def __init__(self, num_frames: int = 8, cameras: tuple[str, ...] = ("cam_f0",), seed: int = 0) -> None:
        self.cameras, self.seed = cameras, seed
        times = 0.5 * np.arange(num_frames + 10)
        self.speeds = 5.0 + 0.8 * times
        headings = 0.3 + 0.05 * times
        steps = 0.5 * self.speeds[:, None] * np.stack((np.cos(headings), np.sin(headings)), axis=1)
        self.poses = np.concatenate((np.cumsum(steps, axis=0) + 100.0, headings[:, None]), axis=1)

    def token(self, frame: int) -> str:
        return f"{self.seed:04x}{frame:012x}"

    def status(self, frame: int, now: int) -> EgoStatus:
        return EgoStatus(
            ego_pose=poses_to_local(self.poses[frame], self.poses[now]),
            ego_velocity=np.array([self.speeds[frame], 0.0], dtype=np.float32),
            ego_acceleration=np.array([0.8, 0.05 * self.speeds[frame]], dtype=np.float32),
            driving_command=np.eye(4, dtype=np.int64)[frame % 3],
        )

    def agent_input(self, now: int, frames: tuple[int, ...] = (0, 1, 2, 3)) -> AgentInput:
        """History of four frames that ends ``now``; only ``frames`` of them have pictures."""
        history = range(now - 3, now + 1)
        shown = [
            Cameras(**{name: calibrated(name, picture(1000 * self.seed + frame)) for name in self.cameras})
            if place in frames
            else Cameras()
            for place, frame in enumerate(history)
        ]
        return AgentInput([self.status(frame, now) for frame in history], shown)

    def scene(self, now: int) -> DriveScene:
        return DriveScene(self, now)


def with_status(agent_input: AgentInput, **changes: Any) -> AgentInput:
    """The input with another ego status now."""
    statuses = [*agent_input.ego_statuses[:-1], replace(agent_input.ego_statuses[-1], **changes)]
    return AgentInput(statuses, agent_input.cameras)


def merged(parts: Any) -> dict[str, Any]:
    """The targets of all builders of a scene."""
    return {name: value for part in parts for name, value in part.items()}
