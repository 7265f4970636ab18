"""Time to collision (0/1): at constant velocity, the next 0.9 s meet no track ahead, or beside when cutting in."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.scoring.axes import POSITION
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.rules.bearing import ahead_and_behind, flat
from navsim_agents.scoring.rules.contacts import Contacts, first_contacts
from navsim_agents.scoring.rules.ego_areas import EgoAreas, in_intersection
from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.rules.no_at_fault_collision import first_culprit
from navsim_agents.scoring.scene_batch import SceneBatch


def time_to_collision(
    motion: Motion, batch: SceneBatch, areas: EgoAreas, contacts: Contacts, metric: MetricConfig
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"], Int[Tensor, "B N"]]:
    """Score, step of the first infringement (inf if none) and its track (-1 if none).

    Per track the first contact by an ego that moves decides, in order of step, then look-ahead.
    """
    num_scenes, num_trajectories, _ = motion.shape
    count, num_tracks = num_scenes * num_trajectories, batch.track_size.shape[1]
    moves = flat(motion.speed, contacts.trajectory, contacts.step) >= metric.ttc_stopped_speed_mps
    chosen = moves & (contacts.step < metric.ttc_steps)
    if metric.ignores_tracks_hit_at_start:
        chosen &= ~batch.collided_track[motion.scene_of(contacts.trajectory), contacts.track]
    first = first_contacts(contacts, chosen, count, num_tracks)

    ego, scene = (first.trajectory, first.step), motion.scene_of(first.trajectory)
    offsets = torch.tensor(metric.ttc_offsets, device=motion.x.device)
    center = batch.track_poses[scene, first.track, first.step + offsets[first.lookahead], POSITION]
    is_ahead, is_behind = ahead_and_behind(motion, *ego, center, metric)
    cuts_in = flat(areas.multiple_lanes, *ego) | flat(areas.non_drivable, *ego)
    cuts_in |= in_intersection(flat(motion.x, *ego), flat(motion.y, *ego), scene, batch.index)
    infringes = is_ahead | (cuts_in & ~is_behind)
    step, culprit = first_culprit(
        first.trajectory[infringes], first.track[infringes], first.step[infringes], count, motion.x.dtype
    )
    shape = (num_scenes, num_trajectories)
    return torch.isinf(step).to(motion.x).reshape(shape), step.reshape(shape), culprit.reshape(shape)
