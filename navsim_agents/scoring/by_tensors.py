"""The rules of a metric on whole batches by torch, on any device: one of the engines that score."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.aggregate import Judged
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.rules.centerline import lane_keeping, raw_progress
from navsim_agents.scoring.rules.collisions import (
    at_fault_collisions,
    earliest,
    no_at_fault_collision,
    time_to_collision,
    track_contacts,
)
from navsim_agents.scoring.rules.comfort import comfort
from navsim_agents.scoring.rules.ego import Motion, drivable_area, driving_direction, locate_ego, traffic_light
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.simulation.reference import reference_poses
from navsim_agents.scoring.simulation.tracker import simulate


class ByTensors:
    """See :class:`~navsim_agents.scoring.engines.Engine`."""

    torch_threads: Optional[int] = None
    works_on_all = True

    def __init__(self) -> None:
        """Torch's number of threads is what all share."""
        self.threads = torch.get_num_threads()

    def drive(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> Float[Tensor, "B R S 11"]:
        """See the engine."""
        start, plans = batch.ego_state[:, POSE].double(), plans.to(batch.ego_pose)
        sampled = reference_poses(plans, start, batch.ego_pose, batch.model_knots_us, batch.sample_times_us)
        poses = torch.cat((sampled, references), dim=1).to(batch.ego_state)
        return simulate(poses, batch.ego_state, batch.vehicle, batch.metric.tracker)

    def judge(self, batch: SceneBatch, states: Float[Tensor, "B R S 11"]) -> Judged:
        """See the engine."""
        metric, motion = batch.metric, Motion.of(states, batch.vehicle)
        areas = locate_ego(motion, batch.index)
        contacts = track_contacts(motion, batch, metric)
        no_collision, collision_step, collision_track = no_at_fault_collision(motion, batch, areas, contacts, metric)
        ttc, ttc_step, ttc_track = time_to_collision(motion, batch, areas, contacts, metric)
        columns = {
            "no_at_fault_collisions": no_collision,
            "drivable_area_compliance": drivable_area(areas).to(states),
            "driving_direction_compliance": driving_direction(motion, areas, metric),
            "time_to_collision_within_bound": ttc,
        }
        is_comfortable = comfort(states, batch, metric).to(states)
        if metric.uses_history:
            columns["history_comfort"] = is_comfortable
            columns["traffic_light_compliance"] = traffic_light(motion, batch, areas).to(states)
            columns["lane_keeping"] = lane_keeping(motion, batch, areas, metric).to(states)
        else:
            columns["comfort"] = is_comfortable
        progress = raw_progress(motion, batch.centerline)
        return Judged(columns, areas.stacked(), progress, collision_step, collision_track, ttc_step, ttc_track)

    def drive_and_judge(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> tuple[Float[Tensor, "B R S 11"], Judged]:
        """See the engine."""
        states = self.drive(batch, plans, references)
        return states, self.judge(batch, states)

    def no_collision_with_each(self, crowd: SceneBatch, states: Float[Tensor, "1 1 S 11"]) -> Float[Tensor, "1 N"]:
        """See the engine."""
        sight, motion = crowd.sight, Motion.of(states, crowd.vehicle)
        assert sight is not None
        everybody, count, metric = replace(crowd, sight=None), len(sight.until), replace(crowd.metric, ttc_offsets=(0,))
        contacts, areas = track_contacts(motion, everybody, metric), locate_ego(motion, crowd.index)
        first, left = at_fault_collisions(motion, everybody, areas, contacts, metric)
        is_own = first.place >= sight.num_shared
        own = earliest(sight.trajectory[first.place[is_own] - sight.num_shared], left[is_own], count, 1.0)
        shared, step = first.place[~is_own], first.step[~is_own]
        trajectory, which = torch.nonzero(step < sight.until[:, shared], as_tuple=True)
        return torch.minimum(own, earliest(trajectory, left[~is_own][which], count, 1.0))[None]
