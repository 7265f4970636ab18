"""Whether tracks are ahead of or behind the ego's rear axle."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.rules.motion import Motion


def ahead_and_behind(
    motion: Motion,
    trajectory: Int[Tensor, " n"],
    step: Int[Tensor, " n"],
    center: Float[Tensor, "n 2"],
    metric: MetricConfig,
) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """Bearing of track centres from the rear axle below 30 and above 150 degrees; at the axle itself, neither."""
    x, y = center[:, 0] - flat(motion.x, trajectory, step), center[:, 1] - flat(motion.y, trajectory, step)
    along = x * flat(motion.cos, trajectory, step) + y * flat(motion.sin, trajectory, step)
    distance = torch.hypot(x, y)
    ahead = along > math.cos(math.radians(metric.ahead_angle_deg)) * distance
    behind = along < math.cos(math.radians(metric.behind_angle_deg)) * distance
    return ahead, behind


def flat(values: Tensor, trajectory: Int[Tensor, " n"], step: Int[Tensor, " n"]) -> Tensor:
    """``values`` [B, N, S] at flat trajectory numbers and steps."""
    return values.flatten(0, 1)[trajectory, step]
