"""Tracks reference poses with the LQR tracker and the kinematic bicycle, all trajectories at once.

The tracker's lateral look-ahead has a closed form. Over the horizon the speed is v_k = v + k c (c = acceleration * dt)
and the dynamics e' = e + v_k dt psi, psi' = psi + v_k dt (delta / L - kappa_k), delta' = delta + dt u are triangular.
So the matrices that the devkit multiplies out step by step are polynomials in v and c, and the curvature enters
through four moments.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from navsim_agents.common.conventions import STEP_S
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import TrackerConfig
from navsim_agents.scoring.simulation.reference import fit_curvatures, fit_velocities

NUM_MOMENTS = 4


def wrap(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi) (rad)."""
    return torch.remainder(angle + math.pi, 2.0 * math.pi) - math.pi


def simulate(
    reference: Float[Tensor, "B N S 3"],
    initial_state: Float[Tensor, "B 11"],
    vehicle: Float[Tensor, "B 4"],
    config: TrackerConfig,
) -> Float[Tensor, "B N S 11"]:
    """States 0.1 s apart from ``initial_state``, in its frame.

    The result is a view whose memory runs component by component, which is how the rules read it.
    """
    num_steps = reference.shape[2]
    x_ref, y_ref, heading_ref = reference.unbind(-1)
    cos_ref, sin_ref = torch.cos(heading_ref), torch.sin(heading_ref)
    advance = torch.diff(x_ref) * cos_ref[..., :-1] + torch.diff(y_ref) * sin_ref[..., :-1]
    velocities = fit_velocities(advance, STEP_S, config)
    curvatures = fit_curvatures(wrap(torch.diff(heading_ref)), velocities, STEP_S, config)
    moments = curvature_moments(curvatures, config).permute(2, 3, 0, 1).contiguous()  # [M, 4, B, N]
    lookahead = torch.arange(num_steps - 1, device=reference.device) + config.horizon_steps
    target = velocities[..., lookahead.clamp(max=num_steps - 2)].permute(2, 0, 1).contiguous()  # [M, B, N]
    frames = torch.stack((x_ref, y_ref, heading_ref, cos_ref, sin_ref)).permute(3, 0, 1, 2).contiguous()

    columns = list(initial_state[:, None].expand(-1, reference.shape[1], -1).unbind(-1))
    states = [columns]
    wheel_base = vehicle[:, None, Vehicle.WHEEL_BASE]
    tan_steering = _tan(columns[State.STEERING_ANGLE])
    for step in range(num_steps - 1):
        acceleration, rate = _command(columns, frames[step], target[step], moments[step], wheel_base, config)
        columns, tan_steering = _propagate(columns, acceleration, rate, tan_steering, wheel_base, config)
        states.append(columns)
    return torch.stack([torch.stack(column, dim=-1) for column in zip(*states)]).permute(1, 2, 3, 0)


def _tan(angle: Tensor) -> Tensor:
    """Tangent by the vectorised sine and cosine, which are many times faster on a CPU than torch.tan."""
    return torch.sin(angle) / torch.cos(angle)


def _command(
    state: list[Tensor], frame: Tensor, target: Tensor, moments: Tensor, wheel_base: Tensor, config: TrackerConfig
) -> tuple[Tensor, Tensor]:
    """Commanded acceleration [m/s^2] and steering rate [rad/s]; all [B, N]."""
    speed, steering = state[State.VELOCITY_X], state[State.STEERING_ANGLE]
    x_ref, y_ref, heading_ref, cos_ref, sin_ref = frame.unbind(0)
    lateral_error = (state[State.Y] - y_ref) * cos_ref - (state[State.X] - x_ref) * sin_ref
    heading_error = wrap(state[State.HEADING] - heading_ref)

    horizon_s = config.horizon_steps * STEP_S
    gain = horizon_s * config.velocity_weight / (horizon_s**2 * config.velocity_weight + config.acceleration_weight)
    stops = (target <= config.stopping_speed_mps) & (speed <= config.stopping_speed_mps)
    error = target - speed
    acceleration = torch.where(stops, config.stopping_gain_per_s * error, gain * error)
    rate = steering_rate(
        lateral_error,
        heading_error,
        steering,
        speed,
        acceleration * STEP_S,
        moments,
        wheel_base,
        STEP_S,
        config,
    )
    return acceleration, rate.masked_fill(stops, 0.0)


def _propagate(
    state: list[Tensor],
    acceleration: Tensor,
    rate: Tensor,
    tan_steering: Tensor,
    wheel_base: Tensor,
    config: TrackerConfig,
) -> tuple[list[Tensor], Tensor]:
    """The next state's columns, and the tangent of its steering angle; first-order lags, then one Euler step."""
    speed, heading, lagged = state[State.VELOCITY_X], state[State.HEADING], state[State.ACCELERATION_X]
    lagged = lagged + STEP_S / (STEP_S + config.acceleration_lag_s) * (acceleration - lagged)
    rate = rate * (STEP_S / (STEP_S + config.steering_lag_s))
    x = state[State.X] + speed * torch.cos(heading) * STEP_S
    y = state[State.Y] + speed * torch.sin(heading) * STEP_S
    heading = wrap(heading + speed * tan_steering / wheel_base * STEP_S)
    speed = speed + lagged * STEP_S
    steering = (state[State.STEERING_ANGLE] + rate * STEP_S).clamp(-config.max_steering_rad, config.max_steering_rad)
    tan_steering = _tan(steering)
    yaw_rate = speed * tan_steering / wheel_base
    new = [torch.zeros_like(x)] * len(State)
    new[State.X], new[State.Y], new[State.HEADING] = x, y, heading
    new[State.VELOCITY_X], new[State.ACCELERATION_X] = speed, lagged
    new[State.STEERING_ANGLE], new[State.STEERING_RATE] = steering, rate
    new[State.ANGULAR_VELOCITY] = yaw_rate
    new[State.ANGULAR_ACCELERATION] = (yaw_rate - state[State.ANGULAR_VELOCITY]) / STEP_S
    return new, tan_steering


