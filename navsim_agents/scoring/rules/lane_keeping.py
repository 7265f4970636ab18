"""Lane keeping (0/1): not 2 s on end away from the centreline outside intersections."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.polyline import squared_distance_to_segment
from navsim_agents.scoring.rules.ego_areas import EgoAreas
from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.scene_batch import SceneBatch


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
    for which, segments, _ in line.candidates(points[:, 0], points[:, 1], scene):
        start, end = segments.split(2, dim=-1)
        near[which] = (squared_distance_to_segment(points[which], start, end) <= limit_m**2).any(0)
    return near.reshape(x.shape)
