"""Planned poses sampled where the tracker wants them."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.scoring.config import HORIZON_S, NUM_STATES, STEP_S


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
