"""What is tracked: planned poses where the tracker wants them, and the velocity and curvature of such a reference.

Velocity and curvature are the regularised least squares of nuPlan's LQR tracker. The normal matrix of the velocity fit
does not depend on the poses (cos^2 + sin^2 = 1), so the fit is one constant matrix. In terms of the curvatures
themselves the normal matrix of the curvature fit is tridiagonal, so it is solved by one sweep forward and one back.
Neither needs a matrix inverse per trajectory.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.common.conventions import HORIZON_S, NUM_STATES, STEP_S
from navsim_agents.scoring.config import TrackerConfig


def knot_times_us(num_poses: int, interval_s: float, timestamp_us: int) -> Int[Tensor, " P1"]:
    """Microseconds after ``timestamp_us`` of the current pose and ``num_poses`` planned ones, as the devkit has them.

    It adds float64 seconds since the epoch and truncates, so a knot can be a microsecond early.
    """
    seconds = np.arange(0.0, num_poses * interval_s, interval_s)[:num_poses] + interval_s + timestamp_us * 1e-6
    knots = [0] + [int(second * 1e6) - timestamp_us for second in seconds]
    return torch.tensor(knots, dtype=torch.int64)


def exact_times_us(count: int, interval_s: float) -> Int[Tensor, " count"]:
    """``count`` microseconds 0, ``interval_s``, ... without the devkit's truncation."""
    return torch.round(torch.arange(count, dtype=torch.float64) * interval_s * 1e6).to(torch.int64)


def sample_times_us(timestamp_us: int) -> Int[Tensor, " S"]:
    """Microseconds after ``timestamp_us`` of the 41 samples, truncated as the devkit's."""
    seconds = np.arange(0.0, HORIZON_S + STEP_S, STEP_S)[:NUM_STATES] + timestamp_us * 1e-6
    return torch.tensor([int(second * 1e6) - timestamp_us for second in seconds], dtype=torch.int64)


def reference_poses(
    trajectories: Float[Tensor, "B N P 3"],
    start: Float[Tensor, "B 3"],
    origin: Float[Tensor, "B 3"],
    knots_us: Int[Tensor, "B P1"],
    samples_us: Int[Tensor, "B S"],
) -> Float[Tensor, "B N S 3"]:
    """Poses at the samples: linear in x, y and the unwrapped heading, from ``start`` through the planned poses.

    Positions pass through the map frame (``origin`` is the ego's pose there), whose float64 resolution is a
    nanometre: the tracker amplifies that rounding for plans that hardly move, so parity needs it. Float64 only.
    """
    first = start[:, None, None].expand(-1, trajectories.shape[1], 1, -1)
    knots = _to_global(torch.cat((first, trajectories), dim=2), origin)
    x, y, heading = knots.unbind(-1)
    knots = torch.stack((x, y, _unwrap(heading)), dim=-1)
    return _to_local(_interpolate(knots, knots_us, samples_us), origin)


def _to_global(poses: Float[Tensor, "B N P 3"], origin: Float[Tensor, "B 3"]) -> Float[Tensor, "B N P 3"]:
    """Ego-frame ``poses`` in the map frame, in the devkit's order of operations."""
    x0, y0, heading0 = (column[:, None, None] for column in origin.unbind(-1))
    cos0, sin0 = torch.cos(heading0), torch.sin(heading0)
    x, y, heading = poses.unbind(-1)
    cos, sin = torch.cos(heading), torch.sin(heading)
    turned = torch.atan2(sin0 * cos + cos0 * sin, cos0 * cos - sin0 * sin)
    return torch.stack((cos0 * x - sin0 * y + x0, sin0 * x + cos0 * y + y0, turned), dim=-1)


def _to_local(poses: Float[Tensor, "B N S 3"], origin: Float[Tensor, "B 3"]) -> Float[Tensor, "B N S 3"]:
    """Map-frame ``poses`` in the frame of ``origin``; headings are not wrapped."""
    x0, y0, heading0 = (column[:, None, None] for column in origin.unbind(-1))
    cos0, sin0 = torch.cos(heading0), torch.sin(heading0)
    x, y, heading = poses.unbind(-1)
    x, y = x - x0, y - y0
    return torch.stack((cos0 * x + sin0 * y, cos0 * y - sin0 * x, heading - heading0), dim=-1)


