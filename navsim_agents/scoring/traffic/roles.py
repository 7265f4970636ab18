"""What a vehicle of t0 does in reactive traffic, and the figures that it drives by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from navsim_agents.common.conventions import NUM_STATES, STEP_S

T0 = 0  # step of the log's frame
VEHICLE_TYPE = "vehicle"
"""nuPlan's name of what reacts; tracks of all other types are replayed."""


class Role(IntEnum):
    """Values of a scene's ``traffic_role``."""

    ABSENT = 0  # is seen at t0 alone
    REACTS = 1  # drives along its path from the first step on
    STANDS = 2  # stands at its place of t0 whenever it touches nobody there


@dataclass(frozen=True)
class TrafficConfig:
    """Figures of the devkit's ``navsim_IDM_traffic_agents.yaml``, and of nuPlan's IDM."""

    wanted_speed_mps: float = 10.0  # where no segment has had a limit yet
    min_gap_m: float = 1.0
    headway_s: float = 1.5
    acceleration_mps2: float = 1.0
    braking_mps2: float = 2.0
    exponent: int = 4
    min_path_m: float = 20.0  # paths are extended with traffic lights alone, which the metric cache does not hold
    radius_m: float = 100.0
    snap_m: float = 3.0
    parked_speed_mps: float = 0.1
    simplify_m: float = 1e-5
    step_s: float = STEP_S
    num_states: int = NUM_STATES


TRAFFIC = TrafficConfig()
