"""Where and when ego boxes meet tracks, now and a little ahead at constant velocity.

Far pairs are pruned in one matrix product per step: an ego box swept over the look-ahead and a track over the same
times each fit a circle, and the squared gap between circles is bilinear in quantities of one side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.axes import POSITION
from navsim_agents.scoring.config import STEP_S, MetricConfig
from navsim_agents.scoring.geometry.boxes import boxes_intersect
from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.scene_batch import SceneBatch

# The prune lets pairs through whose squared gap [m^2] is within rounding of zero.
PRUNE_SLACK_M2 = 0.1
PRUNE_RELATIVE_SLACK = 4e-7
FAR_M2 = 1e30


@dataclass(frozen=True)
class Contacts:
    """One entry per meeting of an ego box and a track."""

    trajectory: Int[Tensor, " n"]  # flat number b * N + i
    track: Int[Tensor, " n"]
    step: Int[Tensor, " n"]
    lookahead: Int[Tensor, " n"]  # index into the metric's offsets


def track_contacts(motion: Motion, batch: SceneBatch, metric: MetricConfig) -> Contacts:
    """All meetings: at every state without look-ahead, and with each look-ahead where TTC is evaluated."""
    _, num_trajectories, num_steps = motion.shape
    num_tracks, num_columns = batch.track_valid.shape[1:]
    scene, step, trajectory, track = torch.nonzero(_may_meet(motion, batch, metric), as_tuple=True)
    trajectory = scene * num_trajectories + trajectory
    ego = trajectory * num_steps + step
    seen = (scene * num_tracks + track) * num_columns + step
    x, y, cos, sin, speed = (
        value.flatten()[ego] for value in (motion.center_x, motion.center_y, motion.cos, motion.sin, motion.speed)
    )
    half_size = motion.half_size[scene]
    track_half_size = 0.5 * batch.track_size.flatten(0, 1)[scene * num_tracks + track]
    reach = torch.linalg.vector_norm(half_size, dim=-1) + torch.linalg.vector_norm(track_half_size, dim=-1)
    reach_sq = reach * reach * (1.0 + PRUNE_RELATIVE_SLACK)
    track_x, track_y, heading = batch.track_poses.flatten(0, 2).unbind(-1)
    valid, track_direction = batch.track_valid.flatten(), torch.stack((torch.cos(heading), torch.sin(heading)), dim=-1)
    ttc = step < metric.ttc_steps
    found = []
    for lookahead, offset in enumerate(metric.ttc_offsets):
        there = seen + offset if offset == 0 else (seen + offset).masked_fill(~ttc, 0)
        ahead = speed * (offset * STEP_S)
        gap_x, gap_y = track_x[there] - (x + cos * ahead), track_y[there] - (y + sin * ahead)
        close = (gap_x * gap_x + gap_y * gap_y <= reach_sq) & valid[there]
        near = torch.nonzero(close if offset == 0 else close & ttc)[:, 0]
        gap, direction = (torch.stack((a[near], b[near]), dim=-1) for a, b in ((gap_x, gap_y), (cos, sin)))
        other = track_direction[there[near]], track_half_size[near]
        hit = near[boxes_intersect(gap, direction, half_size[near], *other)]
        found.append((trajectory[hit], track[hit], step[hit], torch.full_like(hit, lookahead)))
    return Contacts(*(torch.cat(column) for column in zip(*found)))


def first_contacts(contacts: Contacts, chosen: Bool[Tensor, " n"], num_trajectories: int, num_tracks: int) -> Contacts:
    """First of the chosen contacts of each pair, in order of step, then look-ahead."""
    lookaheads = int(contacts.lookahead.max()) + 1 if len(contacts.lookahead) else 1
    never = torch.iinfo(torch.int64).max
    pair = (contacts.trajectory * num_tracks + contacts.track)[chosen]
    order = (contacts.step * lookaheads + contacts.lookahead)[chosen]
    first = pair.new_full((num_trajectories * num_tracks,), never).scatter_reduce_(0, pair, order, "amin")
    pair = torch.nonzero(first != never)[:, 0]
    order = first[pair]
    return Contacts(
        trajectory=torch.div(pair, max(num_tracks, 1), rounding_mode="floor"),
        track=pair % max(num_tracks, 1),
        step=torch.div(order, lookaheads, rounding_mode="floor"),
        lookahead=order % lookaheads,
    )


def earliest(
    trajectory: Int[Tensor, " n"], value: Float[Tensor, " n"], count: int, default: float
) -> Float[Tensor, " count"]:
    """Smallest value of each trajectory, or ``default`` where that is smaller or there is none."""
    return value.new_full((count,), default).scatter_reduce_(0, trajectory, value, "amin")


def _may_meet(motion: Motion, batch: SceneBatch, metric: MetricConfig) -> Bool[Tensor, "B S N K"]:
    """Pairs whose swept circles touch."""
    num_steps = motion.shape[2]
    ttc = torch.arange(num_steps, device=motion.x.device) < metric.ttc_steps
    sweep = 0.5 * STEP_S * max(metric.ttc_offsets) * motion.speed * ttc  # half of the way ahead
    x, y = motion.center_x + sweep * motion.cos, motion.center_y + sweep * motion.sin
    radius = sweep + torch.linalg.vector_norm(motion.half_size, dim=-1)[:, None, None]
    squares = (x * x + y * y) * (1.0 - PRUNE_RELATIVE_SLACK) - radius * radius
    ego = torch.stack((squares, torch.ones_like(x), x, y, radius), dim=-1).transpose(1, 2)  # [B, S, N, 5]
    return ego @ _track_circles(batch, metric, num_steps) <= PRUNE_SLACK_M2


def _track_circles(batch: SceneBatch, metric: MetricConfig, num_steps: int) -> Float[Tensor, "B S 5 K"]:
    """The tracks' side of the bilinear gap: circles around each track over the look-ahead of each step."""
    centers, seen = [], []
    for offset in metric.ttc_offsets:
        count = num_steps if offset == 0 else metric.ttc_steps
        missing = (0, num_steps - count)
        window = slice(offset, offset + count)
        centers.append(torch.nn.functional.pad(batch.track_poses[:, :, window, POSITION], (0, 0, *missing)))
        seen.append(torch.nn.functional.pad(batch.track_valid[:, :, window], missing))
    center, valid = torch.stack(centers), torch.stack(seen)[..., None]  # [J, B, K, S, 2]
    low = center.masked_fill(~valid, float("inf")).amin(0)
    high = center.masked_fill(~valid, -float("inf")).amax(0)
    is_seen = valid.any(0)[..., 0]
    middle = torch.where(is_seen[..., None], (low + high) * 0.5, 0.0)
    spread = torch.where(is_seen, torch.linalg.vector_norm(high - low, dim=-1) * 0.5, 0.0)
    radius = spread + torch.linalg.vector_norm(batch.track_size * 0.5, dim=-1)[..., None]
    gap = (middle * middle).sum(-1) - radius * radius
    gap = torch.where(is_seen, gap, FAR_M2)
    sides = (torch.ones_like(gap), gap, -2.0 * middle[..., 0], -2.0 * middle[..., 1], -2.0 * radius)
    return torch.stack(sides, dim=-1).permute(0, 2, 3, 1)  # [B, S, 5, K]
