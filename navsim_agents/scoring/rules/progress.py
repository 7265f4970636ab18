"""Progress along the centreline, in metres and against PDM-Closed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.polyline import project_on_polyline
from navsim_agents.scoring.rules.motion import Motion


def raw_progress(motion: Motion, centerline: Float[Tensor, "B M 2"]) -> Float[Tensor, "B N"]:
    """Way [m] of the centre along the centreline from the first state to the last, at least 0."""
    ends = torch.stack((motion.center_x[..., [0, -1]], motion.center_y[..., [0, -1]]), dim=-1)  # [B, N, 2, 2]
    start = project_on_polyline(ends[:, :1, 0], centerline)  # all trajectories start at the same state
    return (project_on_polyline(ends[:, :, 1], centerline) - start).clamp(min=0.0)


def normalized_progress(
    raw: Float[Tensor, "B N"],
    gates: Float[Tensor, "B N"],
    reference: Float[
        Tensor,
        (
            B  # N
        ),
    ],
    metric: MetricConfig,
) -> Float[Tensor, "B N"]:
    """Progress (0 to 1) of each trajectory scored alone against PDM-Closed.

    ``gates`` is the product of the multipliers, ``reference`` PDM-Closed's raw progress times its own gates [m].
    """
    gated = raw * gates
    best = torch.maximum(gated, reference)
    is_long = best > metric.progress_threshold_m
    if metric.normalizes_gated_progress:
        return torch.where(is_long, gated / torch.where(is_long, best, 1.0), (gates != 0).to(raw))
    return torch.where(is_long, (raw / torch.where(is_long, best, 1.0)).clamp(0.0, 1.0), 1.0)
