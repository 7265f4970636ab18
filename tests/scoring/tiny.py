"""A hand-made scene: a straight road of two lanes, the right one on the route, and builders of plain motion."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.rules.collisions import track_contacts
from navsim_agents.scoring.rules.ego import Motion, locate_ego
from navsim_agents.scoring.scene_batch import collate_scenes

# Powers of two, so that touching boxes touch exactly: front 4 m ahead of the rear axle, rear 1 m behind it.
VEHICLE = (2.5, 1.0, 1.5, 3.0)


def rectangle(x0, x1, y0, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


ROAD = [
    ("roadblock", False, rectangle(-40, 120, -2, 6)),
    ("lane", True, rectangle(-40, 120, -2, 2)),
    ("lane", False, rectangle(-40, 120, 2, 6)),
]


def straight(x=0.0, y=0.0, heading=0.0, speed=10.0, steps=41):
    """States [steps, 11] at constant velocity."""
    states = np.zeros((steps, 11))
    way = np.arange(steps) * (speed / 10.0)
    states[:, 0], states[:, 1] = x + way * np.cos(heading), y + way * np.sin(heading)
    states[:, 2], states[:, 3] = heading, speed
    return states


def plan(speed=10.0, y=0.0):
    """Poses [8, 3] at 0.5 s."""
    way = speed * 0.5 * np.arange(1, 9)
    return np.stack((way, np.linspace(0, y, 9)[1:], np.zeros(8)), axis=1)


def track(x, y, heading=0.0, speed=0.0, kind="vehicle", size=(4.0, 2.0), valid=slice(None), collided=False, drift=0.0):
    """One track at constant velocity: along its heading, and ``drift`` m/s to +y."""
    way = np.arange(51) * (speed / 10.0)
    poses = np.stack((x + way * np.cos(heading), y + way * np.sin(heading) + np.arange(51) * drift / 10.0), axis=1)
    seen = np.zeros(51, dtype=bool)
    seen[valid] = True
    return {
        "poses": np.concatenate((poses, np.full((51, 1), heading)), axis=1),
        "valid": seen,
        "kind": kind,
        "size": size,
        "speed": float(np.hypot(speed, drift)),
        "heading": heading,
        "collided": collided,
    }


def light(polygon, active=slice(None)):
    lit = np.zeros(51, dtype=bool)
    lit[active] = True
    return {"polygon": polygon, "active": lit}


def arrays(tracks=(), lights=(), roads=None, speed=10.0, history=None, scene_type="original", **changes):
    """The archive of a tiny scene."""
    roads = ROAD if roads is None else roads
    ego = np.zeros(11)
    ego[3] = speed
    count, lit = len(tracks), len(lights)
    found = {
        "schema_version": np.asarray(1),
        "devkit": np.asarray("v2.2"),
        "token": np.asarray("0123456789abcdef"),
        "log_name": np.asarray("log"),
        "map_name": np.asarray("sg-one-north"),
        "scene_type": np.asarray(scene_type),
        "timestamp_us": np.asarray(1_600_000_000_000_000),
        "ego_pose": np.array([300.0, -200.0, 0.5]),
        "ego_state": ego,
        "vehicle": np.array(VEHICLE),
        "history_states": np.zeros((0, 11)) if history is None else history,
        "human_trajectory": plan(speed),
        "pdm_trajectory": straight(speed=speed),
        "centerline": np.array([[-40.0, 0.0], [10.0, 0.0], [120.0, 0.0]]),
        "ring_xy": np.array([point for _, _, ring in roads for point in ring], dtype=float).reshape(-1, 2),
        "ring_offsets": np.cumsum([0, *(len(ring) for _, _, ring in roads)]),
        "ring_polygon": np.arange(len(roads)),
        "ring_is_hole": np.zeros(len(roads), dtype=bool),
        "polygon_layer": np.array([layer for layer, _, _ in roads], dtype="U14"),
        "polygon_token": np.array([str(i) for i in range(len(roads))], dtype="U5"),
        "polygon_on_route": np.array([on_route for _, on_route, _ in roads], dtype=bool),
        "track_token": np.array([f"{i:016x}" for i in range(count)], dtype="U16"),
        "track_type": np.array([t["kind"] for t in tracks], dtype="U14"),
        "track_is_agent": np.array([t["kind"] in ("vehicle", "pedestrian", "bicycle") for t in tracks], dtype=bool),
        "collided_track": np.array([t["collided"] for t in tracks], dtype=bool),
        "track_size": np.array([t["size"] for t in tracks], dtype=float).reshape(count, 2),
        "track_speed": np.array([t["speed"] for t in tracks], dtype=float),
        "track_heading": np.array([t["heading"] for t in tracks], dtype=float),
        "track_poses": np.array([t["poses"] for t in tracks], dtype=float).reshape(count, 51, 3),
        "track_valid": np.array([t["valid"] for t in tracks], dtype=bool).reshape(count, 51),
        "red_light_token": np.array([f"red_light_{i}" for i in range(lit)], dtype="U32"),
        "red_light_xy": np.array([p for red in lights for p in red["polygon"]], dtype=float).reshape(-1, 2),
        "red_light_offsets": np.cumsum([0, *(len(red["polygon"]) for red in lights)]),
        "red_light_active": np.array([red["active"] for red in lights], dtype=bool).reshape(lit, 51),
    }
    return {**found, **changes}


def scene(**options):
    return ScoringScene.from_arrays(arrays(**options))


def situation(made, states, metric="epdms"):
    """(motion, batch, areas, contacts, config) of states [N, 41, 11] in one scene."""
    config = METRICS[metric]
    batch = collate_scenes([made], config, 8, 0.5, torch.float64)
    motion = Motion.of(torch.from_numpy(np.asarray(states))[None], batch.vehicle)
    return motion, batch, locate_ego(motion, batch.index), track_contacts(motion, batch, config), config
