"""How a vehicle drives behind another: the intelligent driver model, one Euler step at a time."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from navsim_agents.scoring.traffic.roles import TrafficConfig


class Ahead(NamedTuple):
    """What a vehicle follows."""

    gap: float  # m
    speed: float  # m/s along the follower's heading; negative where it comes towards it


def acceleration(speed: float, wanted_speed: float, ahead: Ahead, config: TrafficConfig) -> float:
    """m/s^2, between full braking and full acceleration.

    The wanted gap may be negative: behind something much faster, its square brakes all the same.
    """
    closing = speed * (speed - ahead.speed) / (2.0 * sqrt(config.acceleration_mps2 * config.braking_mps2))
    wanted_gap = config.min_gap_m + speed * config.headway_s + closing
    gap = max(ahead.gap, config.min_gap_m)
    free = 1.0 - (speed / wanted_speed) ** config.exponent
    wanted = config.acceleration_mps2 * (free - (wanted_gap / gap) ** 2)
    return min(max(-config.braking_mps2, wanted), config.acceleration_mps2)


def advance(
    progress: float, speed: float, wanted_speed: float, ahead: Ahead, config: TrafficConfig
) -> tuple[float, float]:
    """Progress [m] and speed [m/s] one step later: the way is driven at the old speed, and nobody reverses."""
    later = speed + config.step_s * acceleration(speed, wanted_speed, ahead, config)
    return progress + config.step_s * speed, max(later, 0.0)
