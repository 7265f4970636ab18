"""A road on which every rule has something to say, plans of all kinds for it, and scenes of every size."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.scoring import ScoringScene
from tests.scoring.tiny import ROAD, arrays, light, rectangle, scene, straight, track


def busy(**options):
    """A tiny scene in which every rule has something to say."""
    options = {"speed": 8.0, "pdm_trajectory": straight(speed=4.0), **options}
    return arrays(
        tracks=[
            track(28, 0.5, heading=0.3),
            track(12, 3.5, heading=3.1, speed=4.0),
            track(22, -3.0, kind="traffic_cone", size=(0.5, 0.5)),
            track(-9, 0, speed=9.0, kind="bicycle", size=(2.0, 0.7), valid=slice(5, 45)),
        ],
        lights=[light(rectangle(36, 44, -3, 3), slice(20, 51))],
        roads=[
            *ROAD,
            ("intersection", False, rectangle(30, 50, -6, 10)),
            ("carpark_area", False, rectangle(0, 9, 5, 12)),
        ],
        history=straight(speed=8.0, steps=14),
        **options,
    )


def some_plans(count, seed=0):
    """Noisy plans [count, 8, 3] of many speeds and offsets."""
    draw = np.random.default_rng(seed)
    t = 0.5 * np.arange(1, 9)
    speed, aside, turn = (
        draw.uniform(0, 13, (count, 1)),
        draw.uniform(-6, 6, (count, 1)),
        draw.normal(0, 0.1, (count, 1)),
    )
    y = aside * (t / 4.0) ** 2
    heading = turn * t + np.arctan2(2 * aside * t / 16.0, speed + 1.0)
    return torch.from_numpy(np.stack((speed * t, y, heading), axis=-1) + draw.normal(0, 0.02, (count, 8, 3)))


def different_scenes():
    """Scenes that differ in every size: history, centreline, polygons, words, tracks, lights, recorded times."""
    lanes = [("lane", row % 2 == 0, rectangle(-20, 90, row, row + 1.5)) for row in range(70)]
    times = {"model_knots_us": np.arange(9) * 500_000 - (np.arange(9) > 3), "sample_times_us": np.arange(41) * 99_999}
    return [
        ScoringScene.from_arrays(busy()),
        scene(roads=[], scene_type="synthetic", human_trajectory=np.full((8, 3), np.nan)),
        scene(roads=lanes, lights=[light(rectangle(5, 9, -3, 3)), light(rectangle(30, 40, -3, 3))], **times),
        scene(tracks=[track(20, 0, collided=True)], history=straight(steps=7), centerline=np.array([[0, 1], [9.0, 1]])),
    ]
