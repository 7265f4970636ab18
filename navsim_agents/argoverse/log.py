"""One sensor log from its files: the ego's way, tracks on the map of the city, and the lanes around.

Frames: the city's (metres), seen from above. Argoverse 2's egovehicle frame stands at the middle of the rear axle, x
ahead, y left; boxes are annotated in the egovehicle frame of their own time. Times are seconds after the log's first
pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from navsim_agents.argoverse.categories import EGO, agent_type
from navsim_agents.argoverse.lane_map import LaneMap, read_lane_map
from navsim_agents.argoverse.rotations import headings, matrices, turned_together
from navsim_agents.argoverse.tables import WAY_OUT, Columns, read_columns
from navsim_agents.common.agent_types import AgentType
from navsim_agents.common.poses import HEADING, XY, X, Y, wrap_angle
from navsim_agents.errors import InputError

ANNOTATIONS, POSES, MAP = "annotations.feather", "city_SE3_egovehicle.feather", "map"
NANOSECONDS = 1e-9
_POSITION, _QUATERNION = ("tx_m", "ty_m", "tz_m"), ("qw", "qx", "qy", "qz")
_SIZE = ("length_m", "width_m")


@dataclass(frozen=True)
class EgoWay:
    """The rear axle's pose over time."""

    start_ns: int  # time of the first pose
    times: Float64[np.ndarray, " F"]  # s, rising
    poses: Float64[np.ndarray, "F 3"]  # headings unwrapped
    positions: Float64[np.ndarray, "F 3"]  # m
    quaternions: Float64[np.ndarray, "F 4"]

    def at(self, times: Float64[np.ndarray, "*batch"]) -> Float64[np.ndarray, "*batch 3"]:
        """Poses at ``times`` [s], linear between logged ones; headings unwrapped."""
        return np.stack([np.interp(times, self.times, column) for column in self.poses.T], axis=-1)

    def in_space(
        self, times: Float64[np.ndarray, " n"]
    ) -> tuple[Float64[np.ndarray, "n 3 3"], Float64[np.ndarray, "n 3"]]:
        """Rotations and positions at ``times``."""
        columns = np.concatenate((self.quaternions, self.positions), axis=1).T
        found = np.stack([np.interp(times, self.times, column) for column in columns], axis=-1)
        return matrices(found[:, : len(_QUATERNION)]), found[:, len(_QUATERNION) :]


@dataclass(frozen=True)
class LogTrack:
    """One annotated object."""

    token: str
    kind: AgentType
    size: Float64[np.ndarray, "2"]  # length, width [m]
    times: Float64[np.ndarray, " n"]  # s, rising
    poses: Float64[np.ndarray, "n 3"]  # of its centre; headings unwrapped


@dataclass(frozen=True)
class SensorLog:
    """What scoring scenes are made of."""

    name: str
    ego: EgoWay
    sweeps: Float64[np.ndarray, " U"]  # times of annotations, s
    tracks: tuple[LogTrack, ...]
    lane_map: LaneMap


def read_log(folder: Path) -> SensorLog:
    """Read one log.

    Raises:
        MissingPackageError: pyarrow is not installed.
        InputError: a file is missing or broken, or holds what no log can.
    """
    ego = _read_ego(folder / POSES)
    path = folder / ANNOTATIONS
    rows = read_columns(path, (*_POSITION, *_QUATERNION, *_SIZE), ("timestamp_ns", "track_uuid", "category"))
    times = (rows["timestamp_ns"].astype(np.int64) - ego.start_ns) * NANOSECONDS
    sweeps = np.unique(times)
    outside = np.flatnonzero((sweeps < 0.0) | (sweeps > ego.times[-1]))
    if len(outside):
        raise InputError(
            f"{path} has boxes {sweeps[outside[0]]:.3f} s after the first pose, but poses end at {ego.times[-1]:.3f} "
            f"s; {WAY_OUT}"
        )
    return SensorLog(folder.name, ego, sweeps, _read_tracks(rows, times, ego, path), read_lane_map(folder / MAP))


