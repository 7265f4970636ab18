"""Driving direction (1, 1/2, 0): little way within one second outside the lanes of the route."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.rules.ego_areas import EgoAreas
from navsim_agents.scoring.rules.motion import Motion


def driving_direction(motion: Motion, areas: EgoAreas, metric: MetricConfig) -> Float[Tensor, "B N"]:
    """Score by the longest way [m] of the centre in oncoming lanes within a window of one second."""
    steps = torch.hypot(torch.diff(motion.center_x), torch.diff(motion.center_y))
    counts = areas.oncoming[..., 1:]
    if metric.intersection_excuses_direction:
        counts = counts & ~areas.center_in_intersection[..., 1:]
    ways = torch.nn.functional.pad(steps * counts, (metric.direction_window_steps, 0))
    longest = ways.unfold(-1, metric.direction_window_steps, 1).sum(-1).amax(-1)
    half = torch.where(longest < metric.direction_violation_m, 0.5, 0.0).to(longest)
    return torch.where(longest < metric.direction_compliance_m, 1.0, half)
