"""Extended comfort (0/1, v2.2): two consecutive frames' simulated plans agree where they overlap in time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.config import EPDMS, STEP_S, ExtendedComfortBounds
from navsim_agents.scoring.rules.comfort import ACCELERATION, JERK, YAW_RATE, YAW_WINDOW, Filter, unwrap_headings

MAX_INTERVAL_S = 0.55  # the devkit compares no frames that are further apart
YAW_ACCELERATION = Filter(YAW_WINDOW, order=2, derivative=2)


class PlanDifference(NamedTuple):
    """Root mean squares of the differences between two plans."""

    acceleration: Float[Tensor, " n"]  # m/s^2
    jerk: Float[Tensor, " n"]  # m/s^3
    yaw_rate: Float[Tensor, " n"]  # rad/s
    yaw_acceleration: Float[Tensor, " n"]  # rad/s^2


def plan_difference(
    now: Float[Tensor, "n S 11"], previous: Float[Tensor, "n S 11"], interval_s: float
) -> PlanDifference:
    """Differences of simulated states, ``previous`` having started ``interval_s`` earlier.

    Raises:
        TrajectoryError: the frames are not between 0 and 0.55 s apart.
    """
    if not 0.0 < interval_s < MAX_INTERVAL_S:
        raise TrajectoryError(
            f"the frames are {interval_s} s apart, but extended comfort compares frames that follow each other within "
            f"{MAX_INTERVAL_S} s; leave it out for this pair"
        )
    skipped = round(interval_s / STEP_S)
    ours, theirs = _features(now[:, : now.shape[1] - skipped]), _features(previous[:, skipped:])
    return PlanDifference(*((a - b).square().mean(-1).sqrt() for a, b in zip(ours, theirs)))


def extended_comfort(
    now: Float[Tensor, "n S 11"],
    previous: Float[Tensor, "n S 11"],
    interval_s: float,
    bounds: ExtendedComfortBounds = EPDMS.extended_comfort,
) -> Bool[Tensor, " n"]:
    """Whether all four differences are within bounds (equal is within)."""
    difference = plan_difference(now, previous, interval_s)
    return (
        (difference.acceleration <= bounds.acceleration)
        & (difference.jerk <= bounds.jerk)
        & (difference.yaw_rate <= bounds.yaw_rate)
        & (difference.yaw_acceleration <= bounds.yaw_acceleration)
    )


def _features(states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Filtered acceleration, jerk, yaw rate and yaw acceleration, [n, s] each."""
    lengths = (states.shape[1],)
    magnitude = torch.hypot(states[..., State.ACCELERATION_X], states[..., State.ACCELERATION_Y])[None]
    headings = unwrap_headings(states[..., State.HEADING])[None]
    acceleration = ACCELERATION(magnitude, lengths)
    jerk = JERK(acceleration, lengths)
    return acceleration[0], jerk[0], YAW_RATE(headings, lengths)[0], YAW_ACCELERATION(headings, lengths)[0]
