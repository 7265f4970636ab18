"""Velocity and curvature of a reference, by the regularised least squares of nuPlan's LQR tracker.

The normal matrix of the velocity fit does not depend on the poses (cos^2 + sin^2 = 1), so the fit is one constant
matrix. In terms of the curvatures themselves the normal matrix of the curvature fit is tridiagonal, so it is
solved by one sweep forward and one back. Neither needs a matrix inverse per trajectory.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.config import TrackerConfig


@lru_cache(maxsize=8)
def _velocity_map(num_displacements: int, step_s: float, jerk_penalty: float) -> Float[Tensor, "M M"]:
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
    matrix = _velocity_map(advances.shape[-1], step_s, config.jerk_penalty).to(advances)
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
