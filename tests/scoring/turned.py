"""The same scene elsewhere: all that it holds turned and moved together, in its own frame or on the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.traffic.record import NO_TRAFFIC

CONTINUOUS = ("ego_progress", "score", "pdm_score")
STATES = ("ego_state", "history_states", "human_trajectory", "pdm_trajectory", "track_poses")
POINTS = ("centerline", "ring_xy", "red_light_xy")


def moved_points(points: torch.Tensor, turn: float, shift: tuple[float, float]) -> torch.Tensor:
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = points[..., 0], points[..., 1]
    return torch.stack((cos * x - sin * y + shift[0], sin * x + cos * y + shift[1]), dim=-1)


def moved_poses(poses: torch.Tensor, turn: float, shift: tuple[float, float]) -> torch.Tensor:
    """Poses, and what else stands behind their three columns; headings go on beyond a turn."""
    place = moved_points(poses[..., :2], turn, shift)
    return torch.cat((place, poses[..., 2:3] + turn, poses[..., 3:]), dim=-1)


def elsewhere_on_the_map(scene: ScoringScene, turn: float, shift: tuple[float, float]) -> ScoringScene:
    """Only the ego's pose on the map is another one."""
    return replace(scene, ego_pose=moved_poses(scene.ego_pose, turn, shift))


def elsewhere_in_its_frame(scene: ScoringScene, turn: float, shift: tuple[float, float]) -> ScoringScene:
    """Everything stands elsewhere in the scene's own frame, the ego too; without reactive traffic."""
    changed = {name: moved_poses(getattr(scene, name), turn, shift) for name in STATES}
    changed.update({name: moved_points(getattr(scene, name), turn, shift) for name in POINTS})
    return replace(scene, **NO_TRAFFIC, track_heading=scene.track_heading + turn, **changed)


def plans_for(scenes: list[ScoringScene], count: int = 12, seed: int = 0) -> torch.Tensor:
    """The human's plan of each scene, and ``count`` that are slower, faster or lead aside [B, N, 8, 3]."""
    draw = np.random.default_rng(seed)
    human = torch.stack([scene.human_trajectory for scene in scenes])[:, None]
    steps = torch.arange(1, 9, dtype=torch.float64) / 8.0
    speed = torch.from_numpy(draw.uniform(0.3, 1.6, (len(scenes), count, 1)))
    aside = torch.from_numpy(draw.uniform(-5.0, 5.0, (len(scenes), count, 1))) * steps**2
    x, y, heading = (human[..., column] for column in range(3))
    others = torch.stack(
        (speed * x - aside * torch.sin(heading), speed * y + aside * torch.cos(heading), heading + 0.05 * aside), dim=-1
    )
    return torch.cat((human, others), dim=1)


def assert_same_scores(
    ours: list[ScoringScene], plans: torch.Tensor, theirs: list[ScoringScene], their_plans: torch.Tensor, metric: str
) -> dict[str, torch.Tensor]:
    """Sub-scores that are steps identical, the others within 1e-9; returns ours."""
    wanted = score_scenes(ours, plans, 0.5, metric).columns
    found = score_scenes(theirs, their_plans, 0.5, metric).columns
    for name, values in wanted.items():
        if name in CONTINUOUS:
            torch.testing.assert_close(
                found[name], values, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
            )
        else:
            assert torch.equal(found[name], values), name
    return wanted
