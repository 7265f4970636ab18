"""Targets of the agents, cached by NAVSIM under each builder's unique name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from navsim_agents.common.conventions import FRAME_INTERVAL_S
from navsim_agents.devkit.bases import AbstractTargetBuilder
from navsim_agents.drive_jepa.checks import checked_future

TRAJECTORY = "trajectory"


class HumanTrajectoryBuilder(AbstractTargetBuilder):
    """``trajectory``: float32 [T, 3] driven poses (x, y, heading) [m, m, rad] in the ego frame of now."""

    def __init__(self, num_poses: int) -> None:
        super().__init__()
        self._num_poses = num_poses

    def get_unique_name(self) -> str:
        """Name of the cached file; says the horizon, so that another horizon gets another cache."""
        return f"drive_jepa_human_trajectory_{self._num_poses * FRAME_INTERVAL_S:g}s"

    def compute_targets(self, scene: Any) -> dict[str, Tensor]:
        """Read the future from the scene.

        Raises:
            InputError: the scene ends too early, or a pose is not finite.
        """
        return {TRAJECTORY: torch.from_numpy(checked_future(scene, self._num_poses))}