def _unwrap(angles: Float[Tensor, "*batch P"]) -> Float[Tensor, "*batch P"]:
    """The same angles with every step to the next one in [-pi, pi] (rad)."""
    turns = torch.round(torch.diff(angles, dim=-1) / (2.0 * math.pi)).cumsum(-1)
    return torch.cat((angles[..., :1], angles[..., 1:] - 2.0 * math.pi * turns), dim=-1)


def _interpolate(
    values: Float[Tensor, "B N P1 3"], knots_us: Int[Tensor, "B P1"], samples_us: Int[Tensor, "B S"]
) -> Float[Tensor, "B N S 3"]:
    """``values`` at the samples, linear between the knots and held outside them."""
    samples = torch.minimum(torch.maximum(samples_us, knots_us[:, :1]), knots_us[:, -1:]).contiguous()
    right = torch.searchsorted(knots_us.contiguous(), samples).clamp(1, knots_us.shape[-1] - 1)
    elapsed = (samples - knots_us.gather(-1, right - 1)).double()
    slopes = torch.diff(values, dim=2) / torch.diff(knots_us)[:, None, :, None].double()
    left = (right - 1)[:, None, :, None].expand(-1, values.shape[1], -1, 3)
    return slopes.gather(2, left) * elapsed[:, None, :, None] + values.gather(2, left)


@lru_cache(maxsize=8)
def velocity_map(num_displacements: int, step_s: float, jerk_penalty: float) -> Float[Tensor, "M M"]:
    """Matrix from displacements along the heading [m] to the fitted velocities [m/s]."""
    integrate = np.tril(np.full((num_displacements, num_displacements), step_s))
    integrate[:, 0] = 1.0  # velocities from the initial velocity and the accelerations
    displace = integrate * step_s
    # The devkit's difference matrix keeps only the last +1 of its upper band; parity needs the same matrix.
    rows = num_displacements - 2
    penalty = np.zeros((rows, num_displacements))
    penalty[:, 1:-1] = -np.eye(rows)
    penalty[-1, -1] = 1.0
    normal = displace.T @ displace + jerk_penalty * penalty.T @ penalty
    return torch.from_numpy(integrate @ np.linalg.solve(normal, displace.T))


def fit_velocities(
    advances: Float[Tensor, "*batch M"], step_s: float, config: TrackerConfig
) -> Float[Tensor, "*batch M"]:
    """Velocities [m/s] at the start of each step, from displacements along the heading [m]."""
    matrix = velocity_map(advances.shape[-1], step_s, config.jerk_penalty).to(advances)
    return advances @ matrix.T


def fit_curvatures(
    turns: Float[Tensor, "*batch M"], velocities: Float[Tensor, "*batch M"], step_s: float, config: TrackerConfig
) -> Float[Tensor, "*batch M"]:
    """Curvatures [1/m] at the start of each step, from heading changes [rad] and velocities [m/s].

    Minimises sum (v dt k - turn)^2 + w sum (k' - k)^2 + e k_0^2, with w = penalty / dt^2, as an information filter:
    every sum has terms of one sign, so the tiny e is not lost beside the large terms.
    """
    smoothness = config.curvature_rate_penalty / step_s**2
    distances = (velocities * step_s).unbind(-1)
    turn_steps = turns.unbind(-1)
    information = distances[0].square() + config.initial_curvature_penalty
    vector = distances[0] * turn_steps[0]
    gains, vectors = [], []
    for distance, turn in zip(distances[1:], turn_steps[1:]):
        gain = 1.0 / (information + smoothness)
        gains.append(gain)
        vectors.append(vector)
        vector = vector * (gain * smoothness) + distance * turn
        information = information * (gain * smoothness) + distance.square()
    curvature = vector / information
    curvatures = [curvature]
    for gain, vector in zip(reversed(gains), reversed(vectors)):
        curvature = (vector + smoothness * curvature) * gain
        curvatures.append(curvature)
    return torch.stack(curvatures[::-1], dim=-1)
