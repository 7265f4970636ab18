"""Traffic light (0/1): the ego box never touches a connector of the route while it is red."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from navsim_agents.scoring.geometry.boxes import segment_intersects_box
from navsim_agents.scoring.rules.bearing import flat
from navsim_agents.scoring.rules.ego_areas import EgoAreas
from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.scene_batch import SceneBatch


def traffic_light(motion: Motion, batch: SceneBatch, areas: EgoAreas) -> Bool[Tensor, "B N"]:
    """Whether no red connector is touched: neither holds it a corner of the box, nor does its outline cut the box."""
    num_scenes, num_trajectories, num_steps = motion.shape
    active = batch.red_light_active[..., :num_steps]
    if not active.any():
        return torch.ones(motion.shape[:2], dtype=torch.bool, device=motion.x.device)
    light_bits = batch.index.light_bits.permute(2, 0, 1)[..., None]  # [W, B, L, 1]
    active_bits = (active * light_bits).sum(2)  # [W, B, S], each bit once
    runs = (areas.corner_bits & active_bits[:, :, None] != 0).any(0).any(-1).flatten()
    waits = torch.nonzero(~runs)[:, 0]
    trajectory, step = (
        waits.repeat_interleave(num_steps),
        torch.arange(num_steps, device=waits.device).repeat(len(waits)),
    )
    scene = motion.scene_of(trajectory)
    lit = torch.nonzero(active.any(1)[scene, step])[:, 0]
    trajectory, step, scene = trajectory[lit], step[lit], scene[lit]
    center = torch.stack((flat(motion.center_x, trajectory, step), flat(motion.center_y, trajectory, step)), dim=-1)
    direction = torch.stack((flat(motion.cos, trajectory, step), flat(motion.sin, trajectory, step)), dim=-1)
    lights = batch.index.lights
    for which, segments, owner in lights.candidates(center[:, 0].double(), center[:, 1].double(), scene):
        red = active[scene[which], owner, step[which]]
        start, end = segments.to(center).split(2, dim=-1)
        half_size = motion.half_size[scene[which]]
        cut = segment_intersects_box(start, end, center[which], direction[which], half_size)
        runs[trajectory[which[(red & cut).any(0)]]] = True
    return ~runs.reshape(num_scenes, num_trajectories)
