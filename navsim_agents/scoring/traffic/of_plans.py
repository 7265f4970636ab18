"""The traffic of many plans at once: what they share, and what is one plan's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from navsim_agents.scoring.scene_fields import SceneFields
from navsim_agents.scoring.traffic.reactive import Traffic, reactive_traffic
from navsim_agents.scoring.traffic.roles import TRAFFIC, TrafficConfig


@dataclass(frozen=True)
class PlansTraffic:
    """What each of N plans meets: K tracks that all share, and O that one plan has in the place of a shared one."""

    shared: Traffic  # K tracks
    until: Int64[np.ndarray, "N K"]  # a plan meets a shared track at the steps below this one; 0: never
    own_plan: Int64[np.ndarray, " O"]
    own_track: Int64[np.ndarray, " O"]  # the shared track whose place it takes at every step; ``until`` is 0 there
    own_poses: Float64[np.ndarray, "O 41 3"]  # centre and heading, frame of the scene; NaN while it is not there
    own_valid: Bool[np.ndarray, "O 41"]

    def __len__(self) -> int:
        return len(self.until)

    def of_plan(self, plan: int) -> Traffic:
        """The traffic of one plan, as :func:`reactive_traffic` gives it."""
        steps = np.arange(self.shared.valid.shape[1])
        valid = self.shared.valid & (steps < self.until[plan][:, None])
        poses = np.where(valid[..., None], self.shared.poses, np.nan)
        own = self.own_plan == plan
        poses[self.own_track[own]], valid[self.own_track[own]] = self.own_poses[own], self.own_valid[own]
        return replace(self.shared, poses=poses, valid=valid)


def traffic_one_by_one(
    scene: SceneFields, states: Float64[np.ndarray, "N 41 11"], config: TrafficConfig = TRAFFIC
) -> PlansTraffic:
    """The traffic of N plans, simulated one after the other; shared is what the first plan meets.

    Args:
        states: the egos' simulated states in the frame of the scene (m, rad, s), t0 first.

    Raises:
        SceneError, TrajectoryError: as :func:`reactive_traffic`.
    """
    met = [reactive_traffic(scene, plan, config) for plan in states]
    shared = met[0]
    poses, valid = np.stack([one.poses for one in met]), np.stack([one.valid for one in met])
    same = (valid == shared.valid).all(axis=-1) & ~_differs(poses, shared.poses)  # [N, K]
    plan, track = np.nonzero(~same)
    return PlansTraffic(
        shared=shared,
        until=np.where(same, valid.shape[-1], 0),
        own_plan=plan,
        own_track=track,
        own_poses=poses[plan, track],
        own_valid=valid[plan, track],
    )


def _differs(poses: Float64[np.ndarray, "N K 41 3"], shared: Float64[np.ndarray, "K 41 3"]) -> Bool[np.ndarray, "N K"]:
    """Whether any pose of a track is another one."""
    is_equal = (poses == shared) | (np.isnan(poses) & np.isnan(shared))
    return np.asarray(~is_equal.all(axis=(-2, -1)))
