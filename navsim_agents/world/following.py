"""Longitudinal driving: what is in the way, and how hard to brake or accelerate (Intelligent Driver Model)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.curves import dot, unit
from navsim_agents.world.fleet import BoolArray, Fleet
from navsim_agents.world.types import LENGTH, WIDTH

# Points ahead of the front bumper: closer together where it matters.
_SAMPLES_M = np.concatenate((np.arange(0.0, 24.0, 1.0), np.arange(24.0, 62.0, 2.0)))
_LOOK_M, _LOOK_S = 22.0, 3.4  # drivers look this far plus the distance they cover in this time
_SIDE_MARGIN_M = 0.35
_ONCOMING_MARGIN_M = 0.1  # people pass each other closely where both keep away from parked cars
NO_LEAD_M = 1e3


@dataclass(frozen=True)
class Obstacles:
    """Boxes in the way: centres [O, 3], sizes [O, 2], velocities [O, 2]."""

    centers: Float64[np.ndarray, "O 3"]
    sizes: Float64[np.ndarray, "O 2"]
    velocities: Float64[np.ndarray, "O 2"]


@dataclass(frozen=True)
class Lead:
    """Nearest thing ahead of every vehicle [K]; gap is ``NO_LEAD_M`` without one."""

    gap_m: Float64[np.ndarray, " K"]
    speed_mps: Float64[np.ndarray, " K"]
    obstacle: Int64[np.ndarray, " K"]  # index, -1 without one
    interaction: Float64[np.ndarray, " K"]  # squared ratio of wanted to actual gap, the largest over obstacles


@dataclass(frozen=True)
class FollowRule:
    """IDM's parameters (Treiber, Hennecke, Helbing 2000) and the limits around them."""

    accel_mps2: float = 1.4
    decel_mps2: float = 1.7
    headway_s: float = 1.3
    min_gap_m: float = 2.2
    wall_gap_m: float = 1.0
    wall_headway_s: float = 0.6
    free_decel_mps2: float = 2.0
    emergency_decel_mps2: float = 2.9  # harder braking than this ignores comfortable jerk
    max_decel_mps2: float = 7.0
    jerk_mps3: float = 2.2
    emergency_jerk_mps3: float = 15.0


def find_leads(fleet: Fleet, poses: Float64[np.ndarray, "K 4"], obstacles: Obstacles, rule: FollowRule) -> Lead:
    """For every active vehicle the boxes that its own path runs into within its look-ahead.

    The first K obstacles must be the vehicles themselves.
    """
    count = len(fleet)
    rows, columns = _near_pairs(fleet, poses, obstacles)
    active = np.unique(rows)
    lookup = np.zeros(count, dtype=np.int64)
    lookup[active] = np.arange(len(active))
    stations = fleet.station[active, None] + fleet.front[active, None] + _SAMPLES_M
    samples = fleet.path_poses(active, stations)
    beyond_end = stations > fleet.path_length[active, None]
    pair_samples = samples[lookup[rows]]  # [Q, J, 4]
    is_oncoming = np.cos(obstacles.centers[columns, HEADING] - poses[rows, HEADING]) < -0.9
    reach = fleet.width[rows] / 2 + np.where(is_oncoming, _ONCOMING_MARGIN_M, _SIDE_MARGIN_M)
    is_hit = _box_distance(pair_samples[..., XY], obstacles, columns) < reach[:, None]
    is_hit &= ~beyond_end[lookup[rows]]
    hits = is_hit.any(axis=1)
    first = is_hit.argmax(axis=1)[hits]
    rows, columns = rows[hits], columns[hits]
    at = pair_samples[hits, first]
    gap = _SAMPLES_M[first] + _along_distance(at, obstacles, columns)
    ahead = dot(obstacles.velocities[columns], unit(at[:, HEADING]))
    return _reduce(fleet, rows, columns, np.maximum(gap, 0.05), ahead, rule)


def _near_pairs(
    fleet: Fleet, poses: Float64[np.ndarray, "K 4"], obstacles: Obstacles
) -> tuple[Int64[np.ndarray, " Q"], Int64[np.ndarray, " Q"]]:
    dx = obstacles.centers[None, :, X] - poses[:, X, None]
    dy = obstacles.centers[None, :, Y] - poses[:, Y, None]
    along = dx * np.cos(poses[:, HEADING])[:, None] + dy * np.sin(poses[:, HEADING])[:, None]
    look = _LOOK_M + _LOOK_S * fleet.speed + fleet.front
    near = (dx**2 + dy**2 < look[:, None] ** 2) & (along > -2.0) & fleet.is_active[:, None]
    near[np.arange(len(fleet)), np.arange(len(fleet))] = False
    rows, columns = np.nonzero(near)
    return rows, columns


