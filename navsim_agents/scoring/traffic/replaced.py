"""A scene whose log is the traffic that one plan met: what scores log replay then scores that plan's traffic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.traffic.reactive import Traffic


def scene_in_traffic(scene: ScoringScene, traffic: Traffic) -> ScoringScene:
    """``scene`` with the tracks of ``traffic``; steps beyond the traffic's are empty."""
    num_tracks, num_columns = len(traffic.token), scene.track_poses.shape[1]
    poses = np.full((num_tracks, num_columns, 3), np.nan)
    valid = np.zeros((num_tracks, num_columns), dtype=bool)
    steps = min(num_columns, traffic.valid.shape[1])
    poses[:, :steps], valid[:, :steps] = traffic.poses[:, :steps], traffic.valid[:, :steps]
    return replace(
        scene,
        track_token=traffic.token,
        track_type=traffic.type,
        track_is_agent=torch.from_numpy(traffic.is_agent),
        collided_track=torch.zeros(num_tracks, dtype=torch.bool),  # read by PDMS alone, which has no such traffic
        track_size=torch.from_numpy(traffic.size),
        track_speed=torch.from_numpy(traffic.speed),
        track_heading=torch.from_numpy(traffic.heading),
        track_poses=torch.from_numpy(poses),
        track_valid=torch.from_numpy(valid),
        traffic_early_track=torch.zeros(num_tracks, dtype=torch.bool),
    )
