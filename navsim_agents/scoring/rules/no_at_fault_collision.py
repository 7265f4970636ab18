"""No at-fault collision (1, 1/2, 0): per track, the first state whose ego box touches it decides."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.axes import POSITION, State
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.boxes import segment_intersects_box
from navsim_agents.scoring.rules.bearing import ahead_and_behind, flat
from navsim_agents.scoring.rules.contacts import Contacts, earliest, first_contacts
from navsim_agents.scoring.rules.ego_areas import EgoAreas
from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.scene_batch import SceneBatch

OBJECT_SCORE = 0.5  # at fault with something that is no vehicle, pedestrian or bicycle


def no_at_fault_collision(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, contacts: Contacts, metric: MetricConfig
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"], Int[Tensor, "B N"]]:
    """Score, step of the first at-fault collision (inf if none) and its track (-1 if none)."""
    num_scenes, num_trajectories, _ = motion.shape
    count, num_tracks = num_scenes * num_trajectories, batch.track_size.shape[1]
    chosen = contacts.lookahead == 0
    if metric.ignores_tracks_hit_at_start:
        chosen &= ~batch.collided_track[motion.scene_of(contacts.trajectory), contacts.track]
    first = first_contacts(contacts, chosen, count, num_tracks)
    at_fault = _is_at_fault(motion, batch, areas, first, metric)
    trajectory, track = first.trajectory[at_fault], first.track[at_fault]
    is_agent = batch.track_is_agent[motion.scene_of(trajectory), track]
    penalty = torch.where(is_agent, 0.0, OBJECT_SCORE).to(motion.x)
    score = earliest(trajectory, penalty, count, 1.0)
    step, culprit = first_culprit(trajectory, track, first.step[at_fault], count, motion.x.dtype)
    shape = (num_scenes, num_trajectories)
    return score.reshape(shape), step.reshape(shape), culprit.reshape(shape)


def first_culprit(
    trajectory: Int[Tensor, " n"], track: Int[Tensor, " n"], step: Int[Tensor, " n"], count: int, dtype: torch.dtype
) -> tuple[Float[Tensor, " count"], Int[Tensor, " count"]]:
    """Earliest step of each trajectory (inf if none) and the lowest track number at that step (-1 if none)."""
    first_step = earliest(trajectory, step.to(dtype), count, float("inf"))
    is_first = step == first_step[trajectory]
    none = torch.iinfo(torch.int64).max
    culprit = track.new_full((count,), none).scatter_reduce_(0, trajectory[is_first], track[is_first], "amin")
    return first_step, torch.where(culprit == none, -1, culprit)


def _is_at_fault(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, first: Contacts, metric: MetricConfig
) -> Bool[Tensor, " n"]:
    """nuPlan's classes of collision, decided in its order."""
    ego, scene = (first.trajectory, first.step), motion.scene_of(first.trajectory)
    pose = batch.track_poses[scene, first.track, first.step]
    heading = pose[:, State.HEADING]
    _, is_behind = ahead_and_behind(motion, *ego, pose[:, POSITION], metric)
    stands = flat(motion.speed, *ego) <= metric.stopped_speed_mps
    is_agent = batch.track_is_agent[scene, first.track]
    track_stands = ~is_agent | (batch.track_speed[scene, first.track] <= metric.stopped_speed_mps)
    half_size = batch.track_size[scene, first.track] * 0.5
    direction = torch.stack((torch.cos(heading), torch.sin(heading)), dim=-1)
    front = segment_intersects_box(*_front_bumper(motion, *ego, scene), pose[:, POSITION], direction, half_size)
    out_of_lane = flat(areas.multiple_lanes, *ego) | flat(areas.non_drivable, *ego)
    return ~stands & (track_stands | (~is_behind & (front | out_of_lane)))


def _front_bumper(
    motion: Motion, trajectory: Tensor, step: Tensor, scene: Tensor
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """Front corners, left and right."""
    center = torch.stack((flat(motion.center_x, trajectory, step), flat(motion.center_y, trajectory, step)), dim=-1)
    cos, sin = flat(motion.cos, trajectory, step), flat(motion.sin, trajectory, step)
    length, width = motion.half_size[scene].unbind(-1)
    middle = center + torch.stack((length * cos, length * sin), dim=-1)
    left = torch.stack((-width * sin, width * cos), dim=-1)
    return middle + left, middle - left
