"""Stand-ins with the devkit's interface, for machines without it. Names and signatures are NAVSIM's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Union

import torch
from torch import Tensor, nn

from navsim_agents.data.types import AgentInput, Trajectory

FrameChoice = Union[bool, list[int]]
"""True: every history frame; a list: those indices; False: none."""


@dataclass(frozen=True)
class SensorConfig:
    """Which history frames of which sensors are loaded."""

    cam_f0: FrameChoice = False
    cam_l0: FrameChoice = False
    cam_l1: FrameChoice = False
    cam_l2: FrameChoice = False
    cam_r0: FrameChoice = False
    cam_r1: FrameChoice = False
    cam_r2: FrameChoice = False
    cam_b0: FrameChoice = False
    lidar_pc: FrameChoice = False

    def get_sensors_at_iteration(self, iteration: int) -> list[str]:
        """Names of the sensors wanted in history frame ``iteration``."""
        choices = {item.name: getattr(self, item.name) for item in fields(self)}
        return [name for name, choice in choices.items() if choice is True or (choice and iteration in choice)]


class AbstractFeatureBuilder(ABC):
    """Makes tensors of what an agent may see."""

    @abstractmethod
    def get_unique_name(self) -> str:
        """Name of the cached file."""

    @abstractmethod
    def compute_features(self, agent_input: AgentInput) -> dict[str, Tensor]:
        """Tensors without batch axis."""


class AbstractTargetBuilder(ABC):
    """Makes tensors of what really happened."""

    @abstractmethod
    def get_unique_name(self) -> str:
        """Name of the cached file."""

    @abstractmethod
    def compute_targets(self, scene: Any) -> dict[str, Tensor]:
        """Tensors without batch axis."""


class AbstractAgent(nn.Module, ABC):
    """A planner with all that its training and evaluation need."""

    def __init__(self, requires_scene: bool = False) -> None:
        super().__init__()
        self.requires_scene = requires_scene

    @abstractmethod
    def name(self) -> str:
        """Name in tables and file names."""

    @abstractmethod
    def initialize(self) -> None:
        """Load weights; called in every worker."""

    @abstractmethod
    def get_sensor_config(self) -> SensorConfig:
        """Sensors to load."""

    @abstractmethod
    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        """Builders of the tensors that ``forward`` takes."""

    @abstractmethod
    def get_target_builders(self) -> list[AbstractTargetBuilder]:
        """Builders of the tensors that ``compute_loss`` compares with."""

    @abstractmethod
    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predictions, ``trajectory`` [B, T, 3] among them."""

    @abstractmethod
    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """Plan one scene."""

    @abstractmethod
    def compute_loss(
        self, features: dict[str, Tensor], targets: dict[str, Tensor], predictions: dict[str, Tensor]
    ) -> Tensor:
        """One scalar to minimise."""

    @abstractmethod
    def get_optimizers(self) -> Union[torch.optim.Optimizer, dict[str, Any]]:
        """An optimiser, or Lightning's dict of an optimiser and a schedule."""

    def get_training_callbacks(self) -> list[Any]:
        """Lightning callbacks."""
        return []
