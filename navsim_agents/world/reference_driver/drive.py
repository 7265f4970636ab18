"""The reference driver's plan: propose, simulate and score against its own forecast, take the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.common.conventions import STEP_S
from navsim_agents.scoring.aggregate import gate_product, weighted_score
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.score import Scores, score_scenes
from navsim_agents.scoring.traffic.record import NO_TRAFFIC
from navsim_agents.world.reference_driver.corridor import forecast_tracks
from navsim_agents.world.reference_driver.proposals import propose
from navsim_agents.world.reference_driver.rule import RULE, DriverRule


def reference_trajectories(
    scenes: Sequence[ScoringScene], speed_limits_mps: Sequence[float], rule: DriverRule = RULE
) -> Float[Tensor, "B 41 11"]:
    """States of the reference driver, poses only, as PDM-Closed's cached trajectory has them.

    It knows what PDM-Closed knows: the present state of tracks and lights, map and route, not the logged future.
    """
    proposals = torch.from_numpy(propose(scenes, speed_limits_mps, rule))
    expected = [forecast_scene(scene) for scene in scenes]
    scores = score_scenes(expected, proposals[:, :, 1:], STEP_S, EPDMS.name)
    best = best_proposals(scores)
    poses = proposals[torch.arange(len(scenes)), best]
    return torch.nn.functional.pad(poses, (0, len(State) - poses.shape[-1]))


def forecast_scene(scene: ScoringScene) -> ScoringScene:
    """The scene as it would continue if everybody kept their velocity and lights stayed as they are."""
    poses, seen = forecast_tracks(scene)
    columns = poses.shape[1]
    lights = scene.red_light_active[:, :1].expand(-1, columns)
    valid = torch.from_numpy(np.repeat(seen[:, None], columns, axis=1))
    alone = replace(scene, **NO_TRAFFIC)
    return replace(alone, track_poses=torch.from_numpy(poses), track_valid=valid, red_light_active=lights)


def best_proposals(scores: Scores) -> Int[Tensor, " B"]:
    """Number of the best proposal of each scene, progress being measured against the best of them all."""
    raw, gates = scores.raw_progress, gate_product(scores.columns, EPDMS)
    most = (raw * gates).amax(-1, keepdim=True)
    is_long = most > EPDMS.progress_threshold_m
    progress = torch.where(is_long, (raw / torch.where(is_long, most, 1.0)).clamp(0.0, 1.0), 1.0)
    return weighted_score({**scores.columns, "ego_progress": progress}, EPDMS).argmax(-1)