class Polynomials(NamedTuple):
    """Coefficients over the horizon; pairs (a, b) mean a v + b c, triples (a, b, d) mean a v^2 + b v c + d c^2."""

    speed_sum: tuple[float, float]  # sum v_k
    weighted_speed_sum: tuple[float, float]  # sum k v_k
    speed_pairs: tuple[float, float, float]  # sum over k of v_k sum over j < k of v_j
    weighted_speed_pairs: tuple[float, float, float]  # the same with j v_j inside


@lru_cache(maxsize=4)
def horizon_polynomials(horizon: int) -> Polynomials:
    """Coefficients for a horizon of that many steps."""
    k = np.arange(horizon, dtype=np.float64)
    later, earlier = np.nonzero(k[:, None] > k[None, :])
    return Polynomials(
        (float(horizon), float(k.sum())),
        (float(k.sum()), float((k * k).sum())),
        (float(len(later)), float((later + earlier).sum()), float((later * earlier).sum())),
        (float(earlier.sum()), float((later * earlier + earlier**2).sum()), float((later * earlier**2).sum())),
    )


def moment_kernels(horizon: int) -> Float64[np.ndarray, "4 horizon"]:
    """Weights of the curvatures over a horizon in its four moments."""
    j = np.arange(horizon, dtype=np.float64)
    later_sum = np.array([j[j > step].sum() for step in j])
    later_count = horizon - 1 - j
    return np.stack((np.ones(horizon), j, later_sum + j * later_count, j * later_sum))


@lru_cache(maxsize=4)
def _moment_map(num_curvatures: int, horizon: int) -> Float[Tensor, "M SM"]:
    """Matrix from a curvature profile to its four moments over the horizon from each step (last value held)."""
    kernels = moment_kernels(horizon)
    matrix = np.zeros((num_curvatures, num_curvatures, NUM_MOMENTS))
    for step in range(num_curvatures):
        source = np.minimum(step + np.arange(horizon), num_curvatures - 1)
        np.add.at(matrix[:, step], source, kernels.T)
    return torch.from_numpy(matrix.reshape(num_curvatures, -1))


def curvature_moments(curvatures: Float[Tensor, "*batch M"], config: TrackerConfig) -> Float[Tensor, "*batch M 4"]:
    """Sums over the horizon from each step: kappa, j kappa, and the two that multiply v c and c^2 in the offset."""
    matrix = _moment_map(curvatures.shape[-1], config.horizon_steps).to(curvatures)
    return (curvatures @ matrix).unflatten(-1, (curvatures.shape[-1], NUM_MOMENTS))


def steering_rate(
    lateral_error: Tensor,
    heading_error: Tensor,
    steering: Tensor,
    speed: Tensor,
    speed_step: Tensor,
    moments: Tensor,
    wheel_base: Tensor,
    step_s: float,
    config: TrackerConfig,
) -> Tensor:
    """Steering rate [rad/s] that the one-shot LQR commands; arguments broadcast (m, rad, m/s); ``moments`` [4, ...]."""
    horizon = horizon_polynomials(config.horizon_steps)
    speed_sq, cross, step_sq = speed * speed, speed * speed_step, speed_step * speed_step

    def linear(pair: tuple[float, float]) -> Tensor:
        return pair[0] * speed + pair[1] * speed_step

    def quadratic(triple: tuple[float, float, float]) -> Tensor:
        return triple[0] * speed_sq + triple[1] * cross + triple[2] * step_sq

    kappa, kappa_j, kappa_cross, kappa_sq = moments.unbind(0)
    last = config.horizon_steps - 1
    distance = linear(horizon.speed_sum) * step_s
    heading_gain = linear(horizon.weighted_speed_sum) * (step_s**2 / wheel_base)
    lateral_gain = quadratic(horizon.weighted_speed_pairs) * (step_s**3 / wheel_base)
    turned = speed * kappa + speed_step * kappa_j
    drifted = speed_sq * (last * kappa - kappa_j) + cross * kappa_cross + step_sq * kappa_sq
    lateral = (
        lateral_error
        + distance * heading_error
        + quadratic(horizon.speed_pairs) * (step_s**2 / wheel_base) * steering
        - step_s**2 * drifted
    )
    heading = heading_error + distance / wheel_base * steering - step_s * turned
    heading = torch.atan2(torch.sin(heading), torch.cos(heading))
    lateral_pull = config.lateral_error_weight * lateral_gain
    heading_pull = config.heading_error_weight * heading_gain
    cost = lateral_pull * lateral_gain + heading_pull * heading_gain + config.steering_rate_weight
    return -(lateral_pull * lateral + heading_pull * heading) / cost
