"""Meetings of ego boxes and tracks, and the two rules that judge them.

No at-fault collision (1, 1/2, 0): per track, the first state whose ego box touches it decides. Time to collision (0/1):
at constant velocity, the next 0.9 s meet no track ahead, or beside when cutting in.

Meetings are looked for at the state itself and a little ahead of it. Far pairs are pruned in one matrix product per
step: an ego box swept over the look-ahead and a track over the same times each fit a circle, and the squared gap
between circles is bilinear in quantities of one side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import STEP_S
from navsim_agents.scoring.axes import POSITION, State
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.boxes import boxes_intersect, segment_intersects_box
from navsim_agents.scoring.rules.ego import EgoAreas, Motion, flat, in_intersection
from navsim_agents.scoring.scene_batch import SceneBatch

OBJECT_SCORE = 0.5  # at fault with something that is not a vehicle, pedestrian or bicycle
# The prune lets pairs through whose squared gap [m^2] is within rounding of zero.
PRUNE_SLACK_M2 = 0.1
PRUNE_RELATIVE_SLACK = 4e-7
FAR_M2 = 1e30


@dataclass(frozen=True)
class Contacts:
    """One entry per meeting of an ego box and a track."""

    trajectory: Int[Tensor, " n"]  # flat number b * N + i
    place: Int[Tensor, " n"]  # of the track, among those that all trajectories of the scene share
    step: Int[Tensor, " n"]
    lookahead: Int[Tensor, " n"]  # index into the metric's offsets


def track_contacts(motion: Motion, batch: SceneBatch, metric: MetricConfig) -> Contacts:
    """All meetings: at every state without look-ahead, and with each look-ahead where TTC is evaluated."""
    _, num_trajectories, num_steps = motion.shape
    num_tracks, num_columns = batch.track_valid.shape[1:]
    scene, step, trajectory, track = _may_meet(motion, batch, metric)
    trajectory = scene * num_trajectories + trajectory
    end = _seen_until(batch, trajectory, track)
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
        if end is not None:
            close &= step + offset < end
        near = torch.nonzero(close if offset == 0 else close & ttc)[:, 0]
        gap, direction = (torch.stack((a[near], b[near]), dim=-1) for a, b in ((gap_x, gap_y), (cos, sin)))
        other = track_direction[there[near]], track_half_size[near]
        hit = near[boxes_intersect(gap, direction, half_size[near], *other)]
        place = track[hit] if batch.sight is None else batch.sight.place_of(track[hit])
        found.append((trajectory[hit], place, step[hit], torch.full_like(hit, lookahead)))
    return Contacts(*(torch.cat(column) for column in zip(*found)))


def no_at_fault_collision(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, contacts: Contacts, metric: MetricConfig
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"], Int[Tensor, "B N"]]:
    """Score, step of the first at-fault collision (inf if none) and its track (-1 if none)."""
    num_scenes, num_trajectories, _ = motion.shape
    count = num_scenes * num_trajectories
    first, penalty = at_fault_collisions(motion, batch, areas, contacts, metric)
    score = earliest(first.trajectory, penalty, count, 1.0)
    step, culprit = first_culprit(first.trajectory, first.place, first.step, count, motion.x.dtype)
    shape = (num_scenes, num_trajectories)
    return score.reshape(shape), step.reshape(shape), culprit.reshape(shape)


def at_fault_collisions(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, contacts: Contacts, metric: MetricConfig
) -> tuple[Contacts, Float[Tensor, " n"]]:
    """First contact of each trajectory and track where the ego is at fault in it, and the score that it leaves."""
    chosen = contacts.lookahead == 0
    first = _first_contacts(motion, batch, contacts, chosen, metric)
    at_fault = _is_at_fault(motion, batch, areas, first, metric)
    first = Contacts(*(column[at_fault] for column in vars(first).values()))
    is_agent = batch.track_is_agent[motion.scene_of(first.trajectory), _track_of(batch, first)]
    return first, torch.where(is_agent, 0.0, OBJECT_SCORE).to(motion.x)


def time_to_collision(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, contacts: Contacts, metric: MetricConfig
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"], Int[Tensor, "B N"]]:
    """Score, step of the first infringement (inf if none) and its track (-1 if none).

    Per track the first contact by an ego that moves decides, in order of step, then look-ahead.
    """
    num_scenes, num_trajectories, _ = motion.shape
    count = num_scenes * num_trajectories
    moves = flat(motion.speed, contacts.trajectory, contacts.step) >= metric.ttc_stopped_speed_mps
    first = _first_contacts(motion, batch, contacts, moves & (contacts.step < metric.ttc_steps), metric)

    ego, scene = (first.trajectory, first.step), motion.scene_of(first.trajectory)
    offsets = torch.tensor(metric.ttc_offsets, device=motion.x.device)
    center = batch.track_poses[scene, _track_of(batch, first), first.step + offsets[first.lookahead], POSITION]
    is_ahead, is_behind = ahead_and_behind(motion, *ego, center, metric)
    cuts_in = flat(areas.multiple_lanes, *ego) | flat(areas.non_drivable, *ego)
    cuts_in |= in_intersection(flat(motion.x, *ego), flat(motion.y, *ego), scene, batch.index)
    infringes = is_ahead | (cuts_in & ~is_behind)
    step, culprit = first_culprit(
        first.trajectory[infringes], first.place[infringes], first.step[infringes], count, motion.x.dtype
    )
    shape = (num_scenes, num_trajectories)
    return torch.isinf(step).to(motion.x).reshape(shape), step.reshape(shape), culprit.reshape(shape)


def _first_contacts(
    motion: Motion, batch: SceneBatch, contacts: Contacts, chosen: Bool[Tensor, " n"], metric: MetricConfig
) -> Contacts:
    """First of the chosen contacts of each pair that the metric counts."""
    num_scenes, num_trajectories, _ = motion.shape
    if metric.ignores_tracks_hit_at_start:
        chosen = chosen & ~batch.collided_track[motion.scene_of(contacts.trajectory), contacts.place]
    num_places = batch.track_size.shape[1] if batch.sight is None else batch.sight.num_shared
    return first_contacts(contacts, chosen, num_scenes * num_trajectories, num_places)


def _track_of(batch: SceneBatch, contacts: Contacts) -> Int[Tensor, " n"]:
    """The track of the batch that was met at a place."""
    return contacts.place if batch.sight is None else batch.sight.track[contacts.trajectory, contacts.place]


def _is_at_fault(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, first: Contacts, metric: MetricConfig
) -> Bool[Tensor, " n"]:
    """nuPlan's classes of collision, decided in its order."""
    ego, scene = (first.trajectory, first.step), motion.scene_of(first.trajectory)
    track = _track_of(batch, first)
    pose = batch.track_poses[scene, track, first.step]
    heading = pose[:, State.HEADING]
    _, is_behind = ahead_and_behind(motion, *ego, pose[:, POSITION], metric)
    stands = flat(motion.speed, *ego) <= metric.stopped_speed_mps
    is_agent = batch.track_is_agent[scene, track]
    track_stands = ~is_agent | (batch.track_speed[scene, track] <= metric.stopped_speed_mps)
    half_size = batch.track_size[scene, track] * 0.5
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


