"""Oriented boxes as arrays [..., 5]: centre x, y, heading, length, width."""

from __future__ import annotations

import numpy as np

from navsim_agents.world.curves import FloatArray, left_normal, unit
from navsim_agents.world.fleet import BoolArray


def corners(boxes: FloatArray) -> FloatArray:
    """Corners [..., 4, 2], counter-clockwise from front left."""
    along = unit(boxes[..., 2]) * boxes[..., 3:4] / 2
    across = left_normal(boxes[..., 2]) * boxes[..., 4:5] / 2
    offsets = np.stack((along + across, across - along, -along - across, along - across), axis=-2)
    return boxes[..., None, :2] + offsets


def overlaps(first: FloatArray, second: FloatArray) -> BoolArray:
    """Whether boxes [..., 5] share a point, pair by pair (separating axes)."""
    points = corners(first), corners(second)
    is_apart = np.zeros(first.shape[:-1], dtype=bool)
    for boxes in (first, second):
        for axis in (unit(boxes[..., 2]), left_normal(boxes[..., 2])):
            low, high = ((points_of * axis[..., None, :]).sum(axis=-1) for points_of in points)
            is_apart |= (low.max(-1) < high.min(-1)) | (high.max(-1) < low.min(-1))
    return ~is_apart
