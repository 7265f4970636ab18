"""Small scenes and batches for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from navsim_agents.data.types import AgentInput, Camera, Cameras, EgoStatus, SceneMetadata, Trajectory

TINY: dict[str, Any] = {
    "encoder": {"name": "tiny"},
    "pictures": {"width": 64, "height": 32},
    "planner": {"model_dim": 24, "num_heads": 2, "ffn_dim": 40, "num_layers": 1, "num_poses": 4},
}


@dataclass(frozen=True)
class FakeScene:
    """What a target builder reads of a scene."""

    poses: np.ndarray
    scene_metadata: SceneMetadata

    def get_future_trajectory(self, num_trajectory_frames: int) -> Trajectory:
        return Trajectory(self.poses[:num_trajectory_frames])


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)


def ego_status(**changes: Any) -> EgoStatus:
    now = EgoStatus(
        ego_pose=np.zeros(3),
        ego_velocity=np.array([7.0, 0.5], dtype=np.float32),
        ego_acceleration=np.array([-1.0, 0.25], dtype=np.float32),
        driving_command=np.array([0, 0, 1, 0]),
    )
    return replace(now, **changes)


def make_input(previous: Any = None, current: Any = None, **status: Any) -> AgentInput:
    """Four frames, of which the last two have a front picture."""
    images = (previous if previous is not None else picture(1), current if current is not None else picture(2))
    cameras = [Cameras(), Cameras(), *(Cameras(cam_f0=Camera(image=image)) for image in images)]
    past = ego_status(ego_velocity=np.array([99.0, 99.0], dtype=np.float32))
    return AgentInput(ego_statuses=[past, past, past, ego_status(**status)], cameras=cameras)


def make_scene(poses: Any = None, num_future_frames: int = 10) -> FakeScene:
    metadata = SceneMetadata("log-7", "scene-3", "sg-one-north", "token-5", 4, num_future_frames)
    arc = np.stack((np.arange(1.0, 11.0) * 2, np.arange(1.0, 11.0) ** 2 * 0.1, np.arange(1.0, 11.0) * 0.1), axis=-1)
    return FakeScene(arc if poses is None else np.asarray(poses), metadata)


def make_batch(batch_size: int = 2, num_poses: int = 4) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Features and targets of ``TINY``'s shapes."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (batch_size, 2, 3, 32, 64), generator=generator, dtype=torch.uint8)
    status = torch.randn(batch_size, 8, generator=generator)
    trajectory = torch.randn(batch_size, num_poses, 3, generator=generator) * torch.tensor([5.0, 2.0, 0.5])
    return {"front_video": images, "status": status}, {"trajectory": trajectory}
