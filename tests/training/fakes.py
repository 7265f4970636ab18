"""Scenes without files: a straight road with bends, seen as a picture whose grey level tells the bend."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.data.types import AgentInput, Camera, Cameras, EgoStatus, SceneMetadata, Trajectory
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.scoring import ScoringScene

NUM_POSES = 8
LOGS = ("log_a", "log_b", "log_c", "log_d", "log_e")
SCENES_PER_LOG = 6


@dataclass(frozen=True)
class FakeScene:
    scene_metadata: SceneMetadata
    speed: float
    bend: float  # rad/s

    def get_agent_input(self) -> AgentInput:
        grey = np.full((4, 6, 3), 128 + round(400 * self.bend), dtype=np.uint8)
        command = np.eye(4, dtype=np.int64)[0 if self.bend > 0.1 else 2 if self.bend < -0.1 else 1]
        status = EgoStatus(
            ego_pose=np.zeros(3),
            ego_velocity=np.array([self.speed, 0.0], dtype=np.float32),
            ego_acceleration=np.zeros(2, dtype=np.float32),
            driving_command=command,
        )
        return AgentInput([status] * 4, [Cameras(cam_f0=Camera(image=grey))] * 4)

    def get_future_trajectory(self, num_trajectory_frames: int = NUM_POSES) -> Trajectory:
        times = 0.5 * np.arange(1, num_trajectory_frames + 1)
        headings = self.bend * times
        x = self.speed * np.sinc(headings / np.pi) * times
        y = self.speed * np.sin(headings / 2) ** 2 * 2 / self.bend
        return Trajectory(np.stack((x, y, headings), axis=-1).astype(np.float32))


class FakeReader:
    def __init__(self, scenes: dict[str, FakeScene], bad_tokens: tuple[str, ...]) -> None:
        self._scenes = scenes
        self._bad = bad_tokens

    @property
    def tokens(self) -> list[str]:
        return list(self._scenes)

    def get_scene(self, token: str) -> FakeScene:
        if token in self._bad:
            raise WorldDataError(f"{token} is torn")
        return self._scenes[token]


@dataclass(frozen=True)
class FakeSource:
    bad_tokens: tuple[str, ...] = ()
    bad_logs: tuple[str, ...] = ()
    opened: list[str] = field(default_factory=list)
    version: str = "1"

    def log_names(self) -> list[str]:
        return list(LOGS)

    def open(self, log_name: str) -> FakeReader:
        self.opened.append(log_name)
        if log_name in self.bad_logs:
            raise WorldDataError(f"{log_name} is gone")
        rng = np.random.default_rng(LOGS.index(log_name))
        scenes = {}
        for index in range(SCENES_PER_LOG):
            token = f"{log_name}_{index}"
            metadata = SceneMetadata(log_name, f"scene{index}", "us-ma-boston", token, 4, 10)
            scenes[token] = FakeScene(metadata, float(rng.uniform(3, 8)), float(rng.uniform(-0.3, 0.3)))
        return FakeReader(scenes, self.bad_tokens)

    def fingerprint(self, log_name: str) -> str:
        return f"{log_name}-{self.version}"

    def scoring_scene(self, token: str) -> ScoringScene:
        raise InputError(f"{token} has no scoring scene")


class GreyFeatures:
    """Mean grey level and speed."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def get_unique_name(self) -> str:
        return "grey"

    def compute_features(self, agent_input: Any) -> dict[str, torch.Tensor]:
        image = agent_input.cameras[-1].cam_f0.image
        status = agent_input.ego_statuses[-1].ego_velocity
        return {"picture": torch.from_numpy(image[:2, :3]), "status": torch.from_numpy(status) * self.scale}


class PoseTargets:
    def get_unique_name(self) -> str:
        return "poses"

    def compute_targets(self, scene: Any) -> dict[str, torch.Tensor]:
        return {"trajectory": torch.from_numpy(scene.get_future_trajectory(NUM_POSES).poses)}


def grey_inputs(features: dict[str, torch.Tensor]) -> torch.Tensor:
    """Grey level times speed, speed, grey level [B, 3]."""
    grey = (features["picture"].float().mean((1, 2, 3)) - 128) / 100
    speed = features["status"][:, 0]
    return torch.stack((grey * speed, speed, grey), dim=-1)


class TinyAgent(nn.Module):
    """Linear in the grey level times the speed."""

    requires_scene = False

    def __init__(self, lr: float = 0.01, checkpoint_path: str = "") -> None:
        super().__init__()
        self.lr = lr
        self.checkpoint_path = checkpoint_path
        self.linear = nn.Linear(3, NUM_POSES * 3)

    def initialize(self) -> None:
        if self.checkpoint_path:
            state = torch.load(self.checkpoint_path, map_location="cpu", weights_only=False)["state_dict"]
            self.load_state_dict({key.removeprefix("agent."): value for key, value in state.items()})

    def get_sensor_config(self) -> SimpleNamespace:
        return SimpleNamespace(**{**dict.fromkeys(CAMERA_NAMES, False), "cam_f0": [2, 3]})

    def get_feature_builders(self) -> list[GreyFeatures]:
        return [GreyFeatures()]

    def get_target_builders(self) -> list[PoseTargets]:
        return [PoseTargets()]

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"trajectory": self.linear(grey_inputs(features)).unflatten(1, (NUM_POSES, 3))}

    def compute_loss(
        self,
        features: dict[str, torch.Tensor],
        targets: dict[str, torch.Tensor],
        predictions: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        return (predictions["trajectory"] - targets["trajectory"]).abs().mean()

    def get_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def get_training_callbacks(self) -> list[Any]:
        return []

    def compute_trajectory(self, agent_input: Any) -> Trajectory:
        features = {
            k: v[None]
            for builder in self.get_feature_builders()
            for k, v in builder.compute_features(agent_input).items()
        }
        with torch.no_grad():
            return Trajectory(self.forward(features)["trajectory"][0].numpy())


class NormedAgent(TinyAgent):
    """Beside it, a batch norm before the linear layer, and one that is kept as it is."""

    def __init__(self, lr: float = 0.01, checkpoint_path: str = "") -> None:
        super().__init__(lr, checkpoint_path)
        self.norm, self.frozen = nn.BatchNorm1d(3), nn.BatchNorm1d(3).eval()  # Lightning keeps the mode that it finds

    def train(self, mode: bool = True) -> NormedAgent:
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        inputs = self.norm(self.frozen(grey_inputs(features)))
        return {"trajectory": self.linear(inputs).unflatten(1, (NUM_POSES, 3))}


class CountingFeatures(GreyFeatures):
    """Counts how often features were made, for all builders."""

    count = 0

    def compute_features(self, agent_input: Any) -> dict[str, torch.Tensor]:
        CountingFeatures.count += 1
        return super().compute_features(agent_input)


class SharingAgent(TinyAgent):
    """Makes its features where our own agents do."""

    def get_feature_builders(self) -> list[GreyFeatures]:
        return [CountingFeatures()]

    def build_features(self, agent_input: Any) -> dict[str, torch.Tensor]:
        return self.get_feature_builders()[0].compute_features(agent_input)

    def compute_trajectory(self, agent_input: Any) -> Trajectory:
        features = {name: value[None] for name, value in self.build_features(agent_input).items()}
        with torch.no_grad():
            return Trajectory(self.forward(features)["trajectory"][0].numpy())
