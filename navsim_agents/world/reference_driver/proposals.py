"""Proposals: each speed fraction along each offset path, held back by the intelligent driver model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.conventions import NUM_STATES, STEP_S
from navsim_agents.scoring.axes import Vehicle
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.world.reference_driver.corridor import Obstacles, Path, ego_speed, find_obstacles, scene_path
from navsim_agents.world.reference_driver.rule import DriverRule


def propose(
    scenes: Sequence[ScoringScene], speed_limits_mps: Sequence[float], rule: DriverRule
) -> Float64[np.ndarray, "B N S 3"]:
    """Poses of N = offsets times fractions proposals in each scene's frame; the first pose is the ego's.

    Offsets vary slowest, so proposal 0 keeps to the centreline and its limit.
    """
    paths = [scene_path(scene, limit, rule) for scene, limit in zip(scenes, speed_limits_mps)]
    obstacles = [find_obstacles(scene, path, rule) for scene, path in zip(scenes, paths)]
    stations = roll_out(_Ways.of(scenes, paths, obstacles, speed_limits_mps, rule), rule)  # [B, O, F, S]
    poses = np.stack(
        [
            np.stack([path.poses(along[row], offset) for row, offset in enumerate(rule.lateral_offsets_m)])
            for path, along in zip(paths, stations)
        ]
    )
    poses[..., 0, :] = 0.0
    return poses.reshape(len(scenes), -1, NUM_STATES, 3)


@dataclass(frozen=True)
class _Ways:
    """What holds the proposals back: B scenes, O offsets, F fractions, J obstacles, U moments."""

    rear: Float64[np.ndarray, "B O J U"]  # infinite where the obstacle is not in the corridor
    center: Float64[np.ndarray, "B J U"]
    speed: Float64[np.ndarray, "B J U"]
    start: Float64[np.ndarray, " B"]  # station of the rear axle
    end: Float64[np.ndarray, " B"]  # of the path
    ego_speed: Float64[np.ndarray, " B"]
    limit: Float64[np.ndarray, " B"]  # m/s
    front: Float64[np.ndarray, " B"]  # m from rear axle to front bumper

    @staticmethod
    def of(
        scenes: Sequence[ScoringScene],
        paths: Sequence[Path],
        obstacles: Sequence[Obstacles],
        limits: Sequence[float],
        rule: DriverRule,
    ) -> _Ways:
        most = max(len(found.rear) for found in obstacles)
        rear, center, right, left, speed = (
            np.stack([_pad(getattr(found, field.name), most) for found in obstacles]) for field in fields(Obstacles)
        )
        vehicle = np.stack([scene.vehicle.numpy() for scene in scenes])
        half_width = vehicle[:, Vehicle.HALF_WIDTH, None, None, None]
        offset = np.array(rule.lateral_offsets_m)[None, :, None, None]
        inside = (right[:, None] <= offset + half_width) & (left[:, None] >= offset - half_width)
        return _Ways(
            rear=np.where(inside, rear[:, None], np.inf),
            center=center,
            speed=speed,
            start=np.array([path.ego_station for path in paths]),
            end=np.array([path.stations[-1] for path in paths]),
            ego_speed=np.array([ego_speed(scene) for scene in scenes]),
            limit=np.array(limits),
            front=vehicle[:, Vehicle.HALF_LENGTH] + vehicle[:, Vehicle.REAR_AXLE_TO_CENTER],
        )


def _pad(values: Float64[np.ndarray, "J U"], count: int) -> Float64[np.ndarray, "count U"]:
    """Rows; the added ones lie infinitely far to the left, where they hinder nobody."""
    return np.concatenate((values, np.full((count - len(values), values.shape[1]), np.inf)))


def roll_out(ways: _Ways, rule: DriverRule) -> Float64[np.ndarray, "B O F S"]:
    """Stations of the rear axle along the path, one step of 0.1 s after the other."""
    fractions = np.array(rule.speed_fractions)
    shape = (len(ways.start), len(rule.lateral_offsets_m), len(fractions))
    station = np.broadcast_to(ways.start[:, None, None], shape).copy()
    speed = np.broadcast_to(ways.ego_speed[:, None, None], shape).copy()
    wanted = ways.limit[:, None, None] * fractions
    stations = [station]
    for step in range(1, NUM_STATES):
        gap, lead_speed = _lead(ways, station, min(step // rule.lead_stride, ways.rear.shape[-1] - 1))
        accel = idm_acceleration(speed, wanted, gap, lead_speed, rule)
        station = np.minimum(station + speed * STEP_S, ways.end[:, None, None])
        speed = np.maximum(speed + accel * STEP_S, 0.0)
        stations.append(station)
    return np.stack(stations, axis=-1)


def _lead(
    ways: _Ways, station: Float64[np.ndarray, "B O F"], moment: int
) -> tuple[Float64[np.ndarray, "B O F"], Float64[np.ndarray, "B O F"]]:
    """Gap [m] from the front bumper to the nearest obstacle whose middle is ahead, and its speed [m/s], [B, O, F].

    With nobody ahead, the end of the path takes the obstacle's place.
    """
    to_end = (ways.end - ways.front)[:, None, None] - station
    if not ways.rear.shape[2]:
        return to_end, np.zeros_like(station)
    ahead = ways.center[:, None, None, :, moment] > station[..., None]  # [B, O, F, J]
    rear = np.where(ahead, ways.rear[:, :, None, :, moment], np.inf)
    nearest = rear.argmin(-1)
    gap = np.take_along_axis(rear, nearest[..., None], -1)[..., 0] - ways.front[:, None, None] - station
    speed = ways.speed[np.arange(len(station))[:, None, None], nearest, moment]
    is_free = ~np.isfinite(gap)
    return np.where(is_free, to_end, gap), np.where(is_free, 0.0, speed)


def idm_acceleration(
    speed: Float64[np.ndarray, "*#batch"],
    wanted: Float64[np.ndarray, "*#batch"],
    gap_m: Float64[np.ndarray, "*#batch"],
    lead_speed: Float64[np.ndarray, "*#batch"],
    rule: DriverRule,
) -> Float64[np.ndarray, "..."]:
    """Acceleration [m/s^2] of the intelligent driver model (Treiber et al. 2000), within the rule's bounds."""
    braking = 2.0 * np.sqrt(rule.max_accel_mps2 * rule.max_decel_mps2)
    keep = rule.min_gap_m + speed * rule.headway_s + speed * (speed - lead_speed) / braking
    ratio = keep / np.maximum(gap_m, rule.min_gap_m)
    accel = rule.max_accel_mps2 * (1.0 - (speed / wanted) ** rule.speed_exponent - ratio**2)
    return np.clip(accel, -rule.max_decel_mps2, rule.max_accel_mps2)
