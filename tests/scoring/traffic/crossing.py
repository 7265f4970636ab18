"""A road full of vehicles that react, plans that they react to, and the slow truth about both."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.scoring import ScoringScene, score_scenes, score_trajectories
from navsim_agents.scoring.aggregate import COLUMNS
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.replaced import scene_in_traffic
from tests.scoring.busy_road import some_plans
from tests.scoring.tiny import light, rectangle, straight, track
from tests.scoring.traffic.roads import scene_of, standing, vehicle, way

ROAD = way(-40.0, 0.0, 300.0, 0.0, points=341)
LEFT = way(-40.0, 4.0, 300.0, 4.0, points=341)
ACROSS = way(30.0, -60.0, 30.0, 80.0, points=141)
ONCOMING = way(100.0, 0.0, -100.0, 0.0, points=201)
STEPS = ("collision_step", "collision_track", "ttc_step", "ttc_track")


def crossing(**options) -> ScoringScene:
    """Followers, leaders, crossing traffic, some beyond 100 m, parked ones, walkers: all of it near the ego's way."""
    walker = track(34, -5.0, heading=np.pi / 2, speed=1.2, kind="pedestrian", size=(0.5, 0.5))
    options = {"speed": 8.0, "pdm_trajectory": straight(speed=6.0), "history": straight(speed=8.0, steps=14), **options}
    return scene_of(
        vehicle(ROAD, progress=30.0, speed=9.0),  # 10 m behind the ego
        vehicle(ROAD, progress=62.0, speed=5.0),
        vehicle(LEFT, progress=36.0, speed=8.0),
        vehicle(LEFT, progress=52.0, speed=6.0, pose=(12.0, 4.5, 0.1)),
        vehicle(ACROSS, progress=30.0, speed=6.0, size=(5.0, 2.2)),
        vehicle(ROAD, progress=140.5, speed=1.0),
        standing(20.0, -3.5),
        standing(48.0, 1.9),
        tracks=[walker, track(12, 3.5, speed=4.0), track(22, -3.0, kind="traffic_cone", size=(0.5, 0.5))],
        ignored=[track(-1.5, 0.0, speed=2.0, kind="bicycle", size=(2.0, 0.7))],
        lights=[light(rectangle(36, 44, -3, 3), slice(20, 51))],
        **options,
    )


def oncoming() -> ScoringScene:
    """One comes the ego's way and brakes for whoever stays in it; PDM-Closed stays, and is run into otherwise."""
    me = vehicle(ONCOMING, progress=58.0, speed=6.0, wanted=6.0)
    return scene_of(me, speed=5.0, pdm_trajectory=straight(speed=5.0))


def many_plans(count: int, seed: int = 0) -> torch.Tensor:
    """Plans [count, 8, 3] of all kinds; the first stands."""
    plans = some_plans(count, seed)
    plans[0] = 0.0
    return plans


def own_traffic(scene: ScoringScene, plan: torch.Tensor) -> ScoringScene:
    """The scene whose log is the traffic that one plan [8, 3] meets."""
    states = score_trajectories(scene, plan[None])["simulated_states"][0]
    return scene_in_traffic(scene, reactive_traffic(scene, states.numpy()))


def slow_scores(scene: ScoringScene, plans: torch.Tensor) -> dict[str, torch.Tensor]:
    """Columns and steps [N], plan by plan in a scene of its own."""
    rows = []
    for plan in plans:
        found = score_scenes([own_traffic(scene, plan)], plan[None, None])
        columns = {name: found.columns[name][0] for name in COLUMNS["epdms"]}
        rows.append({**columns, **{name: getattr(found, name)[0] for name in STEPS}})
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def slow_human(scene: ScoringScene) -> dict[str, torch.Tensor]:
    """The human's sub-scores [1] in the human's own traffic."""
    alone = own_traffic(scene, scene.human_trajectory)
    return score_scenes([alone], scene.human_trajectory[None, None], human_penalty_filter=True).human_columns
