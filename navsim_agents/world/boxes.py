"""Oriented boxes as NumPy arrays [..., 5]: centre x, y [m], heading [rad], length, width [m]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.world.curves import left_normal, unit

LENGTH, WIDTH = 3, 4
SIZE = slice(LENGTH, WIDTH + 1)
"""Columns of a box behind its pose."""


def corners(boxes: Float64[np.ndarray, "*batch 5"]) -> Float64[np.ndarray, "*batch 4 2"]:
    """Corners, counter-clockwise from front left."""
    along = unit(boxes[..., HEADING]) * boxes[..., LENGTH, None] / 2
    across = left_normal(boxes[..., HEADING]) * boxes[..., WIDTH, None] / 2
    offsets = np.stack((along + across, across - along, -along - across, along - across), axis=-2)
    return boxes[..., None, XY] + offsets


def box_outline(
    center: Float64[np.ndarray, "2"], heading: float, length_m: float, width_m: float
) -> Float64[np.ndarray, "4 2"]:
    """Corners of one box around ``center``, counter-clockwise from front left."""
    return corners(np.array([*center, heading, length_m, width_m]))


def overlaps(
    first: Float64[np.ndarray, "*batch 5"], second: Float64[np.ndarray, "*batch 5"]
) -> Bool[np.ndarray, "*batch"]:
    """Whether boxes share a point, pair by pair (separating axes)."""
    points = corners(first), corners(second)
    is_apart = np.zeros(first.shape[:-1], dtype=bool)
    for boxes in (first, second):
        for axis in (unit(boxes[..., HEADING]), left_normal(boxes[..., HEADING])):
            low, high = ((points_of * axis[..., None, :]).sum(axis=-1) for points_of in points)
            is_apart |= (low.max(-1) < high.min(-1)) | (high.max(-1) < low.min(-1))
    return ~is_apart
