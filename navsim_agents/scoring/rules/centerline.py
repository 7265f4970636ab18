"""The rules that measure against the centreline: progress along it, and lane keeping (0/1).

Progress is in metres and against PDM-Closed. A lane is kept unless the ego is away from the centreline for 2 s
without a break, outside intersections.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.rules.ego import EgoAreas, Motion
from navsim_agents.scoring.scene_batch import SceneBatch


def raw_progress(motion: Motion, centerline: Float[Tensor, "B M 2"]) -> Float[Tensor, "B N"]:
    """Distance [m] that the centre moves along the centreline from the first state to the last, at least 0."""
    first, last = (torch.stack((motion.center_x[..., step], motion.center_y[..., step]), dim=-1) for step in (0, -1))
    start = project_on_polyline(first[:, :1], centerline)  # all trajectories start at the same state
    return (project_on_polyline(last, centerline) - start).clamp(min=0.0)


def normalized_progress(
    raw: Float[Tensor, "B N"],
    gates: Float[Tensor, "B N"],
    reference: Float[Tensor, "B #N"],
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


def lane_keeping(motion: Motion, batch: SceneBatch, areas: EgoAreas, metric: MetricConfig) -> Bool[Tensor, "B N"]:
    """Whether the centre is never too far for 20 consecutive states; those in intersections neither count nor reset."""
    is_far = ~_is_near(motion, batch, metric.lane_deviation_m)
    run = torch.zeros(motion.shape[:2], dtype=torch.int64, device=motion.x.device)
    longest = run
    for far, excused in zip(is_far.unbind(-1), areas.center_in_intersection.unbind(-1)):
        run = torch.where(excused, run, (run + 1) * far)
        longest = torch.maximum(longest, run)
    return longest < metric.lane_deviation_steps


def _is_near(motion: Motion, batch: SceneBatch, limit_m: float) -> Bool[Tensor, "B N S"]:
    """Whether the centre is within ``limit_m`` of the centreline."""
    x, y = motion.center_x.double(), motion.center_y.double()
    scene = None
    if len(x) > 1:
        scene = torch.arange(len(x), device=x.device)[:, None, None].expand_as(x).flatten()
    points = torch.stack((x.flatten(), y.flatten()), dim=-1)
    near = torch.zeros(len(points), dtype=torch.bool, device=x.device)
    line = batch.index.centerline
    for which, segments, _ in line.candidates(x.flatten(), y.flatten(), scene):
        start, end = segments.split(2, dim=-1)
        near[which] = (squared_distance_to_segment(points[which], start, end) <= limit_m**2).any(0)
    return near.reshape(x.shape)


def squared_distance_to_segment(
    point: Float[Tensor, "*#batch 2"], start: Float[Tensor, "*#batch 2"], end: Float[Tensor, "*#batch 2"]
) -> Float[Tensor, "*batch"]:
    """Squared distance [m^2] from points to closed segments; a segment may be a single point."""
    edge_x, edge_y = (end - start).unbind(-1)
    reach_x, reach_y = (point - start).unbind(-1)
    length_sq = edge_x * edge_x + edge_y * edge_y
    share = (reach_x * edge_x + reach_y * edge_y) / torch.where(length_sq > 0, length_sq, 1.0)
    share = share.clamp_(0.0, 1.0)
    gap_x, gap_y = reach_x - share * edge_x, reach_y - share * edge_y
    return gap_x * gap_x + gap_y * gap_y


def project_on_polyline(
    points: Float[Tensor, "*batch n 2"], polyline: Float[Tensor, "*batch m 2"]
) -> Float[Tensor, "*batch n"]:
    """Arc length [m] of the point of the polyline nearest to each point; the first one of several equally near."""
    start, edge = polyline[..., :-1, :], torch.diff(polyline, dim=-2)
    length = torch.linalg.vector_norm(edge, dim=-1)
    direction = edge / torch.where(length > 0, length, 1.0)[..., None]
    # Along and across each segment by matrix products: [*batch, n, m - 1] each.
    cos, sin = direction.unbind(-1)
    normal = torch.stack((-sin, cos), dim=-1)
    along = points @ direction.transpose(-1, -2) - (start * direction).sum(-1)[..., None, :]
    across = points @ normal.transpose(-1, -2) - (start * normal).sum(-1)[..., None, :]
    beyond = along - torch.minimum(along.clamp(min=0.0), length[..., None, :])
    distance_sq = across.square_() + beyond.square_()
    # A segment without length has no direction, so its distance is not measured above.
    distance_sq = distance_sq.masked_fill_((length == 0)[..., None, :], float("inf"))
    nearest = distance_sq.argmin(-1, keepdim=True)
    covered = torch.cumsum(length, -1) - length
    along = along.gather(-1, nearest).squeeze(-1).clamp(min=0.0)
    nearest = nearest.squeeze(-1)
    return covered.gather(-1, nearest) + torch.minimum(along, length.gather(-1, nearest))
