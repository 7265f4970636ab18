"""Tracks reference poses with the LQR tracker and the kinematic bicycle, all trajectories at once."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import STEP_S, TrackerConfig
from navsim_agents.scoring.simulation.lateral import curvature_moments, steering_rate
from navsim_agents.scoring.simulation.profiles import fit_curvatures, fit_velocities


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
    x, y, heading, speed, _, lagged, _, steering, _, yaw_rate, _ = state
    lagged = lagged + STEP_S / (STEP_S + config.acceleration_lag_s) * (acceleration - lagged)
    rate = rate * (STEP_S / (STEP_S + config.steering_lag_s))
    x = x + speed * torch.cos(heading) * STEP_S
    y = y + speed * torch.sin(heading) * STEP_S
    heading = wrap(heading + speed * tan_steering / wheel_base * STEP_S)
    speed = speed + lagged * STEP_S
    steering = (steering + rate * STEP_S).clamp(-config.max_steering_rad, config.max_steering_rad)
    tan_steering = _tan(steering)
    new_yaw_rate = speed * tan_steering / wheel_base
    zero = torch.zeros_like(x)
    yaw_acceleration = (new_yaw_rate - yaw_rate) / STEP_S
    return (
        [x, y, heading, speed, zero, lagged, zero, steering, rate, new_yaw_rate, yaw_acceleration],
        tan_steering,
    )
