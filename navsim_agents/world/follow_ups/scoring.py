"""Scoring scenes of follow-ups: what the unmodified devkit v2.2 caches of them, for scoring without it."""

from __future__ import annotations

from dataclasses import replace

import torch

from navsim_agents.common.conventions import NUM_FUTURE_FRAMES, NUM_HISTORY_FRAMES
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_fields import SYNTHETIC
from navsim_agents.world.scoring_scenes.store import log_scenes
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.follow_ups import FollowUp
from navsim_agents.world.writers.logs import STEPS_PER_FRAME, log_frames


def follow_up_scenes(drive: Drive, follow_up: FollowUp, town_map: TownMap) -> list[ScoringScene]:
    """Scenes of the later and the earlier end of ``drive``, whose ego has driven the plan.

    Nothing is known of a human; frames beyond 4 s, which v2.2 does not look at, repeat the last one known.
    """
    scenes = []
    for step in follow_up.ends:
        (scene,) = log_scenes(town_map, _frames(drive, step))
        human = torch.full_like(scene.human_trajectory, torch.nan)
        token = follow_up.token(step)
        scenes.append(replace(scene, token=token, scene_type=SYNTHETIC, human_trajectory=human))
    return scenes


def _frames(drive: Drive, step: int) -> list[dict]:
    """A log's frames around ``step``, the ego staying where it is then: who is in range of it is told from there."""
    poses = drive.ego.poses.copy()
    poses[step:] = poses[step]
    frames = log_frames(replace(drive, ego=replace(drive.ego, poses=poses)), {})
    now = step // STEPS_PER_FRAME
    known = frames[now + 1 - NUM_HISTORY_FRAMES : now + 1 + NUM_FUTURE_FRAMES]
    missing = NUM_HISTORY_FRAMES + NUM_FUTURE_FRAMES - len(known)
    return known + [known[-1]] * missing