def ahead_and_behind(
    motion: Motion,
    trajectory: Int[Tensor, " n"],
    step: Int[Tensor, " n"],
    center: Float[Tensor, "n 2"],
    metric: MetricConfig,
) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """Bearing of track centres from the rear axle below 30 and above 150 degrees; at the axle itself, neither."""
    x, y = center.unbind(-1)
    x, y = x - flat(motion.x, trajectory, step), y - flat(motion.y, trajectory, step)
    along = x * flat(motion.cos, trajectory, step) + y * flat(motion.sin, trajectory, step)
    distance = torch.hypot(x, y)
    ahead = along > math.cos(math.radians(metric.ahead_angle_deg)) * distance
    behind = along < math.cos(math.radians(metric.behind_angle_deg)) * distance
    return ahead, behind


def first_contacts(contacts: Contacts, chosen: Bool[Tensor, " n"], num_trajectories: int, num_places: int) -> Contacts:
    """First of the chosen contacts of each pair, in order of step, then look-ahead."""
    lookaheads = int(contacts.lookahead.max()) + 1 if len(contacts.lookahead) else 1
    never = torch.iinfo(torch.int64).max
    pair = (contacts.trajectory * num_places + contacts.place)[chosen]
    order = (contacts.step * lookaheads + contacts.lookahead)[chosen]
    first = pair.new_full((num_trajectories * num_places,), never).scatter_reduce_(0, pair, order, "amin")
    pair = torch.nonzero(first != never)[:, 0]
    order = first[pair]
    return Contacts(
        trajectory=torch.div(pair, max(num_places, 1), rounding_mode="floor"),
        place=pair % max(num_places, 1),
        step=torch.div(order, lookaheads, rounding_mode="floor"),
        lookahead=order % lookaheads,
    )


def first_culprit(
    trajectory: Int[Tensor, " n"], track: Int[Tensor, " n"], step: Int[Tensor, " n"], count: int, dtype: torch.dtype
) -> tuple[Float[Tensor, " count"], Int[Tensor, " count"]]:
    """Earliest step of each trajectory (inf if none) and the lowest track number at that step (-1 if none)."""
    first_step = earliest(trajectory, step.to(dtype), count, float("inf"))
    is_first = step == first_step[trajectory]
    none = torch.iinfo(torch.int64).max
    culprit = track.new_full((count,), none).scatter_reduce_(0, trajectory[is_first], track[is_first], "amin")
    return first_step, torch.where(culprit == none, -1, culprit)


