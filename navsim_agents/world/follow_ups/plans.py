"""Plans that follow-ups start from: the human's, slower, faster, braking, part of a lane's width to either side.

A whole width to the left is most often the oncoming lane, where NAVSIM would repair the route by a detour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.conventions import HORIZON_S, NUM_POSES, POSE_INTERVAL_S
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import WorldDataError
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import arc_lengths, interpolate_curve, offset_curve
from navsim_agents.world.roads import LANE_WIDTH_M
from navsim_agents.world.types import EgoStates
from navsim_agents.world.writers.logs import STEPS_PER_FRAME

SLOWER, FASTER, ASIDE, BRAKING_MPS2 = (0.5, 0.8), (1.15, 1.4), (0.4, 0.75), (2.0, 3.5)  # ranges to draw from
LEAST_WAY_ASIDE_M = 12.0  # a shorter plan cannot change lanes
SAME_PLACE_M = 0.5  # plans that end closer together make one follow-up
LEAST_STEP_M = 0.02  # between points of the path; the expert's standing adds none


class PlanLeftOut(WorldDataError):
    """A plan has no follow-up; the message says why."""


@dataclass(frozen=True)
class Plan:
    """How the ego goes along the expert's path."""

    name: str
    share: float = 1.0  # of the expert's advance
    aside_m: float = 0.0  # to the left at the end
    braking_mps2: float = 0.0  # from now on, instead of the expert's advance; 0: no braking


def draw_plans(rng: np.random.Generator) -> list[Plan]:
    """One plan of each kind; what the human drove comes first."""
    slower, faster, left, right, braking = (
        float(rng.uniform(*bounds)) for bounds in (SLOWER, FASTER, ASIDE, ASIDE, BRAKING_MPS2)
    )
    return [
        Plan("human"),
        Plan("slower", share=slower),
        Plan("faster", share=faster),
        Plan("left", aside_m=left * LANE_WIDTH_M),
        Plan("right", aside_m=-right * LANE_WIDTH_M),
        Plan("braking", braking_mps2=braking),
    ]


def plan_poses(ego: EgoStates, now: int, plan: Plan) -> Float64[np.ndarray, "P 3"]:
    """Rear-axle poses on the map, 0.5 s apart, the first one 0.5 s after step ``now``.

    Raises:
        PlanLeftOut: the expert's path is too short for it.
    """
    path = _path(ego.poses[now:])
    stations = _stations(ego, now, plan)
    length = float(arc_lengths(path)[-1])
    if stations[-1] > length:
        raise PlanLeftOut(f"it needs {stations[-1]:.1f} m of the expert's path, which has {length:.1f} m to its end")
    if plan.aside_m and stations[-1] < LEAST_WAY_ASIDE_M:
        raise PlanLeftOut(f"it advances {stations[-1]:.1f} m, too little to move {abs(plan.aside_m):.1f} m aside")
    curve = interpolate_curve(path, stations)
    done = np.arange(1, NUM_POSES + 1) / NUM_POSES
    aside = plan.aside_m * done**2 * (3.0 - 2.0 * done)
    drift_mps = plan.aside_m * 6.0 * done * (1.0 - done) / HORIZON_S
    speed_mps = np.gradient(np.concatenate(([0.0], stations)), POSE_INTERVAL_S)[1:]
    heading = curve[:, HEADING] + np.arctan2(drift_mps, np.maximum(speed_mps, 1.0))
    return np.column_stack((offset_curve(curve, aside), wrap_angle(heading)))


def _path(poses: Float64[np.ndarray, "S 3"]) -> Float64[np.ndarray, "M 3"]:
    """Where the expert will have been, without standing still; two points at least."""
    kept = [0]
    for row in range(1, len(poses)):
        if np.hypot(*(poses[row, XY] - poses[kept[-1], XY])) >= LEAST_STEP_M:
            kept.append(row)
    return poses[kept] if len(kept) > 1 else poses[[0, 0]]


def _stations(ego: EgoStates, now: int, plan: Plan) -> Float64[np.ndarray, " P"]:
    """Metres along the path of each planned pose."""
    if plan.braking_mps2:
        speed = float(ego.velocities[now, 0])
        times = np.minimum(POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1), speed / plan.braking_mps2)
        return speed * times - plan.braking_mps2 * times**2 / 2.0
    travelled = arc_lengths(ego.poses[now:])
    return plan.share * travelled[STEPS_PER_FRAME : NUM_POSES * STEPS_PER_FRAME + 1 : STEPS_PER_FRAME]