def _read_ego(path: Path) -> EgoWay:
    rows = read_columns(path, (*_POSITION, *_QUATERNION), ("timestamp_ns",))
    times, order = np.unique(rows["timestamp_ns"].astype(np.int64), return_index=True)
    positions = _stacked(rows, _POSITION)[order]
    quaternions = turned_together(_checked(_stacked(rows, _QUATERNION), path)[order])
    turned = np.unwrap(headings(matrices(quaternions)))
    return EgoWay(
        start_ns=int(times[0]),
        times=(times - times[0]) * NANOSECONDS,
        poses=np.column_stack((positions[:, XY], turned)),
        positions=positions,
        quaternions=quaternions,
    )


def _read_tracks(rows: Columns, times: Float64[np.ndarray, " N"], ego: EgoWay, path: Path) -> tuple[LogTrack, ...]:
    """Tracks in the order of their names, on the map."""
    rotations, origins = ego.in_space(times)
    centers = np.einsum("nij,nj->ni", rotations, _stacked(rows, _POSITION)) + origins
    turned = headings(rotations @ matrices(_checked(_stacked(rows, _QUATERNION), path)))
    poses, sizes = np.column_stack((centers[:, XY], turned)), _stacked(rows, _SIZE)
    tracks = []
    for token, members in _members(rows["track_uuid"]).items():
        category = str(rows["category"][members[0]])
        if category == EGO:
            continue
        _, first = np.unique(times[members], return_index=True)
        members = members[first]
        track = poses[members]
        track[:, HEADING] = np.unwrap(track[:, HEADING])
        size = sizes[members[0]]
        if not (size > 0.0).all():
            raise InputError(f"{path}: track {token} is {size.tolist()} m large, but must be larger than 0; {WAY_OUT}")
        tracks.append(LogTrack(token, agent_type(category), size, times[members], track))
    return tuple(tracks)


def _members(tokens: np.ndarray) -> dict[str, Int64[np.ndarray, " n"]]:
    """Rows of each track."""
    names, owners = np.unique(tokens.astype(str), return_inverse=True)
    order = np.argsort(owners, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(owners, minlength=len(names)))[:-1])
    return dict(zip(names.tolist(), parts))


def _stacked(rows: Columns, names: tuple[str, ...]) -> Float64[np.ndarray, "n columns"]:
    return np.stack([rows[name] for name in names], axis=1)


def _checked(quaternions: Float64[np.ndarray, "n 4"], path: Path) -> Float64[np.ndarray, "n 4"]:
    """The same; raises InputError where one has no length."""
    empty = np.flatnonzero(np.linalg.norm(quaternions, axis=1) == 0.0)
    if len(empty):
        raise InputError(f"{path} has a rotation of length 0 in row {empty[0]}, but must have one of 1; {WAY_OUT}")
    return quaternions


def speed_of(track: LogTrack, time: float, half_window: float) -> float:
    """Mean speed [m/s] between ``half_window`` seconds before and after ``time``, as far as the track is annotated."""
    first, last = np.clip((time - half_window, time + half_window), track.times[0], track.times[-1])
    if last <= first:
        return 0.0
    (x0, x1), (y0, y1) = (np.interp((first, last), track.times, track.poses[:, column]) for column in (X, Y))
    return float(np.hypot(x1 - x0, y1 - y0) / (last - first))


def track_poses_at(
    track: LogTrack, times: Float64[np.ndarray, " T"], slack: float
) -> tuple[Float64[np.ndarray, "T 3"], np.ndarray]:
    """Poses at ``times``, linear between annotations, and whether each lies between two of these.

    Only annotations of that span count, and ``slack`` seconds more at its ends and at the track's.
    """
    inside = (track.times >= times[0] - slack) & (track.times <= times[-1] + slack)
    if not inside.any():
        return np.zeros((len(times), track.poses.shape[1])), np.zeros(len(times), dtype=bool)
    known, poses = track.times[inside], track.poses[inside]
    found = np.stack([np.interp(times, known, column) for column in poses.T], axis=-1)
    found[:, HEADING] = wrap_angle(found[:, HEADING])
    return found, (times >= known[0] - slack) & (times <= known[-1] + slack)
