"""The fields of a scoring scene that reactive traffic reads, from vehicles on the map and the paths they are put on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from navsim_agents.common.poses import FloatArray, poses_to_local
from navsim_agents.scoring.scene_fields import FIELDS
from navsim_agents.scoring.traffic.checks import NEEDED
from navsim_agents.scoring.traffic.roles import T0, VEHICLE_TYPE, Role

NOTHING = (0.0, 0.0, 0.0)
NO_PATH = np.zeros((0, 3))

NO_TRAFFIC: dict[str, Any] = {name: FIELDS[name].default for name in NEEDED}
"""The fields of a scene of whose reactive traffic nothing is known."""
Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Rails:
    """The path that a vehicle is put on; poses on the map. The default: it has none."""

    snapped: tuple[float, float, float] = NOTHING  # centre, and heading of the chord ahead
    progress: float = 0.0  # m
    wanted_speed: float = 0.0  # m/s
    path: FloatArray = field(default_factory=lambda: NO_PATH)  # [P, 3]
    path_progress: FloatArray = field(default_factory=lambda: np.zeros(0))  # [P] m


@dataclass(frozen=True)
class Vehicles:
    """Vehicles at t0 in the order of detection, on the map."""

    tokens: tuple[str, ...]
    sizes: Float64[np.ndarray, "A 2"]  # length, width [m]
    poses: Float64[np.ndarray, "A 3"]  # of their centres
    speeds: Float64[np.ndarray, " A"]  # m/s


def vehicle_arrays(
    vehicles: Vehicles, roles: Sequence[Role], rails: Sequence[Rails], origin: Float64[np.ndarray, "3"]
) -> Arrays:
    """The fields of the vehicles of t0, in the frame of the pose ``origin``; paths stand one after the other."""
    role = np.array(roles, dtype=np.int64)
    snapped = poses_to_local(_numbers([rail.snapped for rail in rails], 3), origin)
    snapped[role != Role.REACTS] = NOTHING
    return {
        "traffic_token": np.array(vehicles.tokens, dtype=np.str_),
        "traffic_role": role,
        "traffic_size": vehicles.sizes,
        "traffic_pose": poses_to_local(vehicles.poses, origin),
        "traffic_speed": vehicles.speeds,
        "traffic_snapped_pose": snapped,
        "traffic_progress": _numbers([rail.progress for rail in rails]),
        "traffic_wanted_speed": _numbers([rail.wanted_speed for rail in rails]),
        "traffic_path_poses": poses_to_local(np.concatenate([NO_PATH, *(rail.path for rail in rails)]), origin),
        "traffic_path_progress": np.concatenate([np.zeros(0), *(rail.path_progress for rail in rails)]),
        "traffic_path_offsets": np.cumsum([0, *(len(rail.path) for rail in rails)]).astype(np.int64),
    }


def replayed_arrays(
    tracks: Mapping[str, npt.NDArray[np.generic]], touches_ego: Bool[np.ndarray, " K"], is_late: Bool[np.ndarray, " K"]
) -> Arrays:
    """The fields of what reactive traffic replays differently from log replay.

    Tracks that touch the ego at t0 are kept. A track that the log has in one later frame alone, which its interpolation
    stretches over all time, is not there at t0.

    Args:
        tracks: the fields ``track_…`` of all K tracks, those too that log replay leaves out.
        touches_ego: at t0; log replay leaves these out.
        is_late: not in the log at t0.
    """
    rows = touches_ego & (tracks["track_type"] != VEHICLE_TYPE)
    names = ("token", "type", "is_agent", "size", "speed", "heading", "poses", "valid")
    chosen = {f"ignored_track_{name}": tracks[f"track_{name}"][rows] for name in names}
    chosen["ignored_track_valid"][:, T0] &= ~is_late[rows]
    return {
        **chosen,
        "ignored_track_poses": np.nan_to_num(chosen["ignored_track_poses"]),
        "traffic_early_track": (is_late & tracks["track_valid"][:, T0])[~touches_ego],
    }


def _numbers(rows: Sequence[object], *columns: int) -> FloatArray:
    """Float64 rows, also of none."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), *columns)