def earliest(
    trajectory: Int[Tensor, " n"], value: Float[Tensor, " n"], count: int, default: float
) -> Float[Tensor, " count"]:
    """Smallest value of each trajectory, or ``default`` where that is smaller or there is none."""
    return value.new_full((count,), default).scatter_reduce_(0, trajectory, value, "amin")


def _may_meet(
    motion: Motion, batch: SceneBatch, metric: MetricConfig
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Scene, step, trajectory and track of the pairs whose swept circles touch; own tracks meet their own alone."""
    ego, tracks = _ego_circles(motion, metric), _track_circles(batch, metric, motion.shape[2])
    sight = batch.sight
    if sight is None:
        scene, step, trajectory, track = torch.nonzero(ego @ tracks <= PRUNE_SLACK_M2, as_tuple=True)
        return scene, step, trajectory, track
    num_shared = sight.num_shared
    step, trajectory, track = torch.nonzero(ego[0] @ tracks[0, ..., :num_shared] <= PRUNE_SLACK_M2, as_tuple=True)
    seen = torch.nonzero(step < sight.until[trajectory, track])[:, 0]
    gap = (ego[0, :, sight.trajectory] * tracks[0, ..., num_shared:].transpose(1, 2)).sum(-1)  # [S, O]
    own_step, own = torch.nonzero(gap <= PRUNE_SLACK_M2, as_tuple=True)
    step = torch.cat((step[seen], own_step))
    trajectory = torch.cat((trajectory[seen], sight.trajectory[own]))
    return torch.zeros_like(step), step, trajectory, torch.cat((track[seen], num_shared + own))


def _seen_until(
    batch: SceneBatch, trajectory: Int[Tensor, " n"], track: Int[Tensor, " n"]
) -> Optional[Int[Tensor, " n"]]:
    """The step from which on a track is not what the trajectory sees; None where all see all."""
    if batch.sight is None:
        return None
    own = batch.sight.until.new_full((len(batch.sight.until), 1), batch.track_valid.shape[2])
    until = torch.cat((batch.sight.until, own), dim=1)
    return until[trajectory, track.clamp(max=batch.sight.num_shared)]


def _ego_circles(motion: Motion, metric: MetricConfig) -> Float[Tensor, "B S N 5"]:
    """The egos' side of the bilinear gap: circles around each box swept over the look-ahead."""
    num_steps = motion.shape[2]
    ttc = torch.arange(num_steps, device=motion.x.device) < metric.ttc_steps
    sweep = 0.5 * STEP_S * max(metric.ttc_offsets) * motion.speed * ttc  # half of the way ahead
    x, y = motion.center_x + sweep * motion.cos, motion.center_y + sweep * motion.sin
    radius = sweep + torch.linalg.vector_norm(motion.half_size, dim=-1)[:, None, None]
    squares = (x * x + y * y) * (1.0 - PRUNE_RELATIVE_SLACK) - radius * radius
    return torch.stack((squares, torch.ones_like(x), x, y, radius), dim=-1).transpose(1, 2)


def _track_circles(batch: SceneBatch, metric: MetricConfig, num_steps: int) -> Float[Tensor, "B S 5 K"]:
    """The tracks' side of the bilinear gap: circles around each track over the look-ahead of each step."""
    centers, seen = [], []
    for offset in metric.ttc_offsets:
        count = num_steps if offset == 0 else metric.ttc_steps
        missing = (0, num_steps - count)
        window = slice(offset, offset + count)
        centers.append(torch.nn.functional.pad(batch.track_poses[:, :, window, POSITION], (0, 0, *missing)))
        seen.append(torch.nn.functional.pad(batch.track_valid[:, :, window], missing))
    center, valid = torch.stack(centers), torch.stack(seen)  # [J, B, K, S, 2] and [J, B, K, S]
    low = center.masked_fill(~valid[..., None], float("inf")).amin(0)
    high = center.masked_fill(~valid[..., None], -float("inf")).amax(0)
    is_seen = valid.any(0)
    middle = torch.where(is_seen[..., None], (low + high) * 0.5, 0.0)
    spread = torch.where(is_seen, torch.linalg.vector_norm(high - low, dim=-1) * 0.5, 0.0)
    radius = spread + torch.linalg.vector_norm(batch.track_size * 0.5, dim=-1)[..., None]
    gap = (middle * middle).sum(-1) - radius * radius
    gap = torch.where(is_seen, gap, FAR_M2)
    x, y = middle.unbind(-1)
    sides = (torch.ones_like(gap), gap, -2.0 * x, -2.0 * y, -2.0 * radius)
    return torch.stack(sides, dim=-1).permute(0, 2, 3, 1)  # [B, S, 5, K]
