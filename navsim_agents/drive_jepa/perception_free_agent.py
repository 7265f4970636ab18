"""Drive-JEPA's perception-free planner as an agent of NAVSIM (``agent=drive_jepa_perception_free``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union, cast

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.devkit.bases import sensor_config
from navsim_agents.drive_jepa.agent import DriveJepaAgent, OptionalPath
from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.features import (
    FRONT_VIDEO,
    HISTORY_FRAMES,
    STATUS,
    FrontVideoBuilder,
    StatusBuilder,
)
from navsim_agents.drive_jepa.record import StepRecord
from navsim_agents.drive_jepa.targets import TRAJECTORY, HumanTrajectoryBuilder
from navsim_agents.models.encoders import build_encoder
from navsim_agents.models.losses import TRAJECTORY_LOSSES, displacement
from navsim_agents.models.perception_free import COMMAND_DIM, PerceptionFreePlanner
from navsim_agents.scoring.axes import State


def build_planner(config: PerceptionFreeConfig) -> PerceptionFreePlanner:
    """Network of ``config`` with random weights."""
    size, named = config.pictures.size, config.encoder
    encoder = build_encoder(
        named.name,
        size,
        activation_checkpointing=named.activation_checkpointing,
        pretrained=named.pretrained,
        num_levels=named.levels,
    )
    return PerceptionFreePlanner(encoder, size, config.planner)


class PerceptionFreeAgent(DriveJepaAgent):
    """Plans eight poses over 4 s from two front-camera frames, the ego's motion and the driving command."""

    def __init__(
        self,
        config: Optional[Union[PerceptionFreeConfig, Mapping[str, Any]]] = None,
        checkpoint_path: OptionalPath = None,
        encoder_checkpoint_path: OptionalPath = None,
        device: str = "auto",
    ) -> None:
        """Build the network; weights are loaded by :meth:`initialize`.

        Args:
            config: settings, or a mapping of some of them as in YAML; defaults are the paper's ViT-L.
            checkpoint_path: weights of the whole agent: a Lightning checkpoint of ours or the released one.
            encoder_checkpoint_path: pretrained encoder to start training from; not read beside a checkpoint_path.
            device: where ``compute_trajectory`` runs; ``auto`` is cuda where there is one.

        Raises:
            InputError: an unknown key, or a value that breaks a rule.
        """
        if config is None or isinstance(config, Mapping):
            config = PerceptionFreeConfig.from_mapping(config or {})
        super().__init__(
            build_planner(config),
            config.optimiser,
            config.planner.num_poses,
            checkpoint_path,
            encoder_checkpoint_path,
            device,
        )
        self.config = config
        self.encoder_entry = config.encoder.entry
        self.positions = config.encoder.positions

    def name(self) -> str:
        """Name in tables and file names."""
        return "drive_jepa_perception_free"

    def get_sensor_config(self) -> Any:
        """Front camera, half a second ago and now."""
        return sensor_config(**{FRONT_CAMERA: list(HISTORY_FRAMES)})

    def get_feature_builders(self) -> list[Any]:
        """Front video and ego status."""
        return [FrontVideoBuilder(self.config.pictures), StatusBuilder()]

    def get_target_builders(self) -> list[Any]:
        """The human's trajectory."""
        return [HumanTrajectoryBuilder(self.config.planner.num_poses)]

    def plan(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """``trajectory`` [B, T, 3] (x, y, heading) [m, m, rad]."""
        return {TRAJECTORY: self.planner(features[FRONT_VIDEO], features[STATUS])}

    def frozen_features(self, features: dict[str, Tensor]) -> Float[Tensor, "B features"]:
        """What a frozen encoder gives a linear fit: the one-hot command, then the pooled tokens one after the other.

        Neither velocity nor acceleration is among them, whatever ``planner.sees_motion`` says.
        """
        self.initialize()
        tokens = cast(PerceptionFreePlanner, self.planner).image_tokens(features[FRONT_VIDEO])
        return torch.cat((features[STATUS][:, :COMMAND_DIM].to(tokens), tokens.flatten(1)), dim=1)

    def loss(self, targets: dict[str, Any], predictions: dict[str, Tensor]) -> tuple[Tensor, StepRecord]:
        """The configured trajectory loss; beside it, mean and final displacement [m] and heading difference [rad]."""
        planned, human = predictions[TRAJECTORY], targets[TRAJECTORY]
        total = TRAJECTORY_LOSSES[self.config.loss](planned, human)
        distance = displacement(planned, human)  # [B, T]
        terms = {
            "trajectory_loss": total,
            "ade_m": distance.mean(),
            "fde_m": distance[:, -1].mean(),
            "heading_l1_rad": (planned - human)[..., State.HEADING].abs().mean(),
        }
        return total, StepRecord({name: value.detach() for name, value in terms.items()})
