"""Closed form of the tracker's lateral look-ahead.

Over the horizon the speed is v_k = v + k c (c = acceleration * dt) and the dynamics
e' = e + v_k dt psi, psi' = psi + v_k dt (delta / L - kappa_k), delta' = delta + dt u are triangular, so the matrices
that the devkit multiplies out step by step are polynomials in v and c, and the curvature enters through four moments.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.config import TrackerConfig

NUM_MOMENTS = 4


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


@lru_cache(maxsize=4)
def _moment_map(num_curvatures: int, horizon: int) -> Float[Tensor, "M SM"]:
    """Matrix from a curvature profile to its four moments over the horizon from each step (last value held)."""
    j = np.arange(horizon, dtype=np.float64)
    later_sum = np.array([j[j > step].sum() for step in j])
    later_count = horizon - 1 - j
    kernels = np.stack((np.ones(horizon), j, later_sum + j * later_count, j * later_sum))
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
