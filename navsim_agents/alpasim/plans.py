"""A planner's poses as the contract wants them: every 0.1 s from now on, in the local frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.alpasim.faults import INTERNAL, INVALID_ARGUMENT, DriverFault
from navsim_agents.alpasim.rigid import RigidPose
from navsim_agents.common.conventions import POSE_INTERVAL_S, STEP_US
from navsim_agents.common.poses import HEADING, XY

MICROSECONDS = 1_000_000  # in a second


@dataclass(frozen=True)
class LocalPlan:
    """Poses in the client's local frame by time; the first is the ego's own now."""

    stamps_us: list[int]
    poses: list[RigidPose]
    ages_s: dict[str, float] = field(default_factory=dict)  # of what it was made from, by then


def knots_of(trajectory: Any) -> tuple[Float64[np.ndarray, "knots 3"], Float64[np.ndarray, " knots"]]:
    """Poses of an agent's trajectory in the rig frame of its now, which comes first, and their times [us] since then.

    Raises:
        DriverFault: there is none, or a number is not finite.
    """
    poses = np.asarray(trajectory.poses, dtype=np.float64)
    if poses.ndim != 2 or poses.shape[1] != HEADING + 1 or not len(poses) or not np.isfinite(poses).all():
        raise DriverFault(
            INTERNAL, f"the agent planned {poses.tolist()}, but a plan is finite poses [T, 3]; look at its weights"
        )
    sampling = getattr(trajectory, "trajectory_sampling", trajectory)
    interval_s = float(getattr(sampling, "interval_length", POSE_INTERVAL_S))
    times_us = interval_s * MICROSECONDS * np.arange(len(poses) + 1)
    return np.concatenate((np.zeros((1, poses.shape[1])), poses)), times_us


def hang(trajectory: Any, planned_us: int, planned_at: RigidPose, now_us: int, now_at: RigidPose) -> LocalPlan:
    """``trajectory``, made for ``planned_us`` at the pose ``planned_at``, from ``now_us`` on.

    Between the planner's poses the ego moves straight and turns evenly, as NAVSIM's scorer has it. In the time since
    ``planned_us`` the plan is followed, not shifted: it stays where the pictures showed that there is room.
    """
    knots, times_us = knots_of(trajectory)
    headings = np.unwrap(knots[:, HEADING])
    end_us = planned_us + round(times_us[-1])
    stamps = list(range(now_us + STEP_US, end_us + 1, STEP_US))
    since = np.array(stamps, dtype=np.float64) - planned_us
    columns = [np.interp(since, times_us, values) for values in (*knots[:, XY].T, headings)]
    later = [planned_at.moved(pose) for pose in np.stack(columns, axis=1)]
    return LocalPlan([now_us, *stamps], [now_at, *later])


def refuse_beyond(plan: LocalPlan, query_us: int) -> None:
    """Raises DriverFault where the plan does not reach past ``query_us``."""
    if plan.stamps_us[-1] <= query_us:
        raise DriverFault(
            INVALID_ARGUMENT,
            f"time_query_us is {query_us}, but the plan of this moment ends at {plan.stamps_us[-1]}; ask for a time "
            f"less than {(plan.stamps_us[-1] - plan.stamps_us[0]) / MICROSECONDS:g} s ahead",
        )
