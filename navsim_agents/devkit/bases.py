"""The classes that our agents and builders derive from: the devkit's where it is installed, our stand-ins elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from navsim_agents.devkit.variant import SENSORS, Variant, detect_host

VARIANT = detect_host().variant

if TYPE_CHECKING or VARIANT is Variant.NONE:
    from navsim_agents.data.types import Trajectory
    from navsim_agents.devkit.standalone import (
        AbstractAgent,
        AbstractFeatureBuilder,
        AbstractTargetBuilder,
        SensorConfig,
    )
else:
    from navsim.agents.abstract_agent import AbstractAgent
    from navsim.common.dataclasses import SensorConfig, Trajectory
    from navsim.planning.training.abstract_feature_target_builder import AbstractFeatureBuilder, AbstractTargetBuilder

__all__ = ["AbstractFeatureBuilder", "AbstractTargetBuilder", "AgentBase", "make_trajectory", "sensor_config"]


class AgentBase(AbstractAgent):
    """The host's agent class behind one constructor."""

    def __init__(self, num_poses: int, interval_s: float) -> None:
        """Plan ``num_poses`` poses, ``interval_s`` seconds apart; only v2.2 needs it here."""
        wanted: dict[str, Any] = {}
        if VARIANT is Variant.V2_2:
            wanted["trajectory_sampling"] = trajectory_sampling(num_poses, interval_s)
        super().__init__(**wanted)


def trajectory_sampling(num_poses: int, interval_s: float) -> Any:
    """The host's description of the sampling; there is none without a devkit."""
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    return TrajectorySampling(num_poses=num_poses, interval_length=interval_s)


def make_trajectory(poses: Float32[np.ndarray, "T 3"], interval_s: float) -> Trajectory:
    """The host's trajectory of ``poses`` in the ego frame of now, the first one ``interval_s`` after it."""
    is_hosted = VARIANT is not Variant.NONE
    return Trajectory(poses, trajectory_sampling(len(poses), interval_s) if is_hosted else interval_s)


def sensor_config(**frames: list[int]) -> SensorConfig:
    """The host's sensor choice: history indices by sensor name, nothing of the others."""
    return SensorConfig(**{name: frames.get(name, False) for name in sorted(SENSORS)})
