"""Comfort (0/1), of one plan and between two.

Comfort: filtered accelerations, jerks and yaw rates within nuPlan's bounds at every state. Extended comfort (v2.2): two
consecutive frames' simulated plans agree where they overlap in time. The filters are Savitzky-Golay's as matrices, ends
fitted by one polynomial (``scipy.signal.savgol_filter``, mode interp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.common.conventions import NUM_STATES, STEP_S
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import EPDMS, ExtendedComfortBounds, MetricConfig
from navsim_agents.scoring.scene_batch import SceneBatch

DECIMALS = 8  # the devkit rounds every filtered quantity
ACCELERATION_WINDOW = 8
JERK_WINDOW = 15
YAW_WINDOW = 5
WHOLE = NUM_STATES  # v1.1 spans all states
MAX_INTERVAL_S = 0.55  # the devkit compares no frames that are further apart


@dataclass(frozen=True)
class Filter:
    """A Savitzky-Golay filter for any number of samples."""

    window: int
    order: int = 2
    derivative: int = 0

    def __call__(self, signal: Float[Tensor, "B N n"], lengths: tuple[int, ...]) -> Float[Tensor, "B N n"]:
        """Filtered last ``lengths[b]`` samples of each scene, rounded; zero before them."""
        total = signal.shape[-1]
        per_length = {
            length: torch.nn.functional.pad(
                savitzky_golay(length, self.window, self.order, self.derivative, STEP_S),
                (total - length, 0, total - length, 0),
            )
            for length in set(lengths)
        }
        if len(per_length) == 1:
            matrix = per_length[lengths[0]]
        else:
            matrix = torch.stack([per_length[length] for length in lengths])
        return torch.round(signal @ matrix.mT.to(signal), decimals=DECIMALS)


ACCELERATION = Filter(ACCELERATION_WINDOW)
JERK = Filter(JERK_WINDOW, derivative=1)
YAW_RATE = Filter(YAW_WINDOW, derivative=1)
YAW_ACCELERATION = Filter(YAW_WINDOW, order=3, derivative=2)
PLAN_YAW_ACCELERATION = Filter(YAW_WINDOW, order=2, derivative=2)  # of two plans that are compared


def comfort(states: Float[Tensor, "B N S 11"], batch: SceneBatch, metric: MetricConfig) -> Bool[Tensor, "B N"]:
    """Comfort of v1.1, or history comfort of v2.2 (always met where a scene has no history)."""
    if not metric.uses_history:
        lengths = (states.shape[2],) * len(states)
        ahead = states[..., State.ACCELERATION_X]
        return _is_comfortable(states, ahead, lengths, Filter(WHOLE), Filter(WHOLE, derivative=1), metric)
    history = batch.history_states[:, None].expand(-1, states.shape[1], -1, -1)
    columns = [
        torch.cat((past, now), dim=-1) for past, now in zip(history.unbind(-1), states.unbind(-1))
    ]  # keeps the memory of each column in one piece
    whole = torch.stack(columns).permute(1, 2, 3, 0)
    lengths = tuple(length + states.shape[2] for length in batch.history_length)
    ahead = center_acceleration(whole, batch.vehicle)
    is_met = _is_comfortable(whole, ahead, lengths, ACCELERATION, JERK, metric)
    has_history = torch.tensor([length > 0 for length in batch.history_length], device=is_met.device)
    return is_met | ~has_history[:, None]


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


def _is_comfortable(
    states: Tensor,
    ahead: Tensor,
    lengths: tuple[int, ...],
    acceleration: Filter,
    jerk: Filter,
    metric: MetricConfig,
) -> Tensor:
    """All six bounds; jerks are taken of accelerations filtered with the short window in both versions."""
    bounds = metric.comfort
    magnitude = torch.hypot(states[..., State.ACCELERATION_X], states[..., State.ACCELERATION_Y])
    headings = unwrap_headings(states[..., State.HEADING])
    lon, lat = acceleration(ahead, lengths), acceleration(states[..., State.ACCELERATION_Y], lengths)
    return (
        ((lon > bounds.min_longitudinal_acceleration) & (lon < bounds.max_longitudinal_acceleration)).all(-1)
        & _within(lat, bounds.max_lateral_acceleration)
        & _within(jerk(ACCELERATION(magnitude, lengths), lengths), bounds.max_jerk)
        & _within(jerk(ACCELERATION(ahead, lengths), lengths), bounds.max_longitudinal_jerk)
        & _within(YAW_ACCELERATION(headings, lengths), bounds.max_yaw_acceleration)
        & _within(YAW_RATE(headings, lengths), bounds.max_yaw_rate)
    )


def _within(values: Tensor, limit: float) -> Tensor:
    return (values.abs() < limit).all(-1)


def _features(states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Filtered acceleration, jerk, yaw rate and yaw acceleration, [n, s] each."""
    lengths = (states.shape[1],)
    magnitude = torch.hypot(states[..., State.ACCELERATION_X], states[..., State.ACCELERATION_Y])[None]
    headings = unwrap_headings(states[..., State.HEADING])[None]
    acceleration = ACCELERATION(magnitude, lengths)
    jerk = JERK(acceleration, lengths)
    return acceleration[0], jerk[0], YAW_RATE(headings, lengths)[0], PLAN_YAW_ACCELERATION(headings, lengths)[0]


def center_acceleration(states: Float[Tensor, "B N n 11"], vehicle: Float[Tensor, "B 4"]) -> Float[Tensor, "B N n"]:
    """Acceleration [m/s^2] ahead of the vehicle's centre, with the devkit's signs.

    There both terms of the rigid body, of squared yaw rate and of yaw acceleration, point along the lever; the one
    to the left is the rear axle's.
    """
    lever = vehicle[:, None, None, Vehicle.REAR_AXLE_TO_CENTER]
    turning = states[..., State.ANGULAR_VELOCITY].square() + states[..., State.ANGULAR_ACCELERATION]
    return states[..., State.ACCELERATION_X] + lever * turning


def unwrap_headings(headings: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """The same headings without jumps of a full turn (rad)."""
    turns = torch.round(torch.diff(headings) / (2.0 * math.pi)).cumsum(-1)
    return headings - 2.0 * math.pi * torch.nn.functional.pad(turns, (1, 0))


@lru_cache(maxsize=64)
def savitzky_golay(length: int, window: int, order: int, derivative: int, step_s: float) -> Float[Tensor, "n n"]:
    """Matrix that filters ``length`` samples ``step_s`` apart; the window is cut to the length.

    The window may be even: then it reaches one sample further ahead than behind and its polynomial is read half a
    sample late, as scipy does.
    """
    window = min(window, length)
    half = window // 2
    matrix = np.zeros((length, length))
    middle = _fit(window, order, derivative, step_s, (window - 1) / 2.0)
    behind = (window - 1) // 2
    for row in range(half, length - half):
        matrix[row, row - behind : row - behind + window] = middle
    for row in range(half):
        matrix[row, :window] = _fit(window, order, derivative, step_s, float(row))
        matrix[length - 1 - row, length - window :] = _fit(window, order, derivative, step_s, float(window - 1 - row))
    return torch.from_numpy(matrix)


def _fit(window: int, order: int, derivative: int, step_s: float, position: float) -> np.ndarray:
    """Weights of the samples in the derivative, at ``position``, of the polynomial fitted to a window."""
    powers = np.vander(np.arange(window) - position, order + 1, increasing=True)
    return np.linalg.pinv(powers)[derivative] * factorial(derivative) / step_s**derivative
