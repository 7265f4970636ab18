"""Every number of the reference driver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DriverRule:
    """Settings of NAVSIM's PDM-Closed (``metric_cache_processor.py``), so that both drivers have the same aims."""

    lateral_offsets_m: tuple[float, ...] = (0.0, -1.0, 1.0)  # of the path from the centreline, to the left
    speed_fractions: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4, 0.2)  # of the speed limit; among equals the first wins
    min_gap_m: float = 1.0
    headway_s: float = 1.5
    max_accel_mps2: float = 1.5
    max_decel_mps2: float = 3.0
    speed_exponent: float = 10.0  # of the intelligent driver model
    lead_stride: int = 2  # steps of 0.1 s for which a forecast of the others holds
    look_behind_m: float = 6.0  # path kept behind the rear axle
    look_ahead_m: float = 25.0  # path kept beyond what can be driven
    max_gap_to_path_m: float = 8.0  # what stays farther away cannot be in the corridor
    red_slack_m: float = 1.0  # a red connector counts unless the bumper is farther than this behind its start


RULE = DriverRule()