def _box_distance(
    points: Float64[np.ndarray, "Q J 2"], obstacles: Obstacles, columns: Int64[np.ndarray, " Q"]
) -> Float64[np.ndarray, "Q J"]:
    """Distance of ``points`` from the boxes ``columns`` [Q]."""
    centers, sizes = obstacles.centers[columns], obstacles.sizes[columns]
    dx, dy = points[..., X] - centers[:, X, None], points[..., Y] - centers[:, Y, None]
    cos, sin = np.cos(centers[:, HEADING, None]), np.sin(centers[:, HEADING, None])
    along = np.abs(cos * dx + sin * dy) - sizes[:, LENGTH, None] / 2
    across = np.abs(cos * dy - sin * dx) - sizes[:, WIDTH, None] / 2
    return np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))


def _along_distance(
    at: Float64[np.ndarray, "Q 4"], obstacles: Obstacles, columns: Int64[np.ndarray, " Q"]
) -> Float64[np.ndarray, " Q"]:
    """Distance from the points ``at`` along their headings to the near side of the boxes."""
    centers, sizes = obstacles.centers[columns], obstacles.sizes[columns]
    turn = centers[:, HEADING] - at[:, HEADING]
    half = (np.abs(np.cos(turn)) * sizes[:, LENGTH] + np.abs(np.sin(turn)) * sizes[:, WIDTH]) / 2
    return dot(centers[:, XY] - at[:, XY], unit(at[:, HEADING])) - half


def _reduce(
    fleet: Fleet,
    rows: Int64[np.ndarray, " Q"],
    columns: Int64[np.ndarray, " Q"],
    gap: Float64[np.ndarray, " Q"],
    ahead: Float64[np.ndarray, " Q"],
    rule: FollowRule,
) -> Lead:
    """Nearest obstacle and strongest interaction per vehicle."""
    count = len(fleet)
    own = fleet.speed[rows]
    closing = own * (own - ahead) / (2.0 * np.sqrt(rule.accel_mps2 * rule.decel_mps2))
    wanted = rule.min_gap_m + np.maximum(own * rule.headway_s + closing, 0.0)
    interaction = np.zeros(count)
    np.maximum.at(interaction, rows, (wanted / gap) ** 2)
    nearest = np.full(count, NO_LEAD_M)
    order = np.argsort(-gap, kind="stable")  # the nearest is written last
    nearest[rows[order]] = gap[order]
    speed, index = np.zeros(count), np.full(count, -1)
    speed[rows[order]], index[rows[order]] = ahead[order], columns[order]
    return Lead(nearest, speed, index, interaction)


def wanted_accel(
    fleet: Fleet, lead: Lead, wall_m: Float64[np.ndarray, " K"], rule: FollowRule
) -> Float64[np.ndarray, " K"]:
    """Acceleration that comfort asks for, given leads and walls ``wall_m`` ahead of the front bumpers."""
    speed = fleet.speed
    target = fleet.profile_at(fleet.station + 0.7 * speed + 0.3)
    free = np.clip(1.1 * (target - speed), -rule.free_decel_mps2, rule.accel_mps2)
    wall = np.maximum(wall_m, 0.05)
    wanted = rule.wall_gap_m + speed * rule.wall_headway_s
    wanted = wanted + speed**2 / (2.0 * np.sqrt(rule.accel_mps2 * rule.decel_mps2))
    interaction = np.maximum(lead.interaction, (wanted / wall) ** 2)
    return np.minimum(free, rule.accel_mps2 * (1.0 - interaction))


def limit_accel(
    fleet: Fleet,
    wanted: Float64[np.ndarray, " K"],
    lead: Lead,
    wall_m: Float64[np.ndarray, " K"],
    rule: FollowRule,
    step_s: float,
) -> Float64[np.ndarray, " K"]:
    """Next acceleration: ``wanted`` with bounded jerk, a soft halt, and hard braking only where it is needed."""
    speed = fleet.speed
    room = np.maximum(np.minimum(lead.gap_m - 0.8, wall_m - 0.1), 0.05)
    closing = np.where(lead.gap_m < wall_m, np.maximum(speed - np.maximum(lead.speed_mps, 0.0), 0.0), speed)
    needed = closing**2 / (2.0 * room)
    is_urgent: BoolArray = needed > rule.emergency_decel_mps2
    soft = np.maximum(wanted, -(0.35 + 0.9 * speed))  # brakes are released towards standstill
    accel = np.where(
        is_urgent, -np.minimum(1.15 * needed, rule.max_decel_mps2), np.maximum(soft, -rule.emergency_decel_mps2)
    )
    jerk = np.where(is_urgent, rule.emergency_jerk_mps3, rule.jerk_mps3) * step_s
    accel = np.clip(accel, fleet.accel - jerk, fleet.accel + rule.jerk_mps3 * step_s)
    is_creeping = (speed < 0.25) & (wanted < 0.15)
    return np.where(is_creeping, np.minimum(accel, -0.4), accel)
