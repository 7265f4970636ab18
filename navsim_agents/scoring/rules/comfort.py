"""Comfort (0/1): filtered accelerations, jerks and yaw rates within nuPlan's bounds at every state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import NUM_STATES, STEP_S, MetricConfig
from navsim_agents.scoring.rules.savitzky_golay import savitzky_golay
from navsim_agents.scoring.scene_batch import SceneBatch

DECIMALS = 8  # the devkit rounds every filtered quantity
ACCELERATION_WINDOW = 8
JERK_WINDOW = 15
YAW_WINDOW = 5
WHOLE = NUM_STATES  # v1.1 spans all states


@dataclass(frozen=True)
class Filter:
    """A Savitzky-Golay filter before it meets a number of samples."""

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


def center_acceleration(states: Float[Tensor, "B N n 11"], vehicle: Float[Tensor, "B 4"]) -> Float[Tensor, "B N n"]:
    """Acceleration [m/s^2] ahead of the vehicle's centre, with the devkit's signs.

    There both terms of the rigid body, of squared yaw rate and of yaw acceleration, point along the lever; the one
    to the left is the rear axle's.
    """
    lever = vehicle[:, None, None, Vehicle.REAR_AXLE_TO_CENTER]
    turning = states[..., State.ANGULAR_VELOCITY].square() + states[..., State.ANGULAR_ACCELERATION]
    return states[..., State.ACCELERATION_X] + lever * turning


def unwrap_headings(headings: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """The same headings without jumps of a turn (rad)."""
    turns = torch.round(torch.diff(headings) / (2.0 * math.pi)).cumsum(-1)
    return headings - 2.0 * math.pi * torch.nn.functional.pad(turns, (1, 0))


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
