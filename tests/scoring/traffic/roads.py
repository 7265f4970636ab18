"""Vehicles on straight and bent paths, for scenes whose traffic reacts."""

from __future__ import annotations

import numpy as np

from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.roles import Role
from tests.scoring.tiny import scene, straight

FAR = 1000.0
"""Where an ego is out of the way of everybody."""


def way(x0, y0, x1, y1, points=11):
    """Poses [points, 3] of a straight path."""
    heading = np.arctan2(y1 - y0, x1 - x0)
    return np.column_stack((np.linspace(x0, x1, points), np.linspace(y0, y1, points), np.full(points, heading)))


def vehicle(path, progress=0.0, speed=0.0, wanted=10.0, size=(4.0, 2.0), pose=None, role=Role.REACTS, snapped=None):
    """One vehicle of t0, at ``progress`` of its path where nothing else is said."""
    steps = np.hypot(*np.diff(path[:, :2], axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    here = np.array([np.interp(progress, along, column) for column in path.T])
    return {
        "path": path,
        "along": along,
        "progress": progress,
        "speed": speed,
        "wanted": wanted,
        "size": size,
        "pose": here if pose is None else pose,
        "snapped": here if snapped is None else snapped,
        "role": role,
    }


def standing(x, y, heading=0.0, size=(4.0, 2.0), role=Role.STANDS):
    """A vehicle without a path."""
    nowhere = {"path": np.zeros((0, 3)), "along": np.zeros(0), "progress": 0.0, "wanted": 0.0, "snapped": np.zeros(3)}
    return {"speed": 0.0, "size": size, "pose": (x, y, heading), "role": role, **nowhere}


def traffic_fields(vehicles=(), ignored=(), num_tracks=0):
    """The fields of a scene that reactive traffic reads; ``ignored`` are tracks of ``tests.scoring.tiny``."""

    def rows(name, *columns):
        return np.array([one[name] for one in vehicles], dtype=float).reshape(len(vehicles), *columns)

    def tracks(name, *columns, dtype=float):
        return np.array([one[name] for one in ignored], dtype=dtype).reshape(len(ignored), *columns)

    return {
        "traffic_token": np.array([f"vehicle_{row}" for row in range(len(vehicles))], dtype="U10"),
        "traffic_role": np.array([one["role"] for one in vehicles], dtype=np.int64),
        "traffic_size": rows("size", 2),
        "traffic_pose": rows("pose", 3),
        "traffic_speed": rows("speed"),
        "traffic_snapped_pose": rows("snapped", 3),
        "traffic_progress": rows("progress"),
        "traffic_wanted_speed": rows("wanted"),
        "traffic_path_poses": np.concatenate([np.zeros((0, 3)), *(one["path"] for one in vehicles)]),
        "traffic_path_progress": np.concatenate([np.zeros(0), *(one["along"] for one in vehicles)]),
        "traffic_path_offsets": np.cumsum([0, *(len(one["path"]) for one in vehicles)]),
        "traffic_early_track": np.zeros(num_tracks, dtype=bool),
        "ignored_track_token": np.array([f"ignored_{row}" for row in range(len(ignored))], dtype="U10"),
        "ignored_track_type": tracks("kind", dtype="U14"),
        "ignored_track_is_agent": np.array([one["kind"] in ("pedestrian", "bicycle") for one in ignored], dtype=bool),
        "ignored_track_size": tracks("size", 2),
        "ignored_track_speed": tracks("speed"),
        "ignored_track_heading": tracks("heading"),
        "ignored_track_poses": tracks("poses", 51, 3),
        "ignored_track_valid": tracks("valid", 51, dtype=bool),
    }


def scene_of(*vehicles, ignored=(), tracks=(), turn=0.5, **options):
    """A tiny scene with these vehicles of t0; the map is turned by ``turn`` against it."""
    fields = traffic_fields(vehicles, ignored, len(tracks)) | {"ego_pose": np.array([300.0, -200.0, turn])}
    return scene(tracks=tracks, **{**fields, **options})


def drive(*vehicles, ego=None, **options):
    """Traffic of these vehicles around an ego that stands far aside, or whose states [41, 11] are given."""
    return reactive_traffic(scene_of(*vehicles, **options), straight(y=FAR / 12.5, speed=0.0) if ego is None else ego)
